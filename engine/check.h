// WEFT_CHECK is for what only a bug of ours can do: it stops the process before a
// wrong block is signed. What the world can do to us is an absl::Status instead.

#pragma once

#include <cstdio>
#include <cstdlib>

#define WEFT_CHECK(condition)                                               \
  do {                                                                      \
    if (!(condition)) [[unlikely]] {                                        \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, \
                   #condition);                                             \
      std::abort();                                                         \
    }                                                                       \
  } while (false)
