// The holder's side of a store in use: runs the commands that other processes send
// through the store's socket, each on a thread of its own, on the open store.
//
// What a guest does to its own streams concerns it alone: one that does not read
// stops its command and nothing else; one that is gone ends it. No guest is waited for
// by the store's own thread.

#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "apps/weft/console.h"
#include "apps/weft/control_frame.h"
#include "weft/store.h"

namespace weft::cli {

class ControlServer {
 public:
  // Runs one command on the console of this thread and gives its exit code.
  using Run = std::function<int(const Asked&)>;

  // Statuses of ListenInStore (control_socket.h).
  static absl::StatusOr<std::unique_ptr<ControlServer>> Start(
      const std::string& directory, Store store, Run run);
  // Takes the socket away, gives commands that are under way two seconds to end, and
  // then ends their streams. Returns when all of them are over.
  ~ControlServer();

 private:
  class State;
  explicit ControlServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft::cli
