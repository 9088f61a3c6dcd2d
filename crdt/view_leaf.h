// The state of a key, and the bytes under its leaf in the view root (rule V1).
//
//   lanes    := lane*                                by tag, readable ones only
//   lane     := tag:u8 (00 state:buffer | 01 root:32)
// with the states of crdt/lanes/*.h.
// A state longer than 4 096 bytes is replaced by the root of the trie over its items
// (engine/trie_node.h, item). Items of a register: key op_id, state the rest of its
// live. Items of a record: key 00 op_id, state empty, for each presence op; key
// 01 name, state count:uint live*, for each column that shows something; key 02 tag
// name and the lane's state for each cell of the lanes 3 to 7. Items of a set: key the
// element, state count:uint op_id*. A flag: key op_id, state flags.
//
// Row of the store:
//   key := lanes:u8 last_op:uint register? record? typed? text? list?
// with local numbers; lanes: 1 register | 2 record | 4 typed | 8 text | 16 list. The
// pages of text and list are rows of their own.
// `last_op` is 1 + the arrival number of the newest op on the key; 0: none.

#pragma once

#include <memory>

#include "crdt/lanes/record.h"
#include "crdt/lanes/register.h"
#include "crdt/lanes/sequence.h"
#include "crdt/view_entry.h"

namespace weft {

struct KeyState {
  RegisterLane value;
  std::unique_ptr<RecordLane> record;  // null: nothing ever spoke to it
  std::unique_ptr<TypedLanes> typed;   // the same
  std::unique_ptr<SequenceLane> text;
  std::unique_ptr<SequenceLane> list;
  std::uint64_t last_op = 0;

  KeyState Copy() const;
  bool readable() const {
    return value.readable() || (record && record->readable()) ||
           (typed && typed->Readable(1) != 0) || (text && text->readable()) ||
           (list && list->readable());
  }
  bool has_conflict() const {
    return value.has_conflict() ||
           (record && record->readable() && record->has_conflict()) ||
           (typed && typed->has_conflict(1));
  }
  // Lanes that a reader sees.
  LaneMask lanes() const;
};

// The lanes part of the leaf of a readable key.
Bytes LeafLanesOf(const KeyState& state, const WriterTable& writers);

// Without the pages of text and list.
Bytes EncodeKeyState(const KeyState& state);
// Text and list are to be given their pages before they are used.
// DATA_LOSS  not what EncodeKeyState wrote
absl::StatusOr<KeyState> DecodeKeyState(ByteView row, std::size_t writers);

// What a reader sees. At most `siblings_max` values a register are listed.
ViewEntry Resolve(std::string_view key, const KeyState& state,
                  const WriterTable& writers, std::size_t siblings_max);

}  // namespace weft
