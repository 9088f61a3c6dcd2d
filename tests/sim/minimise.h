// Makes a failing run small: fewer peers, fewer writes, faults switched off one by one,
// and then steps of the workload left out, as long as the run still has the same
// problem.

#pragma once

#include <string>

#include "tests/sim/run.h"

namespace weft::sim {

struct Minimised {
  RunOrder order;    // its CommandOf repeats it
  RunResult result;  // of the small run
  std::size_t runs = 0;
};

// `order` must give a problem. Tries at most `runs_max` runs.
Minimised Minimise(const RunOrder& order, std::size_t runs_max = 400);

// What a problem is about, without the names and numbers that differ between runs.
std::string ProblemKind(const std::string& problem);

}  // namespace weft::sim
