// What the stores should show, told a second time and naively: the register and the
// record lane (rules D1, D8, D11), computed from all writes at once, in the words of
// the specification, with happens-before taken from what each author had seen. Shares
// no code with the lanes; quadratic in the ops of a key.

#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/world.h"

namespace weft::sim {

// One change of one write.
struct ModelOp {
  const WriteRecord* write = nullptr;
  std::size_t change = 0;

  const OpName& name() const { return write->ops[change]; }
  const Batch::Change& what() const { return write->batch.changes()[change]; }
  bool Removes(Lane lane) const {
    return (write->removed_lanes[change] & MaskOf(lane)) != 0;
  }
  bool IsPut() const { return what().kind == Batch::Change::Kind::kPut; }
  // Sets or unsets cells.
  bool IsRecordOp() const {
    return what().kind == Batch::Change::Kind::kSet ||
           what().kind == Batch::Change::Kind::kUnset;
  }
};

// Whether `a` lies in the past of `b`.
bool Before(const ModelOp& a, const ModelOp& b);

using ModelValues = std::map<OpName, Datum>;

struct ModelEntry {
  ModelValues values;
  bool deleted_concurrently = false;  // of the register lane
  std::set<OpName> presence;
  std::map<std::string, ModelValues> cells;  // no empty ones

  bool readable() const { return !values.empty() || !presence.empty(); }
};

class Model {
 public:
  // What a replica shows that holds these prefixes of the logs. `writes` must outlive
  // the model.
  Model(const std::vector<WriteRecord>& writes, const VersionVector& held);

  // The readable keys.
  const std::map<std::string, ModelEntry>& entries() const { return entries_; }
  // The effective ops on the key, in no order.
  const std::vector<ModelOp>& OpsOn(const std::string& key) const;
  // The history of a key for a person: what was done and what its author had seen.
  std::string Describe(const std::string& key) const;
  // Null if no effective op has this name.
  const ModelOp* Find(const OpName& name) const;

 private:
  static ModelEntry Merge(const std::vector<ModelOp>& ops);

  std::map<std::string, std::vector<ModelOp>> ops_;  // by key
  std::map<OpName, ModelOp> names_;
  std::map<std::string, ModelEntry> entries_;
};

// Empty, or how what a store shows differs from what it should, and why it should.
std::string Difference(const Model& model, const std::vector<Entry>& shown);

// For people and for hashes.
std::string ToText(const std::vector<Entry>& entries);

}  // namespace weft::sim
