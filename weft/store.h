// A Store is one directory: one key, many cores, many bases.
//
// A handle, cheap to copy; the directory is closed when the last handle to it or to
// one of its bases is gone. Thread-safe. A store runs one thread of its own for the
// network and the merge.

#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/base.h"
#include "weft/types.h"

namespace weft {

class StoreImpl;

struct StoreOptions {
  bool create = true;  // false: NOT_FOUND where there is no store
  // Where the disk has less room than this a store is opened for reading only.
  std::uint64_t room_bytes_min = 1024 * 1024;
};

struct BaseOptions {
  std::string name;  // of this base, in this store and in its genesis
};

struct JoinOptions {
  std::string name;     // in this store; empty: the name in the genesis, once known
  std::string connect;  // an address, beside those in the link
};

// How a block of a plain hypercore is read.
struct CoreReadOptions {
  // Where to fetch it if it is not held: "host:port". The core is made, as a follower,
  // if the store has none of this key.
  std::string connect = {};
  std::chrono::milliseconds timeout{30000};  // of fetching it; zero: no limit
  // 64 hex digits: the blocks are encrypted as Node's hypercore does it, under this key
  // that its readers share, or under it as their block key. Empty: they are read as
  // they are stored.
  std::string encryption_key = {};
};

struct CoreByte {
  std::uint64_t block_index = 0;
  std::uint64_t offset = 0;  // within the block
  std::string block;
};

// What a store tells while it serves, one line each.
using EventCallback = std::function<void(const std::string& line)>;
// Called on the thread that waits for the work, with the newest state only.
using ProgressCallback = std::function<void(const Progress& progress)>;

class Store {
 public:
  // NOT_FOUND            no store there, and create is false
  // UNAVAILABLE          another process holds it, or any error of the disk
  // FAILED_PRECONDITION  it is of a newer format
  // INVALID_ARGUMENT     a file, a link, or a directory with other things in it
  // PERMISSION_DENIED, RESOURCE_EXHAUSTED, DATA_LOSS  the disk
  static absl::StatusOr<Store> Open(std::string_view path,
                                    const StoreOptions& options = {});

  explicit Store(std::shared_ptr<StoreImpl> impl) : impl_(std::move(impl)) {}

  std::string path() const;
  // OK, or why nothing more can be written until the store is opened anew; what is in
  // it can be read, and is given to peers, all the same. A store is opened like that
  // where its disk is full or may not be written to.
  // RESOURCE_EXHAUSTED  the disk is full;  UNAVAILABLE  any other reason
  absl::Status Writable() const;
  // One line for a person about the store as it was found, once: that it is a copy, a
  // backup or was moved to another disk, so that the next write to each of its bases
  // begins a new incarnation of us (docs/decisions/0014). Empty: nothing to say.
  std::string notice() const;

  // --- bases ---
  // A new base of which we are the founder.
  // ALREADY_EXISTS  the store has a base of this name
  absl::StatusOr<Base> CreateBase(const BaseOptions& options);
  // Follows the base of a link; makes our identity for it. Its genesis is fetched from
  // `connect` or the addresses in the link when this returns; writing takes a grant.
  // A base that the store follows can be joined again by an invite until it is let in.
  // An invite without any address is taken as it is: the genesis comes with the first
  // peer that has it (Connect, Listen, Sync), and until then nothing can be written.
  // INVALID_ARGUMENT  not a link;  UNAVAILABLE  no peer gave the genesis
  // ALREADY_EXISTS    the store follows the base, and there is nothing to ask for
  absl::StatusOr<Base> Join(std::string_view link, const JoinOptions& options = {});
  // The base of this name, or the only one if `name` is empty.
  // NOT_FOUND  no such base;  INVALID_ARGUMENT  several, and no name given
  absl::StatusOr<Base> OpenBase(std::string_view name = "");
  std::vector<std::string> Bases() const;

