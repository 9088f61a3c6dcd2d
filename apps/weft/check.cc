// root, status, verify, fate, log: what the store is in, and whether it is whole.

#include <algorithm>

#include "absl/strings/str_format.h"
#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/input_lines.h"
#include "apps/weft/json.h"
#include "engine/text.h"

namespace weft::cli {
namespace {

int Root(const Invocation& call) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  const auto root = base->Root();
  if (!root.ok()) return Fail(root.status());
  if (call.json) {
    PrintJson(Json{{"version", root->version_digest}, {"root", root->root}});
  } else {
    Out() << "version " << root->version_digest << "\nroot    " << root->root << '\n';
  }
  return kDone;
}

Json StatusJson(const BaseStatus& status, const std::string& link) {
  Json object = Json::object();
  PutText(object, "name", status.name);
  object["base"] = status.base_id;
  object["link"] = link;
  object["identity"] = status.identity;
  object["role"] = status.role ? Json(std::string(RoleName(*status.role))) : Json();
  object["writers"] = status.writers;
  object["blocks"] = status.blocks;
  object["keys"] = status.keys;
  object["conflicts"] = status.conflicts;
  object["waiting"] = status.waiting;
  object["parked"] = status.parked;
  object["behind"] = status.behind;
  object["forks"] = status.forks;
  object["clock_suspect"] = status.clock_suspect;
  object["own_clock_ahead_ms"] = status.own_clock_ahead_ms;
  object["log"] = status.log;
  object["incarnation"] = status.incarnation;
  object["incarnations_left"] = status.incarnations_left;
  object["renews"] = status.renews;
  object["forked"] = status.forked;
  object["own_length"] = status.own_length;
  object["acked"] = Json::array();
  for (const AckedPrefix& prefix : status.acked) {
    object["acked"].push_back({{"length", prefix.length}, {"peers", prefix.peers}});
  }
  return object;
}

std::string_view StandingOf(const Base& base, const BaseStatus& status) {
  if (status.role) return RoleName(*status.role);
  const std::vector<Member> members = base.Members();
  const bool was_member =
      std::any_of(members.begin(), members.end(),
                  [](const Member& member) { return member.is_self; });
  return was_member ? "removed" : "no member yet";
}

void PrintStatus(const Base& base, const BaseStatus& status) {
  Out() << absl::StrFormat(
      "base %s\n  id        %s\n  link      %s\n  identity  %s, %s\n"
      "  %d keys, %d of them with conflicts; %d blocks of %d writers\n",
      status.name, status.base_id, base.link(), status.identity,
      StandingOf(base, status), status.keys, status.conflicts, status.blocks,
      status.writers);
  if (status.incarnation > 0) {
    Out() << absl::StrFormat("  incarnation %d writes to %s\n", status.incarnation,
                             status.log);
  }
  if (status.forked) {
    Out() << "  forked: a log of ours was written in two places; `weft recover` lists "
             "what\n  that cost\n";
  }
  if (!status.warning.empty()) Out() << "  " << status.warning << '\n';
  if (status.renews) Out() << "  the next write begins a new incarnation\n";
  for (const AckedPrefix& prefix : status.acked) {
    Out() << absl::StrFormat("  %d of our %d blocks are held by %d peer%s\n",
                             prefix.length, status.own_length, prefix.peers,
                             prefix.peers == 1 ? "" : "s");
  }
  for (const std::string& line : status.waiting) Out() << "  " << line << '\n';
  for (const std::string& line : status.behind) Out() << "  " << line << '\n';
  for (const std::string& line : status.forks) {
    Out() << "  fork: " << line << '\n';
  }
  for (const std::string& line : status.parked) {
    Out() << "  parked: " << line << '\n';
  }
  if (status.own_clock_ahead_ms > 0) {
    Out() << absl::StrFormat(
        "  our own last write is stamped %.1f days ahead of this machine's clock, and "
        "every\n  further one will be until then: look at the clock\n",
        static_cast<double>(status.own_clock_ahead_ms) / (24.0 * 3'600'000));
  }
  if (status.clock_suspect > 0) {
    Out() << absl::StrFormat("  %d ops are stamped more than 5 minutes ahead\n",
                             status.clock_suspect);
  }
}

// Of all bases, or of that of --base.
int Status(const Invocation& call) {
  int code = kDone;
  auto store = OpenStore(call.store, code);
  if (!store) return code;
  const std::vector<std::string> names =
      call.base.empty() ? store->Bases() : std::vector<std::string>{call.base};
  Json bases = Json::array();
  for (const std::string& name : names) {
    const auto base = store->OpenBase(name);
    if (!base.ok()) return Fail(base.status());
    const BaseStatus status = base->Status();
    if (call.json) {
      bases.push_back(StatusJson(status, base->link()));
    } else {
      PrintStatus(*base, status);
    }
  }
  const std::size_t cores = store->Cores().size();
  const absl::Status writable = store->Writable();
  if (call.json) {
    Json object = Json::object();
    PutText(object, "store", call.store);
    object["writable"] = writable.ok();
    object["cores"] = cores;
    object["bases"] = std::move(bases);
    PrintJson(object);
  } else {
    Out() << Counted(cores, "core") << '\n';
    if (!writable.ok()) Out() << ToStd(writable.message()) << '\n';
  }
  return kDone;
}

int Verify(const Invocation& call) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  const absl::Status status = base->Verify();
  if (status.code() == absl::StatusCode::kDataLoss) {
    return Fail(kNotSo, ToStd(status.message()));
  }
  if (!status.ok()) return Fail(status);
  const auto root = base->Root();
  if (!root.ok()) return Fail(root.status());
  if (call.json) {
    PrintJson(Json{{"ok", true}, {"root", root->root}});
  } else {
    Out() << "the view is what the logs say; root " << root->root << '\n';
  }
  return kDone;
}

