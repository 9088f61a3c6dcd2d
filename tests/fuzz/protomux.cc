// A peer that sends any frames whatever: the mux holds no more channels than allowed,
// calls each handler in order, and survives.
//
// input := (size:uint frame)*

#include "replication/protomux.h"

#include "engine/check.h"
#include "engine/codec.h"

namespace {

class Handler : public weft::ChannelHandler {
 public:
  absl::Status OnOpen(weft::MuxChannel&, weft::ByteView) override {
    WEFT_CHECK(!open_ && !closed_);
    open_ = true;
    return absl::OkStatus();
  }
  absl::Status OnMessage(weft::MuxChannel& channel, std::uint64_t type,
                         weft::ByteView body) override {
    WEFT_CHECK(open_ && !closed_);
    if (type == 3) {
      closed_ = true;
      channel.Close();
    } else if (type == 2) {
      channel.Send(1, body);
    }
    return absl::OkStatus();
  }
  void OnClose(weft::MuxChannel&, bool) override {
    WEFT_CHECK(!closed_);
    closed_ = true;
  }

 private:
  bool open_ = false;
  bool closed_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kChannelsMax = 8;
  weft::Protomux mux(true, weft::Hash64(),
                     {.channels_max = kChannelsMax, .opens_max = 64});
  for (const char* protocol : {"a", "hypercore/alpha"})
    mux.Register(protocol, [&mux, protocol](weft::ByteView id, weft::ByteView) {
      return mux.Open(protocol, id, {}, std::make_shared<Handler>()).ok();
    });
  const bool opened =
      mux.Open("b", weft::ByteView(), {}, std::make_shared<Handler>()).ok();
  WEFT_CHECK(opened);
  weft::Reader reader(weft::ByteView(data, size));
  while (reader.ok() && !reader.done()) {
    const auto length = static_cast<std::size_t>(
        std::min<std::uint64_t>(reader.Uint(), reader.remaining()));
    const weft::ByteView frame = reader.Raw(length);
    weft::Protomux::Cursor cursor;
    absl::StatusOr<bool> done = false;
    while (done.ok() && !*done) done = mux.ReceiveSome(frame, 3, &cursor);
    if (!done.ok()) break;
    WEFT_CHECK(mux.channel_count() <= kChannelsMax);
    while (mux.TakeFrame()) {
    }
  }
  mux.Abandon();
  return 0;
}
