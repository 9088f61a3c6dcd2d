// How fast is a text that two people type in at once, and one of a mebibyte after 300
// 000 edits? In memory and unsigned, so that it stands beside bench/peers/text.mjs,
// which does the same with yjs, loro-crdt and automerge.
//
// TypeTrace: the real history of tests/data typed by two people who exchange what it
// says, `batch` edits a commit. MergeTrace: a third person takes in both logs.
// EditLarge: one commit of one edit in the large text, at a random place. OpenLarge: an
// indexer opens on the stored view of it and reads the text. Counters: bytes of the
// logs an edit, bytes stored for the text in terms of its size.

#include <benchmark/benchmark.h>

#include <random>

#include "engine/key_layout.h"
#include "tests/crdt/text_trace.h"

namespace weft::bench {
namespace {

const TextTrace& Trace() {
  static const TextTrace trace =
      LoadTextTrace(std::string(WEFT_DATA_DIR) + "/friendsforever.json.gz");
  return trace;
}

double LogBytes(Replica& replica) {
  double bytes = 0;
  for (const auto& [key, blocks] : replica.logs().logs) {
    for (const Bytes& block : blocks) bytes += static_cast<double>(block.size());
  }
  return bytes;
}

double StoredBytes(Replica& replica) {
  double bytes = 0;
  auto rows = replica.storage().Scan(
      Family::kView,
      keys::SequencePages(0, AsBytes("text"), static_cast<std::uint8_t>(Lane::kText)),
      nullptr);
  for (; rows->valid(); rows->Next()) {
    bytes += static_cast<double>(rows->key().size() + rows->value().size());
  }
  return bytes;
}

void BM_TypeTrace(benchmark::State& state) {
  const TextTrace& trace = Trace();
  const People people(2);
  double log_bytes = 0;
  for (auto _ : state) {
    auto replicas = people.Meet();
    TypeTrace(trace, "text", static_cast<std::size_t>(state.range(0)), *replicas[0],
              *replicas[1]);
    WEFT_CHECK(replicas[0]->Read("text").text == trace.end_content);
    log_bytes = LogBytes(*replicas[0]);
  }
  const auto edits = static_cast<double>(trace.txns.size());
  state.SetItemsProcessed(
      static_cast<std::int64_t>(static_cast<double>(state.iterations()) * edits));
  state.counters["log_bytes_per_edit"] = log_bytes / edits;
}
BENCHMARK(BM_TypeTrace)
    ->ArgName("batch")
    ->Arg(1)
    ->Arg(16)
    ->Unit(benchmark::kMillisecond);

void BM_MergeTrace(benchmark::State& state) {
  const TextTrace& trace = Trace();
  const People people(2);
  auto replicas = people.Meet();
  TypeTrace(trace, "text", static_cast<std::size_t>(state.range(0)), *replicas[0],
            *replicas[1]);
  double stored = 0;
  for (auto _ : state) {
    Replica reader(people.genesis, CoreKey{});
    reader.FetchAll(*replicas[0]);
    WEFT_CHECK(reader.Read("text").text == trace.end_content);
    state.PauseTiming();
    WEFT_CHECK(reader.indexer().Flush().ok());
    stored = StoredBytes(reader);
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(trace.txns.size()));
  state.counters["stored_per_size"] =
      stored / static_cast<double>(trace.end_content.size());
}
BENCHMARK(BM_MergeTrace)
    ->ArgName("batch")
    ->Arg(1)
    ->Arg(16)
    ->Unit(benchmark::kMillisecond);

// One mebibyte after 300 000 edits in commits of 16; every `run` edits the cursor goes
// elsewhere, one edit in 15 takes a character back.
class LargeText {
 public:
  explicit LargeText(std::uint64_t run) : people_(1), replicas_(people_.Meet()) {
    const std::string filler(780'000, 'x');
    for (std::size_t at = 0; at < filler.size(); at += 60'000) {
      Add(Mutation::Kind::kInsertText, at, std::string_view(filler).substr(at, 60'000));
    }
    Commit();
    for (std::uint64_t i = 0; i < 300'000; ++i) {
      if (i % run == 0) cursor_ = random_() % length_;
      if (random_() % 15 == 0 && cursor_ > 0) {
        Add(Mutation::Kind::kCutText, --cursor_, {});
      } else {
        Add(Mutation::Kind::kInsertText, cursor_++, "e");
      }
      if (i % 16 == 15) Commit();
    }
    Commit();
    WEFT_CHECK(replica().indexer().Flush().ok());
  }

  Replica& replica() { return *replicas_[0]; }
  std::uint64_t length() const { return length_; }
  void Edit() {
    const bool cut = random_() % 2 == 0;
    Add(cut ? Mutation::Kind::kCutText : Mutation::Kind::kInsertText,
        random_() % (length_ - 1), cut ? "" : "y");
    Commit();
  }

 private:
  void Add(Mutation::Kind kind, std::uint64_t index, std::string_view text) {
    Mutation mutation;
    mutation.kind = kind;
    mutation.key = "text";
    mutation.index = index;
    mutation.count = text.empty() ? 1 : 0;
    mutation.value = {ValueType::kText, AsBytes(text)};
    length_ += text.empty() ? UINT64_MAX : text.size();
    edits_.push_back(mutation);
  }
  void Commit() {
    if (edits_.empty()) return;
    WEFT_CHECK(replica().Commit(edits_).ok());
    edits_.clear();
  }

  People people_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::mt19937_64 random_{3};
  std::uint64_t length_ = 0;
  std::uint64_t cursor_ = 0;
  std::vector<Mutation> edits_;
};

LargeText& Large(std::uint64_t run) {
  static std::map<std::uint64_t, std::unique_ptr<LargeText>> texts;
  auto& text = texts[run];
  if (!text) text = std::make_unique<LargeText>(run);
  return *text;
}

void BM_EditLarge(benchmark::State& state) {
  LargeText& text = Large(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) text.Edit();
}
BENCHMARK(BM_EditLarge)
    ->ArgName("run")
    ->Arg(12)
    ->Arg(1)
    ->Unit(benchmark::kMicrosecond)
    ->Iterations(2'000);

void BM_OpenLarge(benchmark::State& state) {
  LargeText& text = Large(static_cast<std::uint64_t>(state.range(0)));
  WEFT_CHECK(text.replica().indexer().Flush().ok());
  for (auto _ : state) {
    text.replica().Reopen();
    WEFT_CHECK(text.replica().Read("text").text->size() == text.length());
  }
  state.counters["stored_per_size"] =
      StoredBytes(text.replica()) / static_cast<double>(text.length());
}
BENCHMARK(BM_OpenLarge)->ArgName("run")->Arg(12)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft::bench

BENCHMARK_MAIN();
