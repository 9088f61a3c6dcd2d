// The console of a command that another process sent: its streams are frames on a
// socket (control_frame.h).

#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <streambuf>

#include "apps/weft/console.h"
#include "apps/weft/control_frame.h"

namespace weft::cli {

// Writing and reading may happen on two threads at once, as on any pair of streams.
class RemoteConsole final : public Console {
 public:
  // The socket is connected and stays open as long as the console; not owned.
  RemoteConsole(int socket, Store store, bool err_is_terminal);
  ~RemoteConsole() override;

  std::istream& in() override;
  std::ostream& out() override;
  std::ostream& err() override;
  absl::Status in_status() override;
  bool err_is_terminal() const override { return err_is_terminal_; }
  absl::StatusOr<std::unique_ptr<Input>> Open(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<Stream>> Stdio() override;
  absl::StatusOr<std::unique_ptr<Stream>> Run(const std::string& command) override;
  void HoldSignals() override {}
  bool StopAsked() override { return stop_; }
  const Store* held_store() const override { return &store_; }

  // The person has gone, or asked to stop: from any thread.
  void Stop() { stop_ = true; }
  // What is buffered goes out, and then the exit code.
  void Finish(int code);

 private:
  friend class RemoteInput;
  friend class RemoteStream;
  class OutBuffer;
  class InBuffer;

  bool Send(FrameType type, ByteView body);
  // The number of the source that an open or a run makes.
  absl::StatusOr<std::uint64_t> NewSource(FrameType type, const std::string& text);
  absl::StatusOr<std::size_t> Read(std::uint64_t source, char* data, std::size_t size);

  const int socket_;
  const Store store_;
  const bool err_is_terminal_;
  std::atomic<bool> stop_ = false;
  std::mutex sending_;
  std::mutex asking_;  // held from a question to its answer
  std::uint64_t sources_ = 0;
  std::unique_ptr<OutBuffer> out_buffer_;
  std::unique_ptr<OutBuffer> err_buffer_;
  std::unique_ptr<InBuffer> in_buffer_;
  std::unique_ptr<std::ostream> out_;
  std::unique_ptr<std::ostream> err_;
  std::unique_ptr<std::istream> in_;
};

}  // namespace weft::cli
