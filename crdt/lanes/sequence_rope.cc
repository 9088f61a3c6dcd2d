#include "crdt/lanes/sequence_rope.h"

#include <algorithm>

namespace weft {
namespace {

constexpr std::size_t kChunkPiecesMax = 128;

bool Follows(const SequenceRope::Piece& a, const SequenceRope::Piece& b) {
  return a.first.writer == b.first.writer && a.first.clock + a.count == b.first.clock &&
         a.dead == b.dead;
}

}  // namespace

SequenceRope::SequenceRope(const SequenceRope& other) {
  for (const auto& chunk : other.chunks_) {
    for (const Piece& piece : chunk->pieces) Append(piece);
  }
}

void SequenceRope::NotePlace(const Piece& piece, Chunk* chunk) {
  const WriterNumber writer = piece.first.writer;
  if (writer >= where_.size()) where_.resize(writer + 1);
  where_[writer][piece.first.clock] = chunk;
}

SequenceRope::Place SequenceRope::Find(Element element) const {
  auto found = where_[element.writer].upper_bound(element.clock);
  --found;
  Place place;
  place.chunk = found->second;
  const Element first{element.writer, found->first};
  const std::vector<Piece>& pieces = place.chunk->pieces;
  while (pieces[place.piece].first != first) ++place.piece;
  place.offset = element.clock - first.clock;
  return place;
}

void SequenceRope::InsertAt(Chunk* chunk, std::size_t at, const Piece& piece) {
  if (!piece.dead) {
    live_[chunk->number] += piece.count;
    live_total_ += piece.count;
  }
  std::vector<Piece>& pieces = chunk->pieces;
  if (at > 0 && Follows(pieces[at - 1], piece)) {
    pieces[at - 1].count += piece.count;
    return;
  }
  pieces.insert(pieces.begin() + static_cast<std::ptrdiff_t>(at), piece);
  NotePlace(piece, chunk);
  if (pieces.size() > kChunkPiecesMax) SplitChunk(chunk);
}

// What is appended leaves its chunk full; in the middle both halves have room.
void SequenceRope::SplitChunk(Chunk* chunk) {
  const std::size_t number = chunk->number;
  const bool is_last = number + 1 == chunks_.size();
  const std::size_t keep = is_last ? kChunkPiecesMax * 3 / 4 : kChunkPiecesMax / 2;
  auto made = std::make_unique<Chunk>();
  made->pieces.assign(chunk->pieces.begin() + static_cast<std::ptrdiff_t>(keep),
                      chunk->pieces.end());
  chunk->pieces.resize(keep);
  std::uint64_t moved = 0;
  for (const Piece& piece : made->pieces) {
    NotePlace(piece, made.get());
    if (!piece.dead) moved += piece.count;
  }
  live_[number] -= moved;
  live_.insert(live_.begin() + static_cast<std::ptrdiff_t>(number) + 1, moved);
  chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(number) + 1,
                 std::move(made));
  for (std::size_t i = number + 1; i < chunks_.size(); ++i) chunks_[i]->number = i;
}

void SequenceRope::Cleave(Chunk* chunk, std::size_t at, std::uint32_t count) {
  Piece& piece = chunk->pieces[at];
  Piece rest = piece;
  rest.first.clock += count;
  rest.count -= count;
  piece.count = count;
  chunk->pieces.insert(chunk->pieces.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                       rest);
  NotePlace(rest, chunk);
}

void SequenceRope::InsertAfter(Element at, const Piece& piece) {
  if (at == kSequenceStart) {
    if (chunks_.empty()) return InsertBefore(kSequenceEnd, piece);
    return InsertAt(chunks_.front().get(), 0, piece);
  }
  const Place place = Find(at);
  const Piece& before = place.chunk->pieces[place.piece];
  if (place.offset + 1 < before.count) {
    Cleave(place.chunk, place.piece, place.offset + 1);
  }
  InsertAt(place.chunk, place.piece + 1, piece);
}

