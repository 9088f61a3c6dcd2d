// QR codes, read back as a camera's program would begin to.

#include "apps/weft/qr.h"

#include <gtest/gtest.h>

#include <sstream>
#include <vector>

namespace weft::cli {
namespace {

// Rows of modules, true where dark, without the light ones around.
std::vector<std::vector<bool>> Modules(const std::string& text) {
  std::vector<std::vector<bool>> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    line = line.substr(line.find('m') + 1);
    line.resize(line.rfind('\x1b'));
    std::vector<bool> upper;
    std::vector<bool> lower;
    for (std::size_t i = 0; i < line.size();) {
      const bool blank = line[i] == ' ';
      const std::string block = line.substr(i, blank ? 1 : 3);
      i += block.size();
      upper.push_back(blank || block == "▄");
      lower.push_back(blank || block == "▀");
    }
    rows.push_back(upper);
    rows.push_back(lower);
  }
  for (int i = 0; i < 4; ++i) rows.erase(rows.begin());
  for (auto& row : rows) row = {row.begin() + 4, row.end() - 4};
  rows.resize(rows.front().size());
  return rows;
}

TEST(Qr, ACodeHasItsThreeCornersAndItsSize) {
  const auto text = QrText("weft://invite");
  ASSERT_TRUE(text.ok()) << text.status();
  const auto rows = Modules(*text);
  ASSERT_EQ(rows.size(), 21U) << "version 1";
  const std::vector<std::string> corner = {"#######", "#     #", "# ### #", "# ### #",
                                           "# ### #", "#     #", "#######"};
  for (const auto& [top, left] :
       {std::pair(0, 0), std::pair(0, 14), std::pair(14, 0)}) {
    for (std::size_t y = 0; y < 7; ++y) {
      std::string seen;
      for (std::size_t x = 0; x < 7; ++x) {
        const auto& row = rows[static_cast<std::size_t>(top) + y];
        seen += row[static_cast<std::size_t>(left) + x] ? '#' : ' ';
      }
      EXPECT_EQ(seen, corner[y]);
    }
  }
}

TEST(Qr, WhatDoesNotFitIsRefused) {
  EXPECT_TRUE(QrText(std::string(2900, 'x')).ok());
  EXPECT_EQ(QrText(std::string(4096, 'x')).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft::cli
