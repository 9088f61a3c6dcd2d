// The stage of the demo: three people, each with a store and processes of their own,
// and a narrator who runs `weft` for them and keeps book of every op they write.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/weft/json.h"
#include "apps/weft/process.h"

namespace weft::cli {

struct Person {
  std::string name;
  std::string store;
  std::string identity;
};

// One op that somebody wrote, with what he meant by it.
struct WrittenOp {
  std::string op;
  std::string author;
  std::string words;
};

class Stage {
 public:
  // `program` is the path of `weft`. Silent: nothing is told.
  Stage(std::string program, std::string directory, bool silent);

  Person& ada() { return people_[0]; }
  Person& bob() { return people_[1]; }
  Person& cleo() { return people_[2]; }
  std::vector<Person>& people() { return people_; }
  // Of an identity; the identity itself if it is nobody's here.
  std::string NameOf(const std::string& identity) const;

  // A line of the story; a heading with an empty line before it.
  void Tell(std::string_view line) const;
  void Heading(std::string_view line) const;

  // Runs `weft COMMAND STORE ARGUMENTS --json` in a process of its own and gives its
  // object. Told as the person would type it. UNAVAILABLE  with its line on stderr, if
  // it does not end with 0
  absl::StatusOr<Json> Weft(const Person& person, const std::string& command,
                            const std::vector<std::string>& arguments,
                            std::string_view input = "", bool told = true) const;
  // The same for a command that is to end with `exit_code`; gives its line on stderr.
  absl::StatusOr<std::string> Refused(const Person& person, const std::string& command,
                                      const std::vector<std::string>& arguments,
                                      int exit_code) const;
  // A change: runs it and books its op.
  absl::Status Change(const Person& person, const std::string& command,
                      const std::vector<std::string>& arguments,
                      const std::string& words);
  void Book(const std::string& op, const Person& person, const std::string& words);

  // The person's store, serving in a process of its own until the object is gone.
  struct Server {
    std::unique_ptr<Background> process;
    std::string address;
  };
  absl::StatusOr<Server> Serve(const Person& person) const;

  const std::vector<WrittenOp>& written() const { return written_; }

 private:
  std::vector<std::string> Command(const Person& person, const std::string& command,
                                   const std::vector<std::string>& arguments,
                                   bool json) const;

  std::string program_;
  bool silent_;
  std::vector<Person> people_;
  std::vector<WrittenOp> written_;
};

}  // namespace weft::cli
