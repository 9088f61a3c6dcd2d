// Waiting for the person to end a command that stays: SIGINT and SIGTERM.

#pragma once

#include <chrono>

namespace weft::cli {

// Blocks both signals for this thread and for those it starts later. Call it before a
// store is opened, or a thread of the store takes the signal.
void HoldSignals();
// True when one of them came; false after so long without.
bool AwaitSignal(std::chrono::milliseconds patience);
// Both signals end the process again.
void ReleaseSignals();
// True once one of them came; takes it.
bool SignalPending();
// A file descriptor that can be read once one of them came; the caller closes it.
int SignalFile();

}  // namespace weft::cli
