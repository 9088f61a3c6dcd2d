// A Weft peer that a script drives: one command a line on standard input, one JSON
// object a line on standard output. The scripts beside this file talk to it.
//
//   listen                     {"address": ".."}
//   dial HOST:PORT
//   create NAME | compat NAME  {"key": ".."}
//   append KEY TEXT..          one block for each word
//   fill KEY COUNT             that many blocks "block <index>"
//   write KEY HEX..            one block for each; "-" is an empty one
//   truncate KEY LENGTH        clear KEY FROM TO
//   clone KEY                  whole and live; clone KEY FROM TO is those blocks only
//   seek KEY BYTE [PADDING]    as clone: the newest length and the block of that byte
//   where KEY BYTE [PADDING]   {"index": .., "offset": ..}
//   drop KEY                   ends what clone or seek began
//   get KEY INDEX              {"block": ".." or null}
//   blocks KEY                 {"blocks": [hex or null, ..]}
//   decrypt KEY INDEX HEX      {"block": ".."}, HEX is the encryption key
//   info KEY                   {"length": .., "fork": .., "held": .., "hash": ".."}
//   say KEY NAME TEXT          an extension message
// Every command is answered by one object. Besides, events come as
//   {"event": "level|closed|fault|extension|ready", ..}
// as they happen; "level" carries what info would.

#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/read_until.hpp>
#include <asio/redirect_error.hpp>
#include <asio/streambuf.hpp>
#include <asio/use_awaitable.hpp>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_format.h"
#include "engine/corestore.h"
#include "engine/crypto_blocks.h"
#include "engine/memory_storage.h"
#include "engine/real_async_clock.h"
#include "engine/real_host.h"
#include "replication/session.h"
#include "replication/tcp_wire.h"

namespace weft {
namespace {

using nlohmann::json;

void Print(const json& object) {
  std::cout << object.dump() << std::endl;
}

json InfoOf(const Hypercore& core) {
  return {{"key", ToHex(core.key().view())},
          {"length", core.length()},
          {"fork", core.fork()},
          {"held", core.held_blocks()},
          {"contiguous", core.contiguous_length()},
          {"hash", ToHex(core.tree_hash().view())}};
}

class InteropPeer final : public SessionObserver {
 public:
  InteropPeer()
      : clock_(io_.get_executor()),
        network_(io_.get_executor()),
        input_(io_, STDIN_FILENO) {
    store_ = *Corestore::Open(&storage_, &random_);
    provider_ = std::make_unique<CorestoreProvider>(store_.get());
  }

  void Run() {
    asio::co_spawn(io_, ReadCommands(), asio::detached);
    io_.run();
  }

  void OnReady(Session& session) override {
    for (const auto& [key, wanted] : wanted_) {
      session.Replicate(wanted.first, wanted.second);
    }
    Print({{"event", "ready"}});
  }
  void OnLevel(Session&, Hypercore& core) override {
    json event = InfoOf(core);
    event["event"] = "level";
    Print(event);
  }
  void OnFault(Session&, Hypercore& core, const absl::Status& status) override {
    Print({{"event", "fault"},
           {"key", ToHex(core.key().view())},
           {"status", status.ToString()}});
  }
  void OnExtension(Session&, Hypercore&, std::string_view name,
                   ByteView payload) override {
    Print({{"event", "extension"}, {"name", name}, {"hex", ToHex(payload)}});
  }
  void OnClosed(Session& session, const absl::Status& status) override {
    Print({{"event", "closed"}, {"status", status.ToString()}});
    std::erase_if(sessions_, [&](const auto& held) { return held.get() == &session; });
  }

 private:
  Task<void> ReadCommands() {
    asio::streambuf buffer;
    std::istream lines(&buffer);
    for (;;) {
      asio::error_code error;
      co_await asio::async_read_until(input_, buffer, '\n',
                                      asio::redirect_error(asio::use_awaitable, error));
      if (error) break;  // the script is done
      std::string line;
      std::getline(lines, line);
      Execute(line);
    }
    io_.stop();
  }

  void Execute(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    const absl::StatusOr<json> answer = Answer(command, words);
    Print(answer.ok() ? *answer : json{{"error", answer.status().ToString()}});
  }

