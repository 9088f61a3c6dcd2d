// The other end of a session as bare bytes: whatever a test writes, and whatever comes
// back. Nothing here knows the protocol.

#pragma once

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <memory>
#include <utility>
#include <vector>

#include "replication/frame.h"
#include "tests/replication/peers.h"

namespace weft {

class RawEnd : public std::enable_shared_from_this<RawEnd> {
 public:
  // A fresh session of `victim` at the other end; it is the initiator if we are not.
  static std::shared_ptr<RawEnd> Connect(World& world, Peer& victim,
                                         bool victim_dials = false,
                                         const NetworkLimits& limits = {}) {
    auto [left, right] = sim::PipeWire::MakePair();
    auto raw = std::shared_ptr<RawEnd>(new RawEnd(&world, std::move(left)));
    raw->session = world.Join(victim, std::move(right), victim_dials, limits);
    asio::co_spawn(world.io, ReadLoop(raw), asio::detached);
    world.Drain();
    return raw;
  }

  void Send(ByteView bytes) {
    asio::co_spawn(world->io, wire->Write(ToBytes(bytes)),
                   [](std::exception_ptr, const absl::Status&) {});
    world->Drain();
  }
  void SendFrame(ByteView body) {
    Bytes bytes;
    AppendFramePrefix(body.size(), &bytes);
    Append(bytes, body);
    Send(bytes);
  }
  void HangUp() {
    wire->Close();
    world->Drain();
  }
  // The whole frames that came so far.
  std::vector<Bytes> Frames() const {
    FrameReader reader;
    reader.Feed(received);
    std::vector<Bytes> frames;
    for (;;) {
      const auto frame = reader.Next();
      if (!frame.ok() || !frame->has_value()) return frames;
      frames.push_back(ToBytes(**frame));
    }
  }

  World* world;
  std::unique_ptr<Wire> wire;
  std::shared_ptr<Session> session;  // the victim's
  Bytes received;
  bool hung_up = false;  // by the victim

 private:
  RawEnd(World* in_world, std::unique_ptr<Wire> in_wire)
      : world(in_world), wire(std::move(in_wire)) {}
  static Task<void> ReadLoop(std::shared_ptr<RawEnd> self) {
    for (;;) {
      const absl::StatusOr<Bytes> bytes = co_await self->wire->Read();
      if (!bytes.ok() || bytes->empty()) break;
      Append(self->received, *bytes);
    }
    self->hung_up = true;
  }
};

}  // namespace weft
