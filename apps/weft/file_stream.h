// Streams of this process: a pair of files, and a shell's command.

#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "apps/weft/console.h"
#include "apps/weft/control_socket.h"

namespace weft::cli {

class FileStream : public Stream {
 public:
  // Owns neither file.  UNAVAILABLE  no more files can be open
  static absl::StatusOr<std::unique_ptr<FileStream>> Of(std::string name, int in,
                                                        int out);
  absl::StatusOr<std::size_t> Read(char* data, std::size_t size) override;
  absl::Status Write(ByteView bytes) override;
  void Cancel() override;
  int file() const override { return in_; }

 protected:
  FileStream(std::string name, int in, int out, Descriptor cancelled);
  const std::string name_;

 private:
  const int in_;
  const int out_;
  const Descriptor cancelled_;  // an eventfd: readable once it is so
};

// Ends by closing the command's stdin and stdout and waiting for its end.
class ShellStream final : public FileStream {
 public:
  static absl::StatusOr<std::unique_ptr<ShellStream>> Start(const std::string& command);
  ~ShellStream() override;

 private:
  ShellStream(const std::string& command, Descriptor socket, Descriptor cancelled,
              pid_t process);

  Descriptor socket_;
  const pid_t process_;
};

// Carries bytes between a stream and a socket that it makes, for who wants a file that
// can be polled. Two threads, one a direction.
class Pump {
 public:
  // UNAVAILABLE  no more files can be open
  static absl::StatusOr<std::unique_ptr<Pump>> Start(std::unique_ptr<Stream> stream);
  // Waits until the owner of TakeSocket has closed it and all it wrote is written.
  ~Pump();

  // The other end, once; the caller closes it.
  int TakeSocket();

 private:
  class State;
  explicit Pump(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft::cli
