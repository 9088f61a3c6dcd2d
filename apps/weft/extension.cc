// peers, ext send, ext tail: who is connected, and messages from program to program.
// All of them are of use on a store that a server holds, through which they act.

#include <condition_variable>
#include <deque>
#include <mutex>

#include "absl/strings/str_format.h"
#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/json.h"

namespace weft::cli {
namespace {

int Peers(const Invocation& call) {
  int code = kDone;
  auto store = OpenStore(call.store, code);
  if (!store) return code;
  Json list = Json::array();
  for (const PeerStatus& peer : store->Peers()) {
    if (call.json) {
      list.push_back(Json{{"address", peer.address},
                          {"incoming", peer.incoming},
                          {"bytes_received", peer.bytes_received},
                          {"bytes_sent", peer.bytes_sent}});
    } else {
      Out() << absl::StrFormat("%s  %s  %d bytes came, %d went\n",
                               Printable(peer.address),
                               peer.incoming ? "dialled us" : "we dialled",
                               peer.bytes_received, peer.bytes_sent);
    }
  }
  if (call.json) PrintJson(Json{{"peers", std::move(list)}});
  return kDone;
}

struct Options {
  std::string core;
  bool sign = false;
  std::uint64_t count = UINT64_MAX;
};

int Send(const Invocation& call, const Options& options) {
  int code = kDone;
  auto store = OpenStore(call.store, code);
  if (!store) return code;
  std::string payload;
  if (call.arguments.size() == 2) {
    payload = call.arguments[1];
  } else {
    auto read = ReadAll("-", 64 * 1024);
    if (!read.ok()) return Fail(read.status());
    payload = *std::move(read);
  }
  const ExtensionTarget target{call.base, options.core};
  const auto reached =
      store->SendExtension(target, call.arguments[0], payload, options.sign);
  if (!reached.ok()) return Fail(reached.status());
  if (*reached == 0) return Fail(kNotSo, "no peer is connected that takes it");
  if (call.json) {
    PrintJson(Json{{"peers", *reached}});
  } else {
    Out() << "sent to " << Counted(*reached, "peer") << '\n';
  }
  return kDone;
}

// What arrives while the person is slow to read; the rest is dropped.
class Mailbox {
 public:
  void Add(const ExtensionMessage& message) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (messages_.size() == kMessagesMax) return;
      messages_.push_back(message);
    }
    arrived_.notify_all();
  }
  // Waits a moment.
  std::optional<ExtensionMessage> Take() {
    std::unique_lock<std::mutex> lock(mutex_);
    arrived_.wait_for(lock, std::chrono::milliseconds(100),
                      [this] { return !messages_.empty(); });
    if (messages_.empty()) return std::nullopt;
    ExtensionMessage message = std::move(messages_.front());
    messages_.pop_front();
    return message;
  }

 private:
  static constexpr std::size_t kMessagesMax = 1024;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<ExtensionMessage> messages_;
};

void Print(const ExtensionMessage& message, bool json) {
  if (!json) {
    Out() << absl::StrFormat("%s  %s%s  %s\n", Printable(message.peer),
                             Printable(message.name),
                             message.author.empty() ? "" : "  by " + message.author,
                             Printable(message.payload))
          << std::flush;
    return;
  }
  Json object = Json::object();
  object["peer"] = message.peer;
  PutText(object, "name", message.name);
  PutText(object, "payload", message.payload);
  object["author"] = message.author.empty() ? Json() : Json(message.author);
  PrintJson(object);
}

int Tail(const Invocation& call, const Options& options) {
  Console& console = Console::Current();
  console.HoldSignals();
  int code = kDone;
  auto store = OpenStore(call.store, code);
  if (!store) return code;
  const auto box = std::make_shared<Mailbox>();
  const ExtensionTarget target{call.base, options.core};
  const std::string name = call.arguments.empty() ? "" : call.arguments[0];
  const auto listening = store->OnExtension(
      target, name, [box](const ExtensionMessage& message) { box->Add(message); });
  if (!listening.ok()) return Fail(listening.status());
  Err() << "listening\n";
  for (std::uint64_t shown = 0; shown < options.count && !console.StopAsked();) {
    const auto message = box->Take();
    if (!message) continue;
    Print(*message, call.json);
    if (!Out()) break;
    ++shown;
  }
  return kDone;
}

}  // namespace

void AddExtensionCommands(CommandLine& line) {
  line.Add({.name = "peers",
            .arguments = "",
            .help = "lists the connections of a store that is being served",
            .has_base = false},
           Peers);
  CLI::App* group =
      line.Group("ext", "messages from program to program; `weft ext --help`");
  auto send_options = std::make_shared<Options>();
  CLI::App* send = line.AddTo(
      group,
      {"send", "NAME [PAYLOAD]", "sends a message to every peer; no payload: stdin", 1,
       2},
      [send_options](const Invocation& call) { return Send(call, *send_options); });
  send->add_option("--core", send_options->core,
                   "to those who share this core; Node peers hear it too");
  send->add_flag("--sign", send_options->sign, "with our identity in --base");
  auto tail_options = std::make_shared<Options>();
  CommandSpec spec{"tail", "[NAME]", "prints the messages that arrive, as they arrive",
                   0, 1};
  spec.stays = spec.holds_signals = true;
  CLI::App* tail = line.AddTo(group, spec, [tail_options](const Invocation& call) {
    return Tail(call, *tail_options);
  });
  tail->add_option("--core", tail_options->core, "those of this core");
  AddCount(tail, "--count", tail_options->count, 1, "ends after so many");
}

}  // namespace weft::cli
