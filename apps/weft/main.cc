// The program `weft`: the public API of Weft from a shell.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "apps/weft/commands.h"
#include "engine/open_files.h"

namespace {

std::unique_ptr<weft::cli::CommandLine> AllCommands() {
  auto line = std::make_unique<weft::cli::CommandLine>();
  line->Topic("A store, its base, and meeting others");
  weft::cli::AddShareCommands(*line);
  line->Topic("People, and what they wrote");
  weft::cli::AddPeopleCommands(*line);
  line->Topic("Values, rows, counters, sets, texts, tables");
  weft::cli::AddWriteCommands(*line);
  weft::cli::AddLaneCommands(*line);
  weft::cli::AddBatchCommand(*line);
  weft::cli::AddReadCommands(*line);
  weft::cli::AddImportCommand(*line);
  weft::cli::AddExportCommand(*line);
  line->Topic("What a store holds, and whether it is whole");
  weft::cli::AddCheckCommands(*line);
  line->Topic("Plain hypercores, and messages between programs");
  weft::cli::AddCoreCommands(*line);
  weft::cli::AddExtensionCommands(*line);
  line->Topic("Weft at work");
  weft::cli::AddDemoCommand(*line);
  weft::cli::AddBenchCommand(*line);
  return line;
}

// What a block of many megabytes took goes back to the system when it is done with.
// Otherwise the first one teaches glibc to keep the memory of all others.
void GiveMemoryBack() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024);
  mallopt(M_TRIM_THRESHOLD, 32 * 1024 * 1024);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  // A stream that is closed must not become one of the store's files; it stays one that
  // cannot be read, or written.
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) >= 0) continue;
    // The lowest number that is free is that of the stream.
    if (open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) != stream) {
      return weft::cli::kWorld;
    }
  }
  // A file that may not grow is an error to report, like a disk that is full.
  std::signal(SIGXFSZ, SIG_IGN);
  GiveMemoryBack();
  weft::RaiseOpenFilesLimit();
  return AllCommands()->Main(argc, argv, AllCommands);
}
