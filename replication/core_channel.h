// One core with one peer: who has what, and who asks whom.
//
// The channel keeps both sides' state in step (sync), and hands the rest on: what we
// ask for to a Downloader, what the peer asks for to an Uploader, what we tell of our
// blocks to an Announcer. Messages only note what is to be done; the work is done in
// bounded steps that the session hands out in turn, so that no core and no peer keeps
// the event loop.
// Source: the wire specification, parts 6 and 8.

#pragma once

#include <map>
#include <memory>

#include "replication/announcer.h"
#include "replication/downloader.h"
#include "replication/protomux.h"
#include "replication/remote_state.h"
#include "replication/session.h"
#include "replication/uploader.h"

namespace weft {

// Not thread-safe: on the strand of its session.
class CoreChannel final : public ChannelHandler,
                          public std::enable_shared_from_this<CoreChannel> {
 public:
  // `session` owns the channel and outlives its use. Call Open next.
  CoreChannel(Session* session, std::shared_ptr<Hypercore> core,
              std::shared_ptr<DownloadScheduler> scheduler);
  ~CoreChannel() override;

  // Opens our side on the session's mux.
  absl::Status Open(const Download& mode);
  // Ends the channel on both sides, without a word to the observer.
  void Close();
  // The session is over: does nothing from here on. What it holds and has asked for
  // goes with it.
  void Leave();

  Hypercore& core() { return *core_; }
  bool is_open() const { return open_; }
  bool is_level() const { return level_; }
  // We hold every block of `wanted`, which is part of the mode, that the peer has.
  bool Has(const Download& wanted) const;
  // We have told the peer that we expect nothing: it may close the channel for that.
  bool told_content() const { return told_content_; }
  RemoteCore Remote() const;
  // The channel carries something, or may soon.
  bool interested() const { return downloader_.interested(); }

  void SetMode(const Download& mode);
  // Whether the peer gets anything of this core; call before Open, or later.
  void set_uploads(bool uploads);
  void SendExtension(std::string_view name, ByteView payload);

  // Answers that are next in order; null if there are none, or none may be checked now.
  // ReturnAnswers must follow, and Settle if it says so.
  std::unique_ptr<Downloader::Answers> TakeAnswers();
  // What was asked for is free again. False if the channel is over: then nobody waits
  // for the answers any more.
  bool ReturnAnswers(Downloader::Answers& answers);
  // What the core made of the proofs. Returns how many the peer made us check in vain.
  std::size_t Settle(Downloader::Answers& answers,
                     std::span<const absl::Status> results);
  // Our copy cannot be read: the channel ends, and only this one.
  void GiveUp(const absl::Status& why);
  bool allow_fork() const;

  // One bounded step of all but the answers. True if there is more to do at once.
  absl::StatusOr<bool> Work();
  // Waits only for room in the output.
  bool blocked() const { return uploader_.has_work() || announces(); }
  // Something is expected that the peer has not given; then OnBeat is called every few
  // seconds.
  bool waits() const {
    return window_pending_ || (downloader_.interested() && (!level_ || windows_aged_));
  }
  void OnBeat();
  // Twice a second while requests are under way: gives up on answers that do not come.
  // False if none is under way any more.
  bool OnTick(Nanos now, bool session_receives);

  // Kept by the session: the channel stands in its queue of work, or of those that
  // wait for others' requests to end.
  bool queued = false;
  bool starved = false;
  bool watched = false;  // OnTick is called
  bool asked = false;    // we opened it, and the peer has not answered

  absl::Status OnOpen(MuxChannel& channel, ByteView handshake) override;
  absl::Status OnMessage(MuxChannel& channel, std::uint64_t type,
                         ByteView body) override;
  void OnClose(MuxChannel& channel, bool refused) override;

 private:
  void OnCoreEvent(const CoreEvent& event);
  absl::Status OnSync(ByteView body);
  absl::Status OnExtension(ByteView body);
  void TellRemote();
  void SendSync();
  bool CanUpgrade() const;
  // The length others may hear of: what is durable, for a core of our own.
  std::uint64_t visible_length() const;
  // There is something to tell of our blocks, and the peer may have them.
  bool announces() const { return uploads_ && announcer_.has_work(visible_length()); }
  void AskForMore();
  void AskForWindows();
  bool IsWindowKnown(std::uint64_t start) const;
  void Unwant();
  void CheckLevel();
  void Detach();
  absl::Status Dispatch(std::uint64_t type, ByteView body);
  struct Counted {
    std::size_t answers = 0, claims = 0, requests = 0;
  };
  // Tells the session what of the peer's the channel holds.
  void Recount();
  void Recount(const Counted& now);

  Session* session_;  // not owned; null once the channel is over
  std::shared_ptr<Hypercore> core_;
  std::shared_ptr<DownloadScheduler> scheduler_;
  MuxChannel* channel_ = nullptr;  // owned by the mux; null once closed
  SendMessage send_;
  std::shared_ptr<void> observing_;

  RemoteState remote_;
  Downloader downloader_;
  Uploader uploader_;
  Announcer announcer_;
  struct Window {
    std::uint64_t fork = 0, length = 0;  // the peer's, when it was asked
  };
  std::map<std::uint64_t, Window> windows_asked_;  // wants sent, by start
  bool windows_aged_ = false;    // the peer's log has grown since one of them
  bool window_pending_ = false;  // one of them is not answered
  Counted counted_;              // what the session was told
  bool uploads_ = true;
  bool checking_ = false;  // answers were taken and are not returned
  std::uint64_t known_fork_ = 0;
  bool open_ = false;
  bool sync_due_ = false;
  bool level_ = false;
  bool told_content_ = false;
  bool fork_told_ = false;
  Nanos stalled_until_{};
  std::string extension_sent_;
  std::string extension_received_;
  Bytes scratch_;
};

}  // namespace weft
