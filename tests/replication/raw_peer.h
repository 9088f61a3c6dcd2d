// A peer that does exactly what a test tells it: real handshake, encryption and mux,
// and on top of them any bytes at all.

#pragma once

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "replication/hypercore_messages.h"
#include "replication/protomux.h"
#include "replication/secret_stream.h"
#include "tests/replication/peers.h"

namespace weft {

class RawPeer : public ChannelHandler {
 public:
  // Changes what the other side writes to and reads from.
  using WrapWire = std::function<std::unique_ptr<Wire>(std::unique_ptr<Wire>)>;

  // Connects to `other` as the initiator; ready after world.Drain().
  static std::shared_ptr<RawPeer> Connect(World& world, Peer& other,
                                          const NetworkLimits& limits = {},
                                          const WrapWire& wrap = {}) {
    auto [left, right] = sim::PipeWire::MakePair();
    auto raw = std::shared_ptr<RawPeer>(new RawPeer(&world, std::move(left)));
    std::unique_ptr<Wire> theirs = std::move(right);
    if (wrap) theirs = wrap(std::move(theirs));
    raw->session = world.Join(other, std::move(theirs), /*is_initiator=*/false, limits);
    asio::co_spawn(world.io, ReadLoop(raw), asio::detached);
    world.Drain();
    WEFT_CHECK(raw->mux != nullptr);
    return raw;
  }

  // Opens the channel of a core with the right capability, or with another.
  MuxChannel* OpenCore(const CoreKey& key, std::optional<Hash32> capability = {}) {
    CoreHandshake handshake;
    handshake.capability =
        capability.value_or(Capability(mux->handshake_hash(), true, key));
    Bytes body;
    Encode(handshake, &body);
    // The mux is ours, so its channels must not own us in turn.
    MuxChannel* channel =
        *mux->Open(kHypercoreProtocol, DiscoveryKeyOf(key).view(), body,
                   std::shared_ptr<ChannelHandler>(std::shared_ptr<void>(), this));
    channels.push_back(channel->shared_from_this());
    Flush();
    return channel;
  }
  // Sends one message and lets everybody act on it.
  template <class Message>
  void Send(MuxChannel* channel, CoreMessage type, const Message& message) {
    Bytes body;
    Encode(message, &body);
    channel->Send(static_cast<std::uint64_t>(type), body);
    Flush();
  }
  void SendBody(MuxChannel* channel, CoreMessage type, ByteView body) {
    channel->Send(static_cast<std::uint64_t>(type), body);
  }
  void Flush() {
    Bytes out;
    while (const auto frame = mux->TakeFrame()) stream.Seal(*frame, &out);
    Write(std::move(out));
    world->Drain();
  }

  // What came on all channels, oldest first.
  struct Heard {
    CoreMessage type;
    Bytes body;
    MuxChannel* channel = nullptr;
  };
  std::vector<Heard> Take(CoreMessage type) {
    std::vector<Heard> taken;
    for (const Heard& one : heard) {
      if (one.type == type) taken.push_back(one);
    }
    heard.clear();
    return taken;
  }

  absl::Status OnOpen(MuxChannel&, ByteView) override {
    ++opened;
    return absl::OkStatus();
  }
  absl::Status OnMessage(MuxChannel& channel, std::uint64_t type,
                         ByteView body) override {
    heard.push_back({static_cast<CoreMessage>(type), ToBytes(body), &channel});
    return absl::OkStatus();
  }
  void OnClose(MuxChannel&, bool was_refused) override {
    ++(was_refused ? refused : closed);
  }

  // One mux frame of any bytes.
  void SendFrame(ByteView frame) {
    Bytes out;
    stream.Seal(frame, &out);
    Write(std::move(out));
    world->Drain();
  }
  // Bytes that are no frame at all.
  void SendRaw(Bytes bytes) {
    Write(std::move(bytes));
    world->Drain();
  }

  World* world;
  std::unique_ptr<Wire> wire;
  std::shared_ptr<Session> session;  // the other side's
  sim::SimRandom random{99};
  SecretStream stream{true, KeyPairFromSeed(RandomSeed(random)), &random};
  std::unique_ptr<Protomux> mux;
  std::vector<std::shared_ptr<MuxChannel>> channels;  // all there were, closed or not
  std::vector<Heard> heard;
  int opened = 0, refused = 0, closed = 0;
  bool hung_up = false;        // by the other side
  bool ignore_frames = false;  // what comes does not fit what the mux knows

 private:
  RawPeer(World* in_world, std::unique_ptr<Wire> in_wire)
      : world(in_world), wire(std::move(in_wire)) {
    Bytes out;
    stream.Start(&out);
    Write(std::move(out));
  }
  void Write(Bytes bytes) {
    if (bytes.empty()) return;
    asio::co_spawn(world->io, wire->Write(std::move(bytes)),
                   [](std::exception_ptr, const absl::Status&) {});
  }
  static Task<void> ReadLoop(std::shared_ptr<RawPeer> self) {
    for (;;) {
      const absl::StatusOr<Bytes> bytes = co_await self->wire->Read();
      if (!bytes.ok() || bytes->empty()) break;
      Bytes out;
      const auto status = self->stream.Receive(*bytes, &out, [&self](ByteView frame) {
        return self->ignore_frames ? absl::OkStatus() : self->mux->Receive(frame);
      });
      self->Write(std::move(out));
      if (!status.ok()) break;
      if (self->mux == nullptr && self->stream.established()) {
        self->mux =
            std::make_unique<Protomux>(true, self->stream.handshake().handshake_hash());
      }
    }
    self->hung_up = true;
  }
};

}  // namespace weft
