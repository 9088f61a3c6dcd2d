// A process of its own that fills a store with cores and serves them over loopback TCP,
// so that sender and receiver share nothing but the machine.
//
// The program starts itself anew with --serve; the two talk over pipes:
//   child  := address \n (key in hex \n)* (usage \n)*
//   parent := \n for each usage asked for; the end of the stream ends the child
//   usage  := processor seconds and milliseconds of the longest step of the loop, both
//             since the last one

#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "engine/crypto.h"

namespace weft::bench {

// What a process did over some time.
struct Usage {
  double cpu_seconds = 0;
  double stall_ms = 0;  // processor time of the longest step of the event loop
};

// Of this process, all its threads.
double CpuSeconds();

struct CoresToServe {
  std::size_t cores = 0;
  std::size_t blocks = 0;  // of each core
  std::size_t bytes = 0;   // of each block
};

class ServingProcess {
 public:
  // Returns once everything is stored and the child listens.
  explicit ServingProcess(const CoresToServe& what);
  ~ServingProcess();
  ServingProcess(const ServingProcess&) = delete;
  ServingProcess& operator=(const ServingProcess&) = delete;

  const std::string& address() const { return address_; }
  const std::vector<CoreKey>& keys() const { return keys_; }
  // Since the last call.
  Usage TakeUsage();

 private:
  std::string ReadLine();

  int pid_ = 0;
  std::FILE* from_child_ = nullptr;
  std::FILE* to_child_ = nullptr;
  std::string address_;
  std::vector<CoreKey> keys_;
};

// To be called first in main: does the child's work and returns true in the child.
bool ServedAsChild(int argc, char** argv);

}  // namespace weft::bench
