// The elements of a text or list in their order, deleted ones among them: pieces, each
// a stretch of one writer's elements that stand one after the other and are all live or
// all deleted, in chunks.
//
// Finds an element's place by its id, and an element by its place among the live ones.
// An edit touches one chunk; what it costs besides is a pass over one number a chunk.

#pragma once

#include <memory>
#include <vector>

#include "absl/container/btree_map.h"
#include "crdt/lanes/sequence_log.h"

namespace weft {

// Not thread-safe for changes; any thread may read while nobody changes it.
class SequenceRope {
 public:
  struct Piece {
    Element first;
    std::uint32_t count = 0;
    bool dead = false;
  };

  SequenceRope() = default;
  SequenceRope(const SequenceRope& other);
  SequenceRope& operator=(const SequenceRope&) = delete;

  // At the end of everything.
  void Append(const Piece& piece) { InsertBefore(kSequenceEnd, piece); }
  // `at` is an element that is here, or kSequenceStart, or kSequenceEnd.
  void InsertAfter(Element at, const Piece& piece);
  void InsertBefore(Element at, const Piece& piece);
  // Elements of one writer, wherever they stand; those that are dead stay so.
  void Kill(Element first, std::uint32_t count);

  std::uint64_t live() const { return live_total_; }
  // The element that follows; kSequenceStart has the first one after it.
  Element Next(Element element) const;
  // The first element of the piece after that of `element`.
  Element NextPiece(Element element) const;
  // So many elements from this one on are of its piece.
  std::uint32_t RunFrom(Element element) const;
  // Whether `a` stands before `b`; kSequenceEnd stands after all.
  bool Precedes(Element a, Element b) const;
  // Live elements before this one.
  std::uint64_t LiveBefore(Element element) const;
  // The n-th live element, n < live().
  Element AtLive(std::uint64_t n) const;

  // Calls back with each stretch of live elements from the n-th on, `count` in all.
  template <class Visit>
  void ForEachLive(std::uint64_t n, std::uint64_t count, Visit visit) const {
    std::size_t chunk = 0;
    for (; chunk < live_.size() && n >= live_[chunk]; ++chunk) n -= live_[chunk];
    for (; chunk < chunks_.size() && count > 0; ++chunk) {
      for (const Piece& piece : chunks_[chunk]->pieces) {
        if (piece.dead || count == 0) continue;
        if (n >= piece.count) {
          n -= piece.count;
          continue;
        }
        const auto skip = static_cast<std::uint32_t>(n);
        const std::uint64_t take = std::min<std::uint64_t>(piece.count - skip, count);
        visit(Element{piece.first.writer, piece.first.clock + skip},
              static_cast<std::uint32_t>(take));
        count -= take;
        n = 0;
      }
    }
  }

 private:
  struct Chunk {
    std::vector<Piece> pieces;
    std::size_t number = 0;  // place in chunks_
  };
  struct Place {
    Chunk* chunk = nullptr;
    std::size_t piece = 0;
    std::uint32_t offset = 0;  // in the piece
  };

  Place Find(Element element) const;
  void InsertAt(Chunk* chunk, std::size_t at, const Piece& piece);
  // Splits the piece so that its first `count` elements are a piece of their own.
  void Cleave(Chunk* chunk, std::size_t at, std::uint32_t count);
  void SplitChunk(Chunk* chunk);
  void Join(Chunk* chunk, std::size_t at);  // with the one after it, if they match
  void NotePlace(const Piece& piece, Chunk* chunk);

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<std::uint64_t> live_;  // by chunk
  std::uint64_t live_total_ = 0;
  // By writer: the chunk of the piece that begins at a clock.
  std::vector<absl::btree_map<std::uint32_t, Chunk*>> where_;
};

}  // namespace weft
