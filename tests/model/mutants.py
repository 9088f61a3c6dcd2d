#!/usr/bin/env python3
"""Planted bugs: does the suite notice mistakes of the kind people really make?

    mutants.py --build build/mutants [--only TEXT] [--list]

Each mutant replaces one piece of text in one source. It is built in a copy of the tree
and the tests that should see it run until one fails. Prints a line a mutant: killed by
whom, or SURVIVED. Exit code 0: at least 95 % were killed, 1: fewer, 2: a mutant's text is
no longer in its source or does not compile, or a test fails without any. What survives is
explained in docs/testing.md.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# Who is asked, in this order; by what a mutant names. {b} is the build, {s} the sources.
JUDGES = {
    "cases": ("model_replay", "ctest --test-dir {b} -R '^Model.(WorkedCase|Case_)'"),
    "model": ("model_replay", "python3 -B {s}/tests/model/differential.py "
              "--engine {b}/tests/model/model_replay --features built --seeds 1 8001"),
    "small": ("model_exhaustive", "{b}/tests/model/model_exhaustive data 3"),
    "lanes": ("lanes_test", "{b}/tests/crdt/lanes_test"),
    "crdt": ("crdt_test", "{b}/tests/crdt/crdt_test"),
    "indexer": ("indexer_test", "{b}/tests/crdt/indexer_test"),
    "engine": ("engine_test", "{b}/tests/engine/engine_test"),
}
MEANING = ("cases", "model", "small", "crdt", "indexer")
LANES = ("small", "model", "lanes", "indexer")
LOG = ("engine",)

# (what somebody got wrong, file, text, replacement, who should notice)
MUTANTS = [
    # --- envelopes and batches ---
    ("a stamp equal to the last is accepted", "crdt/envelope.cc",
     "position_ > 0 && envelope.hlc <= last_hlc_",
     "position_ > 0 && envelope.hlc < last_hlc_", MEANING),
    ("the stamp is compared with the last block's, not the greatest",
     "crdt/envelope.cc", "last_hlc_ = std::max(last_hlc_, draft.envelope.hlc);",
     "last_hlc_ = draft.envelope.hlc;", MEANING),
    ("last_auth is not checked", "crdt/envelope.cc",
     "if (envelope.last_auth != last_auth_) {", "if (false) {", MEANING),
    ("unknown flags are ignored", "crdt/envelope.cc", "if (envelope.flags != 0) {",
     "if (envelope.flags > 1) {", MEANING),
    ("naming is the last dep, not the longest", "crdt/envelope.cc",
     "named = std::max(named, draft.envelope.deps[i].length);",
     "named = draft.envelope.deps[i].length;", MEANING),
    ("a batch goes on with another count", "crdt/envelope.cc",
     "envelope.batch_index == batch_next_ &&\n                envelope.batch_count == "
     "batch_count_;", "envelope.batch_index == batch_next_;", MEANING),
    ("a broken batch is not noticed", "crdt/envelope.cc",
     "header.breaks_open_batch = open && !continues;",
     "header.breaks_open_batch = open && !continues && !starts;", MEANING),
    ("a parked log forgets that it is", "crdt/envelope.cc",
     "if (parked_.has_value()) {\n    header.state", "if (!header.reason.empty() && "
     "parked_.has_value()) {\n    header.state", MEANING),
    ("only the first dep on a writer counts for the cite", "crdt/envelope.cc",
     "header.envelope->cite_named = std::max(named_before, dep.length);",
     "header.envelope->cite_named = named_before;", MEANING),
    ("the own log is named one block too far", "crdt/envelope.cc",
     "header.envelope->cite_named = position_;",
     "header.envelope->cite_named = position_ + 1;", MEANING),
    # --- the causal graph and delivery ---
    ("an op does not see its own block's earlier ops", "crdt/causal_graph.cc",
     "a.position < b.position : a.op_index < b.op_index",
     "a.position < b.position : false", MEANING),
    ("a dep's last block is left out of the past", "crdt/causal_graph.cc",
     "return a.position < Seen(b.writer, b.position, a.writer);",
     "return a.position + 1 < Seen(b.writer, b.position, a.writer);", MEANING),
    ("a dep counts one block too many", "crdt/causal_graph.cc",
     "return a.position < Seen(b.writer, b.position, a.writer);",
     "return a.position <= Seen(b.writer, b.position, a.writer);", MEANING),
    ("the past of a dep is not taken over", "crdt/causal_graph.cc",
     "if (edge.writer != into) Raise(tip, edge.writer, edge.length);",
     "if (edge.writer == into) Raise(tip, edge.writer, edge.length);", MEANING),
    ("a dep on a prefix that is held in part is met", "crdt/indexer_deliver.cc",
     "if (dep.length > graph->length(number)) {",
     "if (dep.length > graph->length(number) + 1) {", MEANING),
    ("tree hashes of deps are not compared", "crdt/indexer_deliver.cc",
     "if (graph->TreeHashAt(number, dep.length) != dep.tree_hash) {", "if (false) {",
     MEANING),
    ("who waited is woken one block late", "crdt/indexer_deliver.cc",
     "state.waiters.begin()->first <= graph->length(writer)",
     "state.waiters.begin()->first < graph->length(writer)", MEANING),
    ("a batch that is open when its log parks stays open", "crdt/indexer_batches.cc",
     "place.status = BlockStatus::kParked;", "place.status = BlockStatus::kOpen;", MEANING),
    # --- lanes ---
    ("the first value wins", "crdt/lanes/register.cc",
     "return writers.TieLess(b->stamp, a->stamp);\n  });\n  return live;",
     "return writers.TieLess(a->stamp, b->stamp);\n  });\n  return live;", LANES),
    ("a write leaves what it has seen", "crdt/lanes/register.cc",
     "return order.Before(other.stamp.op, op);",
     "return other.is_set && order.Before(other.stamp.op, op);", LANES),
    ("a del beside a value is not told", "crdt/lanes/register.cc",
     "[](const LaneWrite& write) { return !write.is_set; });",
     "[](const LaneWrite& write) { return write.value.empty() && false; });", LANES),
    ("a row made anew brings back its old cells", "crdt/lanes/record.cc",
     "exact &= Bury(stamp.op, !dead, seen, order);", "exact &= true;", LANES),
    ("an edit of a row that came back buries its other cells", "crdt/lanes/record.cc",
     "for_certain = for_certain || !del->raced;", "for_certain = true;", LANES),
    ("an author is taken to have seen all of a row that came back",
     "crdt/lanes/record.cc", "exact = exact && (shown || seen.all);", "", LANES),
    ("an edit beside a delete is no race", "crdt/lanes/record.cc",
     "del.raced = true;", "", LANES),
    ("a delete takes rows it had not seen", "crdt/lanes/record.cc",
     "return delete_wins || order.Before(present.op, stamp.op);",
     "return true;", LANES),
    ("a delete that wins only takes what it has seen", "crdt/lanes/record.cc",
     "return delete_wins || order.Before(present.op, stamp.op);",
     "return order.Before(present.op, stamp.op);", LANES),
    ("a row comes back beside a delete that wins", "crdt/lanes/record.cc",
     "dead = dead || del.delete_wins;",
     "dead = dead && del.delete_wins;", LANES),
    ("a cell that is buried for one presence op is gone", "crdt/lanes/record.cc",
     "return cell.write.is_set && cell.buried_for.size() < presence_.size();",
     "return cell.write.is_set && cell.buried_for.empty();", LANES),
    ("cells are forgotten with an older presence", "crdt/lanes/record.cc",
     "if (fewer) ForgetPresence();", "if (fewer) buried_ = false;", LANES),
    ("deletes are forgotten too early", "crdt/lanes/record.cc",
     "if (candidate.standing) return true;", "if (candidate.standing) return false;",
     LANES),
    ("a concurrent add is removed", "crdt/lanes/set.cc",
     "{ return order.Before(add.stamp.op, op); };",
     "{ return !order.Before(add.stamp.op, op); };", LANES),
    # --- versions ---
    ("the digest leaves out parked positions", "crdt/version.cc",
     "writer.U64(dot.position);", "writer.U64(0);", MEANING),
    # --- authority ---
    ("a junior may revoke a senior", "crdt/authority_pass.cc",
     "if (grants_[batch.cited]->grant.path < state.grant.path) hits->push_back({index});",
     "hits->push_back({index});", MEANING),
    ("cascade without being asked", "crdt/authority_pass.cc",
     "if (revocation.subtree && revocation.target == above) hits->push_back(hit);",
     "if (revocation.target == above) hits->push_back(hit);", MEANING),
    ("the greatest cut holds", "crdt/authority_pass.cc",
     "cut.length = std::min(cut.length, Kept(state, hit, log));",
     "cut.length = Kept(state, hit, log);", MEANING),
    ("a batch across the cut has effect", "crdt/authority_pass.cc",
     "return batch.end <= cut->length ||", "return batch.first < cut->length ||", MEANING),
    ("an admit overrides its seniors", "crdt/authority_pass.cc",
     "return by <= grants_[batch.cited]->grant.path;", "return true;", MEANING),
    ("an admit by a peer of the victim counts", "crdt/authority_pass.cc",
     "if (by >= state.grant.path) return false;",
     "if (by > state.grant.path) return false;", MEANING),
    ("resigning keeps later incarnations", "crdt/authority_pass.cc",
     "return order > 0 ? 0 : UINT64_MAX;", "return UINT64_MAX;", MEANING),
    ("a resignation keeps what comes after it", "crdt/authority_pass.cc",
     "if (log == batch.writer) return batch.end;",
     "if (log == batch.writer) return batch.end + 1;", MEANING),
    ("a keep list covers logs that it does not list", "crdt/authority_pass.cc",
     "return found == revocation.keep.end() ? 0 : found->second;",
     "return found == revocation.keep.end() ? UINT64_MAX : found->second;", MEANING),
    ("late rank is forgotten", "crdt/authority_pass.cc",
     "const bool late = cut != nullptr && id.position >= cut->late_from;",
     "const bool late = false;", MEANING),
    ("an op that lost its effect keeps its grants", "crdt/authority_pass.cc",
     "SetEffective(&child, batch.passes);", "if (batch.passes) SetEffective(&child, true);",
     MEANING),
    # --- moderation ---
    ("the most junior verdict decides", "crdt/moderation.cc",
     "return is_senior_(a.cited, b.cited);", "return is_senior_(b.cited, a.cited);",
     MEANING),
    ("a range leaves out its last block", "crdt/moderation.cc",
     "if (to % 2 == 1) visit(std::make_pair(level, --to));", "if (to % 2 == 1) --to;",
     MEANING),
    ("a range that ends inside a batch covers it", "crdt/indexer_authority.cc",
     "if (last.batch_index + 1 >= last.batch_count) continue;", "continue;", MEANING),
    ("a verdict of a peer counts", "crdt/authority_standing.cc",
     "return grants_[entry->cited]->grant.path < state.grant.path ? entry : nullptr;",
     "return grants_[entry->cited]->grant.path <= state.grant.path ? entry : nullptr;",
     MEANING),
    # --- forks ---
    ("who waited for a log that ends waits on", "crdt/indexer_fork_proofs.cc",
     "if (writers[n].wait && writers[n].wait->writer == number) Enqueue(n);", "",
     MEANING),
    ("a block does not wait for what it names of a branch", "crdt/indexer_fork_order.cc",
     "waits_for_named ? std::max(edge, std::min(dep.length, fork->cut)) : edge;", "edge;",
     MEANING),
    ("of several names the junior's decides", "crdt/indexer_fork.cc",
     "return authority->At(a.cited).path < authority->At(b.cited).path;",
     "return authority->At(b.cited).path < authority->At(a.cited).path;", MEANING),
    ("a branch that contradicts a senior's counts", "crdt/indexer_fork.cc",
     "if (!hashes.empty() && branch->hashes[hashes.size() - 1] != hashes.back()) continue;",
     "", MEANING),
    # --- the log itself ---
    ("a signature is not checked", "engine/hypercore_apply.cc",
     "if (!VerifyTree(manifest,", "if (false && !VerifyTree(manifest,", LOG),
    ("a manifest of another key is taken", "engine/hypercore_apply.cc",
     "if (KeyOf(**manifest) != state_.summary().key) {", "if (false) {", LOG),
    ("a proof may hang on a node of another hash", "engine/hypercore_apply.cc",
     "if (*held != anchor) {", "if (held->size != anchor.size) {", LOG),
    ("blocks beyond a new fork are kept", "engine/hypercore_apply.cc",
     "return block.first >= common; });", "return block.first > common; });", LOG),
    ("the hash of a prefix is that of the whole log", "engine/hypercore.cc",
     "if (prefix == length()) return tree_hash();", "if (prefix <= length()) return "
     "tree_hash();", LOG),
    ("a block that is not held is read", "engine/hypercore.cc",
     "if (!Has(block_index)) {", "if (false) {", LOG),
    ("durable is told of what is not", "engine/hypercore.cc",
     "if (durable == length()) return;", "if (durable != length()) return;", LOG),
]


def run(command, log, seconds):
    with open(log, "w", encoding="utf-8") as out:
        try:
            return subprocess.run(command, shell=True, stdout=out, stderr=out, check=False,
                                  timeout=seconds).returncode
        except subprocess.TimeoutExpired:
            return -1


def prepare(folder):
    """A copy of the sources that git knows, and a build of it."""
    sources = folder / "tree"
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True,
                           check=True).stdout.split("\n")
    for name in filter(None, names):
        target = sources / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_bytes() != (ROOT / name).read_bytes():
            shutil.copy(ROOT / name, target)
    build = sources / "build" / "release"
    if not (build / "build.ninja").exists():
        subprocess.run(["cmake", "--preset", "release", "-DWEFT_STRICT=OFF"], cwd=sources, check=True,
                       stdout=subprocess.DEVNULL)
    return sources, build


def judge(mutant, sources, build, folder):
    """Who killed it: the name of a judge, or None.  ValueError: it does not compile."""
    _, file, text, replacement, judges = mutant
    path = sources / file
    original = path.read_text()
    path.write_text(original.replace(text, replacement, 1))
    try:
        for name in judges:
            target, command = JUDGES[name]
            log = folder / "last.log"
            if run(f"cmake --build {build} --target {target}", log, 1800) != 0:
                raise ValueError(f"{file}: does not compile: {mutant[0]}")
            if run(command.format(b=build, s=sources), log, 600) != 0:
                return name
        return None
    finally:
        path.write_text(original)


def healthy(chosen, sources, build, folder):
    """Whether every judge is content as long as nothing is planted."""
    for name in sorted({judge for mutant in chosen for judge in mutant[4]}):
        target, command = JUDGES[name]
        log = folder / "last.log"
        if (run(f"cmake --build {build} --target {target}", log, 3600) != 0
                or run(command.format(b=build, s=sources), log, 600) != 0):
            print(f"{name} fails without a planted bug: see {log}")
            return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=str(ROOT / "build" / "mutants"))
    parser.add_argument("--only", default="", help="mutants whose file or fact has this")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    chosen = [m for m in MUTANTS if options.only in m[0] or options.only in m[1]]
    chosen.sort(key=lambda m: m[1])  # by file, so that each build is small
    for fact, file, text, *_ in chosen:
        if text not in (ROOT / file).read_text():
            print(f"{file}: no longer has the text of \"{fact}\"")
            return 2
    if options.list:
        for fact, file, *_ in chosen:
            print(f"{file}: {fact}")
        return 0
    folder = Path(options.build)
    sources, build = prepare(folder)
    if not healthy(chosen, sources, build, folder):
        return 2
    killed = 0
    for mutant in chosen:
        started = time.time()
        try:
            by = judge(mutant, sources, build, folder)
        except ValueError as why:
            print(why)
            return 2
        killed += by is not None
        print(f"{mutant[1]}: {mutant[0]}: {'killed by ' + by if by else 'SURVIVED'} "
              f"({time.time() - started:.0f} s)", flush=True)
    print(f"{killed} of {len(chosen)} mutants killed")
    return 0 if killed * 100 >= len(chosen) * 95 else 1


if __name__ == "__main__":
    sys.exit(main())
