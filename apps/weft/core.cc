// core: plain hypercores, ours and others', without any base.

#include <charconv>
#include <iterator>
#include <utility>

#include "absl/strings/str_format.h"
#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/input_lines.h"
#include "apps/weft/json.h"
#include "apps/weft/progress.h"
#include "apps/weft/signals.h"
#include "engine/bytes.h"
#include "engine/text.h"
#include "replication/stream_wire.h"
#include "weft/convert.h"

namespace weft::cli {
namespace {

std::optional<std::uint64_t> ParseNumber(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Json CoreJson(const CoreStatus& core) {
  Json object{{"key", core.key},
              {"id", core.id},
              {"discovery_key", core.discovery_key},
              {"length", core.length},
              {"fork", core.fork},
              {"bytes", core.byte_length},
              {"have", core.have},
              {"writable", core.writable},
              {"removed", core.removed}};
  if (!core.name.empty()) PutText(object, "name", core.name);
  return object;
}

void PrintCore(const CoreStatus& core) {
  Out() << absl::StrFormat(
      "key     %s\nid      %s\nlength  %d blocks, %d bytes, fork %d\nhave    %d "
      "blocks%s\n",
      core.key, core.id, core.length, core.byte_length, core.fork, core.have,
      core.writable ? "\nours    yes" : "");
  if (!core.name.empty()) Out() << "name    " << Printable(core.name) << '\n';
}

int Create(const Invocation& call, const std::string& name) {
  int code = kDone;
  MadeStore made(call.store);
  Store* store = made.Open(code);
  if (store == nullptr) return code;
  const auto core = store->CreateCore(name);
  if (!core.ok()) return Fail(core.status());
  made.Keep();
  if (call.json) {
    PrintJson(CoreJson(*core));
  } else {
    Out() << core->key << '\n' << core->id << '\n';
  }
  return kDone;
}

int Append(const Invocation& call, bool lines) {
  int code = kDone;
  MadeStore made(call.store);
  Store* store = made.Open(code);
  if (store == nullptr) return code;
  std::vector<std::string> blocks;
  if (lines) {
    for (std::string line; true;) {
      const auto more = NextLine(line);
      if (!more.ok()) return Fail(more.status());
      if (!*more) break;
      blocks.push_back(line);
    }
    if (blocks.empty()) return Fail(kUsage, "stdin: there are no lines to append");
  } else {
    auto whole = WholeInput();
    if (!whole.ok()) return Fail(whole.status());
    blocks.push_back(*std::move(whole));
  }
  // What broke off is not all that was meant.
  if (const absl::Status read = Console::Current().in_status(); !read.ok()) {
    return Fail(read);
  }
  const auto first = store->AppendToCore(call.arguments[0], blocks);
  if (!first.ok()) return Fail(first.status());
  if (call.json) {
    PrintJson(Json{{"first", *first},
                   {"blocks", blocks.size()},
                   {"length", *first + blocks.size()}});
  } else {
    Out() << absl::StrFormat("%s appended, length %d\n",
                             Counted(blocks.size(), "block"), *first + blocks.size());
  }
  return kDone;
}

struct GetArguments {
  CoreReadOptions options;
  std::optional<std::uint64_t> byte_offset;
  double timeout_seconds = 30;
};

std::chrono::milliseconds Milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

bool IsEncryptionKey(const std::string& text) {
  return text.size() == 64 && FromHex(text).has_value();
}

// What is wrong with the arguments of `get`; empty: nothing.
std::string Complaint(const Invocation& call, const GetArguments& arguments) {
  const CoreReadOptions& options = arguments.options;
  if ((call.arguments.size() == 2) == arguments.byte_offset.has_value()) {
    return "give either the INDEX of a block or --byte";
  }
  if (call.arguments.size() == 2 && !ParseNumber(call.arguments[1])) {
    return "'" + call.arguments[1] + "' is no block index";
  }
  if (!options.connect.empty() && !IsPeerAddress(options.connect)) {
    return "--connect " + options.connect + ": is neither host:port nor unix:PATH";
  }
  if (!options.connect.empty() && !ParseCoreKey(call.arguments[0]).ok()) {
    return "'" + call.arguments[0] + "' is no key of a core";
  }
  if (!options.encryption_key.empty() && !IsEncryptionKey(options.encryption_key)) {
    return "--encryption-key: it must be 64 hex digits";
  }
  return "";
}

int Get(const Invocation& call, GetArguments arguments) {
  const std::string complaint = Complaint(call, arguments);
  if (!complaint.empty()) return Fail(kUsage, complaint);
  CoreReadOptions& options = arguments.options;
  options.timeout = Milliseconds(arguments.timeout_seconds);
  int code = kDone;
  MadeStore made(call.store);
  Store* store = made.Open(code);
  if (store == nullptr) return code;
  absl::StatusOr<CoreByte> found;
  if (arguments.byte_offset) {
    found = store->SeekInCore(call.arguments[0], *arguments.byte_offset, options);
  } else {
    const std::uint64_t index = *ParseNumber(call.arguments[1]);
    auto block = store->GetFromCore(call.arguments[0], index, options);
    if (block.ok()) {
      found = CoreByte{index, 0, *std::move(block)};
    } else {
      found = block.status();
    }
  }
  const bool of_the_peer =
      absl::IsUnavailable(found.status()) || absl::IsDeadlineExceeded(found.status());
  if (of_the_peer) return FailOfPeer(found.status());
  if (!options.connect.empty()) made.Keep();
  if (!found.ok()) return Fail(found.status());
  if (call.json) {
    Json object{{"index", found->block_index}};
    if (arguments.byte_offset) object["offset"] = found->offset;
    PutText(object, "block", found->block);
    PrintJson(object);
  } else {
    Out() << std::string_view(found->block).substr(found->offset);
  }
  return kDone;
}

int Info(const Invocation& call) {
  int code = kDone;
  MadeStore made(call.store);
  Store* store = made.Open(code);
  if (store == nullptr) return code;
  const auto core = store->CoreInfo(call.arguments[0]);
  if (!core.ok()) return Fail(core.status());
  if (call.json) {
    PrintJson(CoreJson(*core));
  } else {
    PrintCore(*core);
  }
  return kDone;
}

int List(const Invocation& call) {
  int code = kDone;
  auto store = OpenStore(call.store, code);
  if (!store) return code;
  Json list = Json::array();
  for (const CoreStatus& core : store->Cores()) {
    if (call.json) {
      list.push_back(CoreJson(core));
    } else {
      Out() << absl::StrFormat("%s  length %d, have %d%s%s%s\n", core.key, core.length,
                               core.have, core.writable ? ", ours" : "",
                               core.removed ? ", removed" : "",
                               core.name.empty() ? "" : ", " + Printable(core.name));
    }
  }
  const std::vector<std::string> blocked = store->BlockedCores();
  if (call.json) {
    PrintJson(Json{{"cores", std::move(list)}, {"blocked", blocked}});
  } else {
    for (const std::string& key : blocked) Out() << key << "  blocked\n";
  }
  return kDone;
}

struct CloneArguments {
  std::string connect;
  std::string blocks;
  std::string encryption_key;
  double timeout_seconds = 30;
  bool live = false;
};

// A line for each change of what is held, and one when the peer is lost.
ProgressCallback TellLive(const Invocation& call, const CloneArguments& arguments) {
  std::optional<Progress> shown;
  return [json = call.json, address = arguments.connect,
          shown](const Progress& progress) mutable {
    if (progress.lost && !(shown && shown->lost)) {
      Err() << absl::StrFormat("weft: %s: the connection ended; dialling again\n",
                               address)
            << std::flush;
    }
    const std::optional<Progress> before = std::exchange(shown, progress);
    if (before && progress.done == before->done && progress.total == before->total) {
      return;
    }
    if (json) {
      PrintJson(Json{{"have", progress.done}, {"length", progress.total}});
    } else {
      Out() << absl::StrFormat("%d of %d blocks\n", progress.done, progress.total)
            << std::flush;
    }
  };
}

int Clone(const Invocation& call, const CloneArguments& arguments) {
  Store::CloneOptions options;
  if (!arguments.blocks.empty()) options.blocks = ParseBlocks(arguments.blocks);
  if (!arguments.blocks.empty() && !options.blocks) {
    return Fail(kUsage,
                "--blocks " + arguments.blocks + ": is not A..B with A below B");
  }
  if (!IsPeerAddress(arguments.connect)) {
    return Fail(kUsage, "--connect " + arguments.connect +
                            ": is neither host:port nor unix:PATH");
  }
  if (!ParseCoreKey(call.arguments[0]).ok()) {
    return Fail(kUsage, "'" + call.arguments[0] + "' is no key of a core");
  }
  if (!arguments.encryption_key.empty() && !IsEncryptionKey(arguments.encryption_key)) {
    return Fail(kUsage, "--encryption-key: it must be 64 hex digits");
  }
  options.timeout = Milliseconds(arguments.timeout_seconds);
  Console& console = Console::Current();
  console.HoldSignals();
  int code = kDone;
  MadeStore made(call.store);
  Store* store = made.Open(code);
  if (store == nullptr) return code;
  ProgressBar bar("clone");
  if (arguments.live) {
    options.live_until = [&console] { return console.StopAsked(); };
    options.progress = TellLive(call, arguments);
  } else {
    options.progress = [&](const Progress& progress) {
      bar.Show(progress.done, progress.total);
    };
  }
  const auto core = store->CloneCore(call.arguments[0], arguments.connect, options);
  // What came before the time was over is kept.
  const auto held = store->CoreInfo(call.arguments[0]);
  if (core.ok() || (held.ok() && held->have > 0)) made.Keep();
  if (absl::IsOutOfRange(core.status())) return Fail(core.status());
  if (!core.ok()) return FailOfPeer(core.status());
  if (!arguments.encryption_key.empty() && core->have > 0) {
    CoreReadOptions keyed;
    keyed.encryption_key = arguments.encryption_key;
    const std::uint64_t first = options.blocks ? options.blocks->first : 0;
    const auto block = store->GetFromCore(core->key, first, keyed);
    if (absl::IsPermissionDenied(block.status())) {
      return Fail(kNotSo, ToStd(block.status().message()));
    }
  }
  if (call.json) {
    PrintJson(CoreJson(*core));
  } else {
    PrintCore(*core);
  }
  return kDone;
}

CommandSpec Spec(const char* name, const char* arguments, const char* help,
                 std::size_t count) {
  return {.name = name,
          .arguments = arguments,
          .help = help,
          .count_min = count,
          .count_max = count,
          .has_base = false};
}

void AddGet(CommandLine& line, CLI::App* group) {
  auto arguments = std::make_shared<GetArguments>();
  CommandSpec spec = Spec("get", "KEY [INDEX]", "prints the bytes of a block", 1);
  spec.count_max = 2;
  CLI::App* get = line.AddTo(group, spec, [arguments](const Invocation& call) {
    return Get(call, *arguments);
  });
  get->add_option("--byte", arguments->byte_offset,
                  "the block that holds this byte of the log, from there on");
  get->add_option("--connect", arguments->options.connect,
                  "host:port or unix:PATH to fetch it from if it is not here");
  get->add_option("--encryption-key", arguments->options.encryption_key,
                  "64 hex digits; the blocks are decrypted with it");
  AddTimeout(get, arguments->timeout_seconds);
}

void AddServe(CommandLine& line, CLI::App* group) {
  auto listen = std::make_shared<std::string>();
  CommandSpec spec = Spec("serve", "", "serves every core to Weft and Node peers", 0);
  spec.alone = spec.stays = true;
  CLI::App* serve = line.AddTo(group, spec, [listen](const Invocation& call) -> int {
    Console::Current().HoldSignals();
    int code = kDone;
    auto store = OpenStore(call.store, code, {.create = true});
    if (!store) return code;
    return Serve(*std::move(store), call, {.listen = *listen});
  });
  serve->add_option("--listen", *listen, "host:port (port 0: any) or unix:PATH")
      ->required();
}

void AddClone(CommandLine& line, CLI::App* group) {
  auto arguments = std::make_shared<CloneArguments>();
  CommandSpec spec = Spec("clone", "KEY", "fetches a core from any peer", 1);
  spec.directory = CommandSpec::Directory::kLast;
  spec.stays = spec.holds_signals = true;
  CLI::App* clone = line.AddTo(group, spec, [arguments](const Invocation& call) {
    return Clone(call, *arguments);
  });
  clone->add_option("--connect", arguments->connect, "host:port or unix:PATH")
      ->required();
  clone->add_flag("--live", arguments->live, "stays and follows until a signal");
  clone->add_option("--blocks", arguments->blocks, "A..B: blocks A to B-1 only");
  clone->add_option("--encryption-key", arguments->encryption_key,
                    "64 hex digits; tells whether the blocks are encrypted under it");
  AddTimeout(clone, arguments->timeout_seconds);
}

}  // namespace

void AddCoreCommands(CommandLine& line) {
  CLI::App* group = line.Group("core", "plain hypercores; `weft core --help`");
  AddCoreVerbs(line, group);
  auto name = std::make_shared<std::string>();
  CLI::App* create = line.AddTo(
      group, Spec("create", "", "makes a core of ours, or finds the one of a name", 0),
      [name](const Invocation& call) { return Create(call, *name); });
  create->add_option("--name", *name, "names the core in this store")->required();
  auto lines = std::make_shared<bool>(false);
  CLI::App* append =
      line.AddTo(group, Spec("append", "KEY", "appends stdin as one block", 1),
                 [lines](const Invocation& call) { return Append(call, *lines); });
  append->add_flag("--lines", *lines, "one block a line");
  AddGet(line, group);
  line.AddTo(group, Spec("info", "KEY", "prints length, fork, bytes, blocks held", 1),
             Info);
  line.AddTo(group, Spec("list", "", "lists the cores of the store", 0), List);
  AddServe(line, group);
  AddClone(line, group);
}

}  // namespace weft::cli
