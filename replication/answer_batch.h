// What one peer answered about several cores, checked and stored as one: one way to the
// workers for many signatures, one commit for many cores.
//
// A batch is gathered in a step of the session, then checked, on any thread, and then
// stored, back on the strand. Its channels may be over by then.

#pragma once

#include <memory>
#include <vector>

#include "engine/proof_check.h"
#include "replication/downloader.h"

namespace weft {

class CoreChannel;

class AnswerBatch {
 public:
  // Adds the answers of the channel that are next in order, if it has any that may be
  // taken now. A channel is in one batch at a time.
  void TakeFrom(const std::shared_ptr<CoreChannel>& channel);
  bool empty() const { return parts_.empty(); }
  // Enough for one step on the event loop.
  bool full() const;
  // Worth the way to the workers.
  bool heavy() const;

  // What Check needs to know of the cores; on the strand, before it.
  void Prepare();
  // Hashes and signatures. Touches nothing but the batch.
  void Check();

  struct Outcome {
    std::size_t settled = 0;  // requests that are over
    std::size_t useless = 0;  // answers among them that the peer is to blame for
  };
  // Gives every answer to its core, in one commit, and tells the channels.
  // What cannot be read of one core ends the channel of that core. The status is an
  // error of the commit: then nothing was stored.
  absl::StatusOr<Outcome> Store();

  // Those whose answers were taken.
  std::vector<std::shared_ptr<CoreChannel>> channels() const;

 private:
  struct Part {
    std::shared_ptr<CoreChannel> channel;
    std::unique_ptr<Downloader::Answers> answers;
    ProofContext context;
  };

  std::vector<Part> parts_;
  std::size_t proofs_ = 0;
  std::size_t bytes_ = 0;
  std::size_t upgrades_ = 0;
};

}  // namespace weft
