#!/usr/bin/env python3
"""A store whose disk is full, or that may not be written to, from outside.

Run as `disk_test.py PROGRAM DATA_FOLDER [TEST...]`; `--list` names the tests. A limit
on the size of files stands in for a full disk, and a lost right for a read-only mount:
neither takes privileges, and a running process can be given the room back.
"""

import contextlib
import ctypes
import json
import os
import resource
import stat
import subprocess
from pathlib import Path

import cli_test
from cli_test import CliTest

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE = 1
FULL = 32 * 1024  # bytes; too few to open a store for writing


def contents(path):
    """Every file below the path, with its bytes and its time of change."""
    return {str(file): (file.read_bytes(), file.stat().st_mtime_ns)
            for file in Path(path).rglob("*") if stat.S_ISREG(file.lstat().st_mode)}


class Disk(CliTest):
    def a_store(self):
        store = self.store()
        self.weft("put", store, "k", "v")
        self.weft("set", store, "t/1", "id=1", "n=2")
        return store

    def reads(self, run):
        """All that only reads does as ever; `run` runs a command."""
        for words, expected in [(["get", "k"], b"v\n"), (["export", "t"], b"id,n\n1,2\n")]:
            ran = run(*words)
            self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (0, expected, b""))
        for words in [["scan"], ["status"], ["members"], ["root"], ["verify"],
                      ["fate", "-"], ["conflicts"], ["core", "list"]]:
            ran = run(*words)
            self.assertEqual((ran.returncode, ran.stderr), (0, b""), (words, ran.stderr))

    def writes_fail(self, run, why):
        for words in [["put", "k", "w"], ["inc", "c", "1"], ["invite"],
                      ["core", "create", "--name", "n"]]:
            ran = run(*words)
            error = ran.stderr.decode()
            self.assertEqual((ran.returncode, ran.stdout), (3, b""), (words, error))
            self.assertEqual(error.count("\n"), 1, error)
            self.assertIn(why, error)
            self.assertIn("can only be read", error)


