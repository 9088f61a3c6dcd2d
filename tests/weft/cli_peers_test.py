#!/usr/bin/env python3
"""The program `weft` with others: peers over TCP, plain cores, the demo.

Run as `cli_peers_test.py PROGRAM DATA_FOLDER [TEST...]`; `--list` names the tests.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading

import cli_test
from cli_test import CliTest


class Stranger:
    """Something that listens and is no Weft: it says `greeting` to whoever comes."""

    def __init__(self, test, greeting):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.greeting = greeting
        self.guests = []
        self.thread = threading.Thread(target=self.welcome)
        self.thread.start()
        test.addCleanup(self.close)

    def welcome(self):
        with contextlib.suppress(OSError):  # it was closed: nobody comes any more
            while True:
                guest, _ = self.socket.accept()
                self.guests.append(guest)
                guest.sendall(self.greeting)
                if self.greeting:
                    guest.close()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()
        for guest in self.guests:
            guest.close()


class Peers(CliTest):
    def pair(self):
        """Ada founds, Bob joins offline and may write; both are level."""
        ada, bob = self.path("ada"), self.path("bob")
        joined = self.weft("join", bob, self.weft("init", ada)["link"])
        granted = self.weft("grant", ada, joined["identity"], "writer")
        self.assertEqual(granted["role"], "writer")
        with self.serving(ada) as address:
            self.weft("sync", bob, "--connect", address)
        return ada, bob

    def test_a_peer_that_speaks_something_else_is_an_error_of_the_world(self):
        store = self.store()
        root = self.weft("root", store)
        for greeting in [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 5000, b"\x00",
                         b"\x20\x00\x00" + b"\x00" * 32]:
            stranger = Stranger(self, greeting)
            self.fails(3, stranger.address, "sync", store, "--connect",
                       stranger.address, "--timeout", "20")
            self.fails(3, stranger.address, "core", "clone", "1" * 64, self.path("c"),
                       "--connect", stranger.address, "--timeout", "20")
            self.assertFalse(os.path.exists(self.path("c")))
            ran = self.run_weft("sync", store, "--connect", stranger.address)
            self.assertEqual(ran.stderr.count(stranger.address.encode()), 1, ran.stderr)
            self.assertIn(b"nobody there speaks our protocol", ran.stderr)
        self.assertEqual(self.weft("root", store), root)

    def test_a_peer_that_says_nothing_is_given_up(self):
        stranger = Stranger(self, b"")
        store = self.store()
        self.fails(3, [stranger.address, "1000 ms"], "sync", store, "--connect",
                   stranger.address, "--timeout", "1")
        for words in [["clone", "1" * 64], ["get", "1" * 64, "0"]]:
            verb, *rest = words
            place = [rest[0], self.path("c")] if verb == "clone" else [
                self.path("c"), *rest]
            for timeout in ["0.5", "30"] if verb == "clone" else ["0.5"]:
                self.fails(3, stranger.address, "core", verb, *place, "--connect",
                           stranger.address, "--timeout", timeout)
                self.assertFalse(os.path.exists(self.path("c")))

    def test_guests_that_speak_something_else_do_not_disturb_the_others(self):
        ada, bob = self.pair()
        self.weft("put", ada, "k", "v")
        with self.serving(ada) as address:
            host, port = address.rsplit(":", 1)
            for words in [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 1000, b""]:
                with socket.create_connection((host, int(port))) as guest:
                    guest.sendall(words)
            self.weft("sync", bob, "--connect", address)
        self.assertEqual(self.weft("root", ada), self.weft("root", bob))

    # Ada and Bob both stay; Cleo only ever meets Ada, and gets from her what Bob had.
    def test_what_one_serving_peer_gets_from_another_it_gives_to_a_third(self):
        ada, bob = self.pair()
        cleo = self.path("cleo")
        self.weft("join", cleo, self.weft("status", ada)["bases"][0]["link"])
        self.weft("put", bob, "b", "from Bob")
        with self.serving(ada) as address:
            with subprocess.Popen([cli_test.PROGRAM, "serve", bob, "--connect", address],
                                  stdout=subprocess.DEVNULL, env=self.environment) as stays:
                code = 1
                while code == 1:  # until it came: CTest's timeout ends our patience
                    self.weft("sync", cleo, "--connect", address)
                    code = self.run_weft("get", cleo, "b").returncode
                stays.send_signal(signal.SIGINT)
            self.assertEqual((code, stays.returncode), (0, 0))
        self.assertEqual(self.weft("get", cleo, "b")["value"], "from Bob")

    def test_get_says_who_wrote_each_cell_and_what_stands_beside(self):
        ada, bob = self.pair()
        self.weft("set", ada, "t/1", "name=draft", "x=1")
        self.weft("set", bob, "t/1", "name=sketch", "y=2")
        with self.serving(ada) as address:
            self.weft("sync", bob, "--connect", address)
        got = self.weft("get", ada, "t/1")
        self.assertEqual(got, self.weft("get", bob, "t/1"))
        self.assertEqual((got["cells"]["x"], got["cells"]["y"]), ("1", "2"))
        writes = {w["column"]: w for w in got["writes"]}
        values = {writes["name"]["value"], got["conflicts"][0]["value"]}
        self.assertEqual(values, {"draft", "sketch"})
        self.assertNotEqual(writes["x"]["author"], writes["y"]["author"])
        self.assertEqual(got["conflicts"][0]["column"], "name")
        self.assertIs(got["deleted_concurrently"], False)

    def test_two_processes_meet_over_tcp_and_show_the_same(self):
        ada, bob = self.path("ada"), self.path("bob")
        link = self.weft("init", ada)["link"]
        self.weft("put", ada, "k", "from Ada")
        with self.serving(ada) as address:
            joined = self.weft("join", bob, link, "--connect", address)
            self.assertEqual(sorted(joined), ["identity", "link", "name"])
            self.assertTrue(self.weft("sync", bob, "--connect", address)["level"])
        self.assertEqual(self.weft("get", bob, "k")["value"], "from Ada")
        self.fails(1, "", "put", bob, "k", "not yet")
        self.weft("grant", ada, joined["identity"])
        with self.serving(ada) as address:
            self.weft("sync", bob, "--connect", address)
        self.weft("put", ada, "c", "Ada's")
        self.weft("put", bob, "c", "Bob's")
        with self.serving(bob) as address:
            self.weft("sync", ada, "--connect", address)
        self.assertEqual(self.weft("root", ada), self.weft("root", bob))
        conflicts = self.weft("conflicts", ada)["conflicts"]
        self.assertEqual([c["key"] for c in conflicts], ["c"])
        self.assertEqual(sorted(v["value"] for v in conflicts[0]["values"]),
                         ["Ada's", "Bob's"])
        self.assertEqual({v["author"] for v in conflicts[0]["values"]},
                         {m["identity"] for m in self.weft("members", ada)["members"]})

    def test_a_peer_that_is_not_there_is_an_error_of_the_world(self):
        self.fails(3, "127.0.0.1:1", "sync", self.store(), "--connect", "127.0.0.1:1",
                   "--timeout", "2")
        self.fails(2, "", "sync", self.path("ada"), "--connect", "not an address")

    def test_a_peer_with_other_bases_is_told_so(self):
        ada, other = self.store("ada"), self.store("other")
        with self.serving(ada) as address:
            self.fails(3, "", "sync", other, "--connect", address, "--timeout", "3")


class Cores(CliTest):
    def test_a_core_is_made_appended_to_and_read(self):
        store = self.path("s")
        made = self.weft("core", "create", store, "--name", "log")
        self.assertRegex(made["key"], r"^[0-9a-f]{64}$")
        self.assertRegex(made["id"], r"^[a-z0-9]{52}$")
        key = made["key"]
        self.assertEqual(self.weft("core", "append", store, key, "--lines",
                                   stdin="one\ntwo\n"),
                         {"first": 0, "blocks": 2, "length": 2})
        self.weft("core", "append", store, made["id"], stdin=b"\x00raw\xff")
        self.assertEqual(self.run_weft("core", "get", store, key, "2").stdout,
                         b"\x00raw\xff")
        info = self.weft("core", "info", store, key)
        self.assertEqual((info["length"], info["have"], info["bytes"], info["fork"]),
                         (3, 3, 11, 0))
        self.assertEqual(
            [c["key"] for c in self.weft("core", "list", store)["cores"]], [key])
        self.assertEqual(self.weft("core", "create", store, "--name", "log")["key"], key)

    def test_a_core_is_listed_by_the_name_it_was_made_by(self):
        store = self.path("s")
        made = self.weft("core", "create", store, "--name", "news \u2603")
        self.weft("core", "create", store, "--name", "other")
        self.assertEqual(made["name"], "news \u2603")
        names = [c["name"] for c in self.weft("core", "list", store)["cores"]]
        self.assertEqual(sorted(names), ["news \u2603", "other"])
        self.assertIn("news \u2603".encode(),
                      self.run_weft("core", "list", store).stdout)
        self.assertEqual(self.weft("core", "info", store, made["key"])["name"],
                         "news \u2603")
        self.weft("core", "purge", store, made["key"])
        self.assertEqual(
            [c["name"] for c in self.weft("core", "list", store)["cores"]], ["other"])
        self.fails(2, "1024", "core", "create", store, "--name", "x" * 1025)

    def test_faults_of_cores_have_their_codes(self):
        store = self.path("s")
        key = self.weft("core", "create", store, "--name", "log")["key"]
        self.fails(2, "", "core", "info", store, "no key")
        self.fails(1, "", "core", "info", store, "0" * 64)
        self.fails(1, "", "core", "get", store, key, "0")
        self.fails(2, "index", "core", "get", store, key, "x")
        self.fails(2, "no key", "core", "clone", "no key", self.path("c"), "--connect",
                   "127.0.0.1:1")
        self.fails(2, "A..B", "core", "clone", key, self.path("c"), "--connect",
                   "127.0.0.1:1", "--blocks", "5..2")
        self.assertFalse(os.path.exists(self.path("c")))

    def test_a_core_is_cloned_whole_and_in_part(self):
        store = self.path("s")
        key = self.weft("core", "create", store, "--name", "log")["key"]
        self.weft("core", "append", store, key, "--lines",
                  stdin="".join(f"block {i}\n" for i in range(100)))
        with self.serving(store, "core", "serve") as address:
            whole = self.weft("core", "clone", key, self.path("whole"), "--connect",
                              address)
            self.assertEqual((whole["length"], whole["have"]), (100, 100))
            part = self.weft("core", "clone", key, self.path("part"), "--connect",
                             address, "--blocks", "10..20")
            self.assertEqual((part["length"], part["have"]), (100, 10))
            last = self.weft("core", "clone", key, self.path("last"), "--connect",
                             address, "--blocks", "95..110")
            self.assertEqual((last["length"], last["have"]), (100, 5))
            self.fails(1, "block 100 is beyond the log's 100", "core", "clone", key,
                       self.path("past"), "--connect", address, "--blocks", "100..110")
            live = subprocess.Popen(
                [cli_test.PROGRAM, "core", "clone", key, self.path("live"), "--connect", address,
                 "--live", "--json"], stdout=subprocess.PIPE, env=self.environment)
            while json.loads(live.stdout.readline()) != {"have": 100, "length": 100}:
                pass
            live.terminate()
            last = json.loads(live.communicate()[0].splitlines()[-1])
            self.assertEqual((live.returncode, last["have"]), (0, 100))
            # Many times: a connection that ends while the store closes must not hurt.
            for _ in range(40):
                self.fails(3, address, "core", "clone", "1" * 64, self.path("none"),
                           "--connect", address)
        self.assertEqual(
            self.run_weft("core", "get", self.path("part"), key, "15").stdout,
            b"block 15")
        self.fails(1, "", "core", "get", self.path("part"), key, "50")

    @contextlib.contextmanager
    def serving_at(self, address, store):
        with subprocess.Popen(
                [cli_test.PROGRAM, "core", "serve", store, "--listen", address, "--json"],
                stdout=subprocess.PIPE, env=self.environment) as server:
            self.assertIn(b"listening", server.stdout.readline())
            yield
            server.terminate()

    def test_a_live_clone_outlives_its_peer(self):
        store = self.path("s")
        address = "unix:" + self.path("socket")
        key = self.weft("core", "create", store, "--name", "log")["key"]
        self.weft("core", "append", store, key, stdin="one")
        clone = ["core", "clone", key, self.path("live"), "--connect", address, "--live"]
        self.fails(3, address, *clone)
        with self.serving_at(address, store):
            live = subprocess.Popen(
                [cli_test.PROGRAM, *clone, "--json"], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, env=self.environment)
            while json.loads(live.stdout.readline()) != {"have": 1, "length": 1}:
                pass
        self.assertIn(b"dialling again", live.stderr.readline())
        self.weft("core", "append", store, key, stdin="two")
        with self.serving_at(address, store):
            while json.loads(live.stdout.readline()) != {"have": 2, "length": 2}:
                pass
        self.assertIn(b"dialling again", live.stderr.readline())
        live.terminate()
        last = json.loads(live.communicate()[0].splitlines()[-1])
        self.assertEqual((live.returncode, last["have"]), (0, 2))


class Demo(CliTest):
    def test_the_story_ends_well_and_leaves_three_stores(self):
        told = self.run_weft("demo", self.path("d"), "--data",
                             str(cli_test.DATA / "airports.csv"))
        self.assertEqual(told.returncode, 0, told.stderr)
        roots = {self.weft("root", self.path("d/" + name))["root"]
                 for name in ["ada", "bob", "cleo"]}
        self.assertEqual(len(roots), 1)
        self.assertIn(roots.pop().encode(), told.stdout)

    def test_the_demo_does_not_touch_what_is_not_its_own(self):
        os.mkdir(self.path("d"))
        self.write("d/letter.txt", "dear Bob")
        self.fails(3, "d", "demo", self.path("d"))
        self.assertEqual(os.listdir(self.path("d")), ["letter.txt"])


if __name__ == "__main__":
    cli_test.main("__main__")