void SequenceRope::InsertBefore(Element at, const Piece& piece) {
  if (at == kSequenceEnd) {
    if (chunks_.empty()) {
      chunks_.push_back(std::make_unique<Chunk>());
      live_.push_back(0);
    }
    Chunk* last = chunks_.back().get();
    return InsertAt(last, last->pieces.size(), piece);
  }
  Place place = Find(at);
  if (place.offset > 0) {
    Cleave(place.chunk, place.piece, place.offset);
    ++place.piece;
  }
  InsertAt(place.chunk, place.piece, piece);
}

void SequenceRope::Join(Chunk* chunk, std::size_t at) {
  std::vector<Piece>& pieces = chunk->pieces;
  if (at + 1 >= pieces.size() || !Follows(pieces[at], pieces[at + 1])) return;
  where_[pieces[at].first.writer].erase(pieces[at + 1].first.clock);
  pieces[at].count += pieces[at + 1].count;
  pieces.erase(pieces.begin() + static_cast<std::ptrdiff_t>(at) + 1);
}

void SequenceRope::Kill(Element first, std::uint32_t count) {
  while (count > 0) {
    Place place = Find(first);
    Chunk* const chunk = place.chunk;
    const std::uint32_t left = chunk->pieces[place.piece].count - place.offset;
    const std::uint32_t taken = std::min(count, left);
    if (!chunk->pieces[place.piece].dead) {
      if (place.offset > 0) Cleave(chunk, place.piece++, place.offset);
      if (taken < left) Cleave(chunk, place.piece, taken);
      chunk->pieces[place.piece].dead = true;
      live_[chunk->number] -= taken;
      live_total_ -= taken;
      Join(chunk, place.piece);
      if (place.piece > 0) Join(chunk, place.piece - 1);
      if (chunk->pieces.size() > kChunkPiecesMax) SplitChunk(chunk);
    }
    first.clock += taken;
    count -= taken;
  }
}

Element SequenceRope::Next(Element element) const {
  if (element == kSequenceStart) {
    return chunks_.empty() ? kSequenceEnd : chunks_.front()->pieces.front().first;
  }
  const Place place = Find(element);
  const Piece& piece = place.chunk->pieces[place.piece];
  if (place.offset + 1 < piece.count) return {element.writer, element.clock + 1};
  return NextPiece(element);
}

Element SequenceRope::NextPiece(Element element) const {
  const Place place = Find(element);
  if (place.piece + 1 < place.chunk->pieces.size()) {
    return place.chunk->pieces[place.piece + 1].first;
  }
  const std::size_t number = place.chunk->number + 1;
  return number < chunks_.size() ? chunks_[number]->pieces.front().first : kSequenceEnd;
}

std::uint32_t SequenceRope::RunFrom(Element element) const {
  const Place place = Find(element);
  return place.chunk->pieces[place.piece].count - place.offset;
}

bool SequenceRope::Precedes(Element a, Element b) const {
  if (a == b || a == kSequenceEnd) return false;
  if (b == kSequenceEnd) return true;
  const Place left = Find(a);
  const Place right = Find(b);
  if (left.chunk != right.chunk) return left.chunk->number < right.chunk->number;
  return std::pair(left.piece, left.offset) < std::pair(right.piece, right.offset);
}

std::uint64_t SequenceRope::LiveBefore(Element element) const {
  if (element == kSequenceStart) return 0;
  if (element == kSequenceEnd) return live_total_;
  const Place place = Find(element);
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < place.chunk->number; ++i) before += live_[i];
  for (std::size_t i = 0; i < place.piece; ++i) {
    const Piece& piece = place.chunk->pieces[i];
    if (!piece.dead) before += piece.count;
  }
  return before + (place.chunk->pieces[place.piece].dead ? 0 : place.offset);
}

Element SequenceRope::AtLive(std::uint64_t n) const {
  std::size_t chunk = 0;
  while (n >= live_[chunk]) n -= live_[chunk++];
  for (const Piece& piece : chunks_[chunk]->pieces) {
    if (piece.dead) continue;
    if (n < piece.count) {
      return {piece.first.writer, piece.first.clock + static_cast<std::uint32_t>(n)};
    }
    n -= piece.count;
  }
  return kSequenceEnd;
}

}  // namespace weft