class FullDisk(Disk):
    def run_full(self, store):
        def run(*words):
            command = 2 if words[0] == "core" else 1
            return self.run_weft(*words[:command], store, *words[command:],
                                 file_bytes_max=FULL)
        return run

    def test_a_store_on_a_full_disk_is_read_and_not_touched(self):
        store = self.a_store()
        before = contents(store)
        self.reads(self.run_full(store))
        self.assertIn(b"can only be read", self.run_full(store)("status").stdout)
        self.writes_fail(self.run_full(store), "the disk is full")
        self.assertEqual(contents(store), before)
        self.assertTrue(self.weft("status", store)["writable"])
        self.weft("put", store, "k", "w")
        self.assertEqual(self.weft("get", store, "k")["value"], "w")

    def test_what_a_killed_process_left_unindexed_is_read_too(self):
        store = self.a_store()
        with self.serving_pipe(store) as process:
            self.weft("put", store, "late", "x")
            process.kill()
            process.wait()
        before = contents(store)
        ran = self.run_full(store)("get", "late")
        self.assertEqual((ran.returncode, ran.stdout), (0, b"x\n"), ran.stderr)
        self.assertEqual(contents(store), before)

    def test_what_is_on_a_full_disk_can_be_given_to_others(self):
        store = self.a_store()
        link = self.weft("status", store)["bases"][0]["link"]
        bob = self.path("bob")
        with self.serving(store) as address:
            self.weft("join", bob, link, "--connect", address)
        self.weft("put", store, "more", "x")
        with self.serving(bob) as address:
            ran = self.run_full(store)("sync", "--connect", address)
            self.assertEqual(ran.returncode, 0, ran.stderr)
            self.assertEqual(self.weft("get", bob, "more")["value"], "x")

    def test_no_store_is_made_where_there_is_no_room(self):
        ran = self.run_full(self.path("new"))("init")
        self.assertEqual(ran.returncode, 3)
        self.assertIn(b"the disk is full", ran.stderr)
        self.assertFalse(os.path.exists(self.path("new")))

    @contextlib.contextmanager
    def serving_pipe(self, store, file_bytes_max=resource.RLIM_INFINITY):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE,
                               (file_bytes_max, resource.RLIM_INFINITY))
        with subprocess.Popen([cli_test.PROGRAM, "serve", store, "--listen",
                               "127.0.0.1:0", "--json"], stdout=subprocess.PIPE,
                              env=self.environment, preexec_fn=limit) as process:
            try:
                yield process
            finally:
                process.terminate()
                process.wait(timeout=60)

    def next_event(self, process, words):
        """Reads on until an event says so."""
        for line in process.stdout:
            event = json.loads(line).get("event", "")
            if words in event:
                return event
        self.fail(f"no event says {words!r}")

    def test_a_server_whose_disk_gets_full_serves_on_and_writes_again_later(self):
        store = self.a_store()
        link = self.weft("status", store)["bases"][0]["link"]
        big = self.write("big", os.urandom(200_000))
        with self.serving_pipe(store, 1_200_000) as process:
            address = json.loads(process.stdout.readline())["listening"]
            for number in range(5):
                self.weft("put", store, f"big/{number}", "--file", big)
            self.fails(3, "the disk is full", "put", store, "big/5", "--file", big)
            event = self.next_event(process, "can only be read")
            self.assertIn("8 MiB", event)
            self.reads(lambda *words: self.run_weft(
                *words[:-1 if words[0] == "core" else 1],
                *([words[-1], store] if words[0] == "core" else [store, *words[1:]])))
            self.fails(3, "can only be read", "put", store, "k", "w")
            # Who comes now gets what is there, from the same port.
            bob = self.path("bob")
            self.weft("join", bob, link, "--connect", address)
            self.weft("sync", bob)
            self.assertEqual(self.weft("get", bob, "k")["value"], "v")
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE,
                             (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            self.next_event(process, "written to again")
            self.weft("put", store, "big/2", "--file", big)
            self.weft("sync", bob)
            self.assertEqual(self.weft("root", bob), self.weft("root", store))
        self.assertEqual(process.returncode, 0)
        self.weft("verify", store)


class ReadOnly(Disk):
    """Nothing in the store, nor it itself, may be written to."""

    def forbid(self, store):
        for path in [store, *Path(store).rglob("*")]:
            mode = os.lstat(path).st_mode
            os.chmod(path, mode & ~0o222)
        self.addCleanup(self.allow, store)

    def allow(self, store):
        for path in [store, *Path(store).rglob("*")]:
            os.chmod(path, os.lstat(path).st_mode | 0o200)

    def run_bound(self, store):
        def give_up():
            # The superuser writes where nobody may, unless he gave that up.
            if os.geteuid() == 0:
                ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)

        def run(*words):
            command = 2 if words[0] == "core" else 1
            return subprocess.run(
                [cli_test.PROGRAM, *words[:command], store, *words[command:]],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
                env=self.environment, preexec_fn=give_up, check=False)
        return run

    def test_a_store_that_may_not_be_written_to_is_read(self):
        store = self.a_store()
        self.forbid(store)
        before = contents(store)
        self.reads(self.run_bound(store))
        self.writes_fail(self.run_bound(store), "Permission denied")
        self.assertEqual(contents(store), before)

    def test_it_is_served_too_and_read_meanwhile(self):
        store = self.a_store()
        link = self.weft("status", store)["bases"][0]["link"]
        self.forbid(store)
        give_up = lambda: os.geteuid() == 0 and ctypes.CDLL(None).prctl(
            PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)
        with subprocess.Popen([cli_test.PROGRAM, "serve", store, "--listen",
                               "127.0.0.1:0", "--json"], stdout=subprocess.PIPE,
                              env=self.environment, preexec_fn=give_up) as process:
            try:
                lines = [json.loads(process.stdout.readline()) for _ in range(2)]
                address = next(line["listening"] for line in lines if "listening" in line)
                self.assertIn("can only be read", str(lines))
                self.reads(self.run_bound(store))
                bob = self.path("bob")
                self.weft("join", bob, link, "--connect", address)
                self.weft("sync", bob)
                self.assertEqual(self.weft("get", bob, "k")["value"], "v")
            finally:
                process.terminate()
                process.wait(timeout=60)
        self.assertEqual(process.returncode, 0)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cli_test.main("__main__")
