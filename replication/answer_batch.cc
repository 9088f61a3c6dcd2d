#include "replication/answer_batch.h"

#include "replication/core_channel.h"

namespace weft {
namespace {

constexpr std::size_t kProofsMax = 512;
constexpr std::size_t kBytesMax = 1024 * 1024;
constexpr std::size_t kHeavyBytes = 64 * 1024;

}  // namespace

void AnswerBatch::TakeFrom(const std::shared_ptr<CoreChannel>& channel) {
  std::unique_ptr<Downloader::Answers> answers = channel->TakeAnswers();
  if (answers == nullptr) return;
  proofs_ += answers->proofs.size();
  bytes_ += answers->bytes;
  upgrades_ += answers->upgrades;
  parts_.push_back({channel, std::move(answers), {}});
}

bool AnswerBatch::full() const {
  return proofs_ >= kProofsMax || bytes_ >= kBytesMax;
}

bool AnswerBatch::heavy() const {
  return upgrades_ > 0 || bytes_ >= kHeavyBytes;
}

void AnswerBatch::Prepare() {
  for (Part& part : parts_) {
    const Hypercore& core = part.channel->core();
    part.context.key = core.key();
    part.context.manifest = core.manifest();
    part.context.tree = MerkleTree::FromRoots(core.roots()).value_or(MerkleTree());
    part.context.fork = core.fork();
  }
}

void AnswerBatch::Check() {
  for (const Part& part : parts_) {
    for (const auto& request : part.answers->requests) {
      if (request->state == Outstanding::State::kAnswered) {
        CheckAhead(part.context, request->answer.proof);
      }
    }
  }
}

absl::StatusOr<AnswerBatch::Outcome> AnswerBatch::Store() {
  std::erase_if(parts_, [](const Part& part) {
    return !part.channel->ReturnAnswers(*part.answers);
  });
  std::vector<Hypercore::Proofs> all;
  all.reserve(parts_.size());
  for (const Part& part : parts_) {
    all.push_back(
        {&part.channel->core(), part.answers->proofs, part.channel->allow_fork()});
  }
  absl::Status committed;
  const auto results = Hypercore::ApplyTogether(all, &committed);
  WEFT_RETURN_IF_ERROR(committed);
  Outcome outcome;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    CoreChannel& channel = *parts_[i].channel;
    outcome.settled += parts_[i].answers->requests.size();
    if (results[i].ok()) {
      outcome.useless += channel.Settle(*parts_[i].answers, *results[i]);
    } else {
      channel.GiveUp(results[i].status());
    }
  }
  return outcome;
}

std::vector<std::shared_ptr<CoreChannel>> AnswerBatch::channels() const {
  std::vector<std::shared_ptr<CoreChannel>> channels;
  channels.reserve(parts_.size());
  for (const Part& part : parts_) channels.push_back(part.channel);
  return channels;
}

}  // namespace weft
