// Extensions: named messages between programs, on a connection, for a base, or on a
// core. They are hints: they change no state by themselves, may be lost, and are
// neither stored nor passed on.
//
// Those of connections and bases travel on a channel of their own, protocol `weft/ext`,
// empty id, handshake version:varint=1, which is opened when there is something to say:
//   type 0  name    := number:varint scope name:buffer      before its first message
//   type 1  message := number:varint author payload:byte*
//   scope  := 00 | 01 base:32                   base: the discovery key of base_id
//   author := 00 | 01 manifest:buffer signature:64    of the identity, at most 4 KiB
//   signed := "weft ext 1" handshake_hash:64 from_initiator:u8 scope name:buffer
//             payload:buffer
// Names are 1 to 64 bytes, payloads at most 64 KiB, names at most 256 a connection and
// numbered by their sender from 0 on. Those of a core are hypercore's own extension
// messages on its channel, which Node peers speak too. Source: docs/formats.md.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "replication/session.h"

namespace weft {

inline constexpr std::size_t kExtensionNameBytesMax = 64;
inline constexpr std::size_t kExtensionPayloadBytesMax = 64 * 1024;
inline constexpr std::size_t kExtensionNamesMax = 256;
inline constexpr std::size_t kExtensionManifestBytesMax = 4 * 1024;

struct ExtensionScope {
  enum class Kind : std::uint8_t { kConnection = 0, kBase = 1, kCore = 2 };
  Kind kind = Kind::kConnection;
  DiscoveryKey id{};  // of the base or the core; zero for a connection
  auto operator<=>(const ExtensionScope&) const = default;
};

struct ExtensionAuthor {
  Bytes manifest;  // of the identity, which is its hash
  Signature signature;
  bool operator==(const ExtensionAuthor&) const = default;
};

struct ExtensionName {
  std::uint64_t number = 0;
  ExtensionScope scope;
  std::string name;
  bool operator==(const ExtensionName&) const = default;
};
Bytes EncodeExtensionName(const ExtensionName& name);
// INVALID_ARGUMENT  malformed, or a name that is too long or empty
absl::StatusOr<ExtensionName> DecodeExtensionName(ByteView body);

struct ExtensionMessageBody {
  std::uint64_t number = 0;
  std::optional<ExtensionAuthor> author;
  Bytes payload;
  bool operator==(const ExtensionMessageBody&) const = default;
};
Bytes EncodeExtensionMessage(const ExtensionMessageBody& message);
// INVALID_ARGUMENT  malformed, or a payload over its limit
absl::StatusOr<ExtensionMessageBody> DecodeExtensionMessage(ByteView body);

// What an author signs: bound to one connection and one direction of it, so that
// nobody can say it again elsewhere.
Bytes ExtensionSignable(const Hash64& handshake_hash, bool from_initiator,
                        const ExtensionScope& scope, std::string_view name,
                        ByteView payload);

// All extensions of a store. Lives on the strand of its sessions.
class ExtensionHub {
 public:
  struct Arrival {
    Session* session = nullptr;
    ExtensionScope scope;
    std::string_view name;
    ByteView payload;
    std::optional<ExtensionAuthor> author;  // claimed; see ExtensionSignable
  };
  using Handler = std::function<void(const Arrival&)>;
  // Whether the peer may speak, and be spoken to, in this scope.
  using Gate = std::function<bool(Session&, const ExtensionScope&)>;
  using Sign = std::function<std::optional<ExtensionAuthor>(ByteView signable)>;

  explicit ExtensionHub(Gate gate);
  ~ExtensionHub();

  // Before or after the connections are there. `name` empty: all names of the scope.
  std::uint64_t Add(const ExtensionScope& scope, std::string name, Handler handler);
  void Remove(std::uint64_t id);

  // For every session, when it is ready and when it has ended.
  void Attach(Session& session);
  void Detach(Session& session);

  // False if the peer does not take it: it speaks no extensions, or not this scope.
  // Not for cores, whose channel has a way of its own (Session::SendExtension).
  bool Send(Session& session, const ExtensionScope& scope, std::string_view name,
            ByteView payload, const Sign& sign);
  void Deliver(const Arrival& arrival);

  // Messages of names that nobody listens to, and of scopes the peer may not use.
  std::uint64_t ignored() const { return ignored_; }

 private:
  class Link;
  struct Listener {
    ExtensionScope scope;
    std::string name;
    Handler handler;
  };

  Gate gate_;
  std::map<std::uint64_t, Listener> listeners_;
  std::uint64_t last_id_ = 0;
  std::uint64_t ignored_ = 0;
  std::map<Session*, std::shared_ptr<Link>> links_;
};

}  // namespace weft
