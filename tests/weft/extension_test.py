#!/usr/bin/env python3
"""Messages from program to program: `weft ext`, between real processes.

Run as `extension_test.py PROGRAM DATA_FOLDER [TEST...]`; `--list` names the tests.
"""

import contextlib
import json
import os
import subprocess

import cli_test
from in_use_test import Holders


class Extensions(Holders):
    def tail(self, store, *options):
        tail = self.start("ext", "tail", store, *options, "--json",
                          stderr=subprocess.PIPE)
        self.assertEqual(tail.stderr.readline(), b"listening\n")
        return tail

    def heard(self, tail):
        out, error = tail.communicate()
        self.assertEqual((tail.returncode, error), (0, b""))
        return [json.loads(line) for line in out.splitlines()]

    @contextlib.contextmanager
    def meeting(self):
        """Ada serves and Bob is connected; both know the base `main`."""
        ada, bob = self.store("ada"), self.path("bob")
        self.weft("join", bob, self.weft("status", ada)["bases"][0]["link"])
        self.weft("grant", ada, self.weft("status", bob)["bases"][0]["identity"])
        with self.serving(ada) as address:
            self.weft("sync", bob, "--connect", address)
            with self.start("serve", bob, "--connect", address,
                            stdout=subprocess.DEVNULL) as server:
                while not os.path.exists(bob + "/control"):
                    pass
                while not self.weft("peers", bob)["peers"]:
                    pass
                try:
                    yield ada, bob
                finally:
                    server.terminate()

    def send(self, *arguments):
        """Until a peer takes it: a connection may not be past its greetings."""
        while self.run_weft("ext", "send", *arguments).returncode == 1:
            pass

    def test_a_message_reaches_who_listens_for_its_name(self):
        with self.meeting() as (ada, bob):
            tail = self.tail(ada, "chat", "--count", "2")
            self.send(bob, "other", "not for Ada")
            self.send(bob, "chat", "hello")
            self.send(bob, "chat", "again")
            heard = self.heard(tail)
            self.assertEqual([(m["name"], m["payload"], m["author"]) for m in heard],
                             [("chat", "hello", None), ("chat", "again", None)])

    def test_a_message_of_a_base_may_be_signed_and_says_by_whom(self):
        with self.meeting() as (ada, bob):
            identity = self.weft("status", bob)["bases"][0]["identity"]
            tail = self.tail(ada, "--base", "main", "--count", "2")
            self.send(bob, "chat", "hello", "--base", "main", "--sign")
            self.send(bob, "chat", "who?", "--base", "main")
            heard = self.heard(tail)
            self.assertEqual([(m["payload"], m["author"]) for m in heard],
                             [("hello", identity), ("who?", None)])

    def test_a_message_of_a_base_stays_with_those_who_know_it(self):
        with self.meeting() as (ada, bob):
            self.weft("init", ada, "--name", "secret")
            self.fails(1, "no peer", "ext", "send", ada, "x", "y", "--base", "secret")

    def test_a_message_of_a_core_goes_to_those_who_share_it(self):
        store, copy = self.path("s"), self.path("c")
        key = self.weft("core", "create", store, "--name", "log")["key"]
        self.weft("core", "append", store, key, stdin="one")
        with self.serving(store, "core", "serve") as address:
            with self.start("core", "clone", key, copy, "--connect", address, "--live",
                            "--json") as live:
                while json.loads(live.stdout.readline())["have"] != 1:
                    pass
                tail = self.tail(copy, "--core", key, "--count", "1")
                self.send(store, "cursor", "5", "--core", key)
                self.assertEqual([(m["name"], m["payload"]) for m in self.heard(tail)],
                                 [("cursor", "5")])
                live.terminate()

    def test_messages_have_limits_and_need_a_peer(self):
        store = self.store()
        self.fails(1, "no peer", "ext", "send", store, "x", "y")
        self.fails(2, "64", "ext", "send", store, "x" * 65, "y")
        self.fails(2, "65536", "ext", "send", store, "x", stdin=b"y" * 65537)
        self.fails(2, "base", "ext", "send", store, "x", "y", "--sign")
        self.fails(1, "nobase", "ext", "send", store, "x", "y", "--base", "nobase")
        self.assertEqual(self.weft("peers", store), {"peers": []})


if __name__ == "__main__":
    cli_test.main("__main__")
