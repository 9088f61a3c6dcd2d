#include "crdt/log_source.h"

namespace weft {

std::shared_ptr<Hypercore> CoreLogs::CoreOf(const CoreKey& log) {
  if (const auto kept = cores_.find(log); kept != cores_.end()) return kept->second;
  std::shared_ptr<Hypercore> core = open_(log);
  if (core) cores_.emplace(log, core);
  return core;
}

absl::StatusOr<LogInfo> CoreLogs::Info(const CoreKey& log) {
  const std::shared_ptr<Hypercore> core = CoreOf(log);
  if (!core) return LogInfo{};
  return LogInfo{core->contiguous_length(), core->fork()};
}

absl::StatusOr<std::vector<Bytes>> CoreLogs::Read(const CoreKey& log,
                                                  std::uint64_t from,
                                                  std::uint64_t to) {
  const std::shared_ptr<Hypercore> core = CoreOf(log);
  if (!core) return absl::NotFoundError("the log is not in the store");
  return core->GetRange(from, to);
}

}  // namespace weft
