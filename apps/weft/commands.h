// The commands of `weft`, one file a group; each adds its own to the command line.

#pragma once

#include "apps/weft/command.h"

namespace weft::cli {

void AddShareCommands(CommandLine& line);   // init join grant members serve sync
void AddPeopleCommands(CommandLine& line);  // invite revoke held accept hide ...
void AddWriteCommands(CommandLine& line);   // put del set unset erase
void AddLaneCommands(CommandLine& line);    // inc reset add rem max min ... text
void AddBatchCommand(CommandLine& line);    // batch
void AddReadCommands(CommandLine& line);    // get scan conflicts
void AddCheckCommands(CommandLine& line);   // root status verify fate log
void AddImportCommand(CommandLine& line);   // import
void AddExportCommand(CommandLine& line);   // export
void AddCoreCommands(CommandLine& line);    // core create append get info ...
// core remove, purge, block, unblock: below the group `core`
void AddCoreVerbs(CommandLine& line, CLI::App* group);
void AddExtensionCommands(CommandLine& line);  // peers, ext send, ext tail
void AddDemoCommand(CommandLine& line);        // demo
void AddBenchCommand(CommandLine& line);       // bench

}  // namespace weft::cli
