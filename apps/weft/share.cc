// init, join, grant, members, serve, sync: bases, the people in them, and meeting.

#include <utility>

#include "absl/strings/str_format.h"
#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/file_stream.h"
#include "apps/weft/json.h"
#include "apps/weft/progress.h"
#include "engine/text.h"
#include "replication/stream_wire.h"
#include "weft/link.h"

namespace weft::cli {
namespace {

int Init(const Invocation& call, const std::string& name) {
  int code = kDone;
  MadeStore made(call.store);
  Store* store = made.Open(code);
  if (store == nullptr) return code;
  const auto base = store->CreateBase(BaseOptions{.name = name});
  if (!base.ok()) return Fail(base.status());
  made.Keep();
  if (call.json) {
    Json object{{"link", base->link()}, {"base", base->id()}};
    PutText(object, "name", base->name());
    object["identity"] = base->identity();
    PrintJson(object);
  } else {
    Out() << base->link() << '\n';
  }
  return kDone;
}

// What somebody who has just joined may do, or has to wait for.
std::string WhatNext(const Base& base, const std::string& link) {
  for (const Member& member : base.Members()) {
    if (member.is_self && !member.revoked) {
      return absl::StrFormat("You are in, as %s", RoleName(member.role));
    }
  }
  const absl::StatusOr<Link> parsed = ParseLink(link);
  if (parsed.ok() && parsed->invite_secret) {
    return "The first member you meet lets you in, if the invite is neither used up "
           "nor revoked: weft sync DIR";
  }
  return "A founder lets you write with: weft grant DIR " + base.identity();
}

int Join(const Invocation& call, const JoinOptions& options) {
  int code = kDone;
  MadeStore made(call.store);
  Store* store = made.Open(code);
  if (store == nullptr) return code;
  const auto base = store->Join(call.arguments[0], options);
  if (!base.ok()) return Fail(base.status());
  made.Keep();
  if (call.json) {
    Json object{{"link", base->link()}, {"identity", base->identity()}};
    PutText(object, "name", base->name());
    PrintJson(object);
  } else {
    Out() << "link      " << base->link() << "\nidentity  " << base->identity() << '\n'
          << WhatNext(*base, call.arguments[0]) << '\n';
  }
  return kDone;
}

struct GrantOptions {
  std::string role = "writer";
  std::string scope;
  bool may_delegate = false;
};

int Grant(const Invocation& call, const GrantOptions& options) {
  const std::string name =
      call.arguments.size() == 2 ? call.arguments[1] : options.role;
  const auto role = ParseRole(name);
  if (!role)
    return Fail(kUsage, "role " + name +
                            ": is not reader, moderated, writer, moderator or admin");
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  const auto grant =
      base->Grant(call.arguments[0], *role, options.scope, options.may_delegate);
  if (!grant.ok()) return Fail(grant.status());
  if (call.json) {
    Json object{{"grant", grant->ToText()},
                {"identity", call.arguments[0]},
                {"role", std::string(RoleName(*role))}};
    PutText(object, "scope", options.scope);
    PrintJson(object);
  } else {
    Out() << grant->ToText() << '\n';
  }
  return kDone;
}

int Members(const Invocation& call) {
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  Json list = Json::array();
  for (const Member& member : base->Members()) {
    if (!call.json) {
      Out() << absl::StrFormat(
          "%s  %-8s  %s%s%s%s%s\n", member.identity, RoleName(member.role),
          Counted(member.length, "block"),
          member.scope.empty() ? "" : "  in " + Printable(member.scope),
          member.granted_by.empty() ? "" : "  granted by " + member.granted_by,
          member.revoked ? "  revoked" : "", member.is_self ? "  (this store)" : "");
      for (const MemberLog& log : member.logs) {
        if (log.number == 0 && !log.forked) continue;
        Out() << absl::StrFormat("  incarnation %d  %s  %s%s\n", log.number, log.log,
                                 Counted(log.length, "block"),
                                 log.forked ? "  forked" : "");
      }
      continue;
    }
    Json object{{"identity", member.identity},
                {"role", std::string(RoleName(member.role))}};
    PutText(object, "scope", member.scope);
    object["granted_by"] = member.granted_by.empty() ? Json() : Json(member.granted_by);
    object["grant"] = member.grant ? Json(member.grant->ToText()) : Json();
    object["length"] = member.length;
    object["revoked"] = member.revoked;
    object["self"] = member.is_self;
    object["forked"] = member.forked;
    object["logs"] = Json::array();
    for (const MemberLog& log : member.logs) {
      object["logs"].push_back(Json{{"log", log.log},
                                    {"incarnation", log.number},
                                    {"length", log.length},
                                    {"forked", log.forked}});
    }
    list.push_back(std::move(object));
  }
  if (call.json) PrintJson(Json{{"members", std::move(list)}});
  return kDone;
}

constexpr const char* kNoWay =
    "sync: needs one of --connect, --command and --stdio, as the store was joined by "
    "no "
    "address";

struct SyncArguments {
  std::string connect;
  std::string command;
  bool stdio = false;
  double timeout_seconds = 30;
};

std::string PeerName(const SyncArguments& arguments) {
  return arguments.connect.empty() ? arguments.command : arguments.connect;
}

// By the one way that was given.
absl::StatusOr<SyncResult> SyncBy(Store& store, const SyncArguments& arguments) {
  Console& console = Console::Current();
  const std::chrono::milliseconds timeout(
      static_cast<std::int64_t>(arguments.timeout_seconds * 1000));
  ProgressBar bar("sync");
  const auto show = [&](const Progress& progress) {
    bar.Show(progress.done, progress.total);
  };
  const auto stopped = [&console] { return console.StopAsked(); };
  if (!arguments.connect.empty()) {
    return store.Sync(arguments.connect, timeout, show, stopped);
  }
  auto stream = arguments.stdio ? console.Stdio() : console.Run(arguments.command);
  if (!stream.ok()) return stream.status();
  const auto pump = Pump::Start(*std::move(stream));
  if (!pump.ok()) return pump.status();
  Store::ByteStream bytes;
  bytes.in = bytes.out = (*pump)->TakeSocket();
  bytes.name = arguments.stdio ? "stdio" : arguments.command;
  bytes.dialled = !arguments.stdio;
  return store.SyncOver(bytes, timeout, show, stopped);
}

// With the first of the addresses it was joined by at which somebody answers.
absl::StatusOr<SyncResult> SyncWhereJoined(Store& store,
                                           const std::vector<std::string>& addresses,
                                           SyncArguments& arguments) {
  absl::StatusOr<SyncResult> result = absl::UnavailableError("");
  for (const std::string& address : addresses) {
    arguments.connect = address;
    result = SyncBy(store, arguments);
    if (result.ok() || !absl::IsUnavailable(result.status())) break;
  }
  return result;
}

// A log of ours that was found to have forked takes writes away, and nobody asked.
void SayWhatIsLost(Store& store) {
  for (const std::string& name : store.Bases()) {
    const auto base = store.OpenBase(name);
    if (!base.ok() || !base->Status().forked) continue;
    const auto lost = base->Recoverable();
    if (!lost.ok() || lost->empty()) continue;
    std::uint64_t writes = 0;
    for (const HeldBackWrites& range : *lost) writes += range.writes;
    Out() << absl::StrFormat(
        "base %s: a log of ours has forked; %s of ours %s no effect any more: see "
        "`weft recover`\n",
        name, Counted(writes, "write"), writes == 1 ? "has" : "have");
  }
}

int Sync(const Invocation& call, SyncArguments arguments) {
  const int ways = (arguments.connect.empty() ? 0 : 1) +
                   (arguments.command.empty() ? 0 : 1) + (arguments.stdio ? 1 : 0);
  if (ways > 1) {
    return Fail(kUsage, "sync: takes one of --connect, --command and --stdio");
  }
  if (!arguments.connect.empty() && !IsPeerAddress(arguments.connect)) {
    return Fail(kUsage, "--connect " + arguments.connect +
                            ": is neither host:port nor unix:PATH");
  }
  if (arguments.stdio && call.json) {
    return Fail(kUsage,
                "sync: --stdio needs stdout for itself, and --json has no place");
  }
  int code = kDone;
  auto store = OpenStore(call.store, code);
  if (!store) return code;
  absl::StatusOr<std::vector<std::string>> known = std::vector<std::string>();
  if (ways == 0) {
    known = store->JoinAddresses();
    if (!known.ok()) return Fail(known.status());
    if (known->empty()) return Fail(kUsage, kNoWay);
  }
  const auto result = ways == 0 ? SyncWhereJoined(*store, *known, arguments)
                                : SyncBy(*store, arguments);
  if (!result.ok()) return FailOfPeer(result.status());
  if (call.json) {
    PrintJson(Json{{"level", result->level},
                   {"blocks_received", result->blocks_received},
                   {"blocks_sent", result->blocks_sent}});
  } else if (!arguments.stdio) {
    Out() << absl::StrFormat("level with %s: %s came, %d went\n", PeerName(arguments),
                             Counted(result->blocks_received, "block"),
                             result->blocks_sent);
    SayWhatIsLost(*store);
  }
  return kDone;
}

void AddBaseCommands(CommandLine& line) {
  auto init_name = std::make_shared<std::string>("main");
  CLI::App* init =
      line.Add({.name = "init",
                .arguments = "",
                .help = "makes a store with a new base",
                .has_base = false},
               [init_name](const Invocation& call) { return Init(call, *init_name); });
  init->add_option("--name", *init_name, "of the base; default: main");

  auto join_options = std::make_shared<JoinOptions>();
  CLI::App* join = line.Add(
      {.name = "join",
       .arguments = "LINK",
       .help = "makes a store that follows a base",
       .count_min = 1,
       .count_max = 1,
       .has_base = false},
      [join_options](const Invocation& call) { return Join(call, *join_options); });
  join->add_option("--connect", join_options->connect,
                   "host:port or unix:PATH of someone who has the base");
  join->add_option("--name", join_options->name, "of the base in this store");

  auto grant_options = std::make_shared<GrantOptions>();
  CLI::App* grant = line.Add(
      {"grant", "IDENTITY [ROLE]", "lets an identity write (or be listed as a reader)",
       1, 2},
      [grant_options](const Invocation& call) { return Grant(call, *grant_options); });
  grant->add_option("--role", grant_options->role,
                    "writer (default), reader, moderated, moderator or admin");
  grant->add_option("--scope", grant_options->scope, "only keys with this prefix");
  grant->add_flag("--may-delegate", grant_options->may_delegate,
                  "an admin who may make admins and moderators");
  line.Add({"members", "", "lists who may do what"}, Members);
}

void AddMeetingCommands(CommandLine& line) {
  struct ServeOptions {
    std::string listen;
    std::vector<std::string> connect;
    bool lan = false;
    std::string lan_interface;
  };
  auto serve_options = std::make_shared<ServeOptions>();
  CLI::App* serve = line.Add(
      {.name = "serve",
       .arguments = "",
       .help = "stays and replicates until a signal; alone: with the peers it was "
               "joined by",
       .has_base = false,
       .alone = true,
       .stays = true},
      [serve_options](const Invocation& call) -> int {
        Console::Current().HoldSignals();
        int code = kDone;
        auto store = OpenStore(call.store, code);
        if (!store) return code;
        std::vector<std::string> connect = serve_options->connect;
        if (serve_options->listen.empty() && connect.empty() && !serve_options->lan) {
          auto known = store->JoinAddresses();
          if (!known.ok()) return Fail(known.status());
          if (known->empty()) {
            return Fail(kUsage,
                        "serve: needs --listen, --connect or --lan, as the store was "
                        "joined by no address");
          }
          connect = *std::move(known);
        }
        ServeWish wish{.listen = serve_options->listen, .connect = connect};
        if (serve_options->lan) wish.lan = serve_options->lan_interface;
        return Serve(*std::move(store), call, std::move(wish));
      });
  serve->add_option("--listen", serve_options->listen,
                    "host:port (port 0: any) or unix:PATH");
  serve
      ->add_option("--connect", serve_options->connect,
                   "host:port or unix:PATH; may repeat")
      ->expected(1)
      ->take_all();
  serve->add_flag("--lan", serve_options->lan, "find peers on the local network");
  serve->add_option("--lan-interface", serve_options->lan_interface,
                    "address of the network interface to use for it");

  auto arguments = std::make_shared<SyncArguments>();
  CLI::App* sync = line.Add(
      {.name = "sync",
       .arguments = "",
       .help = "replicates until level with a peer; alone: with the one it was joined "
               "by",
       .has_base = false,
       .stays = true},
      [arguments](const Invocation& call) { return Sync(call, *arguments); });
  sync->add_option("--connect", arguments->connect, "host:port or unix:PATH");
  sync->add_option(
      "--command", arguments->command,
      "a shell's command that speaks for the peer, say\n'ssh HOST weft sync "
      "DIR --stdio'");
  sync->add_flag("--stdio", arguments->stdio,
                 "answers a peer at the other end of stdin and stdout");
  AddTimeout(sync, arguments->timeout_seconds);
}

}  // namespace

void AddShareCommands(CommandLine& line) {
  AddBaseCommands(line);
  AddMeetingCommands(line);
}

}  // namespace weft::cli
