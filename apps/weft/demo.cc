// demo: the whole story in one terminal. Three people with three stores in processes
// of their own share the airports of the USA, part, write, and meet again.

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "absl/strings/str_format.h"
#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/demo_story.h"
#include "engine/status.h"
#include "engine/text.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kMark[] = "made-by-weft-demo";

class Demo {
 public:
  Demo(Stage stage, std::string data)
      : stage_(std::move(stage)), data_(std::move(data)) {}

  absl::Status Play() {
    WEFT_RETURN_IF_ERROR(Share());
    WEFT_RETURN_IF_ERROR(Admit());
    WEFT_RETURN_IF_ERROR(WriteApart());
    WEFT_RETURN_IF_ERROR(MeetInPairs());
    WEFT_RETURN_IF_ERROR(CheckRoots());
    WEFT_RETURN_IF_ERROR(ShowConflicts());
    WEFT_RETURN_IF_ERROR(CheckRows());
    return CheckFates();
  }

  Json Summary() const {
    Json stores = Json::array();
    for (const Person& person : people()) stores.push_back(person.store);
    return Json{{"root", root_},
                {"conflicts", conflicts_},
                {"ops", stage_.written().size()},
                {"stores", std::move(stores)}};
  }

  const std::vector<Person>& people() const {
    return const_cast<Stage&>(stage_).people();
  }

 private:
  absl::Status Share();
  absl::Status Admit();
  absl::Status WriteApart();
  absl::Status WriteOfCleo();
  absl::Status MeetInPairs();
  absl::Status CheckRoots();
  absl::Status ShowConflicts();
  absl::Status CheckRows();
  absl::Status CheckFates();

  absl::Status Expect(bool fact, std::string_view what) const;
  absl::StatusOr<std::string> RootOf(const Person& person) const;
  absl::Status SyncWith(const Person& person, const Stage::Server& server) const;
  absl::Status ExpectCells(const Person& person, const std::string& key,
                           const Json& cells) const;

  Stage stage_;
  std::string data_;
  std::string link_;
  std::string root_;
  std::uint64_t conflicts_ = 0;
};

absl::Status Demo::Expect(bool fact, std::string_view what) const {
  if (fact) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat("the story went wrong: %s", what));
}

absl::StatusOr<std::string> Demo::RootOf(const Person& person) const {
  WEFT_ASSIGN_OR_RETURN(const Json root, stage_.Weft(person, "root", {}, "", false));
  return root.at("version").get<std::string>() + " " +
         root.at("root").get<std::string>();
}

absl::Status Demo::SyncWith(const Person& person, const Stage::Server& server) const {
  WEFT_ASSIGN_OR_RETURN(const Json result,
                        stage_.Weft(person, "sync", {"--connect", server.address}));
  stage_.Tell(absl::StrFormat("level: %d blocks came, %d went",
                              result.at("blocks_received").get<std::uint64_t>(),
                              result.at("blocks_sent").get<std::uint64_t>()));
  return absl::OkStatus();
}

absl::Status Demo::Share() {
  stage_.Heading("1. Ada makes a store with a base, and puts the airports into it.");
  WEFT_ASSIGN_OR_RETURN(const Json made, stage_.Weft(stage_.ada(), "init", {}));
  link_ = made.at("link").get<std::string>();
  stage_.ada().identity = made.at("identity").get<std::string>();
  stage_.Tell("the link that others join by: " + link_);
  WEFT_ASSIGN_OR_RETURN(const Json imported,
                        stage_.Weft(stage_.ada(), "import",
                                    {"airports", data_, "--key", "iata", "--ops"}));
  for (const Json& op : imported.at("ops")) {
    stage_.Book(op.get<std::string>(), stage_.ada(), "imported a row");
  }
  stage_.Tell(absl::StrFormat("%d rows, one commit: all of them or none",
                              imported.at("written").get<std::uint64_t>()));

  stage_.Heading("2. Bob and Cleo join by the link, each in a store of their own.");
  WEFT_ASSIGN_OR_RETURN(const Stage::Server server, stage_.Serve(stage_.ada()));
  for (Person* person : {&stage_.bob(), &stage_.cleo()}) {
    WEFT_ASSIGN_OR_RETURN(
        const Json joined,
        stage_.Weft(*person, "join", {link_, "--connect", server.address}));
    person->identity = joined.at("identity").get<std::string>();
    WEFT_RETURN_IF_ERROR(SyncWith(*person, server));
  }
  stage_.Tell("both can read all of it. Writing takes a grant:");
  WEFT_ASSIGN_OR_RETURN(
      const std::string refusal,
      stage_.Refused(stage_.bob(), "put", {"notes/hello", "hi"}, kNotSo));
  stage_.Tell(refusal);
  return absl::OkStatus();
}

