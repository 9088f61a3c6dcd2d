// The certificate of a later log of somebody whose keys a test has (rule S2).

#pragma once

#include "crdt/identity.h"

namespace weft {

// Of `later`, which goes on after so many blocks of his first log.
inline Incarnation CertifyLater(const IdentityKeys& keys, const BaseId& base_id,
                                const CoreKey& later, std::uint64_t prev_length = 0,
                                const TreeHash& prev_tree_hash = {}) {
  Incarnation certificate;
  certificate.identity = keys.id();
  certificate.manifest = keys.manifest;
  certificate.number = 1;
  certificate.prev_core = keys.id();
  certificate.prev_length = prev_length;
  certificate.prev_tree_hash = prev_tree_hash;
  certificate.signatures.push_back(
      {0,
       Sign(keys.pair.secret_key, IncarnationSignable(base_id, later, certificate))});
  return certificate;
}

}  // namespace weft
