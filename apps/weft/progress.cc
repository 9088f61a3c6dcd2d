#include "apps/weft/progress.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "apps/weft/console.h"

namespace weft::cli {

ProgressBar::ProgressBar(std::string label)
    : label_(std::move(label)), enabled_(Console::Current().err_is_terminal()) {}

ProgressBar::~ProgressBar() {
  if (drawn_) Err() << "\r\x1b[K" << std::flush;
}

void ProgressBar::Show(std::uint64_t done, std::uint64_t total) {
  if (!enabled_) return;
  const auto now = std::chrono::steady_clock::now();
  if (drawn_ && now < next_ && done < total) return;
  next_ = now + std::chrono::milliseconds(100);
  drawn_ = true;
  constexpr std::size_t kWidth = 30;
  std::string bar = absl::StrFormat("\r\x1b[K%s %d", label_, done);
  if (total > 0) {
    const double share =
        std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    const auto filled = static_cast<std::size_t>(share * static_cast<double>(kWidth));
    bar = absl::StrFormat("\r\x1b[K%s [%s%s] %3.0f %%  %d of %d", label_,
                          std::string(filled, '#'), std::string(kWidth - filled, '.'),
                          share * 100, done, total);
  }
  Err() << bar << std::flush;
}

}  // namespace weft::cli
