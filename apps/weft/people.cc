// invite, redeem, requests, approve, revoke, held, accept, reject, admit, hide, unhide,
// rollback, recover: letting people in, and what others wrote.

#include <algorithm>

#include "absl/strings/str_format.h"
#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/json.h"
#include "apps/weft/qr.h"

namespace weft::cli {
namespace {

struct InviteArguments {
  std::string role = "writer";
  bool qr = false;
  InviteOptions options;
};

int Invite(const Invocation& call, InviteArguments arguments) {
  const auto role = ParseRole(arguments.role);
  if (!role || *role > Role::kWriter) {
    return Fail(kUsage,
                "role " + arguments.role + ": is not writer, moderated or reader");
  }
  arguments.options.role = *role;
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  const auto invite = base->Invite(arguments.options);
  if (!invite.ok()) return Fail(invite.status());
  if (call.json) {
    PrintJson(Json{{"invite", *invite}});
  } else {
    Out() << *invite << '\n';
  }
  if (!call.json && arguments.qr) {
    const auto picture = QrText(*invite);
    if (!picture.ok()) return Fail(picture.status());
    Out() << *picture;
  }
  return kDone;
}

int Redeem(const Invocation& call) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  return ReportOp(call, base->Redeem(call.arguments[0], call.arguments[1]));
}

int Requests(const Invocation& call) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  Json list = Json::array();
  for (const JoinRequest& request : base->Requests()) {
    if (!call.json) {
      Out() << request.identity << "  " << Printable(request.note) << '\n';
      continue;
    }
    list.push_back(Json{{"identity", request.identity}});
    PutText(list.back(), "note", request.note);
  }
  if (call.json) PrintJson(Json{{"requests", std::move(list)}});
  return kDone;
}

int Approve(const Invocation& call, const std::string& scope) {
  const std::string name = call.arguments.size() == 2 ? call.arguments[1] : "writer";
  const auto role = ParseRole(name);
  if (!role) return Fail(kUsage, "role " + name + ": there is none of this name");
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  return ReportOp(call, base->Approve(call.arguments[0], *role, scope));
}

// F4: what a fork, or a removal that was taken back, cost this store.
struct RecoverArguments {
  bool list = false;
  bool yes = false;
};

Json RangeJson(const HeldBackWrites& held) {
  Json object{{"writer", held.writer}, {"author", held.author}, {"from", held.from},
              {"to", held.to},         {"writes", held.writes}, {"state", held.state}};
  PutText(object, "reason", held.reason);
  const auto keys_of = [](const std::vector<std::string>& keys) {
    Json list = Json::array();
    for (const std::string& key : keys) {
      list.push_back(Json::object());
      PutText(list.back(), "key", key);
    }
    return list;
  };
  if (held.left > 0) {
    object["left"] = held.left;
    object["left_keys"] = keys_of(held.left_keys);
  }
  if (!held.newer_keys.empty()) object["newer_keys"] = keys_of(held.newer_keys);
  return object;
}

std::string Listed(const std::vector<std::string>& keys) {
  std::string list;
  for (const std::string& key : keys) {
    if (!list.empty()) list += ", ";
    list += Printable(key);
  }
  return list;
}

void PrintRange(const HeldBackWrites& held) {
  Out() << absl::StrFormat("%s %d..%d  %s  %s: %s\n", held.writer, held.from, held.to,
                           Counted(held.writes, "write"), held.state,
                           Printable(held.reason));
  if (!held.newer_keys.empty()) {
    Out() << "  to be the newer ones over what was written since at: "
          << Listed(held.newer_keys) << '\n';
  }
  if (held.left == 0) return;
  Out() << absl::StrFormat("  %d of them to be made again by hand", held.left);
  if (!held.left_keys.empty()) {
    Out() << ": texts and lists at " << Listed(held.left_keys);
  }
  Out() << '\n';
}

// What only a person can make again is read with another command, as far as that
// knows of it: where another branch of the log survives, these are its blocks there.
void PrintWhereToRead(const Base& base, const HeldBackWrites& lost) {
  if (lost.left == 0) return;
  const auto page = base.ReadLog(lost.writer, lost.from, lost.to);
  const bool shown =
      page.ok() &&
      std::any_of(page->ops.begin(), page->ops.end(), [&](const LoggedOp& logged) {
        return FateName(logged.fate.kind) == lost.state;
      });
  if (!shown) return;
  Out() << absl::StrFormat("  `weft log %s %d..%d` shows what they were\n", lost.writer,
                           lost.from, lost.to);
}

// kDone, or what to end with.
int Confirmed(const RecoverArguments& arguments, std::uint64_t writes) {
  if (arguments.yes) return kDone;
  Err() << absl::StrFormat(
      "This writes up to %d change%s again, over what was written since. Go on? "
      "[y/N] ",
      writes, writes == 1 ? "" : "s");
  Err().flush();
  std::string answer;
  std::getline(In(), answer);
  if (answer == "y" || answer == "yes") return kDone;
  return Fail(kNotSo, "recover: nothing was done");
}

