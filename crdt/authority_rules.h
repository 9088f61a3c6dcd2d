// Which role may do what within which scope (6.1, P2): shared by whoever judges a batch
// and whoever is about to sign one.

#pragma once

#include <string>

#include "crdt/authority.h"

namespace weft {

// Why `op` is beyond `cited`, or nothing.
std::string RefuseData(const Grant& cited, const Operation& op);
// The same. `resigns`: it is a revoke of `cited` itself.
std::string RefuseAuth(const Grant& cited, const AuthOperation& operation, bool resigns,
                       const Limits& limits);

}  // namespace weft
