// The driver of a fuzz harness where there is no libFuzzer: runs it over inputs made
// from fixed seeds and over every file of the folders named on the command line,
// whole, cut short and with one bit turned. A crash or a failed check fails the test.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

void Run(const Input& input) {
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

// Mostly small numbers with some large ones: lengths that look plausible get deeper
// into a decoder than noise does.
Input Made(std::mt19937_64& random) {
  Input input(random() % 300);
  for (std::uint8_t& byte : input) {
    const std::uint64_t draw = random();
    byte = static_cast<std::uint8_t>(draw % 4 == 0 ? draw >> 8 : (draw >> 8) % 6);
  }
  return input;
}

void RunVariants(Input input, std::mt19937_64& random) {
  Run(input);
  if (input.empty()) return;
  Input turned = input;
  turned[random() % turned.size()] ^= static_cast<std::uint8_t>(1U << (random() % 8));
  Run(turned);
  input.resize(random() % input.size());
  Run(input);
}

}  // namespace

int main(int argc, char** argv) {
  std::mt19937_64 random(1);
  std::size_t files = 0;
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) continue;
    for (const auto& file : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream stream(file.path(), std::ios::binary);
      RunVariants(Input(std::istreambuf_iterator<char>(stream), {}), random);
      ++files;
    }
  }
  constexpr int kMadeInputs = WEFT_FUZZ_MADE_INPUTS;
  for (int i = 0; i < kMadeInputs; ++i) RunVariants(Made(random), random);
  std::cout << files << " files and " << kMadeInputs << " made inputs survived\n";
  return 0;
}