void PrintRecovered(const Recovered& recovered) {
  for (const HeldBackWrites& refused : recovered.refused) {
    Out() << absl::StrFormat("%s %d..%d  %d writes  not written: %s\n", refused.writer,
                             refused.from, refused.to, refused.writes,
                             Printable(refused.reason));
  }
  Out() << absl::StrFormat("%d written again, %d left to be made by hand\n",
                           recovered.writes, recovered.left);
}

// Our logs that forked: of each this store has one branch and what peers held of
// others.
std::vector<std::string> ForkedLogs(const Base& base) {
  std::vector<std::string> forked;
  for (const Member& member : base.Members()) {
    if (!member.is_self) continue;
    for (const MemberLog& log : member.logs) {
      if (log.forked) forked.push_back(log.log);
    }
    break;
  }
  return forked;
}

int Recover(const Invocation& call, const RecoverArguments& arguments) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  const auto lost = base->Recoverable();
  if (!lost.ok()) return Fail(lost.status());
  Json list = Json::array();
  std::uint64_t writes = 0;
  Recovered recovered;
  for (const HeldBackWrites& held : *lost) {
    writes += held.writes - held.left;
    recovered.left += held.left;
    if (call.json) {
      list.push_back(RangeJson(held));
    } else {
      PrintRange(held);
      PrintWhereToRead(*base, held);
    }
  }
  if (writes > 0 && !arguments.list) {
    const int answer = Confirmed(arguments, writes);
    if (answer != kDone) return answer;
    const auto done = base->Recover();
    if (!done.ok()) return Fail(done.status());
    recovered = *done;
  }
  if (call.json) {
    Json refused = Json::array();
    for (const HeldBackWrites& range : recovered.refused) {
      refused.push_back(RangeJson(range));
    }
    PrintJson(Json{{"lost", std::move(list)},
                   {"recovered", recovered.writes},
                   {"left", recovered.left},
                   {"refused", std::move(refused)},
                   {"forked_logs", ForkedLogs(*base)}});
    return recovered.refused.empty() ? kDone : kNotSo;
  }
  if (lost->empty()) {
    Out() << "nothing of ours that is here is lost\n";
  } else if (!arguments.list) {
    PrintRecovered(recovered);
  }
  for (const std::string& log : ForkedLogs(*base)) {
    Out() << absl::StrFormat(
        "log %s has two branches: what others hold of it comes with\n"
        "  `weft sync`; what another store of yours, the copy or the original, has told"
        "\n  nobody is there alone: run `weft recover` in that one too\n",
        log);
  }
  return recovered.refused.empty() ? kDone : kNotSo;
}

struct RevokeArguments {
  RevokeOptions options;
  bool yes = false;
};

int Revoke(const Invocation& call, const RevokeArguments& arguments) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  const std::string& who = call.arguments[0];
  const auto plan = base->PlanRevoke(who, arguments.options);
  if (!plan.ok()) return Fail(plan.status());
  if (!arguments.yes) {
    Err() << absl::StrFormat(
        "This revokes %s, and %s here now will have no effect any more; what is not "
        "here "
        "yet never has any. Go on? [y/N] ",
        Counted(plan->grants, "grant"), Counted(plan->writes, "write"));
    Err().flush();
    std::string answer;
    std::getline(In(), answer);
    if (answer != "y" && answer != "yes") {
      return Fail(kNotSo, "revoke: nothing was done");
    }
  }
  const auto op = base->Revoke(who, arguments.options);
  if (!op.ok()) return Fail(op.status());
  if (call.json) {
    PrintJson(Json{{"op", op->ToText()},
                   {"grants", plan->grants},
                   {"writes_withdrawn", plan->writes}});
  } else {
    Out() << absl::StrFormat("%s  %s, %s\n", op->ToText(),
                             Counted(plan->grants, "grant"),
                             Counted(plan->writes, "write"));
  }
  return kDone;
}

int Held(const Invocation& call) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  Json list = Json::array();
  for (const HeldBackWrites& held : base->HeldBack()) {
    if (call.json) {
      list.push_back(RangeJson(held));
    } else {
      PrintRange(held);
    }
  }
  if (call.json) PrintJson(Json{{"held", std::move(list)}});
  return kDone;
}

using RangeCall = std::function<absl::StatusOr<OpName>(
    Base& base, const std::string& writer, std::uint64_t from, std::uint64_t to)>;

int OnRange(const Invocation& call, const RangeCall& act) {
  const auto blocks = ParseBlocks(call.arguments[1]);
  if (!blocks) {
    return Fail(kUsage, "blocks " + call.arguments[1] + ": is not A..B with A below B");
  }
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  return ReportOp(call, act(*base, call.arguments[0], blocks->first, blocks->second));
}

