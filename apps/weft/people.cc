// invite, redeem, requests, approve, revoke, held, accept, reject, admit, hide, unhide,
// rollback: letting people in, and what others wrote.

#include <charconv>

#include "absl/strings/str_format.h"
#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/json.h"

namespace weft::cli {
namespace {

int PrintOp(const Invocation& call, const absl::StatusOr<OpName>& op) {
  if (!op.ok()) return Fail(op.status());
  if (call.json) {
    PrintJson(Json{{"op", op->ToText()}});
  } else {
    Out() << op->ToText() << '\n';
  }
  return kDone;
}

struct InviteArguments {
  std::string role = "writer";
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
  return kDone;
}

int Redeem(const Invocation& call) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  return PrintOp(call, base->Redeem(call.arguments[0], call.arguments[1]));
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
  return PrintOp(call, base->Approve(call.arguments[0], *role, scope));
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
        "This revokes %d grant%s, and %d write%s that are here now lose their effect; "
        "what is not here yet never has any. Go on? [y/N] ",
        plan->grants, plan->grants == 1 ? "" : "s", plan->writes,
        plan->writes == 1 ? "" : "s");
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
    Out() << absl::StrFormat("%s  %d grants, %d writes\n", op->ToText(), plan->grants,
                             plan->writes);
  }
  return kDone;
}

int Held(const Invocation& call) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  Json list = Json::array();
  for (const HeldBackWrites& held : base->HeldBack()) {
    if (!call.json) {
      Out() << absl::StrFormat("%s %d..%d  %d writes  %s: %s\n", held.writer, held.from,
                               held.to, held.writes, held.state,
                               Printable(held.reason));
      continue;
    }
    list.push_back(Json{{"writer", held.writer},
                        {"author", held.author},
                        {"from", held.from},
                        {"to", held.to},
                        {"writes", held.writes},
                        {"state", held.state}});
    PutText(list.back(), "reason", held.reason);
  }
  if (call.json) PrintJson(Json{{"held", std::move(list)}});
  return kDone;
}

// `A..B`, blocks A to B without B.
std::optional<std::pair<std::uint64_t, std::uint64_t>> ParseBlocks(
    const std::string& text) {
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos) return std::nullopt;
  std::pair<std::uint64_t, std::uint64_t> blocks;
  const char* const middle = text.data() + dots;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), middle, blocks.first);
  const auto second = std::from_chars(middle + 2, end, blocks.second);
  if (first.ec != std::errc() || first.ptr != middle || second.ec != std::errc() ||
      second.ptr != end || blocks.first >= blocks.second) {
    return std::nullopt;
  }
  return blocks;
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
  return PrintOp(call, act(*base, call.arguments[0], blocks->first, blocks->second));
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
  return PrintOp(call, hide ? base->Hide(ops) : base->Unhide(ops));
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
  invite
      ->add_option("--uses", invite_arguments->options.uses,
                   "so many people; default: 1")
      ->check(CLI::PositiveNumber);
  invite
      ->add_option("--address", invite_arguments->options.addresses,
                   "host:port where a member can be met; may repeat")
      ->expected(1)
      ->take_all();
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
  CLI::App* revoke = line.Add(
      {"revoke", "IDENTITY|GRANT", "takes a member's grants, or an invite, away", 1, 1},
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

void AddModeration(CommandLine& line) {
  line.Add({"held", "", "lists what is here and has no effect, and why"}, Held);
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
}

}  // namespace weft::cli
