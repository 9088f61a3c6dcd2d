// core remove, purge, block, unblock, adopt: what becomes of a feed in this store.

#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/json.h"

namespace weft::cli {
namespace {

using Verb = absl::Status (Store::*)(std::string_view key);

int Do(const Invocation& call, Verb verb, const char* done) {
  int code = kDone;
  auto store = OpenStore(call.store, code);
  if (!store) return code;
  const std::string& key = call.arguments[0];
  if (const absl::Status status = ((*store).*verb)(key); !status.ok()) {
    return Fail(status);
  }
  if (call.json) {
    PrintJson(Json{{"key", key}, {"done", done}});
  } else {
    Out() << key << ' ' << done << '\n';
  }
  return kDone;
}

}  // namespace

void AddCoreVerbs(CommandLine& line, CLI::App* group) {
  struct Named {
    const char* name;
    const char* help;
    Verb verb;
    const char* done;
  };
  const Named verbs[] = {
      {"remove", "stops serving and fetching a core; its data stays",
       &Store::RemoveCore, "removed"},
      {"purge", "deletes a core and frees its room on the disk", &Store::PurgeCore,
       "purged"},
      {"block", "neither fetches nor serves a feed, from anybody, ever",
       &Store::BlockCore, "blocked"},
      {"unblock", "takes a block back", &Store::UnblockCore, "unblocked"},
      {"adopt", "appends again to a core of a copied store: the only one that does",
       &Store::AdoptCore, "adopted"}};
  for (const Named& named : verbs) {
    CommandSpec spec{.name = named.name,
                     .arguments = "KEY",
                     .help = named.help,
                     .count_min = 1,
                     .count_max = 1,
                     .has_base = false};
    line.AddTo(group, spec, [named](const Invocation& call) {
      return Do(call, named.verb, named.done);
    });
  }
}

}  // namespace weft::cli
