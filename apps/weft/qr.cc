#include "apps/weft/qr.h"

#include <qrencode.h>

#include <memory>

#include "absl/strings/str_format.h"

namespace weft::cli {
namespace {

constexpr int kQuiet = 4;  // light modules around the code

constexpr const char* kBegin = "\x1b[40;97m";  // light on dark, whatever the terminal's
constexpr const char* kEnd = "\x1b[0m\n";

}  // namespace

absl::StatusOr<std::string> QrText(std::string_view text) {
  const std::unique_ptr<QRcode, void (*)(QRcode*)> code(
      QRcode_encodeData(static_cast<int>(text.size()),
                        reinterpret_cast<const unsigned char*>(text.data()), 0,
                        QR_ECLEVEL_L),
      QRcode_free);
  if (code == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%d bytes do not fit in a QR code", text.size()));
  }
  const auto light = [&](int x, int y) {
    if (x < 0 || y < 0 || x >= code->width || y >= code->width) return true;
    return (code->data[y * code->width + x] & 1) == 0;
  };
  std::string lines;
  for (int y = -kQuiet; y < code->width + kQuiet; y += 2) {
    lines += kBegin;
    for (int x = -kQuiet; x < code->width + kQuiet; ++x) {
      const bool upper = light(x, y);
      const bool lower = light(x, y + 1);
      lines += upper ? (lower ? "█" : "▀") : (lower ? "▄" : " ");
    }
    lines += kEnd;
  }
  return lines;
}

}  // namespace weft::cli
