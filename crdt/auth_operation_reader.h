// The parser of auth payloads: a part of the one parser in crdt/operation.cc, which
// verifies the buffer before this reads it.

#pragma once

#include <string>

#include "crdt/operation.h"
#include "crdt/operation_columns.h"
#include "operation_generated.h"

namespace weft {

class AuthReader {
 public:
  AuthReader(const wire::AuthPayload& wire, const Limits& limits);

  // S8: what is not built or not known, before anything else is judged; or nothing.
  std::string FindUnknown() const;
  // The reason why the payload is invalid, or nothing.
  std::string Read(Payload& payload);

 private:
  std::string ReadOp(AuthOpType type, AuthOperation* operation);
  std::string ReadGrant(std::uint8_t flags, AuthOperation* operation);
  std::string ReadRevoke(std::uint8_t flags, AuthOperation* operation);
  std::string ReadInvite(AuthOperation* operation);
  std::string ReadRedeem(AuthOperation* operation);
  std::string ReadVerdict(AuthOpType type, AuthOperation* operation);
  std::string ReadHide(std::uint8_t flags, bool hide, AuthOperation* operation);
  template <class Key>
  Key ReadKey();
  // Of an op whose writer is `writer`; false: an op index that none can have.
  bool ReadOpId(const CoreKey& writer, OpId* id);
  bool intact() const;

  std::span<const std::uint8_t> ops_;
  std::span<const std::uint8_t> flag_column_;
  Stream<std::uint8_t> flags_;
  Stream<std::uint8_t> keys_;
  Stream<std::uint64_t> numbers_;
  Stream<std::uint32_t> sizes_;
  Stream<std::uint8_t> heap_;
  const Limits& limits_;
};

}  // namespace weft