std::string Joined(const std::vector<OpName>& ops) {
  std::string text;
  for (const OpName& op : ops) text += (text.empty() ? "" : ", ") + op.ToText();
  return text;
}

void PrintFate(const std::string& op, const Fate& fate) {
  Out() << op << ' ' << FateName(fate.kind);
  if (!fate.by.empty()) Out() << " by " << Joined(fate.by);
  if (!fate.waiting_for.empty()) Out() << " for " << fate.waiting_for;
  if (!fate.reason.empty()) Out() << ": " << Printable(fate.reason);
  Out() << '\n';
}

Json FateJson(const std::string& op, const Fate& fate) {
  Json object{{"op", op}, {"fate", std::string(FateName(fate.kind))}};
  for (const OpName& by : fate.by) object["by"].push_back(by.ToText());
  if (!fate.waiting_for.empty()) object["waiting_for"] = fate.waiting_for;
  if (!fate.reason.empty()) PutText(object, "reason", fate.reason);
  return object;
}

// The ops named as arguments, or, for a single "-", one a line on stdin.
int FateOf(const Invocation& call) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  std::vector<std::string> ops = call.arguments;
  if (ops.size() == 1 && ops[0] == "-") {
    ops.clear();
    for (std::string line; true;) {
      const auto more = NextLine(line);
      if (!more.ok()) return Fail(more.status());
      if (!*more) break;
      if (!line.empty()) ops.push_back(line);
    }
    if (const absl::Status read = Console::Current().in_status(); !read.ok()) {
      return Fail(read);
    }
  }
  std::vector<OpName> names;
  for (const std::string& op : ops) {
    const auto name = OpName::Parse(op);
    if (!name) return Fail(kUsage, "'" + op + "' is not writer:position.index");
    names.push_back(*name);
  }
  Json fates = Json::array();
  bool all_known = true;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto fate = base->FateOf(names[i]);
    if (!fate.ok()) return Fail(fate.status());
    all_known &= fate->kind != FateKind::kUnknown;
    if (call.json) {
      fates.push_back(FateJson(ops[i], *fate));
    } else {
      PrintFate(ops[i], *fate);
    }
  }
  if (call.json) PrintJson(Json{{"fates", std::move(fates)}});
  if (!all_known) return Fail(kNotSo, "some of these ops have not been seen here");
  return kDone;
}

// `what` and the value, as a person reads them.
std::string ChangeText(const LoggedChange& change) {
  std::string text = change.what;
  if (change.value) text += ' ' + Printable(change.value->ToText());
  return text;
}

void PrintLogged(const LoggedOp& logged) {
  Out() << logged.op.ToText() << ' ' << FateName(logged.fate.kind) << ' ';
  if (logged.key.empty() && !logged.about.empty()) {
    Out() << logged.change.what << ' ' << Printable(logged.about) << '\n';
    return;
  }
  Out() << Printable(logged.key) << ": " << ChangeText(logged.change);
  const char* separator = " ";
  for (const auto& [column, change] : logged.cells) {
    Out() << separator << Printable(column) << ' ' << ChangeText(change);
    separator = ", ";
  }
  Out() << '\n';
}

Json ChangeJson(const LoggedChange& change) {
  Json object{{"what", change.what}};
  if (change.value) PutValue(object, *change.value);
  return object;
}

Json LoggedJson(const LoggedOp& logged) {
  Json object = FateJson(logged.op.ToText(), logged.fate);
  object.update(ChangeJson(logged.change));
  if (!logged.about.empty()) {
    PutText(object, "about", logged.about);
    return object;
  }
  PutText(object, "key", logged.key);
  for (const auto& [column, change] : logged.cells) {
    Json cell = Json::object();
    PutText(cell, "column", column);
    cell.update(ChangeJson(change));
    object["cells"].push_back(std::move(cell));
  }
  return object;
}

int Log(const Invocation& call) {
  std::pair<std::uint64_t, std::uint64_t> blocks{0, UINT64_MAX};
  if (call.arguments.size() > 1) {
    const auto asked = ParseBlocks(call.arguments[1]);
    if (!asked) {
      return Fail(kUsage,
                  "blocks " + call.arguments[1] + ": is not A..B with A below B");
    }
    blocks = *asked;
  }
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  for (std::uint64_t at = blocks.first; at < blocks.second;) {
    const auto page = base->ReadLog(call.arguments[0], at, blocks.second);
    if (!page.ok()) return Fail(page.status());
    for (const LoggedOp& logged : page->ops) {
      if (call.json) {
        PrintJson(LoggedJson(logged));
      } else {
        PrintLogged(logged);
      }
    }
    if (page->next == at) break;
    at = page->next;
  }
  return kDone;
}

}  // namespace

void AddCheckCommands(CommandLine& line) {
  line.Add({"root", "", "prints version digest and view root"}, Root);
  line.Add({"status", "", "prints what the store holds"}, Status);
  line.Add({"verify", "", "recomputes the view from the logs and compares"}, Verify);
  line.Add({"fate", "OP...|-", "says what became of an op; - reads them from stdin", 1,
            CommandSpec::kAnyNumber},
           FateOf);
  line.Add({"log", "WRITER [A..B]",
            "lists what somebody wrote, with effect or without; --json: one object a "
            "line",
            1, 2},
           Log);
}

}  // namespace weft::cli
