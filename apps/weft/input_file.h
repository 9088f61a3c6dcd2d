// A file, or stdin, as one text that is not in memory: the system brings in what is
// read and drops it again. What is no plain file of this process (a pipe, say, or the
// file of a guest) is copied to a temporary file first, which has no name and ends with
// the process.

#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace weft::cli {

class InputFile {
 public:
  // `path`, or "-" for stdin.  UNAVAILABLE  it cannot be read; names it
  static absl::StatusOr<InputFile> Open(const std::string& path);

  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  // Valid as long as this object. A file that somebody else cuts shorter meanwhile ends
  // the process, as the system has no other way to say so.
  std::string_view text() const { return {data_, size_}; }

 private:
  InputFile() = default;

  const char* data_ = nullptr;  // mapped; null if there are no bytes
  std::size_t size_ = 0;
};

}  // namespace weft::cli
