// import: a file becomes rows of a table.
//
// Two passes over the file, neither of which keeps it in memory. The first checks all
// of it; the second commits. Up to 65 536 rows are one commit: all of them or none. A
// larger file goes in commits of that size. Cells that read already as the file has
// them are left alone, so an import that was stopped is finished by running it again.
// An empty field takes the cell away; columns that the file does not name stay.

#include "absl/strings/str_format.h"
#include "apps/weft/commands.h"
#include "apps/weft/console.h"
#include "apps/weft/input_file.h"
#include "apps/weft/json.h"
#include "apps/weft/progress.h"
#include "apps/weft/table_file.h"
#include "crdt/limits.h"
#include "engine/status.h"
#include "engine/text.h"

namespace weft::cli {
namespace {

// Of rows by BatchBytesOf, which says rather too much: a batch holds 64 MiB.
constexpr std::uint64_t kCommitBytesMax = 60 * 1024 * 1024;

struct ImportOptions {
  std::string key;
  std::string format;
  bool list_ops = false;
};

using Cells = std::vector<std::pair<std::string, Datum>>;

// What it takes until a reader sees the row as the file has it.
struct Change {
  Cells set;
  std::vector<std::string> unset;
  std::size_t ops() const { return (set.empty() ? 0 : 1) + (unset.empty() ? 0 : 1); }
};

// A field of a CSV has no type: it says what export would print.
bool Reads(const Entry& entry, const std::string& column, const Datum& value,
           bool typed) {
  const auto cell = entry.cells.find(column);
  if (cell != entry.cells.end()) {
    const Datum& held = cell->second.winner.value;
    return held == value || (!typed && held.ToText() == value.ToText());
  }
  const auto lanes = entry.lane_cells.find(column);
  return lanes != entry.lane_cells.end() &&
         Datum::Of(LanesText(lanes->second)) == value;
}

absl::StatusOr<Change> ChangeOf(const Base& base, const std::string& key, TableRow& row,
                                bool typed) {
  const auto entry = base.Get(key);
  if (!entry.ok() && !absl::IsNotFound(entry.status())) return entry.status();
  Change change;
  if (!entry.ok() || !entry->is_record) {
    change.set = std::move(row.cells);
    return change;
  }
  for (auto& [column, value] : row.cells) {
    if (Reads(*entry, column, value, typed)) continue;
    change.set.emplace_back(std::move(column), std::move(value));
  }
  for (std::string& column : row.empty) {
    if (entry->cells.contains(column)) change.unset.push_back(std::move(column));
  }
  return change;
}

// The second pass.
class Importer {
 public:
  Importer(Base base, std::string table, bool typed, bool list_ops)
      : base_(std::move(base)),
        table_(std::move(table)),
        typed_(typed),
        list_ops_(list_ops) {}

  absl::Status Run(TableReader& reader, std::uint64_t rows) {
    ProgressBar bar("import " + table_);
    TableRow row;
    for (std::uint64_t done = 0;; ++done) {
      WEFT_ASSIGN_OR_RETURN(const bool more, reader.Next(row));
      if (!more) break;
      bar.Show(done, rows);
      WEFT_RETURN_IF_ERROR(Add(row));
    }
    return batch_.empty() ? absl::OkStatus() : Commit();
  }

  void Report(bool json) const {
    if (!json) {
      Out() << absl::StrFormat("%s written to %s, %d there already\n",
                               Counted(written_, "row"), table_, unchanged_);
      return;
    }
    Json object{{"table", table_},
                {"rows", written_ + unchanged_},
                {"written", written_},
                {"unchanged", unchanged_},
                {"commits", commits_}};
    if (list_ops_) object["ops"] = ops_;
    PrintJson(object);
  }

  std::uint64_t written() const { return written_; }

 private:
  absl::Status Add(TableRow& row) {
    const std::string key = table_ + "/" + row.key;
    const std::uint64_t more = BatchBytesOf(row);
    WEFT_ASSIGN_OR_RETURN(Change change, ChangeOf(base_, key, row, typed_));
    if (change.ops() == 0) {
      ++unchanged_;
      return absl::OkStatus();
    }
    if (batch_.size() + change.ops() > Limits().batch_ops ||
        bytes_ + more > kCommitBytesMax) {
      WEFT_RETURN_IF_ERROR(Commit());
    }
    bytes_ += more;
    ++rows_;
    if (!change.set.empty()) batch_.Set(key, std::move(change.set));
    if (!change.unset.empty()) batch_.Unset(key, std::move(change.unset));
    return absl::OkStatus();
  }

  absl::Status Commit() {
    WEFT_ASSIGN_OR_RETURN(const Committed committed, base_.Commit(batch_));
    written_ += rows_;
    ++commits_;
    rows_ = 0;
    bytes_ = 0;
    if (list_ops_) {
      for (const OpName& op : committed.ops) ops_.push_back(op.ToText());
    }
    batch_ = Batch();
    return absl::OkStatus();
  }

  Base base_;
  std::string table_;
  const bool typed_;
  const bool list_ops_;
  Batch batch_;
  std::uint64_t rows_ = 0;   // in the batch
  std::uint64_t bytes_ = 0;  // in the batch
  std::uint64_t written_ = 0;
  std::uint64_t unchanged_ = 0;
  std::uint64_t commits_ = 0;
  std::vector<std::string> ops_;
};

// The first pass.
absl::StatusOr<TableCheck> Check(std::string_view text, TableFormat format,
                                 const std::string& table, const std::string& key) {
  ProgressBar bar("check " + table);
  return CheckTable(text, format, table, key, std::size_t{1} << 21,
                    [&](std::size_t offset) { bar.Show(offset, text.size()); });
}

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
  int code = kDone;
  auto base = OpenBase(call, code);
  if (!base) return code;
  const auto file = InputFile::Open(path);
  if (!file.ok()) return Fail(file.status());
  const auto checked = Check(file->text(), *format, table_name, options.key);
  if (!checked.ok()) {
    const std::string name = path == "-" ? "stdin" : path;
    return Fail(kWorld, name + ": " + std::string(ToStd(checked.status().message())));
  }
  auto reader = TableReader::Open(file->text(), *format, table_name, options.key);
  if (!reader.ok()) return Fail(reader.status());
  Importer importer(*std::move(base), table_name, *format == TableFormat::kNdjson,
                    options.list_ops);
  if (const absl::Status status = importer.Run(**reader, checked->rows); !status.ok()) {
    return Fail(status, importer.written() == 0
                            ? "import"
                            : absl::StrFormat("import: %s written; then",
                                              Counted(importer.written(), "row")));
  }
  importer.Report(call.json);
  return kDone;
}

}  // namespace

void AddImportCommand(CommandLine& line) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* import =
      line.Add({.name = "import",
                .arguments = "TABLE FILE",
                .help = "writes the rows of a CSV, TSV or NDJSON file",
                .count_min = 2,
                .count_max = 2,
                .stays = true},
               [options](const Invocation& call) { return Import(call, *options); });
  import->add_option("--key", options->key, "the key column; default: the first");
  import->add_option("--format", options->format,
                     "csv, tsv or ndjson; default: by the file's name, else csv");
  import->add_flag("--ops", options->list_ops, "with --json: lists every op id");
}

}  // namespace weft::cli