absl::Status Demo::Admit() {
  stage_.Heading("3. Ada lets both write; they hear of it when they sync.");
  for (const Person* person : {&stage_.bob(), &stage_.cleo()}) {
    WEFT_ASSIGN_OR_RETURN(const Json grant,
                          stage_.Weft(stage_.ada(), "grant", {person->identity}));
    WEFT_RETURN_IF_ERROR(Expect(grant.contains("grant"), "no grant"));
  }
  WEFT_ASSIGN_OR_RETURN(const Stage::Server server, stage_.Serve(stage_.ada()));
  WEFT_RETURN_IF_ERROR(SyncWith(stage_.bob(), server));
  return SyncWith(stage_.cleo(), server);
}

absl::Status Demo::WriteApart() {
  stage_.Heading("4. All three go offline and write.");
  const Person& ada = stage_.ada();
  const Person& bob = stage_.bob();
  stage_.Tell("Ada:");
  WEFT_RETURN_IF_ERROR(
      stage_.Change(ada, "set", {"airports/JFK", "name=John F. Kennedy International"},
                    "renamed JFK"));
  WEFT_RETURN_IF_ERROR(
      stage_.Change(ada, "set", {"airports/SEA", "name=Seattle-Tacoma International"},
                    "renamed SEA"));
  WEFT_RETURN_IF_ERROR(
      stage_.Change(ada, "erase", {"airports/00M"}, "deleted the row 00M"));
  WEFT_RETURN_IF_ERROR(
      stage_.Change(ada, "erase", {"airports/00R"}, "deleted the row 00R"));
  WEFT_RETURN_IF_ERROR(stage_.Change(
      ada, "set", {"airports/XNW", "iata=XNW", "city=Newtown"}, "made the row XNW"));
  stage_.Tell("Bob:");
  WEFT_RETURN_IF_ERROR(stage_.Change(
      bob, "set", {"airports/JFK", "name=New York Kennedy"}, "renamed JFK"));
  WEFT_RETURN_IF_ERROR(
      stage_.Change(bob, "set", {"airports/SEA", "city=SeaTac"}, "moved SEA"));
  WEFT_RETURN_IF_ERROR(
      stage_.Change(bob, "set", {"airports/ORD", "city=Rosemont"}, "moved ORD"));
  WEFT_RETURN_IF_ERROR(
      stage_.Change(bob, "set", {"airports/DEN", "name=Denver"}, "renamed DEN"));
  WEFT_RETURN_IF_ERROR(stage_.Change(
      bob, "set", {"airports/DEN", "name=Denver International"}, "renamed DEN again"));
  WEFT_RETURN_IF_ERROR(stage_.Change(bob, "unset",
                                     {"airports/01G", "latitude", "longitude"},
                                     "emptied two cells of 01G"));
  WEFT_RETURN_IF_ERROR(
      stage_.Change(bob, "put", {"notes/meeting", "Tuesday"}, "wrote a note"));
  return WriteOfCleo();
}

