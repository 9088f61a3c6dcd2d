// A whole session with a peer that says anything, on the mux and on the channel of a
// core it knows: it is answered, ignored or cut off; what is stored is what was signed.
//
// input := (kind:u8 size:uint bytes)*    kind below 10: a message on the channel of a
// core it may have, below 20: of one it should have; 20: a mux frame, 21: bytes that
// were never sealed, others: a second passes

#include "engine/check.h"
#include "engine/codec.h"
#include "tests/replication/raw_peer.h"

namespace {

void CheckCopy(const weft::Hypercore& core, const weft::Hypercore& copy) {
  WEFT_CHECK(copy.length() <= core.length());
  for (std::uint64_t i = 0; i < copy.length(); ++i) {
    if (copy.Has(i)) WEFT_CHECK(*copy.Get(i) == *core.Get(i));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weft::Peer ada{1}, bob{2};
  weft::World world;
  const auto hers = ada.Writer("hers", 9);
  const auto his = bob.Writer("his", 5);
  ada.mode = weft::Download::Whole();
  const auto copy = ada.Reader(*his);
  const auto raw = weft::RawPeer::Connect(world, ada);
  raw->ignore_frames = true;
  weft::MuxChannel* const serving = raw->OpenCore(hers->key());
  weft::MuxChannel* const fetching = raw->OpenCore(his->key());
  weft::Reader input(weft::ByteView(data, size));
  for (int steps = 0; steps < 64 && input.ok() && !input.done(); ++steps) {
    const std::uint8_t kind = input.U8();
    const std::uint64_t claimed = input.Uint();
    const weft::ByteView bytes = input.Raw(
        static_cast<std::size_t>(std::min<std::uint64_t>(claimed, input.remaining())));
    if (kind < 20) {
      raw->SendBody(kind < 10 ? serving : fetching,
                    static_cast<weft::CoreMessage>(kind % 10), bytes);
      raw->Flush();
    } else if (kind == 20) {
      raw->SendFrame(bytes);
    } else if (kind == 21) {
      raw->SendRaw(weft::ToBytes(bytes));
    } else {
      world.RunFor(std::chrono::seconds(1));
    }
  }
  CheckCopy(*his, *copy);
  WEFT_CHECK(hers->length() == 9);
  return 0;
}
