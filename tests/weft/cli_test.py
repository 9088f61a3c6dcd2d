#!/usr/bin/env python3
"""The program `weft` from outside: exit codes, JSON, bad input, real processes.

Run as `cli_test.py PROGRAM DATA_FOLDER [TEST...]`; `cli_test.py --list` names the
tests. Each works in a directory of its own.
"""

import base64
import contextlib
import csv
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

PROGRAM = ""
DATA = Path()


class CliTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weft-cli-")
        self.addCleanup(self.folder.cleanup)
        self.environment = {k: v for k, v in os.environ.items() if k != "WEFT_STORE"}

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def run_weft(self, *arguments, stdin=b"", environment=None, file_bytes_max=None):
        if isinstance(stdin, str):
            stdin = stdin.encode()

        def limit():
            if file_bytes_max is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max,) * 2)

        return subprocess.run(
            [PROGRAM, *arguments], input=stdin, capture_output=True, timeout=120,
            cwd=self.folder.name, env={**self.environment, **(environment or {})},
            preexec_fn=limit, check=False)

    def weft(self, *arguments, stdin=b""):
        """Has to end with 0; gives its JSON object."""
        place = arguments.index("--") if "--" in arguments else len(arguments)
        ran = self.run_weft(*arguments[:place], "--json", *arguments[place:],
                            stdin=stdin)
        self.assertEqual(ran.returncode, 0, (arguments, ran.stderr))
        self.assertEqual(ran.stderr, b"")
        return json.loads(ran.stdout)

    def fails(self, code, words, *arguments, stdin=b"", file_bytes_max=None):
        """Has to end with `code`, nothing on stdout and one line on stderr."""
        ran = self.run_weft(*arguments, stdin=stdin, file_bytes_max=file_bytes_max)
        error = ran.stderr.decode()
        self.assertEqual(ran.returncode, code, (arguments, error))
        self.assertEqual(error.count("\n"), 1, error)
        self.assertTrue(error.startswith("weft: "), error)
        self.assertEqual(ran.stdout, b"")
        for word in words if isinstance(words, (list, tuple)) else [words]:
            self.assertIn(word, error)

    def lines(self, *arguments):
        ran = self.run_weft(*arguments, "--json")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return [json.loads(line) for line in ran.stdout.splitlines()]

    def store(self, name="ada"):
        self.weft("init", self.path(name))
        return self.path(name)

    def write(self, name, content):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    @contextlib.contextmanager
    def serving(self, store, *command):
        process = subprocess.Popen(
            [PROGRAM, *(command or ("serve",)), store, "--listen", "127.0.0.1:0",
             "--json"], stdout=subprocess.PIPE, env=self.environment)
        try:
            yield json.loads(process.stdout.readline())["listening"]
        finally:
            process.terminate()
            process.wait(timeout=60)
            process.stdout.close()
        self.assertEqual(process.returncode, 0)