  absl::StatusOr<json> Answer(const std::string& command, std::istringstream& words) {
    if (command == "listen") return Listen();
    std::string word;
    words >> word;
    if (command == "dial") {
      asio::co_spawn(io_, DialAndRun(word), asio::detached);
      return json{{"dialling", word}};
    }
    if (command == "create" || command == "compat") return Create(command, word);
    const auto bytes = FromHex(word);
    const auto key = bytes ? CoreKey::From(*bytes) : std::nullopt;
    if (!key) return absl::InvalidArgumentError("not a key: " + word);
    WEFT_ASSIGN_OR_RETURN(const auto core, store_->OpenRemote(*key));
    if (command == "clone" || command == "seek") return Clone(core, command, words);
    if (command == "drop") return Drop(*core);
    if (command == "get") return Get(*core, words);
    if (command == "where") return Where(*core, words);
    if (command == "blocks") return Blocks(*core);
    if (command == "decrypt") return Decrypt(*core, words);
    if (command == "write") return Write(*core, words);
    if (command == "say") return Say(*core, words);
    WEFT_RETURN_IF_ERROR(Change(*core, command, words));
    return InfoOf(*core);
  }

  absl::Status Change(Hypercore& core, const std::string& command,
                      std::istringstream& words) {
    if (command == "append" || command == "fill") {
      std::vector<std::string> texts;
      if (command == "append") {
        for (std::string text; words >> text;) texts.push_back(text);
      } else {
        std::uint64_t count = 0;
        words >> count;
        for (std::uint64_t i = 0; i < count; ++i) {
          texts.push_back(absl::StrFormat("block %d", core.length() + i));
        }
      }
      std::vector<ByteView> blocks;
      for (const std::string& text : texts) blocks.push_back(AsBytes(text));
      return core.Append(blocks).status();
    }
    std::uint64_t from = 0, to = 0;
    words >> from >> to;
    if (command == "truncate") return core.Truncate(from);
    if (command == "clear") return core.Clear(from, to);
    return command == "info" ? absl::OkStatus()
                             : absl::InvalidArgumentError("no such command");
  }

  absl::StatusOr<json> Listen() {
    WEFT_ASSIGN_OR_RETURN(listener_, network_.Listen("127.0.0.1:0"));
    asio::co_spawn(io_, AcceptAll(), asio::detached);
    return json{{"address", listener_->address()}};
  }
  Task<void> AcceptAll() {
    for (;;) {
      absl::StatusOr<std::unique_ptr<Wire>> wire = co_await listener_->Accept();
      if (!wire.ok()) co_return;
      Start(*std::move(wire), /*is_initiator=*/false);
    }
  }
  Task<void> DialAndRun(std::string address) {
    absl::StatusOr<std::unique_ptr<Wire>> wire = co_await network_.Dial(address);
    if (wire.ok()) {
      Start(*std::move(wire), /*is_initiator=*/true);
    } else {
      Print({{"event", "closed"}, {"status", wire.status().ToString()}});
    }
  }
  void Start(std::unique_ptr<Wire> wire, bool is_initiator) {
    SessionOptions options;
    options.is_initiator = is_initiator;
    options.cores = provider_.get();
    options.clock = &clock_;
    options.random = &random_;
    options.observer = this;
    sessions_.push_back(Session::Create(std::move(wire), options));
    asio::co_spawn(io_, Session::Run(sessions_.back()),
                   [](std::exception_ptr, const absl::Status&) {});
  }

