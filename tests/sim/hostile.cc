#include "tests/sim/hostile.h"

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/awaitable_operators.hpp>

#include "engine/codec.h"
#include "replication/hypercore_messages.h"
#include "replication/protomux.h"
#include "replication/secret_stream.h"

namespace weft::sim {
namespace {

using asio::experimental::awaitable_operators::operator||;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kFeedsAtOnce = 6;
constexpr int kRounds = 20;  // of one connection

// The channels of the feeds that an attacker speaks of on one connection.
class Lies final : public ChannelHandler, public std::enable_shared_from_this<Lies> {
 public:
  Lies(HostileKind kind, Protomux* mux, SimRandom* random)
      : kind_(kind), mux_(mux), random_(random) {}

  void Speak(const std::shared_ptr<Hypercore>& core) {
    CoreHandshake handshake;
    handshake.capability = Capability(mux_->handshake_hash(), true, core->key());
    Bytes body;
    Encode(handshake, &body);
    const auto opened = mux_->Open(kHypercoreProtocol, core->discovery_key().view(),
                                   body, shared_from_this());
    if (!opened.ok()) return;
    cores_[*opened] = core;
    SyncMessage sync;
    sync.length = core->length() + 1000;
    sync.can_upgrade = sync.uploading = sync.downloading = sync.has_manifest = true;
    if (kind_ == HostileKind::kLiar) sync.length = core->length();
    SendMessage(*opened, CoreMessage::kSync, sync);
    SendMessage(*opened, CoreMessage::kRange, RangeMessage{false, 0, sync.length});
  }
  // What a storm brings each round.
  void Storm() {
    for (const auto& [channel, core] : cores_) {
      for (std::uint64_t i = 0; i < 200; ++i) {
        if (kind_ == HostileKind::kRequestStorm) {
          RequestMessage request;
          request.id = ++next_id_;
          request.parts.block = BlockRequest{random_->Below(core->length() + 2), 0};
          SendMessage(channel, CoreMessage::kRequest, request);
        } else {
          SendMessage(channel, CoreMessage::kWant,
                      WantMessage{random_->Below(64) * 2097152, 2097152, false});
          SendMessage(channel, CoreMessage::kRange,
                      RangeMessage{false, random_->U64() >> 12, random_->U64() >> 12});
        }
      }
    }
  }

  absl::Status OnOpen(MuxChannel&, ByteView) override { return absl::OkStatus(); }
  absl::Status OnMessage(MuxChannel& channel, std::uint64_t type,
                         ByteView body) override {
    if (kind_ != HostileKind::kLiar ||
        static_cast<CoreMessage>(type) != CoreMessage::kRequest) {
      return absl::OkStatus();
    }
    const auto request = DecodeRequest(body);
    const auto core = cores_.find(&channel);
    if (!request.ok() || core == cores_.end()) return absl::OkStatus();
    absl::StatusOr<Proof> proof = core->second->Prove(request->parts);
    if (!proof.ok()) return absl::OkStatus();
    if (proof->block && !proof->block->value.empty()) proof->block->value[0] ^= 1;
    if (proof->upgrade) proof->upgrade->signature[9] ^= 1;
    Bytes answer;
    EncodeData(request->id, request->fork, *proof, &answer);
    channel.Send(static_cast<std::uint64_t>(CoreMessage::kData), answer);
    return absl::OkStatus();
  }
  void OnClose(MuxChannel& channel, bool) override { cores_.erase(&channel); }

 private:
  template <class Message>
  void SendMessage(MuxChannel* channel, CoreMessage type, const Message& message) {
    Bytes body;
    Encode(message, &body);
    channel->Send(static_cast<std::uint64_t>(type), body);
  }