class Values(CliTest):
    def test_a_value_is_read_as_it_was_put(self):
        store = self.store()
        op = self.weft("put", store, "todo/1", "milk")["op"]
        self.assertRegex(op, r"^[a-z0-9]{52}:\d+\.\d+$")
        author = self.weft("members", store)["members"][0]["identity"]
        got = self.weft("get", store, "todo/1")
        self.assertGreater(got.pop("time_ms"), 0)
        self.assertEqual(got, {"key": "todo/1", "value": "milk", "op": op,
                               "author": author, "conflicts": [],
                               "deleted_concurrently": False})
        self.assertEqual(self.lines("scan", store), [{"key": "todo/1", "value": "milk"}])
        ran = self.run_weft("get", store, "todo/1")
        self.assertEqual(ran.stdout, b"milk\n")

    def test_a_value_in_brackets_is_one_value(self):
        store = self.store()
        self.weft("put", store, "k", "[1,2]")
        self.assertEqual(self.weft("get", store, "k")["value"], "[1,2]")
        self.weft("put", store, "--", "-k", "-5")
        self.assertEqual(self.weft("get", store, "--", "-k")["value"], "-5")

    def test_bytes_that_are_no_text_are_shown_as_base64(self):
        store = self.store()
        raw = bytes(range(256))
        self.weft("put", store, "raw", "--file", "-", stdin=raw)
        self.assertEqual(base64.b64decode(self.weft("get", store, "raw")["value64"]), raw)

    def test_a_deleted_key_is_gone_and_cannot_be_deleted_twice(self):
        store = self.store()
        self.weft("put", store, "k", "v")
        self.weft("del", store, "k")
        self.fails(1, "k", "get", store, "k")
        self.fails(1, "k", "del", store, "k")

    def test_a_record_is_set_by_cells_and_erased_whole(self):
        store = self.store()
        op = self.weft("set", store, "people/ada", "city=London", "born=1815")["op"]
        self.weft("unset", store, "people/ada", "born")
        got = self.weft("get", store, "people/ada")
        self.assertEqual((got["key"], got["cells"]), ("people/ada", {"city": "London"}))
        self.assertEqual([(w["column"], w["op"]) for w in got["writes"]], [("city", op)])
        self.assertEqual(self.lines("scan", store),
                         [{"key": "people/ada", "cells": {"city": "London"}}])
        self.weft("erase", store, "people/ada")
        self.fails(1, "people/ada", "get", store, "people/ada")

    def test_scan_walks_in_byte_order_within_its_bounds(self):
        store = self.store()
        for key in ["b", "a/2", "a/1", "c", "B"]:
            self.weft("put", store, key, "v" + key)
        keys = lambda *options: [e["key"] for e in self.lines("scan", store, *options)]
        self.assertEqual(keys(), ["B", "a/1", "a/2", "b", "c"])
        self.assertEqual(keys("--prefix", "a/"), ["a/1", "a/2"])
        self.assertEqual(keys("--from", "a/2", "--to", "c"), ["a/2", "b"])
        self.assertEqual(keys("--reverse", "--limit", "2"), ["c", "b"])

    def test_the_fate_of_each_op_is_told(self):
        store = self.store()
        first = self.weft("put", store, "k", "1")["op"]
        second = self.weft("put", store, "k", "2")["op"]
        fates = self.weft("fate", store, first, second)["fates"]
        self.assertEqual(fates[0], {"op": first, "fate": "superseded", "by": [second]})
        self.assertEqual(fates[1], {"op": second, "fate": "winner"})
        unknown = second.split(":")[0] + ":999.0"
        ran = self.run_weft("fate", store, unknown)
        self.assertEqual(ran.returncode, 1)


class Stores(CliTest):
    def test_init_gives_a_link_and_root_two_hashes(self):
        made = self.weft("init", self.path("s"), "--name", "notes")
        self.assertRegex(made["link"], r"^weft://[a-z0-9]{52}")
        root = self.weft("root", self.path("s"))
        self.assertEqual(sorted(root), ["root", "version"])
        self.assertRegex(root["root"], r"^[0-9a-f]{64}$")
        self.assertRegex(root["version"], r"^[0-9a-f]{64}$")

    def test_a_store_may_hold_several_bases(self):
        store = self.path("s")
        self.weft("init", store, "--name", "one")
        self.weft("init", store, "--name", "two")
        self.fails(1, "one", "init", store, "--name", "one")
        self.fails(2, "base", "put", store, "k", "v")
        self.weft("put", store, "k", "v", "--base", "two")
        self.assertEqual(self.weft("get", store, "k", "--base", "two")["value"], "v")
        self.fails(1, "k", "get", store, "k", "--base", "one")
        self.fails(1, "three", "get", store, "k", "--base", "three")
        names = [b["name"] for b in self.weft("status", store)["bases"]]
        self.assertEqual(sorted(names), ["one", "two"])

    def test_the_environment_may_name_the_store(self):
        store = self.store()
        named = {"WEFT_STORE": store}
        self.assertEqual(
            self.run_weft("put", "k", "v", environment=named).returncode, 0)
        self.assertEqual(self.run_weft("get", "k", environment=named).stdout, b"v\n")
        other = self.store("bob")
        ran = self.run_weft("get", other, "k", environment=named)
        self.assertEqual(ran.returncode, 1)

    def test_the_view_is_what_the_logs_say(self):
        store = self.store()
        self.weft("put", store, "k", "v")
        verified = self.weft("verify", store)
        self.assertEqual(verified, {"ok": True, "root": self.weft("root", store)["root"]})

    def test_the_founder_is_the_first_member(self):
        made = self.weft("init", self.path("s"))
        members = self.weft("members", self.path("s"))["members"]
        self.assertEqual([(m["identity"], m["role"], m["self"]) for m in members],
                         [(made["identity"], "founder", True)])