absl::Status Demo::WriteOfCleo() {
  const Person& cleo = stage_.cleo();
  stage_.Tell("Cleo:");
  WEFT_RETURN_IF_ERROR(
      stage_.Change(cleo, "set", {"airports/JFK", "name=Idlewild"}, "renamed JFK"));
  WEFT_RETURN_IF_ERROR(stage_.Change(cleo, "set", {"airports/SEA", "state=Washington"},
                                     "wrote the state of SEA in full"));
  WEFT_RETURN_IF_ERROR(stage_.Change(cleo, "set",
                                     {"airports/ORD", "city=Chicago, Ill."},
                                     "wrote the city of ORD otherwise"));
  WEFT_RETURN_IF_ERROR(
      stage_.Change(cleo, "set", {"airports/00R", "name=Livingston Municipal Airport"},
                    "renamed 00R"));
  WEFT_RETURN_IF_ERROR(stage_.Change(cleo, "set",
                                     {"airports/XNW", "name=Newtown Field", "state=IA"},
                                     "made the row XNW"));
  WEFT_RETURN_IF_ERROR(
      stage_.Change(cleo, "put", {"notes/meeting", "Thursday"}, "wrote a note"));
  constexpr char kTwoRows[] =
      R"({"op":"set","key":"airports/XC1","cells":{"iata":"XC1","city":"Cedarville"}})"
      "\n"
      R"({"op":"set","key":"airports/XC2","cells":{"iata":"XC2","city":"Cottonwood"}})"
      "\n";
  WEFT_ASSIGN_OR_RETURN(const Json batch, stage_.Weft(cleo, "batch", {}, kTwoRows));
  for (const Json& op : batch.at("ops")) {
    stage_.Book(op.get<std::string>(), cleo, "made a row, with another in one commit");
  }
  stage_.Tell("(two new rows on its stdin, one commit)");
  return absl::OkStatus();
}

absl::Status Demo::MeetInPairs() {
  stage_.Heading("5. Bob and Cleo meet. Ada is not there.");
  {
    WEFT_ASSIGN_OR_RETURN(const Stage::Server server, stage_.Serve(stage_.bob()));
    WEFT_RETURN_IF_ERROR(SyncWith(stage_.cleo(), server));
  }
  WEFT_ASSIGN_OR_RETURN(const std::string of_ada, RootOf(stage_.ada()));
  WEFT_ASSIGN_OR_RETURN(const std::string of_bob, RootOf(stage_.bob()));
  WEFT_ASSIGN_OR_RETURN(const std::string of_cleo, RootOf(stage_.cleo()));
  WEFT_RETURN_IF_ERROR(Expect(of_bob == of_cleo, "Bob and Cleo differ after they met"));
  WEFT_RETURN_IF_ERROR(Expect(of_ada != of_bob, "Ada knows what nobody told her"));
  stage_.Tell(
      "Bob and Cleo now show the same. Bob sees that both wrote the city of ORD,");
  stage_.Tell("and decides: what has seen both replaces both.");
  WEFT_RETURN_IF_ERROR(stage_.Change(stage_.bob(), "set",
                                     {"airports/ORD", "city=Chicago"},
                                     "settled the city of ORD"));

  stage_.Heading("6. Ada comes back. Bob meets her, then Cleo does.");
  WEFT_ASSIGN_OR_RETURN(const Stage::Server server, stage_.Serve(stage_.ada()));
  WEFT_RETURN_IF_ERROR(SyncWith(stage_.bob(), server));
  return SyncWith(stage_.cleo(), server);
}

absl::Status Demo::CheckRoots() {
  stage_.Heading("7. Three stores, one view: the roots are 32 bytes over all of it.");
  std::set<std::string> roots;
  for (const Person& person : stage_.people()) {
    WEFT_ASSIGN_OR_RETURN(const std::string root, RootOf(person));
    roots.insert(root);
    root_ = root.substr(root.find(' ') + 1);
    stage_.Tell(absl::StrFormat("%-5s %s", person.name, root_));
    WEFT_ASSIGN_OR_RETURN(const Json verified,
                          stage_.Weft(person, "verify", {}, "", false));
    WEFT_RETURN_IF_ERROR(Expect(verified.at("ok") == true, "a view is not its logs'"));
  }
  stage_.Tell("each also recomputed its view from the logs, and found the same");
  return Expect(roots.size() == 1, "the three roots are not equal");
}

