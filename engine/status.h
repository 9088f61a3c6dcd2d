// Propagation of absl::Status: the macros this Abseil does not have.
//
// The WEFT_CO_ twins are for coroutines. Where the expression of a co_await needs
// an aggregate, name the aggregate first: g++ 12 destroys the temporary twice.

#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define WEFT_CAT_(a, b) a##b
#define WEFT_CAT(a, b) WEFT_CAT_(a, b)
#define WEFT_TRY_IMPL_(leave, tmp, decl, expr)  \
  auto tmp = (expr);                            \
  if (!tmp.ok()) leave std::move(tmp).status(); \
  decl = *std::move(tmp)
#define WEFT_ASSIGN_OR_RETURN(decl, expr) \
  WEFT_TRY_IMPL_(return, WEFT_CAT(or_, __LINE__), decl, expr)
#define WEFT_CO_ASSIGN_OR_RETURN(decl, expr) \
  WEFT_TRY_IMPL_(co_return, WEFT_CAT(or_, __LINE__), decl, expr)
#define WEFT_CHECK_OK_IMPL_(leave, expr)                             \
  do {                                                               \
    if (absl::Status status_ = (expr); !status_.ok()) leave status_; \
  } while (false)
#define WEFT_RETURN_IF_ERROR(expr) WEFT_CHECK_OK_IMPL_(return, expr)
#define WEFT_CO_RETURN_IF_ERROR(expr) WEFT_CHECK_OK_IMPL_(co_return, expr)
