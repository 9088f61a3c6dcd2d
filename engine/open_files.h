// File descriptors: how many this process may hold, and who gets how many of them.

#pragma once

#include <cstdint>

namespace weft {

// Lets the process hold as many as the machine allows it, at most 65 536. For a program
// to call before it opens a store; a library leaves the limits of its process alone.
void RaiseOpenFilesLimit();

// As many as this process may hold now; 256 if nobody knows.
std::uint64_t OpenFilesLimit();

// Of `limit` descriptors: those that the database of one store keeps open at most, and
// those that are left for connections once it and 64 others have theirs (at least 8).
std::uint64_t OpenFilesOfStorage(std::uint64_t limit);
std::uint64_t OpenFilesForPeers(std::uint64_t limit);

}  // namespace weft