absl::Status Demo::ShowConflicts() {
  stage_.Heading(
      "8. What was written at once: one value is shown, the others are kept.");
  WEFT_ASSIGN_OR_RETURN(const Json found, stage_.Weft(stage_.cleo(), "conflicts", {}));
  std::map<std::string, std::size_t> values;
  for (const Json& conflict : found.at("conflicts")) {
    std::string place = conflict.at("key").get<std::string>();
    if (conflict.contains("column")) {
      place += ", " + conflict.at("column").get<std::string>();
    }
    stage_.Tell(place);
    const char* mark = "shown";
    for (const Json& value : conflict.at("values")) {
      stage_.Tell(absl::StrFormat(
          "  %s  %-32s by %s", mark, value.at("value").get<std::string>(),
          stage_.NameOf(value.at("author").get<std::string>())));
      mark = "also ";
    }
    values[place] = conflict.at("values").size();
  }
  conflicts_ = values.size();
  const std::map<std::string, std::size_t> expected{{"airports/JFK, name", 3},
                                                    {"notes/meeting", 2}};
  return Expect(values == expected, "the conflicts are not those that were made");
}

absl::Status Demo::ExpectCells(const Person& person, const std::string& key,
                               const Json& cells) const {
  WEFT_ASSIGN_OR_RETURN(const Json entry, stage_.Weft(person, "get", {key}, "", false));
  for (const auto& [column, value] : cells.items()) {
    const Json& read = entry.at("cells");
    WEFT_RETURN_IF_ERROR(
        Expect(read.contains(column) && read.at(column) == value,
               absl::StrFormat("%s, %s is not %s", key, column, value.dump())));
  }
  return absl::OkStatus();
}

absl::Status Demo::CheckRows() {
  stage_.Heading("9. What was no conflict.");
  const Person& ada = stage_.ada();
  WEFT_RETURN_IF_ERROR(ExpectCells(ada, "airports/SEA",
                                   Json{{"name", "Seattle-Tacoma International"},
                                        {"city", "SeaTac"},
                                        {"state", "Washington"}}));
  stage_.Tell("SEA  three people edited three cells of the row: all three are there");
  WEFT_RETURN_IF_ERROR(ExpectCells(
      ada, "airports/00R",
      Json{{"name", "Livingston Municipal Airport"}, {"city", "Livingston"}}));
  stage_.Tell("00R  Ada deleted the row while Cleo edited it: the whole row is back");
  WEFT_ASSIGN_OR_RETURN(const std::string gone,
                        stage_.Refused(ada, "get", {"airports/00M"}, kNotSo));
  stage_.Tell(gone);
  stage_.Tell("00M  Ada deleted the row and nobody touched it: it is gone");
  WEFT_RETURN_IF_ERROR(ExpectCells(
      ada, "airports/XNW", Json{{"city", "Newtown"}, {"name", "Newtown Field"}}));
  stage_.Tell("XNW  Ada and Cleo both made this row: it is one row, merged by cells");
  WEFT_RETURN_IF_ERROR(ExpectCells(ada, "airports/ORD", Json{{"city", "Chicago"}}));
  stage_.Tell("ORD  Bob had seen both cities when he wrote a third: only his is left");
  return absl::OkStatus();
}