  absl::StatusOr<json> Create(const std::string& command, const std::string& name) {
    std::shared_ptr<Hypercore> core;
    if (command == "create") {
      WEFT_ASSIGN_OR_RETURN(core, store_->OpenNamed(name));
    } else {
      const KeyPair pair = KeyPairFromSeed(RandomSeed(random_));
      const Manifest manifest = CompatManifest(*CoreKey::From(pair.public_key.view()));
      WEFT_ASSIGN_OR_RETURN(core, store_->OpenOwn(manifest, pair));
    }
    return InfoOf(*core);
  }
  absl::StatusOr<json> Clone(const std::shared_ptr<Hypercore>& core,
                             const std::string& command, std::istringstream& words) {
    Download mode = Download::Whole();
    std::uint64_t first = 0, second = 0;
    const bool one = static_cast<bool>(words >> first);
    const bool two = static_cast<bool>(words >> second);
    if (command == "seek") {
      mode = Download::Bytes({{first, two ? second : 0}}, /*live=*/true);
    } else if (one && two) {
      mode = Download::Blocks({{first, second}}, /*live=*/true);
    }
    wanted_[core->key()] = {core, mode};
    for (const auto& session : sessions_) session->Replicate(core, mode);
    return InfoOf(*core);
  }
  absl::StatusOr<json> Drop(const Hypercore& core) {
    wanted_.erase(core.key());
    return InfoOf(core);
  }
  absl::StatusOr<json> Where(const Hypercore& core, std::istringstream& words) {
    std::uint64_t byte_offset = 0, padding = 0;
    words >> byte_offset >> padding;
    WEFT_ASSIGN_OR_RETURN(const auto place, core.Seek(byte_offset, padding));
    return json{{"index", place.first}, {"offset", place.second}};
  }
  absl::StatusOr<json> Blocks(const Hypercore& core) {
    json blocks = json::array();
    for (std::uint64_t i = 0; i < core.length(); ++i) {
      const auto block = core.Get(i);
      blocks.push_back(block.ok() ? json(ToHex(*block)) : json());
    }
    return json{{"blocks", blocks}, {"hash", ToHex(core.tree_hash().view())}};
  }
  absl::StatusOr<json> Decrypt(const Hypercore& core, std::istringstream& words) {
    std::uint64_t block_index = 0;
    std::string hex;
    words >> block_index >> hex;
    const auto bytes = FromHex(hex);
    const auto key = bytes ? Hash32::From(*bytes) : std::nullopt;
    if (!key) return absl::InvalidArgumentError("not a key");
    WEFT_ASSIGN_OR_RETURN(const Bytes stored, core.Get(block_index));
    const bool compat = core.manifest() && core.manifest()->compat;
    const BlockCipher cipher(BlockKey(core.key(), *key, compat));
    const auto block = cipher.Open(block_index, stored);
    if (!block) return absl::InvalidArgumentError("too short");
    return json{{"block", AsText(*block)},
                {"fork", cipher.ForkOf(block_index, stored).value_or(99)}};
  }
  absl::StatusOr<json> Write(Hypercore& core, std::istringstream& words) {
    std::vector<Bytes> blocks;
    for (std::string hex; words >> hex;) {
      const auto bytes = FromHex(hex == "-" ? "" : hex);
      if (!bytes) return absl::InvalidArgumentError("not hex: " + hex);
      blocks.push_back(*bytes);
    }
    const std::vector<ByteView> views(blocks.begin(), blocks.end());
    WEFT_RETURN_IF_ERROR(core.Append(views).status());
    return InfoOf(core);
  }
  absl::StatusOr<json> Get(const Hypercore& core, std::istringstream& words) {
    std::uint64_t block_index = 0;
    words >> block_index;
    const auto block = core.Get(block_index);
    if (!block.ok()) return json{{"block", nullptr}};
    return json{{"block", AsText(*block)}};
  }
  absl::StatusOr<json> Say(const Hypercore& core, std::istringstream& words) {
    std::string name, text;
    words >> name >> text;
    for (const auto& session : sessions_) {
      session->SendExtension(core.key(), name, AsBytes(text));
    }
    return json{{"said", text}};
  }

  asio::io_context io_;
  RealAsyncClock clock_;
  SystemRandom random_;
  TcpNetwork network_;
  MemoryStorage storage_;
  std::unique_ptr<Corestore> store_;
  std::unique_ptr<CorestoreProvider> provider_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::shared_ptr<Session>> sessions_;
  std::map<CoreKey, std::pair<std::shared_ptr<Hypercore>, Download>> wanted_;
  asio::posix::stream_descriptor input_;
};

}  // namespace
}  // namespace weft

int main() {
  weft::InteropPeer().Run();
  return 0;
}
