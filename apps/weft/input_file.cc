#include "apps/weft/input_file.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "apps/weft/console.h"
#include "engine/status.h"

namespace weft::cli {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

absl::Status Trouble(const std::string& name) {
  return absl::UnavailableError(
      absl::StrFormat("%s: cannot be read: %s", name, std::strerror(errno)));
}

// All of `from` in a temporary file.
absl::StatusOr<File> Spool(Input& from, const std::string& name) {
  File spool(std::tmpfile(), std::fclose);
  if (!spool) return Trouble(name);
  char buffer[1 << 16];
  for (;;) {
    WEFT_ASSIGN_OR_RETURN(const std::size_t count, from.Read(buffer, sizeof(buffer)));
    if (count == 0) break;
    if (std::fwrite(buffer, 1, count, spool.get()) != count) return Trouble(name);
  }
  if (std::fflush(spool.get()) != 0) return Trouble(name);
  return spool;
}

}  // namespace

absl::StatusOr<InputFile> InputFile::Open(const std::string& path) {
  const bool is_stdin = path == "-";
  const std::string name = is_stdin ? "stdin" : path;
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Input> source,
                        Console::Current().Open(path));
  struct stat about {};
  int file = source->file();
  File spool(nullptr, std::fclose);
  if (file >= 0 && fstat(file, &about) != 0) return Trouble(name);
  if (file < 0 || is_stdin || !S_ISREG(about.st_mode)) {
    WEFT_ASSIGN_OR_RETURN(spool, Spool(*source, name));
    file = fileno(spool.get());
    if (fstat(file, &about) != 0) return Trouble(name);
  }
  InputFile input;
  if (about.st_size == 0) return input;
  input.size_ = static_cast<std::size_t>(about.st_size);
  void* mapped = mmap(nullptr, input.size_, PROT_READ, MAP_PRIVATE, file, 0);
  if (mapped == MAP_FAILED) return Trouble(name);
  input.data_ = static_cast<const char*>(mapped);
  return input;
}

InputFile::InputFile(InputFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

InputFile::~InputFile() {
  if (data_ != nullptr) munmap(const_cast<char*>(data_), size_);
}

}  // namespace weft::cli