absl::Status Demo::CheckFates() {
  stage_.Heading(
      "10. Nothing is missing: what became of every change, in all three stores.");
  std::string ops;
  for (const WrittenOp& written : stage_.written()) ops += written.op + "\n";
  const std::set<std::string> told{"winner", "conflict", "superseded", "removed"};
  std::set<std::string> answers;
  std::map<std::string, std::uint64_t> counts;
  for (const Person& person : stage_.people()) {
    WEFT_ASSIGN_OR_RETURN(const Json fates,
                          stage_.Weft(person, "fate", {"-"}, ops, false));
    answers.insert(fates.dump());
    counts.clear();
    for (const Json& fate : fates.at("fates")) ++counts[fate.at("fate")];
  }
  std::uint64_t sum = 0;
  for (const auto& [fate, count] : counts) {
    WEFT_RETURN_IF_ERROR(
        Expect(told.contains(fate), absl::StrFormat("%d changes are %s", count, fate)));
    stage_.Tell(absl::StrFormat("%6d  %s", count, fate));
    sum += count;
  }
  WEFT_RETURN_IF_ERROR(Expect(sum == stage_.written().size(), "a change has no fate"));
  stage_.Tell(absl::StrFormat("%6d  changes written by three people", sum));
  return Expect(answers.size() == 1, "the stores differ about what became of a change");
}

// Upwards from here and from the program, for a checkout in either place.
std::optional<std::string> FindData(const fs::path& program) {
  std::error_code error;
  for (fs::path folder : {fs::current_path(error), program.parent_path()}) {
    for (int depth = 0; depth < 6; ++depth) {
      const fs::path data = folder / "examples/data/airports.csv";
      if (fs::exists(data, error)) return fs::relative(data, error).string();
      if (folder == folder.parent_path()) break;
      folder = folder.parent_path();
    }
  }
  return std::nullopt;
}

// Makes the directory; takes away what an earlier demo left there and nothing else.
int Prepare(const std::string& directory) {
  std::error_code error;
  const fs::path path(directory);
  const bool marked = fs::exists(path / kMark, error);
  if (fs::exists(path, error) && !marked && !fs::is_empty(path, error)) {
    return Fail(kWorld, directory + ": holds files that no demo made; name another");
  }
  for (const char* store : {"ada", "bob", "cleo"}) {
    if (marked) fs::remove_all(path / store, error);
  }
  fs::create_directories(path, error);
  if (!std::ofstream(path / kMark)) {
    return Fail(kWorld, directory + ": cannot be written");
  }
  return kDone;
}

int PlayDemo(const Invocation& call, std::string data) {
  const std::string directory =
      call.arguments.empty() ? "demo-stores" : call.arguments[0];
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return Fail(kWorld, "/proc/self/exe: cannot be read");
  if (data.empty()) data = FindData(program).value_or("");
  if (data.empty()) {
    return Fail(kWorld,
                "examples/data/airports.csv is not near here; give --data FILE");
  }
  if (const int code = Prepare(directory); code != kDone) return code;
  const auto start = std::chrono::steady_clock::now();
  Demo demo(Stage(program.string(), directory, call.json), data);
  if (const absl::Status status = demo.Play(); !status.ok()) {
    return Fail(kWorld, "demo: " + std::string(ToStd(status.message())));
  }
  if (call.json) {
    PrintJson(demo.Summary());
    return kDone;
  }
  const std::chrono::duration<double> elapsed =
      std::chrono::steady_clock::now() - start;
  Out() << absl::StrFormat(
      "\nDone in %.1f s. The three stores are in %s; try:\n"
      "   weft status %s/ada\n   weft scan %s/bob --prefix airports/S\n"
      "   weft get %s/cleo airports/JFK --json\n",
      elapsed.count(), directory, directory, directory, directory);
  return kDone;
}

}  // namespace

void AddDemoCommand(CommandLine& line) {
  auto data = std::make_shared<std::string>();
  CLI::App* demo =
      line.Add({.name = "demo",
                .arguments = "[DIR]",
                .help = "plays the whole story: three writers, real data",
                .count_min = 0,
                .count_max = 1,
                .directory = CommandSpec::Directory::kNone,
                .has_base = false},
               [data](const Invocation& call) { return PlayDemo(call, *data); });
  demo->add_option("--data", *data,
                   "the airports; default: examples/data/airports.csv");
}

}  // namespace weft::cli