  // --- peers ---
  // An address is "host:port", or "unix:PATH" of a Unix socket. A link names only the
  // first kind.
  // Accepts connections there (port 0: any) and returns the address in use.
  absl::StatusOr<std::string> Listen(std::string_view address);
  // Keeps a connection to the address while the store is open, with back-off. Returns
  // at once; INVALID_ARGUMENT if it is not an address.
  absl::Status Connect(std::string_view address);
  // Where peers were to be met when its bases were joined: the addresses of the links
  // and those that Join was given, each once.  DATA_LOSS
  absl::StatusOr<std::vector<std::string>> JoinAddresses() const;
  // Finds peers that share a base with this store on the local network, by multicast,
  // while the store is open, and connects to them; they find us if we listen. Nothing
  // about a base is told to who does not know it. `interface_address` is that of the
  // network interface to use; empty: the system's choice.
  // INVALID_ARGUMENT  not an address;  UNAVAILABLE  the system does not let us
  absl::Status DiscoverOnLan(std::string_view interface_address = "");

  // What may pass on every connection, until the next call. Connections that stand
  // follow at once. With Base::SetRule and SetHostRule: all that apply must allow.
  // INVALID_ARGUMENT  a key of the list is none
  absl::Status SetRule(const ReplicationRule& rule);
  // The same with peers of one host, "10.0.0.7"; absent: no rule of its own.
  absl::Status SetHostRule(std::string_view host,
                           const std::optional<ReplicationRule>& rule);
  LoopStatus Loop() const;
  // Replicates until level with that peer in every base both have: version digests
  // are equal and the peer holds our blocks durably.
  // UNAVAILABLE        nobody answers there, it does not speak the protocol, or the
  //                    address is our own
  // NOT_FOUND          the peer has none of our bases
  // DEADLINE_EXCEEDED  not level in time; what came is kept
  // CANCELLED          `cancelled` said so, which is asked every 100 ms on the store's
  //                    thread; what came is kept
  absl::StatusOr<SyncResult> Sync(std::string_view address,
                                  std::chrono::milliseconds timeout,
                                  const ProgressCallback& progress = {},
                                  std::function<bool()> cancelled = {});
  // One end of a stream of bytes: two descriptors that can be polled (pipes, sockets),
  // or one socket twice.
  struct ByteStream {
    int in = -1;
    int out = -1;
    std::string name;      // of the peer, for messages
    bool dialled = false;  // this end begins; exactly one of the two does
  };
  // Sync with the peer at the other end of a stream, which is closed when this returns.
  // The end that dialled hangs up once level; the other answers until then.
  // Statuses as Sync, and INVALID_ARGUMENT  the descriptors are no streams that can be
  // polled, as files are not
  absl::StatusOr<SyncResult> SyncOver(const ByteStream& stream,
                                      std::chrono::milliseconds timeout,
                                      const ProgressCallback& progress = {},
                                      std::function<bool()> cancelled = {});
  std::vector<PeerStatus> Peers() const;
  // Called from the store's thread, for one event after the other, until the next call
  // of OnEvent. It may read, listen, send messages, set rules, and replace itself. What
  // writes to the store or waits for peers is refused there with FAILED_PRECONDITION,
  // and so it is in the other callbacks that say that they are called on that thread.
  // No callback may throw: the process ends. One that keeps its store, in what it has
  // captured, keeps it open.
  void OnEvent(EventCallback callback);

  // --- extensions: named messages, hints that change no state by themselves ---
  // Calls back for every message of this name, or of any if it is empty, until the
  // handle is destroyed; connections may be there already or come later. The callback
  // is called on the store's thread, as that of OnEvent.  NOT_FOUND  no such base or
  // core
  absl::StatusOr<std::shared_ptr<void>> OnExtension(
      const ExtensionTarget& target, std::string_view name,
      std::function<void(const ExtensionMessage&)> callback);
  // Sends to every peer that is connected now and shares the base or the core, and
  // returns to how many. Nothing says that it arrived. A core's messages are those of
  // hypercore and reach Node peers too. `sign`: by our identity in the base.
  // NOT_FOUND  no such base or core;  INVALID_ARGUMENT  the name is not 1 to 64 bytes,
  // the payload over 64 KiB, or there is no base to sign for
  absl::StatusOr<std::size_t> SendExtension(const ExtensionTarget& target,
                                            std::string_view name,
                                            std::string_view payload,
                                            bool sign = false);

