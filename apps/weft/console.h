// The console of a command: where it reads from, where it writes to, and whether the
// person still waits. A command run in this process has the process's own streams; one
// that came through the socket of a store in use (control_server.h) has those of the
// process that sent it. A command never names std::cin, std::cout or std::cerr.
//
// A console belongs to the thread that runs its command. Callbacks on other threads do
// not see it: they take what they need along, or hand over what they have to say.

#pragma once

#include <istream>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/bytes.h"
#include "weft/store.h"

namespace weft::cli {

// Bytes that the person gives: stdin, or a file.
class Input {
 public:
  virtual ~Input() = default;
  // At least one byte and at most `size`; 0 at the end. Waits.
  // UNAVAILABLE  it cannot be read, or the person has gone
  virtual absl::StatusOr<std::size_t> Read(char* data, std::size_t size) = 0;
  // The open file of this process behind it; -1 if there is none.
  virtual int file() const { return -1; }
};

// Bytes both ways. Reading and writing may happen on two threads at once.
class Stream : public Input {
 public:
  // All of them; waits.  UNAVAILABLE  the other side has gone
  virtual absl::Status Write(ByteView bytes) = 0;
  // Ends a Read that waits, and every later one. From any thread.
  virtual void Cancel() = 0;
};

class Console {
 public:
  virtual ~Console() = default;

  virtual std::istream& in() = 0;
  virtual std::ostream& out() = 0;
  virtual std::ostream& err() = 0;
  // Not OK if stdin broke off before its end: what was read is not all there is.
  virtual absl::Status in_status() = 0;
  virtual bool err_is_terminal() const = 0;
  // A file of the person's, who may stand in another directory; "-" is stdin.
  // UNAVAILABLE  it cannot be opened; says why
  virtual absl::StatusOr<std::unique_ptr<Input>> Open(const std::string& path) = 0;

  // Stdin and stdout as one stream; the command uses them for nothing else.
  virtual absl::StatusOr<std::unique_ptr<Stream>> Stdio() = 0;
  // Stdout and stdin of a shell's command that is run where the person stands; it ends
  // with the stream.  UNAVAILABLE  it cannot be started
  virtual absl::StatusOr<std::unique_ptr<Stream>> Run(const std::string& command) = 0;

  // From now on a signal to stop is no end of the process but what StopAsked tells.
  // Call it before a store is opened, or a thread of the store takes the signal.
  virtual void HoldSignals() = 0;
  // The person wants the command to end. From any thread; never waits.
  virtual bool StopAsked() = 0;

  // The store the command works on where that is open already; null: it opens one.
  virtual const Store* held_store() const { return nullptr; }

  // Of the command this thread runs; the process's own if it runs none.
  static Console& Current();
  static Console& OfProcess();

  // Makes the console that of this thread as long as it lives.
  class Use {
   public:
    explicit Use(Console& console);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Console* before_;
  };
};

inline std::ostream& Out() {
  return Console::Current().out();
}
inline std::ostream& Err() {
  return Console::Current().err();
}
inline std::istream& In() {
  return Console::Current().in();
}

// All of stdin, or of a file, up to `bytes_max`.
// UNAVAILABLE  it cannot be read;  INVALID_ARGUMENT  it is longer
absl::StatusOr<std::string> ReadAll(const std::string& path, std::size_t bytes_max);

// True once something was read from the process's stdin, which is gone then.
bool StdinTouched();

}  // namespace weft::cli
