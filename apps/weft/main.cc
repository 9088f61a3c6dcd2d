// The program `weft`: the public API of Weft from a shell.

#include <csignal>

#include "apps/weft/commands.h"
#include "engine/open_files.h"

namespace {

std::unique_ptr<weft::cli::CommandLine> AllCommands() {
  auto line = std::make_unique<weft::cli::CommandLine>();
  weft::cli::AddShareCommands(*line);
  weft::cli::AddPeopleCommands(*line);
  weft::cli::AddWriteCommands(*line);
  weft::cli::AddLaneCommands(*line);
  weft::cli::AddBatchCommand(*line);
  weft::cli::AddReadCommands(*line);
  weft::cli::AddCheckCommands(*line);
  weft::cli::AddImportCommand(*line);
  weft::cli::AddExportCommand(*line);
  weft::cli::AddCoreCommands(*line);
  weft::cli::AddExtensionCommands(*line);
  weft::cli::AddDemoCommand(*line);
  weft::cli::AddBenchCommand(*line);
  return line;
}

}  // namespace

int main(int argc, char** argv) {
  // A file that may not grow is an error to report, like a disk that is full.
  std::signal(SIGXFSZ, SIG_IGN);
  weft::RaiseOpenFilesLimit();
  return AllCommands()->Main(argc, argv, AllCommands);
}