  // --- plain hypercores, ours and others' ---
  absl::StatusOr<CoreStatus> CreateCore(std::string_view name);
  // `key` is hex or z-base-32 here and below. Returns the index of the first block.
  // INVALID_ARGUMENT  not a key;  NOT_FOUND  no such core in the store
  // PERMISSION_DENIED  it is not ours
  // FAILED_PRECONDITION  the store is a copy, or was put back: the core may have grown
  // elsewhere, and appending here would fork it. See AdoptCore.
  absl::StatusOr<std::uint64_t> AppendToCore(std::string_view key,
                                             const std::vector<std::string>& blocks);
  // NOT_FOUND  no such core, or the block is not held and no peer gave it
  // OUT_OF_RANGE  beyond its length
  // INVALID_ARGUMENT  not a key or an address
  // PERMISSION_DENIED  the blocks are not encrypted under that key
  // UNAVAILABLE, DEADLINE_EXCEEDED  as CloneCore
  absl::StatusOr<std::string> GetFromCore(std::string_view key,
                                          std::uint64_t block_index,
                                          const CoreReadOptions& options = {}) const;
  // The block that holds a byte of the log, counted from its first; of an encrypted
  // core, from the first of its plaintext. Errors as GetFromCore.
  absl::StatusOr<CoreByte> SeekInCore(std::string_view key, std::uint64_t byte_offset,
                                      const CoreReadOptions& options = {}) const;
  absl::StatusOr<CoreStatus> CoreInfo(std::string_view key) const;
  std::vector<CoreStatus> Cores() const;
  // Stops serving and fetching it; the data stays and can be read. CreateCore, and
  // CloneCore, bring it back.  NOT_FOUND, and for all four: INVALID_ARGUMENT  not a key
  // PERMISSION_DENIED  it is the log of a base
  absl::Status RemoveCore(std::string_view key);
  // Deletes the core and gives its room back to the disk. One of ours that had blocks
  // can be made again under the same name, and is not appended to before AdoptCore:
  // whoever has seen it would see two histories of it. Statuses as RemoveCore.
  absl::Status PurgeCore(std::string_view key);
  // Neither fetches nor serves the feed from now on, on any connection and over
  // restarts; the store need not have it. What is there stays. A base one of whose logs
  // is blocked is never level with a peer that has more of it.
  absl::Status BlockCore(std::string_view key);
  // Lets AppendToCore append to a core that was here when the store was found to be a
  // copy, or was purged. To be called where it is certain that no other store appends
  // to it, and that this one has all of it, or nobody else any.
  // NOT_FOUND  there is nothing to adopt
  absl::Status AdoptCore(std::string_view key);
  // NOT_FOUND  it is not blocked
  absl::Status UnblockCore(std::string_view key);
  // In hex, those too that the store does not have.
  std::vector<std::string> BlockedCores() const;
  struct CloneOptions {
    // Blocks [first, second) only, those of them that the core has; absent: all.
    std::optional<std::pair<std::uint64_t, std::uint64_t>> blocks;
    // Zero: no limit. The time within which the blocks must have come.
    std::chrono::milliseconds timeout{30000};
    // Called after every change of what is held.
    ProgressCallback progress;
    // Stay after that and follow, until it returns true, over as many connections as it
    // takes: a peer that gave the core once is dialled again. It is asked every 100 ms,
    // on the store's thread.
    std::function<bool()> live_until;
  };
  // Fetches a core from any peer, Node's too. Waits for blocks that the peer does not
  // have: without a limit, until somebody gives them.
  // UNAVAILABLE  nobody answers, the peer does not have it, or the address is our own
  // DEADLINE_EXCEEDED  not all blocks came in time; what came is kept
  // OUT_OF_RANGE  the core ends before the blocks, and it is not to be followed
  absl::StatusOr<CoreStatus> CloneCore(std::string_view key, std::string_view address,
                                       const CloneOptions& options);

 private:
  std::shared_ptr<StoreImpl> impl_;
};

}  // namespace weft