class Faults(CliTest):
    def test_wrong_usage_is_exit_code_2(self):
        store = self.store()
        self.fails(2, "", "nonsense")
        self.fails(2, "", "put", store)
        self.fails(2, "", "put", store, "k", "v", "w")
        self.fails(2, "COL=VALUE", "set", store, "t/k", "no-equals-sign")
        self.fails(2, "role", "grant", store, "x", "--role", "king")
        self.fails(2, "", "scan", store, "--limit", "many")
        self.fails(2, "", "scan", store, "--limit=-1")
        self.fails(2, "store", "get")

    def test_wrong_usage_says_what_is_wrong(self):
        store = self.store()
        for words, said in [
                (["put", store, "k", "v", "w", "x"], "put: 'w' is one argument too many"),
                (["members", store, "x", "y"], "members: 'x' is one argument too many"),
                (["put", store, "k", "v", "--frob"], "there is no option --frob"),
                (["put", store, "k", "v", "--frob"], "weft put --help"),
                (["scan", store, "--limit=-1"], "'-1' is no whole number from 0 to"),
                (["scan", store, "--limit", "9" * 20], "no whole number"),
                (["scan", store, "--limit", "1x"], "'1x' is no whole number"),
                (["invite", store, "--uses", "0"], "'0' is no whole number from 1 to"),
                (["inc", store, "k", "9" * 20], "not an integer from -9223372036854775808"),
                ([], "names no command"), (["core"], "core: needs one of "),
                (["core"], "append"), (["core", "create", store], "--name"),
                (["core", "create", store], "weft core create --help"),
                (["core", "frob"], "'frob' is no command of core")]:
            self.fails(2, said, *words)

    def test_help_may_be_asked_for_in_words(self):
        for words in [["help"], ["help", "put"], ["help", "core", "get"]]:
            ran = self.run_weft(*words)
            self.assertEqual((ran.returncode, ran.stderr), (0, b""))
            self.assertEqual(ran.stdout, self.run_weft(*words[1:], "--help").stdout)
        self.assertIn(b"People, and what they wrote", self.run_weft("help").stdout)

    def test_a_stream_that_is_closed_is_none_of_the_stores_files(self):
        store = self.store()
        key = self.weft("core", "create", store, "--name", "n")["key"]

        def run(closed, *words):
            return subprocess.run(
                [PROGRAM, *words], env=self.environment, timeout=120, check=False,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                preexec_fn=lambda: [os.close(file) for file in closed])

        for words in [["core", "append", store, key], ["batch", store],
                      ["put", store, "k", "--file", "-"], ["import", store, "t", "-"]]:
            ran = run([0], *words)
            self.assertEqual((ran.returncode, ran.stdout), (3, b""), (words, ran.stderr))
            self.assertIn(b"stdin", ran.stderr)
        self.assertEqual(self.weft("core", "info", store, key)["length"], 0)
        ran = run([1], "get", store, "k")
        self.assertEqual(ran.returncode, 1)
        self.assertEqual(run([0, 1, 2], "put", store, "k", "v").returncode, 3)
        self.assertEqual(self.weft("get", store, "k")["value"], "v")
        self.weft("verify", store)

    def test_help_and_version_are_no_failures(self):
        self.assertEqual(self.run_weft("--version").returncode, 0)
        for command in ["init", "join", "grant", "put", "get", "del", "scan", "set",
                        "unset", "erase", "batch", "conflicts", "import", "export",
                        "serve", "sync", "root", "status", "verify", "members", "demo",
                        "core", "bench", "fate"]:
            ran = self.run_weft(command, "--help")
            self.assertEqual(ran.returncode, 0, command)
            self.assertIn(b"usage: weft " + command.encode(), ran.stdout)

    def test_a_store_that_is_not_there_is_not_made_by_reading(self):
        self.fails(3, "nowhere", "get", self.path("nowhere"), "k")
        self.assertFalse(os.path.exists(self.path("nowhere")))

    def test_a_wrong_link_leaves_nothing_behind(self):
        self.fails(2, "link", "join", self.path("s"), "http://example.org")
        self.assertFalse(os.path.exists(self.path("s")))

    def test_a_link_that_nobody_answers_leaves_nothing_behind(self):
        link = self.weft("init", self.path("ada"))["link"]
        self.fails(3, "127.0.0.1:1", "join", self.path("s"), link, "--connect",
                   "127.0.0.1:1")
        self.assertFalse(os.path.exists(self.path("s")))

    def test_a_key_over_the_limit_is_refused(self):
        store = self.store()
        self.fails(2, "1024", "put", store, "k" * 1025, "v")
        self.fails(2, "", "put", store, "", "v")
        self.assertEqual(self.lines("scan", store), [])

    def test_a_directory_of_something_else_is_left_alone(self):
        os.mkdir(self.path("docs"))
        self.write("docs/letter.txt", "dear Bob")
        ran = self.run_weft("init", self.path("docs"))
        self.assertIn(ran.returncode, (0, 3))
        self.assertTrue(os.path.exists(self.path("docs/letter.txt")))

    def test_a_command_that_is_none_is_named(self):
        self.fails(2, "frobnicate", "frobnicate")
        self.fails(2, "frobnicate", "core", "frobnicate")

    def test_a_store_of_a_newer_format_is_refused_and_left_alone(self):
        store = self.store()
        self.weft("put", store, "k", "v")
        path = Path(store) / "FORMAT"
        format_now = path.read_text()
        path.write_text("weft store\nformat 999\nminimum reader 999\n")
        before = sorted(str(file) for file in Path(store).rglob("*"))
        self.fails(3, [store, "999"], "get", store, "k")
        self.fails(3, [store, "999"], "init", store, "--name", "x")
        self.assertEqual(sorted(str(file) for file in Path(store).rglob("*")), before)
        path.write_text(format_now)
        self.assertEqual(self.weft("get", store, "k")["value"], "v")

    def test_a_full_disk_is_one_line_and_what_was_there_stays(self):
        store = self.store()
        self.weft("put", store, "before", "stays")
        root = self.weft("root", store)
        big = self.write("big", os.urandom(200_000))
        self.fails(3, "", "put", store, "big", "--file", big, file_bytes_max=100_000)
        rows = self.write("t.csv", "id,n\n" + "".join(
            f"{i},{os.urandom(20).hex()}\n" for i in range(5000)))
        self.fails(3, "", "import", store, "t", rows, file_bytes_max=100_000)
        self.assertEqual(self.weft("root", store), root)
        self.weft("verify", store)
        self.weft("put", store, "big", "--file", big)

    def test_stdout_that_cannot_be_written_is_an_error(self):
        store = self.store()
        self.weft("put", store, "k", "v")
        with open("/dev/full", "wb") as full:
            ran = subprocess.run([PROGRAM, "get", store, "k"], stdout=full,
                                 stderr=subprocess.PIPE, check=False)
        self.assertEqual(ran.returncode, 3)
        self.assertIn(b"stdout", ran.stderr)

    def test_an_identity_that_is_none_is_refused(self):
        self.fails(2, "", "grant", self.store(), "nobody")


