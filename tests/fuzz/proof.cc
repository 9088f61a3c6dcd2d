// Right answers of a log that somebody has changed on the way: whatever of them is
// taken, the copy is a copy. The first byte chooses the length of the log, the rest is
// a list of changes to the encoded answers, or an answer of its own.

#include <map>

#include "engine/check.h"
#include "engine/codec.h"
#include "engine/corestore.h"
#include "engine/memory_storage.h"
#include "engine/proof_check.h"
#include "replication/hypercore_messages.h"

namespace {

class Counting final : public weft::Random {
 public:
  void Fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(next_++ * 37);
  }

 private:
  std::uint32_t next_ = 1;
};

struct Truth {
  weft::MemoryStorage storage;
  Counting random;
  std::unique_ptr<weft::Corestore> store;
  std::shared_ptr<weft::Hypercore> core;
  std::vector<weft::Bytes> answers;  // data messages: an upgrade, then blocks
};

Truth& TruthOf(std::size_t length) {
  static std::map<std::size_t, Truth> truths;
  Truth& truth = truths[length];
  if (truth.core != nullptr) return truth;
  truth.store = *weft::Corestore::Open(&truth.storage, &truth.random);
  truth.core = *truth.store->OpenNamed("truth");
  for (std::size_t i = 0; i < length; ++i) {
    const weft::Bytes block(i % 5, static_cast<std::uint8_t>(i));
    const weft::ByteView view(block);
    WEFT_CHECK(truth.core->Append({&view, 1}).ok());
  }
  const auto add = [&truth](const weft::ProofRequest& request) {
    weft::Bytes body;
    weft::EncodeData(truth.answers.size() + 1, 0, *truth.core->Prove(request), &body);
    truth.answers.push_back(std::move(body));
  };
  weft::ProofRequest upgrade;
  upgrade.upgrade = weft::UpgradeRequest{0, length};
  upgrade.manifest = true;
  upgrade.block = weft::BlockRequest{length / 2, 0};
  add(upgrade);
  for (const std::size_t block_index : {std::size_t{0}, length - 1}) {
    weft::ProofRequest block;
    std::uint64_t nodes = 0;
    while ((((block_index >> nodes) | 1) << nodes) < length && nodes < 3) ++nodes;
    block.block = weft::BlockRequest{block_index, nodes};
    if (truth.core->Prove(block).ok()) add(block);
  }
  return truth;
}

void CheckCopy(const Truth& truth, weft::Hypercore& copy) {
  const weft::Hypercore& core = *truth.core;
  WEFT_CHECK(copy.length() == 0 || copy.length() == core.length());
  if (copy.length() > 0) WEFT_CHECK(copy.tree_hash() == core.tree_hash());
  for (std::uint64_t i = 0; i < copy.length(); ++i) {
    if (copy.Has(i)) WEFT_CHECK(*copy.Get(i) == *core.Get(i));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  constexpr std::size_t kLengths[] = {1, 2, 3, 7, 8, 21};
  Truth& truth = TruthOf(kLengths[data[0] % std::size(kLengths)]);
  weft::MemoryStorage storage;
  Counting random;
  const auto store = *weft::Corestore::Open(&storage, &random);
  const auto copy = *store->OpenRemote(truth.core->key());
  std::vector<weft::Bytes> answers = truth.answers;
  weft::Reader input(weft::ByteView(data + 2, size - 2));
  if ((data[1] & 1) != 0) {
    answers.insert(answers.begin(), weft::ToBytes(input.Rest()));
  }
  while (input.remaining() >= 3) {
    weft::Bytes& answer = answers[input.U8() % answers.size()];
    const std::size_t at = input.U8() % answer.size();
    answer[at] ^= input.U8();
  }
  std::vector<weft::Proof> proofs;
  for (const weft::Bytes& answer : answers) {
    auto message = weft::DecodeData(answer);
    if (message.ok()) proofs.push_back(std::move(message->proof));
  }
  if ((data[1] & 2) != 0) {
    weft::ProofContext context;
    context.key = copy->key();
    for (weft::Proof& proof : proofs) weft::CheckAhead(context, proof);
  }
  WEFT_CHECK(copy->Apply(proofs, /*allow_fork=*/(data[1] & 4) != 0).ok());
  CheckCopy(truth, *copy);
  return 0;
}
