// The guest's side of a store in use: sends a command to the process that holds the
// store, and is its eyes and hands until it ends.

#pragma once

#include <optional>

#include "apps/weft/control_frame.h"
#include "apps/weft/control_socket.h"

namespace weft::cli {

// Gives the command's exit code; nullopt if the holder was about to close the store and
// has begun nothing. Reads stdin only when the command does, and opens only files that
// are named among the arguments. `holds_signals`: a signal to stop is passed on, and
// the command ends in its own way; otherwise it ends this process, and with it the
// command.
std::optional<int> RunThroughHolder(const Holder& holder, const Asked& asked,
                                    bool holds_signals);

}  // namespace weft::cli
