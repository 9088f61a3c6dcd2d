#include "apps/weft/demo_story.h"

#include "absl/strings/str_format.h"
#include "apps/weft/console.h"
#include "engine/status.h"

namespace weft::cli {
namespace {

// As one would type it.
std::string Quoted(const std::string& word) {
  if (!word.empty() && word.find_first_of(" '\"$&|;<>()*?") == std::string::npos) {
    return word;
  }
  std::string quoted = "'";
  for (const char character : word) {
    if (character == '\'') {
      quoted += "'\\''";
    } else {
      quoted.push_back(character);
    }
  }
  return quoted + "'";
}

std::string LastLine(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const std::size_t start = text.rfind('\n');
  return start == std::string::npos ? text : text.substr(start + 1);
}

}  // namespace

Stage::Stage(std::string program, std::string directory, bool silent)
    : program_(std::move(program)), silent_(silent) {
  for (const char* name : {"Ada", "Bob", "Cleo"}) {
    std::string store = directory + "/" + name;
    store[directory.size() + 1] = static_cast<char>(store[directory.size() + 1] + 32);
    people_.push_back({.name = name, .store = std::move(store), .identity = ""});
  }
}

std::string Stage::NameOf(const std::string& identity) const {
  for (const Person& person : people_) {
    if (person.identity == identity) return person.name;
  }
  return identity;
}

void Stage::Tell(std::string_view line) const {
  if (!silent_) Out() << "   " << line << std::endl;
}

void Stage::Heading(std::string_view line) const {
  if (!silent_) Out() << '\n' << line << std::endl;
}

std::vector<std::string> Stage::Command(const Person& person,
                                        const std::string& command,
                                        const std::vector<std::string>& arguments,
                                        bool json) const {
  std::vector<std::string> words{program_, command, person.store};
  words.insert(words.end(), arguments.begin(), arguments.end());
  if (json) words.push_back("--json");
  return words;
}

absl::StatusOr<Json> Stage::Weft(const Person& person, const std::string& command,
                                 const std::vector<std::string>& arguments,
                                 std::string_view input, bool told) const {
  if (told) {
    std::string line = "$ weft";
    const auto words = Command(person, command, arguments, /*json=*/false);
    for (std::size_t i = 1; i < words.size(); ++i) line += " " + Quoted(words[i]);
    Tell(line);
  }
  WEFT_ASSIGN_OR_RETURN(const Ran ran,
                        RunProgram(Command(person, command, arguments, true), input));
  if (ran.exit_code != 0) {
    return absl::UnavailableError(absl::StrFormat("'weft %s' of %s ended with %d: %s",
                                                  command, person.name, ran.exit_code,
                                                  LastLine(ran.err)));
  }
  Json result = Json::parse(ran.out, nullptr, /*allow_exceptions=*/false);
  if (result.is_discarded()) {
    return absl::InternalError(
        absl::StrFormat("'weft %s' printed no JSON: %s", command, ran.out));
  }
  return result;
}

absl::StatusOr<std::string> Stage::Refused(const Person& person,
                                           const std::string& command,
                                           const std::vector<std::string>& arguments,
                                           int exit_code) const {
  std::string line = "$ weft";
  const auto words = Command(person, command, arguments, /*json=*/false);
  for (std::size_t i = 1; i < words.size(); ++i) line += " " + Quoted(words[i]);
  Tell(line);
  WEFT_ASSIGN_OR_RETURN(const Ran ran, RunProgram(words));
  if (ran.exit_code != exit_code) {
    return absl::InternalError(
        absl::StrFormat("'weft %s' of %s ended with %d and not with %d", command,
                        person.name, ran.exit_code, exit_code));
  }
  return LastLine(ran.err);
}

absl::Status Stage::Change(const Person& person, const std::string& command,
                           const std::vector<std::string>& arguments,
                           const std::string& words) {
  WEFT_ASSIGN_OR_RETURN(const Json result, Weft(person, command, arguments));
  Book(result.at("op").get<std::string>(), person, words);
  return absl::OkStatus();
}

void Stage::Book(const std::string& op, const Person& person,
                 const std::string& words) {
  written_.push_back({.op = op, .author = person.name, .words = words});
}

absl::StatusOr<Stage::Server> Stage::Serve(const Person& person) const {
  WEFT_ASSIGN_OR_RETURN(
      auto process,
      Background::Start(Command(person, "serve", {"--listen", "127.0.0.1:0"}, true)));
  const std::string line = process->ReadLine();
  const Json first = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!first.is_object() || !first.contains("listening")) {
    return absl::UnavailableError(
        absl::StrFormat("'weft serve' of %s did not begin to listen", person.name));
  }
  const std::string address = first.at("listening").get<std::string>();
  Tell(absl::StrFormat("$ weft serve %s --listen %s &", person.store, address));
  return Server{.process = std::move(process), .address = address};
}

}  // namespace weft::cli