int OnOps(const Invocation& call, bool hide) {
  std::vector<OpName> ops;
  for (const std::string& text : call.arguments) {
    const auto op = OpName::Parse(text);
    if (!op) return Fail(kUsage, "op " + text + ": is not writer:position.index");
    ops.push_back(*op);
  }
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  return ReportOp(call, hide ? base->Hide(ops) : base->Unhide(ops));
}

void AddJoining(CommandLine& line) {
  auto invite_arguments = std::make_shared<InviteArguments>();
  CLI::App* invite = line.Add({"invite", "", "prints a link that lets people join"},
                              [invite_arguments](const Invocation& call) {
                                return Invite(call, *invite_arguments);
                              });
  invite->add_option("--role", invite_arguments->role,
                     "writer (default), moderated or reader");
  invite->add_option("--scope", invite_arguments->options.scope,
                     "only keys with this prefix");
  AddCount(invite, "--uses", invite_arguments->options.uses, 1,
           "so many people; default: 1");
  invite
      ->add_option("--address", invite_arguments->options.addresses,
                   "host:port where a member can be met; may repeat")
      ->expected(1)
      ->take_all();
  invite->add_flag("--qr", invite_arguments->qr, "and as a QR code on the terminal");
  line.Add({"redeem", "INVITE IDENTITY",
            "lets the holder of an invite in, as any member may", 2, 2},
           Redeem);

  line.Add({"requests", "", "lists who asks to be let in"}, Requests);
  auto scope = std::make_shared<std::string>();
  CLI::App* approve = line.Add(
      {"approve", "IDENTITY [ROLE]", "lets somebody in who asked; writer", 1, 2},
      [scope](const Invocation& call) { return Approve(call, *scope); });
  approve->add_option("--scope", *scope, "only keys with this prefix");

  auto revoke_arguments = std::make_shared<RevokeArguments>();
  CLI::App* revoke = line.Add({"revoke", "IDENTITY|GRANT|INVITE",
                               "takes a member's grants, or an invite, away", 1, 1},
                              [revoke_arguments](const Invocation& call) {
                                return Revoke(call, *revoke_arguments);
                              });
  revoke->add_flag("--subtree", revoke_arguments->options.subtree,
                   "and all grants that came from there");
  revoke->add_flag("--keep-nothing", revoke_arguments->options.keep_nothing,
                   "what was written loses its effect too");
  revoke->add_option("--reason", revoke_arguments->options.reason, "for all to read");
  revoke->add_flag("--yes", revoke_arguments->yes, "do not ask");
}

void AddRecovery(CommandLine& line) {
  auto arguments = std::make_shared<RecoverArguments>();
  CLI::App* recover = line.Add(
      {"recover", "",
       "writes again, once, what a fork or a removal took from us; edits of texts and "
       "lists, grants, invites and verdicts it lists each time, to be made by hand: "
       "`weft log WRITER A..B` shows what they were"},
      [arguments](const Invocation& call) { return Recover(call, *arguments); });
  recover->add_flag("--list", arguments->list, "only says what it would be");
  recover->add_flag("--yes", arguments->yes, "do not ask");
}

void AddModeration(CommandLine& line) {
  line.Add({"held", "", "lists what is here and has no effect, or is hidden, and why"},
           Held);
  const auto add = [&line](const char* name, const char* help, RangeCall act) {
    line.Add(
        {name, "WRITER A..B", help, 2, 2},
        [act = std::move(act)](const Invocation& call) { return OnRange(call, act); });
  };
  add("accept", "shows what a moderated member wrote in these blocks",
      [](Base& base, const std::string& writer, std::uint64_t from, std::uint64_t to) {
        return base.Accept(writer, from, to);
      });
  add("reject", "refuses what a moderated member wrote in these blocks",
      [](Base& base, const std::string& writer, std::uint64_t from, std::uint64_t to) {
        return base.Reject(writer, from, to);
      });
  add("admit", "takes blocks of a removed member back in",
      [](Base& base, const std::string& writer, std::uint64_t from, std::uint64_t to) {
        return base.Admit(writer, from, to);
      });
  auto prefix = std::make_shared<std::string>();
  CLI::App* rollback =
      line.Add({"rollback", "WRITER A..B",
                "hides all that somebody wrote in these blocks", 2, 2},
               [prefix](const Invocation& call) {
                 return OnRange(call, [&](Base& base, const std::string& writer,
                                          std::uint64_t from, std::uint64_t to) {
                   return base.Rollback(writer, from, to, *prefix);
                 });
               });
  rollback->add_option("--prefix", *prefix, "only keys with this prefix");
  line.Add({"hide", "OP...", "hides single changes", 1, CommandSpec::kAnyNumber},
           [](const Invocation& call) { return OnOps(call, true); });
  line.Add({"unhide", "OP...", "shows them again", 1, CommandSpec::kAnyNumber},
           [](const Invocation& call) { return OnOps(call, false); });
}

}  // namespace

void AddPeopleCommands(CommandLine& line) {
  AddJoining(line);
  AddModeration(line);
  AddRecovery(line);
}

}  // namespace weft::cli
