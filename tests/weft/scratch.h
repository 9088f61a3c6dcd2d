// A directory for one test, gone with it.

#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace weft {

class Scratch {
 public:
  Scratch() {
    std::string path =
        (std::filesystem::temp_directory_path() / "weft-XXXXXX").string();
    path_ = mkdtemp(path.data());
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const {
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

}  // namespace weft
