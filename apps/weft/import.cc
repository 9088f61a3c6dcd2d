// import: a file becomes rows of a table.
//
// The whole file is checked first. Rows that read already as the file has them are
// left alone, so an import that was stopped is finished by running it again. Up to
// 65 536 rows are one commit: all of them or none.

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "absl/strings/str_format.h"
#include "apps/weft/commands.h"
#include "apps/weft/json.h"
#include "apps/weft/progress.h"
#include "apps/weft/table_file.h"
#include "crdt/limits.h"
#include "engine/text.h"

namespace weft::cli {
namespace {

// Of the values, leaving room for keys, columns and the blocks around them.
constexpr std::size_t kCommitBytesMax = 40 * 1024 * 1024;

struct ImportOptions {
  std::string key;
  std::string format;
  bool list_ops = false;
};

std::optional<std::string> ReadAll(const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return std::nullopt;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return std::nullopt;
  std::string text(std::istreambuf_iterator<char>(stream), {});
  if (stream.bad()) return std::nullopt;
  return text;
}

std::size_t BytesOf(const TableRow& row) {
  std::size_t bytes = row.key.size();
  for (const auto& [column, value] : row.cells) bytes += value.as_string().size() + 16;
  return bytes;
}

// True if a reader sees every cell of the row already. A file has no word for a cell
// that is not there, so an empty text is equal to none.
bool Reads(const Base& base, const std::string& key, const TableRow& row) {
  const auto entry = base.Get(key);
  if (!entry.ok() || !entry->is_record) return false;
  for (const auto& [column, value] : row.cells) {
    const auto cell = entry->cells.find(column);
    if (cell == entry->cells.end()) {
      if (value == Datum::Of("")) continue;
      return false;
    }
    if (cell->second.winner.value != value) return false;
  }
  return true;
}

class Importer {
 public:
  Importer(Base base, std::string table) : base_(std::move(base)), table_(table) {}

  absl::Status Run(Table&& table) {
    std::vector<TableRow> missing;
    for (TableRow& row : table.rows) {
      if (Reads(base_, KeyOf(row), row)) {
        ++unchanged_;
      } else {
        missing.push_back(std::move(row));
      }
    }
    ProgressBar bar("import " + table_);
    std::size_t bytes = 0;
    for (TableRow& row : missing) {
      const std::size_t more = BytesOf(row);
      if (batch_.size() == Limits().batch_ops || bytes + more > kCommitBytesMax) {
        if (const absl::Status status = Commit(); !status.ok()) return status;
        bar.Show(written_, missing.size());
        bytes = 0;
      }
      bytes += more;
      batch_.Set(KeyOf(row), std::move(row.cells));
    }
    return batch_.empty() ? absl::OkStatus() : Commit();
  }

  void Report(bool json, bool list_ops) const {
    if (!json) {
      std::cout << absl::StrFormat("%d rows written to %s, %d were there already\n",
                                   written_, table_, unchanged_);
      return;
    }
    Json object{{"table", table_},
                {"rows", written_ + unchanged_},
                {"written", written_},
                {"unchanged", unchanged_},
                {"commits", commits_}};
    if (list_ops) object["ops"] = ops_;
    PrintJson(object);
  }

  std::uint64_t written() const { return written_; }

 private:
  std::string KeyOf(const TableRow& row) const { return table_ + "/" + row.key; }

  absl::Status Commit() {
    const auto committed = base_.Commit(batch_);
    if (!committed.ok()) return committed.status();
    written_ += batch_.size();
    ++commits_;
    for (const OpName& op : committed->ops) ops_.push_back(op.ToText());
    batch_ = Batch();
    return absl::OkStatus();
  }

  Base base_;
  std::string table_;
  Batch batch_;
  std::uint64_t written_ = 0;
  std::uint64_t unchanged_ = 0;
  std::uint64_t commits_ = 0;
  std::vector<std::string> ops_;
};

int Import(const Invocation& call, const ImportOptions& options) {
  const std::string& table_name = call.arguments[0];
  const std::string& path = call.arguments[1];
  if (table_name.empty() || table_name.find('/') != std::string::npos) {
    return Fail(kUsage,
                "import: the table's name '" + table_name + "' is empty or holds a /");
  }
  const auto format =
      options.format.empty() ? FormatOfPath(path) : ParseTableFormat(options.format);
  if (!format) {
    return Fail(kUsage, "--format " + options.format + ": is not csv, tsv or ndjson");
  }
  const auto text = ReadAll(path);
  if (!text) return Fail(kWorld, path + ": cannot be read");
  auto table = ReadTable(*text, *format, table_name, options.key);
  if (!table.ok()) {
    return Fail(kWorld, path + ": " + std::string(ToStd(table.status().message())));
  }
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  Importer importer(*std::move(base), table_name);
  if (const absl::Status status = importer.Run(*std::move(table)); !status.ok()) {
    return Fail(status, importer.written() == 0
                            ? "import"
                            : absl::StrFormat("import: %d rows are written; then",
                                              importer.written()));
  }
  importer.Report(call.json, options.list_ops);
  return kDone;
}

}  // namespace

void AddImportCommand(CommandLine& line) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* import = line.Add(
      {"import", "TABLE FILE", "writes the rows of a CSV, TSV or NDJSON file", 2, 2},
      [options](const Invocation& call) { return Import(call, *options); });
  import->add_option("--key", options->key, "the key column; default: the first");
  import->add_option("--format", options->format,
                     "csv, tsv or ndjson; default: by the file's name, else csv");
  import->add_flag("--ops", options->list_ops, "with --json: lists every op id");
}

}  // namespace weft::cli