  HostileKind kind_;
  Protomux* mux_;      // not owned
  SimRandom* random_;  // not owned
  // In the order of their opening, so that a run repeats itself.
  struct Older {
    bool operator()(const MuxChannel* a, const MuxChannel* b) const {
      return std::ranges::lexicographical_compare(a->id(), b->id());
    }
  };
  std::map<MuxChannel*, std::shared_ptr<Hypercore>, Older> cores_;
  std::uint64_t next_id_ = 0;
};

Bytes FloodOfOpens(std::uint64_t first) {
  Bytes frame;
  Writer writer(&frame);
  for (int i = 0; i < 3; ++i) writer.Uint(0);
  for (std::uint64_t id = first; id < first + 2000; ++id) {
    Bytes item;
    Writer open(&item);
    open.Uint(1);
    open.Uint(id);
    open.Buffer(AsBytes(kHypercoreProtocol));
    Bytes key(32, 0xee);
    for (std::size_t b = 0; b < 8; ++b) key[b] = static_cast<std::uint8_t>(id >> 8 * b);
    open.Buffer(key);
    Bytes handshake;
    Encode(CoreHandshake{}, &handshake);
    open.Raw(handshake);
    writer.Uint(item.size());
    writer.Raw(item);
  }
  return frame;
}

}  // namespace

struct Attacker::State {
  explicit State(AttackerOptions given)
      : options(std::move(given)), random(options.seed) {}
  AttackerOptions options;
  SimRandom random;
  std::uint64_t dials = 0;
  bool stopped = false;
  Wire* wire = nullptr;  // of the connection under way; of its task
};

Attacker::Attacker(AttackerOptions options)
    : state_(std::make_shared<State>(std::move(options))) {}

Attacker::~Attacker() {
  Stop();
}

void Attacker::Start() {
  asio::co_spawn(*state_->options.io, Loop(state_), asio::detached);
}

void Attacker::Stop() {
  if (std::exchange(state_->stopped, true)) return;
  // A task that waits for a peer who neither reads nor hangs up holds itself.
  if (state_->wire != nullptr) state_->wire->Close();
}

std::uint64_t Attacker::dials() const {
  return state_->dials;
}

Task<void> Attacker::Loop(std::shared_ptr<State> state) {
  while (!state->stopped) {
    const std::string target =
        state->options.targets[state->random.Below(state->options.targets.size())];
    ++state->dials;
    absl::StatusOr<std::unique_ptr<Wire>> wire =
        co_await state->options.network->Dial(target);
    if (state->stopped) co_return;
    if (wire.ok()) {
      state->wire = wire->get();
      co_await Attack(state, **wire);
      state->wire = nullptr;
    }
    if (state->stopped) co_return;
    co_await state->options.clock->Sleep(milliseconds(200 + state->random.Below(800)));
  }
}

// One connection, until it is cut off or the script has ended.
Task<void> Attacker::Attack(std::shared_ptr<State> state, Wire& wire) {
  const HostileKind kind = state->options.kind;
  SimClock& clock = *state->options.clock;
  if (kind == HostileKind::kHalfOpen) {
    co_await clock.Sleep(seconds(3));
    wire.Close();
    co_return;
  }
  SecretStream stream(true, KeyPairFromSeed(RandomSeed(state->random)), &state->random);
  std::unique_ptr<Protomux> mux;
  const SecretStream::OnMessage on_message = [&mux, kind](ByteView frame) {
    if (kind == HostileKind::kOpenFlood || mux == nullptr) return absl::OkStatus();
    return mux->Receive(frame);
  };
  std::shared_ptr<Lies> lies;
  Bytes out;
  stream.Start(&out);
  for (int round = 0; round < kRounds && !state->stopped;) {
    if (!out.empty()) {
      Bytes sent = std::exchange(out, {});
      if (!(co_await wire.Write(std::move(sent))).ok() || state->stopped) break;
    }
    auto read = co_await (wire.Read() || clock.Sleep(seconds(1)));
    if (state->stopped) break;
    if (read.index() == 0) {
      const absl::StatusOr<Bytes>& bytes = std::get<0>(read);
      if (!bytes.ok() || bytes->empty()) break;
      if (!stream.Receive(*bytes, &out, on_message).ok()) break;
    }
    if (!stream.established()) {
      round += read.index() == 1 ? 1 : 0;
      continue;
    }
    if (mux == nullptr) {
      mux = std::make_unique<Protomux>(true, stream.handshake().handshake_hash());
      lies = std::make_shared<Lies>(kind, mux.get(), &state->random);
      for (std::size_t i = 0; i < kFeedsAtOnce; ++i) {
        auto core = state->options.cores->begin();
        std::advance(core, static_cast<std::ptrdiff_t>(
                               state->random.Below(state->options.cores->size())));
        if (kind >= HostileKind::kLiar) lies->Speak(core->second);
      }
    } else if (read.index() == 1) {
      ++round;
      if (kind >= HostileKind::kRequestStorm) lies->Storm();
    }
    if (kind == HostileKind::kOpenFlood) {
      ++round;
      stream.Seal(FloodOfOpens(1 + static_cast<std::uint64_t>(round) * 2000), &out);
    }
    if (kind == HostileKind::kGarbage) Append(out, Bytes(500, 0x11));
    if (kind == HostileKind::kSlowloris) Append(out, Bytes(1, 0x11));
    while (const auto frame = mux->TakeFrame()) stream.Seal(*frame, &out);
  }
  wire.Close();
  if (mux != nullptr) mux->Abandon();
}

}  // namespace weft::sim
