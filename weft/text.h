// A Text is one text of a base, which several people may type in at once.
//
// A handle, cheap to copy; thread-safe as the base is. Positions count code points of
// the text as it is when the call is made; a Cursor keeps its place while others type.
// Every edit is durable and visible to the next read when its call returns; several in
// one commit go through Batch::InsertText and Batch::DeleteText. Errors as in
// weft/base.h.

#pragma once

#include "weft/base.h"

namespace weft {

class Text {
 public:
  // A place after a character, or at the start, that survives edits: `start`, or
  // `op/offset` of the character. If the character was deleted, the place where it
  // stood.
  struct Cursor {
    std::string name = "start";
  };
  // Code points at `position` that were removed, and what came in their place.
  struct Edit {
    std::uint64_t position = 0;
    std::uint64_t removed = 0;
    std::string inserted;
  };

  Text(Base base, std::string_view key) : base_(std::move(base)), key_(key) {}

  // OUT_OF_RANGE      a position beyond the end
  // INVALID_ARGUMENT  no UTF-8, nothing, or more than 256 KiB at once
  absl::StatusOr<OpName> Insert(std::uint64_t position, std::string_view utf8);
  absl::StatusOr<OpName> Append(std::string_view utf8);
  absl::StatusOr<OpName> Delete(std::uint64_t position, std::uint64_t count);
  // The edits that make the text `utf8`, as one commit: what is in both stays in place,
  // line by line. No ops if it is that already. They are made for the text as it is at
  // that moment: what others type meanwhile and has not arrived here is kept, and may
  // move what is inserted.
  absl::StatusOr<std::vector<OpName>> Replace(std::string_view utf8);

  // Empty where nothing was typed, or all was deleted.
  absl::StatusOr<std::string> Read(std::uint64_t from = 0,
                                   std::uint64_t count = UINT64_MAX) const;
  absl::StatusOr<std::uint64_t> Length() const;

  // OUT_OF_RANGE  a position beyond the end
  absl::StatusOr<Cursor> CursorAt(std::uint64_t position) const;
  // NOT_FOUND  no such character has arrived here
  absl::StatusOr<std::uint64_t> PositionOf(const Cursor& cursor) const;

  // Calls back with what has changed since the last call, as one edit: a slow callback
  // hears of several changes as one, which may span what stayed between them. Otherwise
  // as Base::Watch.
  [[nodiscard]] std::shared_ptr<void> Watch(std::function<void(const Edit&)> callback);

 private:
  // One after the other, in ops that are small enough.
  Batch MakeEdits(const std::vector<Edit>& edits) const;

  Base base_;
  std::string key_;
};

// The edits, to be made one after the other, that turn one text into another.
std::vector<Text::Edit> EditsBetween(std::string_view from, std::string_view to);

}  // namespace weft
