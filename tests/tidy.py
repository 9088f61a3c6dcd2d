#!/usr/bin/env python3
"""The rules of the project that no compiler checks, as a test like any other.

`tidy.py` runs every check and prints one line a fault, `path:line: fact`;
`tidy.py --check NAME` runs one, which is how CTest calls it; `--list` names them.
Exit code 0: clean, 1: faults found, 2: usage.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ["engine", "crdt", "replication", "query", "weft"]
PROGRAMS = ["apps", "bench", "examples", "tests", "bindings"]

# folder -> the folders it may include from, itself included.
MAY_INCLUDE = {
    "engine": {"engine"},
    "crdt": {"crdt", "engine"},
    "query": {"query", "crdt", "engine"},
    "replication": {"replication", "engine"},
    "weft": set(LIBRARIES),
}

# What is behind a door, and the files that are the door.
DOORS = [
    ("libsodium", r'#include\s+[<"]sodium', r"engine/crypto\w*\.cc"),
    ("RocksDB", r'#include\s+[<"]rocksdb/', r"engine/rocks_(storage\.cc|overlay\.(cc|h))"),
    (
        "FlatBuffers",
        r'#include\s+[<"](flatbuffers/|\S*_generated\.h)',
        r"crdt/\w*operation\w*\.(cc|h)|crdt/payload\w*\.cc|tests/.*",
    ),
    ("libqrencode", r'#include\s+[<"]qrencode', r"apps/weft/qr\.cc"),
    (
        "sockets",
        r"asio::(ip|local)::|#include\s+<sys/socket\.h>|#include\s+[<\"]asio/(ip|local)/",
        r"replication/(tcp_\w*|stream_wire|discovery)\.(cc|h)|apps/.*|bench/.*|tests/.*",
    ),
    (
        "the machine's clock and randomness",
        r"steady_clock::now|system_clock::now|random_device",
        r"engine/real_\w*\.cc|replication/(tcp_\w*|discovery)\.cc|weft/.*|apps/.*"
        r"|bench/.*|tests/.*|examples/.*",
    ),
    (
        "threads",
        r"std::j?thread\b|std::async\b|asio::thread_pool",
        # Watches call back on a thread of their own.
        r"engine/real_\w*\.(cc|h)|replication/tcp_\w*\.(cc|h)|query/watch\.(cc|h)"
        r"|weft/.*|apps/.*|bench/.*|tests/.*|examples/.*",
    ),
]

BANNED = [
    ("absl::string_view is named outside engine/text.h",
     r"absl::(string_view|optional|variant)\b", r"engine/text\.h"),
    ("a lock that the thread sanitizer cannot see (docs/decisions/0013)",
     r"absl::\w*(Mutex|CondVar|Notification)\w*", None),
    ("a skipped test", r"GTEST_SKIP|\bDISABLED_", None),
    ("an unfinished mark", r"\b(FIXME|XXX|HACK)\b", None),
    ("a TODO that does not name the condition that removes it",
     r"\bTODO\b(?!\([^)]*\): \S+ \S+)", None),
    ("a path of one machine", r"(?<![\w.])/(work|home|root|Users)/\w", None),
    ("a test that sleeps for luck", r"sleep_for|sleep_until|\busleep\(",
     r"(?!tests/).*"),
    ("a command names the process's streams, which may not be its own: apps/weft/console.h",
     r"std::(cout|cin|cerr)\b", r"(?!apps/weft/).*|apps/weft/console\..*"),
    ("using namespace std", r"using namespace std;", None),
]

FILE_LINES_MAX = 700
FUNCTION_LINES_MAX = 70
# A file past 700 lines says in its first comment why it must be read whole.
LONG_FILE_REASON = r"(?i)read whole|one piece|kept together|in one file"


def sources(*suffixes):
    for folder in LIBRARIES + PROGRAMS:
        for path in sorted((ROOT / folder).rglob("*")):
            if "node_modules" in path.parts or "__pycache__" in path.parts:
                continue
            if path.is_file() and path.suffix in suffixes:
                yield path


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def code_lines(text):
    """Each line with comments and literals blanked, so that braces can be counted."""
    blank = re.sub(
        r'R"(\w*)\((?:.|\n)*?\)\1"|//[^\n]*|/\*(?:.|\n)*?\*/'
        r"|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])'",
        lambda found: re.sub(r"[^\n]", " ", found.group()),
        text,
    )
    return blank.split("\n")


def strip_comments(line):
    return re.sub(r"//.*", "", line)


def check_includes():
    """A folder includes only what stands below it; only weft/ headers are public."""
    for path in sources(".h", ".cc"):
        folder = path.relative_to(ROOT).parts[0]
        allowed = MAY_INCLUDE.get(folder)
        if allowed is None:
            continue
        for number, line in enumerate(path.read_text().split("\n"), 1):
            found = re.match(r'\s*#include\s+"([a-z_]+)/', line)
            if found and found.group(1) in LIBRARIES + PROGRAMS:
                if found.group(1) not in allowed:
                    yield path, number, f"{folder}/ may not include {found.group(1)}/"


def check_doors():
    """One foreign library, one door."""
    for path in sources(".h", ".cc"):
        name = name_of(path)
        for number, line in enumerate(path.read_text().split("\n"), 1):
            bare = strip_comments(line)
            for thing, pattern, door in DOORS:
                if re.search(pattern, bare) and not re.fullmatch(door, name):
                    yield path, number, f"{thing} outside its door ({door})"


def check_words():
    """Words that stand for habits the project does without."""
    for path in sources(".h", ".cc", ".py", ".mjs", ".js", ".txt", ".fbs"):
        if path == Path(__file__).resolve():
            continue
        if path.suffix == ".txt" and path.name != "CMakeLists.txt":
            continue
        name = name_of(path)
        for number, line in enumerate(path.read_text().split("\n"), 1):
            for fact, pattern, exempt in BANNED:
                if exempt and re.fullmatch(exempt, name):
                    continue
                if re.search(pattern, line):
                    yield path, number, fact


def first_comment(text):
    lines = []
    for line in text.split("\n"):
        if not line.startswith("//"):
            break
        lines.append(line[2:])
    return "\n".join(lines)


def check_files():
    """A file opens by saying what it is for (a .cc in its header, where it has one),
    and fits in a head."""
    for path in sources(".h", ".cc"):
        text = path.read_text()
        paired = path.suffix == ".cc" and path.with_suffix(".h").exists()
        if not text.startswith("//") and not paired:
            yield path, 1, "does not open with a comment that says what it is for"
        count = text.count("\n")
        if count > FILE_LINES_MAX and not re.search(
            LONG_FILE_REASON, first_comment(text)
        ):
            yield path, 1, (
                f"{count} lines, above {FILE_LINES_MAX}, and the first comment does "
                "not say why it must be read whole"
            )
        if not text.endswith("\n"):
            yield path, count, "no newline at the end"
        if path.suffix == ".h" and "#pragma once" not in text:
            yield path, 1, "a header without #pragma once"


def function_spans(lines):
    """(first line, line count) of each outermost function body: a block that opens
    after a `)`, outside every other such block. Namespaces, types and initialisers
    do not match."""
    stack = []  # for each open brace: line of its function's start, or None
    head = ""
    head_line = 1
    inside = 0
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("#"):
            continue
        for character in line:
            if character == "{":
                is_function = inside == 0 and re.search(
                    r"\)\s*(const|noexcept|override|final|mutable|&|->[^;{}]*"
                    r"|:[^;]*|\s)*$",
                    head,
                ) is not None and not re.match(r"\s*(class|struct|enum|namespace)\b",
                                               head)
                stack.append(head_line if is_function else None)
                inside += is_function
                head = ""
            elif character == "}":
                if stack:
                    start = stack.pop()
                    if start is not None:
                        inside -= 1
                        yield start, number - start + 1
                head = ""
            elif character == ";":
                head = ""
            else:
                if not head.strip():
                    head = ""
                    head_line = number
                head += character
        head += " "


def check_functions():
    """A function fits a screen."""
    for path in sources(".h", ".cc"):
        for start, count in function_spans(code_lines(path.read_text())):
            if count > FUNCTION_LINES_MAX:
                yield path, start, (
                    f"a function of {count} lines, above {FUNCTION_LINES_MAX}"
                )


def check_format():
    """Every source is as clang-format leaves it."""
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    if tool is None:
        yield ROOT / "dev", 1, "clang-format is not installed; ./dev format installs it"
        return
    paths = [str(path) for path in sources(".h", ".cc")]
    result = subprocess.run(
        [tool, "--dry-run", *paths], capture_output=True, text=True, check=False
    )
    seen = set()
    for line in result.stderr.split("\n"):
        found = re.match(r"(.+?):(\d+):\d+: (?:warning|error)", line)
        if found and found.group(1) not in seen:
            seen.add(found.group(1))
            yield Path(found.group(1)), int(found.group(2)), (
                "not formatted from here on; run ./dev format"
            )


def check_listed():
    """Every source is named in a CMakeLists.txt, or included by one that is."""
    lists = [p for p in ROOT.rglob("CMakeLists.txt")
             if "node_modules" not in p.parts and "build" not in p.parts[len(ROOT.parts):]]
    named = set()
    for path in lists:
        text = re.sub(r"#[^\n]*", "", path.read_text())
        folder = path.parent
        for word in re.findall(r"[\w./-]+\.(?:cc|h)\b", text):
            named.add((folder / word).resolve())
        for word in re.findall(r"weft_fuzz\((\w+)", text):
            named.add((folder / f"{word}.cc").resolve())
    included = set()
    for path in sources(".h", ".cc"):
        for word in re.findall(r'#include\s+"([^"]+)"', path.read_text()):
            included.add((ROOT / word).resolve())
            included.add((path.parent / word).resolve())
    for path in sources(".cc"):
        if path.resolve() not in named:
            yield path, 1, "in no CMakeLists.txt: a dead file"
    for path in sources(".h"):
        if path.resolve() not in named | included:
            yield path, 1, "included by no source and in no CMakeLists.txt: a dead file"


def check_folders():
    """Each folder's CMakeLists.txt opens by saying what belongs there."""
    for folder in LIBRARIES + PROGRAMS:
        for path in sorted((ROOT / folder).rglob("CMakeLists.txt")):
            if "node_modules" in path.parts:
                continue
            if not path.read_text().startswith("#"):
                yield path, 1, "does not open with what belongs in this folder"


CHECKS = {
    "Includes": check_includes,
    "Doors": check_doors,
    "Words": check_words,
    "Files": check_files,
    "Functions": check_functions,
    "Format": check_format,
    "Listed": check_listed,
    "Folders": check_folders,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", choices=CHECKS, help="run this one only")
    parser.add_argument("--list", action="store_true", help="name the checks")
    options = parser.parse_args()
    if options.list:
        for name, check in CHECKS.items():
            print(f"{name}: {check.__doc__}")
        return 0
    faults = 0
    for name, check in CHECKS.items():
        if options.check in (None, name):
            for path, number, fact in check():
                print(f"{name_of(Path(path))}:{number}: {fact}")
                faults += 1
    print(f"tidy: {faults} faults" if faults else "tidy: clean")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
