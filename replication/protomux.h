// Protomux: many channels on one encrypted stream, each named by a protocol and an id.
//
// frame   := channel:uint type:uint body:byte*
// batch   := 00 00 channel:uint (length:uint item | 00 channel:uint)*
// item    := type:uint body:byte*
// control := 00 (00 batch | 01 open | 02 reject:uint | 03 close:uint)
// open    := local_id:uint protocol:string id:buffer handshake:byte*
// A channel is usable once both sides have opened the same (protocol, id). The mux
// does no input or output: frames go in by Receive and come out by TakeFrame, so it
// behaves the same on a socket, in a simulation and under a fuzzer.
// Source: the wire specification, part 5; tests/vectors/protomux.json.

#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/crypto.h"
#include "engine/status.h"

namespace weft {

class MuxChannel;

// The longest body of one message.
inline constexpr std::size_t kMuxBodyBytesMax = 16 * 1024 * 1024 - 1024;

// What a protocol does on one channel. The mux holds it until the channel has closed.
// A status other than OK returned from a callback ends the whole connection with it:
// what concerns this channel alone is ended by MuxChannel::Close instead.
class ChannelHandler {
 public:
  virtual ~ChannelHandler() = default;
  // Both sides have opened; `handshake` is the tail of the peer's open. Called once,
  // before any message.
  virtual absl::Status OnOpen(MuxChannel& channel, ByteView handshake) = 0;
  // `body` is valid during the call only. Unknown types are to be ignored.
  virtual absl::Status OnMessage(MuxChannel& channel, std::uint64_t type,
                                 ByteView body) = 0;
  // The channel is gone: the peer closed or refused it, or the connection ended. Not
  // called for a Close of our own. `channel` is invalid once this returns.
  virtual void OnClose(MuxChannel& channel, bool refused) = 0;
};

class Protomux;

// Our end of a channel. Owned by the mux; valid until OnClose or Close returns.
class MuxChannel : public std::enable_shared_from_this<MuxChannel> {
 public:
  // Queues one message of at most kMuxBodyBytesMax. Legal as soon as the channel
  // exists: before it opens its side the peer keeps it for later, within limits, or
  // drops it.
  void Send(std::uint64_t type, ByteView body);
  // Ends the channel on both sides. The handler is not called any more.
  void Close();

  bool is_open() const { return remote_id_ != 0; }  // by both sides
  const std::string& protocol() const { return protocol_; }
  ByteView id() const { return id_; }
  Protomux& mux() const { return *mux_; }

 private:
  friend class Protomux;
  Protomux* mux_ = nullptr;  // not owned
  std::string protocol_;
  Bytes id_;
  std::shared_ptr<ChannelHandler> handler_;
  std::uint64_t local_id_ = 0;
  std::uint64_t remote_id_ = 0;  // 0: the peer has not opened
  bool closed_ = false;
};

struct MuxLimits {
  std::size_t channels_max = 65536;  // L9
  std::size_t opens_max = 655360;    // ids a peer may use without reusing one
  std::size_t frame_bytes_target = 128 * 1024;  // a batch is closed once it is so long
};

// Not thread-safe: one strand for the connection and all its channels.
class Protomux {
 public:
  // Asked when the peer opens a pair that we have not opened. It accepts by calling
  // Open for that pair before it returns true; false refuses.
  using Acceptor = std::function<bool(ByteView id, ByteView handshake)>;

  // `handshake_hash` is that of the Noise handshake: capabilities are bound to it.
  Protomux(bool is_initiator, const Hash64& handshake_hash, MuxLimits limits = {});
  // Closes nothing and calls nobody: Abandon does.
  ~Protomux();
  Protomux(const Protomux&) = delete;
  Protomux& operator=(const Protomux&) = delete;

  bool is_initiator() const { return is_initiator_; }
  const Hash64& handshake_hash() const { return handshake_hash_; }

  // Answers opens of (protocol, id); without an id, those of the protocol that no
  // closer registration names. Replaces an earlier one.
  void Register(std::string_view protocol, Acceptor acceptor);
  void Register(std::string_view protocol, ByteView id, Acceptor acceptor);
  void Unregister(std::string_view protocol, ByteView id);

