// A progress bar on stderr, for work that a person waits for. Draws nothing where
// stderr is no terminal.

#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace weft::cli {

class ProgressBar {
 public:
  explicit ProgressBar(std::string label);
  ~ProgressBar();  // wipes the bar
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // Draws at most ten times a second. `total` 0: not known.
  void Show(std::uint64_t done, std::uint64_t total);

 private:
  std::string label_;
  bool enabled_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace weft::cli