class Damage(CliTest):
    """Bits that turn in the files of a store."""

    def test_a_view_that_cannot_be_read_is_not_said_to_be_whole(self):
        store = self.store()
        self.weft("batch", store, stdin="".join(
            json.dumps({"op": "put", "key": f"k{i}", "value": os.urandom(100).hex()})
            + "\n" for i in range(2000)))
        for _ in range(2):
            self.weft("root", store)
        tables = [os.path.join(store, "db", name)
                  for name in os.listdir(os.path.join(store, "db"))
                  if name.endswith(".sst")]
        largest = max(tables, key=os.path.getsize)
        with open(largest, "r+b") as file:
            file.seek(os.path.getsize(largest) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        ran = self.run_weft("verify", store)
        self.assertIn(ran.returncode, (1, 3))
        self.assertEqual(ran.stdout, b"")
        self.assertIn(b"damaged", ran.stderr)


class Batches(CliTest):
    def test_a_batch_is_one_commit(self):
        store = self.store()
        result = self.weft("batch", store, stdin="\n".join([
            '{"op":"put","key":"a","value":"1"}', '{"op":"put","key":"n","value":7}',
            '{"op":"set","key":"t/1","cells":{"x":1.5,"y":null,"z":true}}', ""]))
        self.assertEqual(result["commits"], 1)
        self.assertEqual(len(result["ops"]), 3)
        self.assertEqual(self.weft("get", store, "n")["value"], 7)
        self.assertEqual(self.weft("get", store, "t/1")["cells"],
                         {"x": 1.5, "y": None, "z": True})
        self.weft("batch", store, stdin='{"op":"del","key":"a"}\n'
                  '{"op":"unset","key":"t/1","columns":["x"]}\n')
        self.fails(1, "a", "get", store, "a")
        self.assertEqual(sorted(self.weft("get", store, "t/1")["cells"]), ["y", "z"])
        self.weft("batch", store, stdin='{"op":"erase","key":"t/1"}\n')
        self.fails(1, "t/1", "get", store, "t/1")

    def test_one_bad_line_means_nothing_is_written(self):
        store = self.store()
        good = '{"op":"put","key":"a","value":"1"}\n'
        for bad, words in [("{", "not JSON"), ("[]", "not a JSON object"),
                           ('{"op":"jump","key":"a"}', "jump"),
                           ('{"op":"put","key":"a"}', "value"),
                           ('{"op":"put","value":"a"}', "key"),
                           ('{"op":"del","key":"a","value":1}', "value"),
                           ('{"op":"set","key":"t/1","cells":{"x":[]}}', "list"),
                           ('{"op":"put","key64":"!","value":1}', "base64")]:
            self.fails(2, ["line 2", words], "batch", store, stdin=good + bad + "\n")
        self.assertEqual(self.lines("scan", store), [])

    def test_each_line_may_be_a_commit_and_is_acknowledged(self):
        store = self.store()
        ran = self.run_weft("batch", store, "--each", "--ack", stdin=
                            '{"op":"put","key":"a","value":"1"}\n'
                            '{"op":"put","key":"b","value":"2"}\n')
        self.assertEqual(ran.returncode, 0, ran.stderr)
        dots = ran.stdout.decode().split()
        self.assertEqual(len(dots), 2)
        for dot in dots:
            self.assertRegex(dot, r"^[a-z0-9]{52}:\d+$")
        self.assertEqual(len(self.lines("scan", store)), 2)

    def test_what_was_committed_before_a_bad_line_is_told(self):
        store = self.store()
        ran = self.run_weft("batch", store, "--each", "--json", stdin=
                            '{"op":"inc","key":"n"}\n{"op":"inc","key":"n"}\n{bad}\n')
        self.assertEqual(ran.returncode, 2)
        self.assertIn(b"line 3", ran.stderr)
        told = json.loads(ran.stdout)
        self.assertEqual((told["commits"], len(told["ops"])), (2, 2))


class Crashes(CliTest):
    # Every op that was acknowledged is there after the process was killed.
    def test_no_acknowledged_op_is_lost_when_the_process_is_killed(self):
        store = self.store()
        for number in range(5):
            process = subprocess.Popen(
                [PROGRAM, "batch", store, "--each", "--ack"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, env=self.environment)

            def feed(pipe=process.stdin.fileno(), number=number):
                try:
                    for i in range(100_000):
                        os.write(pipe, json.dumps(
                            {"op": "put", "key": f"{number}/{i:06}", "value": i}
                        ).encode() + b"\n")
                except OSError:
                    pass  # the process is gone, which is what the test is about

            feeder = threading.Thread(target=feed)
            feeder.start()
            acked = b"".join(process.stdout.readline() for _ in range(40 + 60 * number))
            process.kill()
            acked += process.stdout.read()
            process.wait()
            feeder.join()
            process.stdin.close()
            process.stdout.close()
            # Without what stands behind the last end of line: that ack was cut short.
            dots = acked.decode().split("\n")[:-1]
            fates = self.weft("fate", store, "-", stdin="".join(
                dot + ".0\n" for dot in dots))["fates"]
            self.assertEqual([fate["fate"] for fate in fates], ["winner"] * len(dots))
            there = self.lines("scan", store, "--prefix", f"{number}/")
            self.assertEqual([e["value"] for e in there], list(range(len(there))))
            self.assertGreaterEqual(len(there), len(dots))
            self.weft("verify", store)

    # Whole batches stand, and importing again writes what is missing.
    def test_an_import_that_is_killed_is_finished_by_running_it_again(self):
        store = self.store()
        rows = 3 * 65536 + 1
        path = self.write("big.csv", "id,n\n" + "".join(f"r{i},{i}\n" for i in range(rows)))
        process = subprocess.Popen(
            [PROGRAM, "import", store, "t", path], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=self.environment)
        # The store's log grows with the first commit.
        while process.poll() is None and self.disk_bytes(store) < 1_000_000:
            pass
        process.kill()
        process.wait()
        there = len(self.lines("scan", store, "--prefix", "t/"))
        self.assertIn(there, [0, 65536, 2 * 65536, 3 * 65536, rows])
        again = self.weft("import", store, "t", path)
        self.assertEqual((again["written"], again["unchanged"]), (rows - there, there))
        self.assertEqual(self.weft("import", store, "t", path)["written"], 0)

    def disk_bytes(self, store):
        total = 0
        for file in Path(store).rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                total += file.stat().st_size
        return total


class Tables(CliTest):
    def airports(self):
        return DATA / "airports.csv"

    def test_the_airports_come_in_as_one_commit_and_go_out_as_they_came(self):
        store = self.store()
        result = self.weft("import", store, "airports", str(self.airports()))
        self.assertEqual((result["written"], result["unchanged"], result["commits"]),
                         (3376, 0, 1))
        self.assertEqual(self.weft("get", store, "airports/SFO")["cells"]["state"], "CA")
        out = self.run_weft("export", store, "airports").stdout.decode()
        with open(self.airports(), newline="", encoding="utf-8") as file:
            expected = {row["iata"]: row for row in csv.DictReader(file)}
        got = {row["iata"]: row for row in csv.DictReader(io.StringIO(out, newline=""))}
        self.assertEqual(got, expected)
        again = self.weft("import", store, "airports", str(self.airports()))
        self.assertEqual((again["written"], again["unchanged"]), (0, 3376))

    def test_what_is_exported_is_imported_as_the_same_table(self):
        store = self.store()
        self.weft("batch", store, stdin="\n".join([
            '{"op":"set","key":"t/1","cells":{"id":"1","a":"x,\\"y\\"","n":5}}',
            '{"op":"set","key":"t/2","cells":{"id":"2","b":"two\\nlines"}}', ""]))
        for format_name in ["csv", "ndjson"]:
            out = self.run_weft("export", store, "t", "--format", format_name).stdout
            path = self.write("t." + format_name, out)
            other = self.store("other-" + format_name)
            self.weft("import", other, "t", path)
            self.assertEqual(
                self.run_weft("export", other, "t", "--format", format_name).stdout, out)
        self.assertEqual(self.weft("get", self.path("other-ndjson"), "t/1")["cells"]["n"],
                         5)

    def test_a_table_goes_out_as_it_came_in(self):
        for name, table in [
                ("csv", 'id,a,b\n1,,""\n2,x,\n3,,\n'),
                ("csv", ',a\n1,x\n'),
                ("ndjson", '{"id":"1","a":"","b":null}\n{"id":"2"}\n'),
                ("ndjson", '{"":"1","a":5}\n')]:
            store = self.store(f"s{len(os.listdir(self.folder.name))}")
            self.weft("import", store, "t", "-", "--format", name, stdin=table)
            out = self.run_weft("export", store, "t", "--format", name).stdout
            if not table.startswith('{"id"'):
                self.assertEqual(out.decode(), table)
            root = self.weft("root", store)["root"]
            other = self.store(f"s{len(os.listdir(self.folder.name))}")
            self.weft("import", other, "t", "-", "--format", name, stdin=out)
            self.assertEqual(
                self.run_weft("export", other, "t", "--format", name).stdout, out)
            self.assertEqual([e["cells"] for e in self.lines("scan", other)],
                             [e["cells"] for e in self.lines("scan", store)])
            again = self.weft("import", store, "t", "-", "--format", name, stdin=out)
            self.assertEqual((again["written"], self.weft("root", store)["root"]),
                             (0, root))

    # A field of a CSV has no type, and says what the cell says.
    def test_a_csv_of_cells_with_types_is_read_back_as_they_are(self):
        store = self.store()
        self.weft("batch", store, stdin='{"op":"set","key":"t/1","cells":'
                  '{"n":1,"z":null,"b":true,"r":0.5}}\n')
        out = self.run_weft("export", store, "t").stdout
        again = self.weft("import", store, "t", "-", stdin=out)
        self.assertEqual((again["written"], again["unchanged"]), (0, 1))
        again = self.weft("import", store, "t", "-", stdin=out.replace(b"0.5", b"0.7"))
        self.assertEqual(again["written"], 1)

    def test_a_column_has_a_name_that_a_table_can_hold(self):
        store = self.store()
        self.fails(2, "no name", "batch", store,
                   stdin='{"op":"set","key":"t/1","cells":{"":"x"}}\n')
        self.weft("set", store, "t/1", b"\xc3=x")
        for name in ("csv", "ndjson"):
            self.fails(1, "not UTF-8", "export", store, "t", "--format", name)

    def test_an_empty_field_takes_a_cell_away_and_a_missing_column_does_not(self):
        store = self.store()
        self.weft("import", store, "t", "-", stdin="id,a,b\n1,x,y\n")
        self.weft("import", store, "t", "-", stdin="id,a\n1,\n")
        self.assertEqual(self.weft("get", store, "t/1")["cells"], {"id": "1", "b": "y"})

    def test_rows_without_a_key_column_keep_their_cells(self):
        store = self.store()
        self.weft("set", store, "t/1", "a=x")
        self.weft("inc", store, "t/1", "5", "--column", "n")
        out = self.run_weft("export", store, "t").stdout
        self.assertEqual(out, b",a,n\n1,x,5\n")
        self.assertEqual(self.weft("import", store, "t", "-", stdin=out)["written"], 0)
        self.assertEqual(self.weft("get", store, "t/1")["cells"], {"a": "x"})
        self.assertEqual(self.run_weft("export", store, "t").stdout, out)

    def test_an_integer_that_fits_nowhere_is_no_real(self):
        store = self.store()
        for number in ["9223372036854775808", "18446744073709551616",
                       "-9223372036854775809"]:
            line = '{"op":"put","key":"a","value":%s}\n' % number
            self.fails(2, ["line 1", number], "batch", store, stdin=line)
            self.fails(3, ["line 2", number], "import", store, "t", "-", "--format",
                       "ndjson", stdin='{"k":1}\n{"k":%s}\n' % number)
        self.assertEqual(self.lines("scan", store), [])

    def test_a_file_with_a_fault_writes_nothing(self):
        store = self.store()
        for content, words in [("a,b\n1,2\n3\n", "line 3"),
                               ("a,b\n1,2\n1,3\n", "line 3"),
                               ("a,b\n1,\"2\n", "line 2"),
                               (b"a,b\n1,\xff\n", "line 2: not UTF-8"),
                               ("a,a\n1,2\n", "twice"), ("", "line 1")]:
            path = self.write("bad.csv", content)
            self.fails(3, ["bad.csv", words], "import", store, "t", path)
        path = self.write("good.csv", "a,b\n1,2\n")
        self.fails(3, "'id'", "import", store, "t", path, "--key", "id")
        self.fails(3, "missing.csv", "import", store, "t", self.path("missing.csv"))
        self.fails(2, "t/t", "import", store, "t/t", path)
        self.fails(2, "xml", "import", store, "t", path, "--format", "xml")
        self.assertEqual(self.lines("scan", store), [])
        self.fails(1, "t", "export", store, "t")

    def test_a_fault_at_the_end_of_a_large_file_is_found_before_anything_is_written(self):
        store = self.store()
        path = self.write("big.csv", "id,n\n" + "".join(
            f"r{i},{i}\n" for i in range(65536 + 10)) + "r5,5\n")
        self.fails(3, ["line 65548", "'r5'", "line 7"], "import", store, "t", path)
        self.assertEqual(self.lines("scan", store), [])

    def test_only_the_cells_that_differ_are_written(self):
        store = self.store()
        path = self.write("t.csv", "id,a,b\n1,x,y\n2,x,y\n")
        before = self.weft("import", store, "t", path, "--ops")["ops"]
        self.weft("set", store, "t/1", "a=changed")
        self.assertEqual(self.weft("import", store, "t", path)["written"], 1)
        writes = {w["column"]: w for w in self.weft("get", store, "t/1")["writes"]}
        self.assertEqual(writes["a"]["value"], "x")
        self.assertEqual(writes["b"]["op"], before[0])

    def test_a_table_may_come_from_a_pipe(self):
        store = self.store()
        self.weft("import", store, "t", "-", stdin="id,n\r\n1,x\r\n")
        self.weft("import", store, "t", "-", "--format", "ndjson",
                  stdin='{"id":"2","n":{"base64":"/w=="}}\n')
        self.assertEqual([e["cells"]["n"] for e in self.lines("scan", store)],
                         ["x", {"base64": "/w=="}])

    def test_a_table_beyond_one_commit_is_written_in_whole_batches(self):
        store = self.store()
        rows = 65536 + 10
        path = self.write("big.csv",
                          "id,n\n" + "".join(f"{i},{i % 7}\n" for i in range(rows)))
        result = self.weft("import", store, "big", path)
        self.assertEqual((result["written"], result["commits"]), (rows, 2))
        self.weft("set", store, "big/17", "n=changed")
        again = self.weft("import", store, "big", path)
        self.assertEqual((again["written"], again["unchanged"]), (1, rows - 1))


def main(name):
    """Lists or runs the tests of the module of that name."""
    global PROGRAM, DATA
    if sys.argv[1:] == ["--list"]:
        for suite in unittest.defaultTestLoader.loadTestsFromModule(sys.modules[name]):
            for test in suite:
                print(test.id().replace("__main__.", ""))
        sys.exit(0)
    PROGRAM, DATA = os.path.abspath(sys.argv[1]), Path(sys.argv[2]).resolve()
    # In the background of a shell it is ignored, and so it would be by all we start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    unittest.main(module=name, argv=[sys.argv[0], *sys.argv[3:]])


if __name__ == "__main__":
    main("__main__")
