#include "apps/weft/input_file.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/status.h"

namespace weft::cli {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

absl::Status Trouble(const std::string& name) {
  return absl::UnavailableError(
      absl::StrFormat("%s: cannot be read: %s", name, std::strerror(errno)));
}

// All of `from` in a temporary file.
absl::StatusOr<File> Spool(std::FILE* from, const std::string& name) {
  File spool(std::tmpfile(), std::fclose);
  if (!spool) return Trouble(name);
  char buffer[1 << 16];
  while (const std::size_t count = std::fread(buffer, 1, sizeof(buffer), from)) {
    if (std::fwrite(buffer, 1, count, spool.get()) != count) return Trouble(name);
  }
  if (std::ferror(from) != 0 || std::fflush(spool.get()) != 0) return Trouble(name);
  return spool;
}

}  // namespace

absl::StatusOr<InputFile> InputFile::Open(const std::string& path) {
  const bool is_stdin = path == "-";
  const std::string name = is_stdin ? "stdin" : path;
  File file(is_stdin ? nullptr : std::fopen(path.c_str(), "rb"), std::fclose);
  if (!is_stdin && !file) return Trouble(name);
  std::FILE* source = is_stdin ? stdin : file.get();
  struct stat about {};
  if (fstat(fileno(source), &about) != 0) return Trouble(name);
  if (S_ISDIR(about.st_mode)) {
    errno = EISDIR;
    return Trouble(name);
  }
  if (is_stdin || !S_ISREG(about.st_mode)) {
    WEFT_ASSIGN_OR_RETURN(file, Spool(source, name));
    if (fstat(fileno(file.get()), &about) != 0) return Trouble(name);
  }
  InputFile input;
  if (about.st_size == 0) return input;
  input.size_ = static_cast<std::size_t>(about.st_size);
  void* mapped =
      mmap(nullptr, input.size_, PROT_READ, MAP_PRIVATE, fileno(file.get()), 0);
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
