// An envelope written field by field, so that it may lie.

#pragma once

#include <vector>

#include "crdt/envelope.h"
#include "engine/codec.h"

namespace weft {

struct RawEnvelope {
  struct RawDep {
    std::uint64_t index = 0;  // of the writer in the log's table
    std::uint64_t length = 0;
    TreeHash hash = {};
  };

  std::uint8_t format = 1;
  std::uint8_t kind = 3;
  std::uint64_t sem_version = 1;
  std::uint8_t flags = 0;
  std::uint64_t batch_index = 0;
  std::uint64_t batch_count = 1;
  std::uint64_t ms = 1'000;
  std::uint64_t counter = 0;
  std::uint64_t cite = 0;
  std::uint64_t last_auth = 0;
  std::vector<CoreKey> new_writers;
  std::vector<OpId> new_grants;
  std::vector<RawDep> deps;

  Bytes Encode() const {
    Bytes out;
    Writer writer(&out);
    writer.U8(format);
    writer.U8(kind);
    writer.Uint(sem_version);
    writer.U8(flags);
    for (const std::uint64_t field :
         {batch_index, batch_count, ms, counter, cite, last_auth}) {
      writer.Uint(field);
    }
    writer.Uint(new_writers.size());
    for (const CoreKey& key : new_writers) writer.Raw(key.view());
    writer.Uint(new_grants.size());
    for (const OpId& grant : new_grants) {
      writer.Raw(grant.writer.view());
      writer.Uint(grant.position);
      writer.Uint(grant.op_index);
    }
    writer.Uint(deps.size());
    for (const RawDep& dep : deps) {
      writer.Uint(dep.index);
      writer.Uint(dep.length);
      writer.Raw(dep.hash.view());
    }
    return out;
  }
};

}  // namespace weft
