// An io_context run with its steps measured.

#pragma once

#include <asio/io_context.hpp>

#include "engine/stall_meter.h"

namespace weft {

// Like io.run(). A step is one handler; what counts is the processor time it takes,
// so that neither waiting for the network nor a sync of the disk nor another program
// on the machine looks like work.
void RunMetered(asio::io_context& io, StallMeter& meter);

}  // namespace weft