  // Opens our side and queues the open message; the handler's OnOpen follows when the
  // peer's open is here, in an Acceptor right after that has returned.
  // ALREADY_EXISTS      we have a channel of that pair
  // RESOURCE_EXHAUSTED  channels_max
  absl::StatusOr<MuxChannel*> Open(std::string_view protocol, ByteView id,
                                   ByteView handshake,
                                   std::shared_ptr<ChannelHandler> handler);
  // nullptr if there is none.
  MuxChannel* Find(std::string_view protocol, ByteView id) const;
  std::size_t channel_count() const { return channels_.size(); }

  // One decrypted message of the stream. Anything but OK must end the connection.
  // INVALID_ARGUMENT    the peer broke the protocol
  // RESOURCE_EXHAUSTED  the peer overran a limit
  absl::Status Receive(ByteView frame);

  // The same in steps: a batch may hold a hundred thousand items. True when the frame
  // is done with; until then `frame` and `cursor` must stay as they are.
  struct Cursor {
    std::size_t position = 0;
    std::uint64_t channel_id = 0;
    bool in_batch = false;
  };
  absl::StatusOr<bool> ReceiveSome(ByteView frame, std::size_t items_max,
                                   Cursor* cursor);

  // From within a handler: what was asked of it took its time, so that ReceiveSome, if
  // more follows, ends here.
  void EndStep() { step_ended_ = true; }

  // Asked before an open of the peer is refused; false holds the answer back until
  // RefuseHeld, or until we open a channel ourselves: what the peer hears of one pair
  // must come in order.
  void OnRefusal(std::function<bool()> callback) { on_refusal_ = std::move(callback); }
  void RefuseHeld(std::size_t count);
  std::size_t held_refusals() const { return held_refusals_.size(); }

  // The next frame to encrypt and send, or nullopt if there is none. Messages queued
  // since the last call travel together, in order.
  std::optional<Bytes> TakeFrame();
  bool has_output() const { return queued_bytes_ != 0; }
  // Bytes queued and not taken yet: a bulk sender waits while this is large.
  std::size_t queued_bytes() const { return queued_bytes_; }
  // Called whenever output appears where there was none.
  void OnOutput(std::function<void()> callback) { on_output_ = std::move(callback); }

  using Pair = std::pair<std::string, Bytes>;
  using Channels = std::map<Pair, std::shared_ptr<MuxChannel>>;
  // The connection is gone: every handler hears OnClose, once. Returns the channels,
  // which are of no use any more, to be freed as there is time for it.
  Channels Abandon();

 private:
  friend class MuxChannel;
  using Abandoned = std::map<Pair, std::vector<std::uint64_t>>;  // local ids

  absl::Status ReceiveItem(std::uint64_t channel_id, std::uint64_t type, ByteView body);
  absl::Status ReceiveOpen(ByteView body);
  absl::Status ReceiveReject(ByteView body);
  void ReceiveClose(ByteView body);
  absl::Status Match(MuxChannel& channel, std::uint64_t remote_id, ByteView handshake);
  bool Ask(const Pair& pair, ByteView handshake);
  bool Swallow(const Pair& pair);
  std::shared_ptr<MuxChannel> Release(MuxChannel& channel);
  void Refuse(std::uint64_t remote_id);
  void RefuseLater(std::uint64_t remote_id);
  void TakeBack(Abandoned::iterator entry, std::uint64_t local_id);
  std::uint64_t TakeLocalId();
  void Queue(std::uint64_t channel_id, std::uint64_t type, ByteView body);
  void SealFrame();

  bool is_initiator_;
  Hash64 handshake_hash_;
  MuxLimits limits_;
  std::map<Pair, Acceptor> acceptors_;
  std::map<std::string, Acceptor, std::less<>> protocol_acceptors_;
  Channels channels_;
  std::vector<MuxChannel*> local_;   // by local id - 1; null: free or swallowed
  std::vector<std::uint64_t> free_;  // local ids that may be used again, a stack
  // Closed before their fate was known: by pair, and the pair by local id.
  Abandoned abandoned_;
  std::map<std::uint64_t, Abandoned::iterator> abandoned_ids_;
  std::vector<MuxChannel*> remote_;  // by remote id - 1; null: refused or closed

  // The frame being filled, as a batch; and those that are full.
  Bytes batch_;
  std::uint64_t batch_channel_ = 0;
  std::size_t batch_items_ = 0;
  std::size_t first_item_ = 0;  // offset of the first item's type within batch_
  std::deque<Bytes> frames_;
  std::size_t queued_bytes_ = 0;
  std::function<void()> on_output_;
  std::function<bool()> on_refusal_;
  std::deque<std::uint64_t> held_refusals_;  // remote ids
  bool step_ended_ = false;
};

}  // namespace weft
