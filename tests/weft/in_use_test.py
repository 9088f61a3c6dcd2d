#!/usr/bin/env python3
"""A store in use stays usable: every command acts through the process that holds it.

Run as `in_use_test.py PROGRAM DATA_FOLDER [TEST...]`; `--list` names the tests. Real
processes, no mocks: servers that are killed, guests that hang, guests that die.
"""

import contextlib
import json
import os
import resource
import signal
import socket
import stat
import struct
import subprocess
import threading
import time

import cli_test
from cli_test import CliTest


def frame(kind, body=b""):
    return struct.pack("<IB", len(body) + 1, kind) + body


class Holders(CliTest):
    """What the tests below share."""

    def start(self, *arguments, **options):
        options.setdefault("stdout", subprocess.PIPE)
        return subprocess.Popen([cli_test.PROGRAM, *arguments], env=self.environment,
                                cwd=self.folder.name, **options)

    @contextlib.contextmanager
    def held(self, name="ada"):
        """A store that a server holds; gives its directory and the server."""
        store = self.path(name)
        if not os.path.exists(store):
            self.store(name)
        with self.start("serve", store, "--listen", "127.0.0.1:0", "--json") as server:
            self.assertIn("listening", json.loads(server.stdout.readline()))
            try:
                yield store, server
            finally:
                if server.poll() is None:
                    server.terminate()
                    self.assertEqual(server.wait(timeout=60), 0)

    def connect(self, store):
        guest = socket.socket(socket.AF_UNIX)
        os.chdir(store)  # an address holds 107 bytes
        guest.connect("control")
        os.chdir(self.folder.name)
        self.addCleanup(guest.close)
        return guest


class InUse(Holders):
    def test_every_command_acts_through_the_process_that_holds_the_store(self):
        with self.held() as (store, _):
            self.weft("put", store, "todo/1", "milk")
            self.assertEqual(self.weft("get", store, "todo/1")["value"], "milk")
            self.weft("set", store, "t/1", "a=x", "b=y")
            self.weft("unset", store, "t/1", "b")
            self.assertEqual([e["key"] for e in self.lines("scan", store)],
                             ["t/1", "todo/1"])
            op = self.weft("put", store, "todo/1", "bread")["op"]
            self.assertEqual(self.weft("fate", store, "-", stdin=op + "\n")["fates"],
                             [{"op": op, "fate": "winner"}])
            self.weft("batch", store, stdin='{"op":"put","key":"b","value":1}\n')
            self.weft("del", store, "b")
            self.weft("erase", store, "t/1")
            self.assertEqual(self.weft("conflicts", store)["conflicts"], [])
            self.assertEqual(self.weft("members", store)["members"][0]["role"], "founder")
            self.assertEqual(self.weft("status", store)["bases"][0]["keys"], 1)
            root = self.weft("root", store)
            self.weft("verify", store)
            self.weft("init", store, "--name", "second")
            self.weft("get", store, "todo/1", "--base", "main")
            key = self.weft("core", "create", store, "--name", "log")["key"]
            self.weft("core", "append", store, key, "--lines", stdin="one\ntwo\n")
            self.assertEqual(self.run_weft("core", "get", store, key, "1").stdout, b"two")
            self.assertEqual(self.weft("core", "info", store, key)["length"], 2)
        self.assertEqual(self.weft("root", store, "--base", "main"), root)

    def test_failures_have_the_same_code_and_the_same_line(self):
        with self.held() as (store, _):
            self.fails(1, "nothing", "get", store, "nothing")
            self.fails(2, "", "put", store)
            self.fails(2, "1024", "put", store, "k" * 1025, "v")
            self.fails(1, "three", "get", store, "k", "--base", "three")
            self.fails(2, "line 1", "batch", store, stdin="{\n")
            self.fails(3, "missing", "import", store, "t", self.path("missing.csv"))
            self.fails(3, "127.0.0.1:1", "sync", store, "--connect", "127.0.0.1:1")

    def test_the_directory_may_be_left_to_the_environment(self):
        with self.held() as (store, _):
            named = {"WEFT_STORE": store}
            self.assertEqual(
                self.run_weft("put", "k", "v", environment=named).returncode, 0)
            self.assertEqual(self.run_weft("get", "k", environment=named).stdout, b"v\n")

    def test_files_are_read_where_the_person_stands(self):
        os.mkdir(self.path("elsewhere"))
        self.write("elsewhere/t.csv", "id,n\n1,x\n2,y\n")
        self.write("elsewhere/raw", bytes(range(256)))
        with self.held() as (store, _):
            relative = os.path.relpath(store, self.path("elsewhere"))
            for words in [["import", relative, "t", "t.csv"],
                          ["put", relative, "raw", "--file=raw"]]:
                ran = subprocess.run([cli_test.PROGRAM, *words], capture_output=True,
                                     cwd=self.path("elsewhere"), check=False)
                self.assertEqual((ran.returncode, ran.stderr), (0, b""), words)
            self.assertEqual(self.weft("get", store, "t/2")["cells"],
                             {"id": "2", "n": "y"})
            self.assertEqual(self.run_weft("get", store, "raw").stdout,
                             bytes(range(256)))
            self.fails(3, "directory", "put", store, "k", "--file",
                       self.path("elsewhere"))
            exported = self.run_weft("export", store, "t").stdout
            self.assertEqual(exported, b"id,n\n1,x\n2,y\n")

    def test_a_command_leaves_stdin_alone_that_it_does_not_read(self):
        with self.held() as (store, _):
            self.weft("put", store, "a", "1")
            shell = subprocess.run(
                ["sh", "-c", 'while read line; do "$0" get "$1" "$line"; done',
                 cli_test.PROGRAM, store], input=b"a\na\na\n", capture_output=True,
                check=False, cwd=self.folder.name)
            self.assertEqual(shell.stdout, b"1\n1\n1\n")

    def test_many_guests_at_once_lose_nothing(self):
        with self.held() as (store, _):
            writers = [self.start("batch", store, "--each", "--json",
                                  stdin=subprocess.PIPE) for _ in range(8)]
            for number, writer in enumerate(writers):
                for i in range(50):
                    writer.stdin.write(json.dumps(
                        {"op": "put", "key": f"{number}/{i:03}", "value": i}
                    ).encode() + b"\n")
                writer.stdin.close()
            for writer in writers:
                self.assertEqual(json.loads(writer.stdout.read())["commits"], 50)
                self.assertEqual(writer.wait(), 0)
                writer.stdout.close()
            self.assertEqual(len(self.lines("scan", store)), 400)
            self.weft("verify", store)

    def rows(self, store, count):
        for first in range(0, count, 50_000):
            self.weft("batch", store, stdin="".join(
                '{"op":"put","key":"%07d","value":"%0100d"}\n' % (i, i)
                for i in range(first, first + 50_000)))

    def resident(self, process):
        with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) * 1024
        return 0

    def test_a_scan_of_100_000_rows_streams_and_stops_when_nobody_reads(self):
        store = self.store()
        self.rows(store, 100_000)
        with self.held() as (store, server):
            before = self.resident(server)
            scan = self.start("scan", store)
            first = scan.stdout.readline()
            self.assertTrue(first.startswith(b"0000000\t"))
            # It stands still, full of what nobody takes; others are not kept waiting.
            self.weft("put", store, "k", "v")
            self.assertEqual(self.weft("get", store, "k")["value"], "v")
            rest = scan.stdout.read()
            self.assertEqual(scan.wait(), 0)
            scan.stdout.close()
            # One snapshot: what was put meanwhile is not in it.
            self.assertEqual(rest.count(b"\n"), 99_999)
            # 10 MB went by. A sanitizer takes memory for each byte that is touched.
            bound = 64 * 1024 * 1024 * (6 if os.environ.get("WEFT_SANITIZED") == "1" else 1)
            self.assertLess(self.resident(server) - before, bound)

    def test_a_reader_that_has_enough_ends_the_command_in_silence(self):
        store = self.store()
        self.rows(store, 50_000)
        with self.held() as (store, _):
            shell = subprocess.run(
                ["bash", "-c", '"$0" scan "$1" | head -n 1; exit ${PIPESTATUS[1]}',
                 cli_test.PROGRAM, store], capture_output=True, check=False,
                cwd=self.folder.name)
            self.assertEqual((shell.returncode, shell.stderr), (0, b""))
            self.assertEqual(shell.stdout.count(b"\n"), 1)
            self.weft("verify", store)

    def test_a_second_server_gets_one_line(self):
        with self.held() as (store, server):
            self.fails(3, [store, str(server.pid)], "serve", store, "--listen",
                       "127.0.0.1:0")
            self.fails(3, [store, str(server.pid)], "core", "serve", store, "--listen",
                       "127.0.0.1:0")

    def test_the_socket_of_a_killed_server_is_replaced(self):
        with self.held() as (store, server):
            self.weft("put", store, "k", "v")
            server.kill()
            server.wait()
            self.assertTrue(os.path.exists(store + "/control"))
            self.assertEqual(self.weft("get", store, "k")["value"], "v")
        with self.held() as (store, _):
            self.assertEqual(self.weft("get", store, "k")["value"], "v")
        self.assertFalse(os.path.exists(store + "/control"))

    def test_a_server_that_stands_still_is_not_waited_for_without_end(self):
        with self.held() as (store, server):
            self.weft("put", store, "k", "v")
            batch = self.start("batch", store, "--each", "--ack", stdin=subprocess.PIPE,
                               stderr=subprocess.PIPE)
            batch.stdin.write(b'{"op":"put","key":"a","value":1}\n')
            batch.stdin.flush()
            self.assertIn(b":", batch.stdout.readline())
            server.send_signal(signal.SIGSTOP)
            try:
                self.fails(3, [store, str(server.pid), "stopped", "-CONT"], "get", store,
                           "k")
                self.fails(3, "stopped", "inc", store, "n")
                _, error = batch.communicate(b'{"op":"put","key":"a","value":2}\n')
                self.assertEqual((batch.returncode, error.count(b"\n")), (3, 1), error)
                self.assertIn(b"stopped", error)
                guests = [self.connect(store) for _ in range(60)]
                self.assertEqual(len(guests), 60)
            finally:
                server.send_signal(signal.SIGCONT)
            for guest in guests:
                guest.close()
            self.assertEqual(self.weft("get", store, "k")["value"], "v")
            self.weft("inc", store, "n")
            self.assertEqual(self.weft("get", store, "n")["counter"], 1)

    def test_a_server_killed_in_the_middle_of_a_command_is_one_line(self):
        with self.held() as (store, server):
            batch = self.start("batch", store, "--each", "--ack", stdin=subprocess.PIPE,
                               stderr=subprocess.PIPE)
            batch.stdin.write(b'{"op":"put","key":"a","value":1}\n')
            batch.stdin.flush()
            self.assertIn(b":", batch.stdout.readline())
            server.kill()
            server.wait()
            out, error = batch.communicate()
            self.assertEqual((batch.returncode, out), (3, b""))
            self.assertEqual(error.count(b"\n"), 1, error)
            self.assertIn(store.encode(), error)
        self.assertEqual(self.weft("get", store, "a")["value"], 1)

    def test_a_server_that_is_stopped_ends_the_commands_of_its_guests(self):
        with self.held() as (store, server):
            batch = self.start("batch", store, "--each", "--ack", stdin=subprocess.PIPE,
                               stderr=subprocess.PIPE)
            batch.stdin.write(b'{"op":"put","key":"a","value":1}\n')
            batch.stdin.flush()
            batch.stdout.readline()
            server.terminate()
            self.assertEqual(server.wait(timeout=60), 0)
            _, error = batch.communicate()
            self.assertEqual((batch.returncode, error.count(b"\n")), (3, 1), error)

    # What it had not sent whole is not committed, as if it had run by itself.
    def test_a_guest_that_is_killed_commits_nothing_it_had_not_finished(self):
        with self.held() as (store, server):
            batch = self.start("batch", store, stdin=subprocess.PIPE)
            batch.stdin.write(b'{"op":"put","key":"a","value":1}\n' * 5000)
            batch.stdin.flush()
            batch.kill()
            batch.communicate()
            key = self.weft("core", "create", store, "--name", "log")["key"]
            append = self.start("core", "append", store, key, stdin=subprocess.PIPE)
            append.stdin.write(b"half of a block")
            append.stdin.flush()
            append.send_signal(signal.SIGINT)
            append.communicate()
            self.assertNotEqual(append.returncode, 0)
            self.assertEqual(self.lines("scan", store), [])
            self.assertEqual(self.weft("core", "info", store, key)["length"], 0)
            while self.guests(server) > 0:
                pass  # CTest's timeout ends our patience

    def guests(self, server):
        """Connections at the store's socket, its listener not counted."""
        sockets = 0
        inodes = {}
        with open("/proc/net/unix", encoding="ascii") as file:
            for line in file:
                words = line.split()
                if len(words) > 7 and words[7].endswith("/control") and words[5] == "03":
                    inodes[words[6]] = True
        for name in os.listdir(f"/proc/{server.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                target = os.readlink(f"/proc/{server.pid}/fd/{name}")
                sockets += target.startswith("socket:[") and target[8:-1] in inodes
        return sockets

    def test_guests_that_hang_or_talk_nonsense_disturb_nobody(self):
        with self.held() as (store, server):
            silent = [self.connect(store) for _ in range(10)]
            for words in [b"GET / HTTP/1.1\r\n\r\n", frame(0x16), b"\xff" * 64,
                          frame(0x01, b"\x01"), frame(0x01, b"\x01\x00\xfe\xff\xff\xff"),
                          frame(0x01, b"\x01\x02\x00\xff" + b"\xff" * 8), b"\x00" * 5]:
                self.connect(store).sendall(words)
            stopped = self.start("scan", store)
            stopped.send_signal(signal.SIGSTOP)
            self.weft("put", store, "k", "v")
            self.assertEqual(self.weft("get", store, "k")["value"], "v")
            stopped.kill()
            stopped.communicate()
            for guest in silent:
                guest.close()
            self.assertIsNone(server.poll())

    def test_a_guest_of_another_version_is_told_so(self):
        with self.held() as (store, _):
            guest = self.connect(store)
            guest.sendall(frame(0x01, b"\x02whatever comes later"))
            answer = b""
            while piece := guest.recv(4096):
                answer += piece
            self.assertIn(b"version 1", answer)
            self.assertTrue(answer.endswith(frame(0x16, b"\x03")), answer)

    def test_only_so_many_guests_are_let_in(self):
        with self.held() as (store, _):
            guests = [self.connect(store) for _ in range(64)]
            while self.run_weft("root", store).returncode == 0:
                pass  # the last of them is not let in yet
            self.fails(3, "64", "root", store)
            for guest in guests:
                guest.close()
            while self.run_weft("root", store).returncode != 0:
                pass

    def test_the_socket_is_for_its_owner_alone(self):
        with self.held() as (store, _):
            about = os.lstat(store + "/control")
            self.assertTrue(stat.S_ISSOCK(about.st_mode))
            self.assertEqual(stat.S_IMODE(about.st_mode), 0o600)
            self.assertEqual(stat.S_IMODE(os.stat(store).st_mode), 0o700)

    # The guest gives the holder no file that it was not told to.
    def test_a_false_holder_gets_no_file_that_was_not_named(self):
        store = self.store()
        self.write("secret", "dear diary")
        os.chdir(store)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("control")
        listener.listen()
        os.chdir(self.folder.name)
        answers = []

        def lie():
            guest, _ = listener.accept()
            with guest:
                path = self.path("secret").encode()
                guest.sendall(frame(0x13, bytes([len(path)]) + path))
                guest.sendall(frame(0x14, b"\x01\x10"))
                while piece := guest.recv(4096):
                    answers.append(piece)

        liar = threading.Thread(target=lie)
        liar.start()
        ran = self.run_weft("get", store, "k")
        liar.join()
        listener.close()
        self.assertEqual(ran.returncode, 3)
        self.assertIn(b"not among the arguments", b"".join(answers))
        self.assertNotIn(b"dear diary", b"".join(answers))

    def test_a_path_longer_than_a_sockets_address_is_no_hindrance(self):
        name = "x" * 120
        with self.held(name) as (store, _):
            self.weft("put", store, "k", "v")
            self.assertEqual(self.weft("get", store, "k")["value"], "v")

    def test_what_lies_in_the_way_of_the_socket_is_left_alone(self):
        store = self.store()
        with open(store + "/control", "w", encoding="ascii") as file:
            file.write("dear Bob")
        self.fails(3, "control", "serve", store, "--listen", "127.0.0.1:0")
        with open(store + "/control", encoding="ascii") as file:
            self.assertEqual(file.read(), "dear Bob")
        self.weft("put", store, "k", "v")

    # Short commands hold the store for a moment each and wait for one another.
    def test_commands_side_by_side_wait_for_each_other(self):
        store = self.store()
        puts = [self.start("put", store, f"k{i}", "v", stderr=subprocess.PIPE)
                for i in range(6)]
        for put in puts:
            _, error = put.communicate()
            self.assertEqual((put.returncode, error), (0, b""))
        self.assertEqual(len(self.lines("scan", store)), 6)

    def test_a_long_import_lets_others_act(self):
        store = self.store()
        with self.start("import", store, "t", "-", stdin=subprocess.PIPE) as process:
            while not os.path.exists(store + "/control"):
                pass
            self.weft("put", store, "k", "v")
            process.stdin.write(b"id,n\n1,x\n")
            process.stdin.close()
            self.assertEqual(process.wait(), 0)
        self.assertEqual([e["key"] for e in self.lines("scan", store)], ["k", "t/1"])

    def test_a_live_clone_through_the_holder_ends_in_order(self):
        ada, bob = self.store("ada"), self.store("bob")
        key = self.weft("core", "create", ada, "--name", "log")["key"]
        self.weft("core", "append", ada, key, "--lines", stdin="one\ntwo\n")
        with self.serving(ada) as address, self.held("bob") as (bob, server):
            live = self.start("core", "clone", key, bob, "--connect", address, "--live",
                              "--json")
            while json.loads(live.stdout.readline()) != {"have": 2, "length": 2}:
                pass
            live.terminate()
            last = json.loads(live.communicate()[0].splitlines()[-1])
            self.assertEqual((live.returncode, last["have"]), (0, 2))
            dead = self.start("core", "clone", key, bob, "--connect", address, "--live",
                              "--json")
            dead.stdout.readline()
            dead.kill()
            dead.communicate()
            while self.guests(server) > 0:
                pass  # it ends although nobody waits for it
            self.assertEqual(self.weft("core", "info", bob, key)["have"], 2)

    def test_a_sync_goes_through_the_holder(self):
        ada, bob = self.store("ada"), self.path("bob")
        self.weft("join", bob, self.weft("status", ada)["bases"][0]["link"])
        with self.serving(ada) as address, self.held("bob"):
            self.weft("put", ada, "k", "v")
            self.assertTrue(self.weft("sync", bob, "--connect", address)["level"])
            self.assertEqual(self.weft("get", bob, "k")["value"], "v")


class Streams(Holders):
    """The same session over whatever carries bytes."""

    def two(self):
        ada, bob = self.store("ada"), self.path("bob")
        self.weft("join", bob, self.weft("status", ada)["bases"][0]["link"])
        self.weft("grant", ada, self.weft("status", bob)["bases"][0]["identity"])
        self.weft("put", ada, "from/ada", "x" * 100_000)
        return ada, bob

    def command(self, store):
        return f"'{cli_test.PROGRAM}' sync '{store}' --stdio"

    def level(self, ada, bob):
        self.assertEqual(self.weft("root", ada), self.weft("root", bob))

    def test_two_stores_meet_over_a_pair_of_pipes(self):
        ada, bob = self.two()
        for number in range(10):
            self.weft("put", ada, f"a/{number}", "from Ada")
            result = self.weft("sync", bob, "--command", self.command(ada))
            self.assertTrue(result["level"])
            self.weft("put", bob, f"b/{number}", "from Bob")
            self.weft("sync", bob, "--command", self.command(ada))
            self.level(ada, bob)

    def test_both_ends_of_a_pipe_may_be_held_by_servers(self):
        ada, bob = self.two()
        with self.held("ada"), self.held("bob"):
            for number in range(5):
                self.weft("put", ada, f"a/{number}", "x" * 100_000)
                self.weft("put", bob, f"b/{number}", "y" * 100_000) if number else None
                self.weft("sync", bob, "--command", self.command(ada))
                self.level(ada, bob)

    # Of two connections between two peers one stays: both ends go on over that.
    def test_a_pipe_between_servers_that_are_connected_already(self):
        ada, bob = self.two()
        address = "unix:" + self.path("meet")
        with self.start("serve", ada, "--listen", address) as server_a:
            server_a.stdout.readline()
            with self.start("serve", bob, "--connect", address) as server_b:
                while not self.weft("peers", bob)["peers"]:
                    time.sleep(0.05)
                for number in range(5):
                    self.weft("put", ada, f"a/{number}", "x" * 100_000)
                    self.assertTrue(
                        self.weft("sync", bob, "--command", self.command(ada))["level"])
                    self.level(ada, bob)
                server_b.terminate()
            server_a.terminate()

    # Who takes no more may have said something before he left.
    def test_a_stream_is_read_to_its_end_by_who_cannot_write_to_it(self):
        ada, _ = self.two()
        for held in (False, True):
            with self.held("ada") if held else contextlib.nullcontext():
                with self.start("sync", ada, "--stdio", stdin=subprocess.PIPE,
                                stderr=subprocess.PIPE) as sync:
                    sync.stdout.close()
                    time.sleep(0.2)
                    self.assertIsNone(sync.poll())
                    sync.stdin.close()
                    self.assertEqual(sync.wait(timeout=60), 3)
                    self.assertEqual(
                        sync.stderr.read(),
                        b"weft: stdio: nobody there speaks our protocol\n")

    def test_the_end_that_answers_knows_whether_it_is_level(self):
        ada, bob = self.two()
        for _ in range(5):
            code = self.path("code")
            self.weft("put", ada, "again", "and again")
            self.weft("sync", bob, "--command", self.command(ada) + f"; echo $? > {code}")
            with open(code, encoding="ascii") as file:
                self.assertEqual(file.read(), "0\n")

    def test_two_stores_meet_over_a_unix_socket(self):
        ada, bob = self.two()
        address = "unix:" + self.path("meet")
        with self.start("serve", ada, "--listen", address, "--json") as server:
            self.assertEqual(json.loads(server.stdout.readline()), {"listening": address})
            self.assertEqual(stat.S_IMODE(os.lstat(self.path("meet")).st_mode), 0o600)
            self.assertTrue(self.weft("sync", bob, "--connect", address)["level"])
            self.fails(3, "listens there", "serve", bob, "--listen", address)
            server.kill()
        self.level(ada, bob)
        self.fails(3, address, "sync", bob, "--connect", address)
        # What the killed one left is replaced, and taken away in the end.
        with self.start("serve", ada, "--listen", address, "--json") as server:
            server.stdout.readline()
            self.weft("sync", bob, "--connect", address)
            server.terminate()
        self.assertFalse(os.path.exists(self.path("meet")))

    def test_a_core_goes_over_a_unix_socket(self):
        store = self.path("s")
        key = self.weft("core", "create", store, "--name", "log")["key"]
        self.weft("core", "append", store, key, "--lines", stdin="one\ntwo\n")
        address = "unix:" + self.path("meet")
        with self.start("core", "serve", store, "--listen", address) as server:
            server.stdout.readline()
            clone = self.weft("core", "clone", key, self.path("c"), "--connect", address)
            self.assertEqual(clone["have"], 2)
            server.terminate()

    def test_a_stream_that_fails_is_one_line(self):
        ada, bob = self.two()
        for command, words in [("exit 1", "exit 1"), ("cat /dev/zero", "zero"),
                               ("echo hello", "hello"), ("no-such-program-here", "")]:
            ran = self.run_weft("sync", bob, "--command", command, "--timeout", "5")
            error = ran.stderr.decode()
            self.assertEqual((ran.returncode, ran.stdout), (3, b""), error)
            self.assertIn("weft: " + command, error.splitlines()[-1])
        self.fails(3, "stdio", "sync", ada, "--stdio", stdin=b"hello")
        self.fails(2, "--connect", "sync", ada)
        self.fails(2, "--connect", "sync", ada, "--stdio", "--connect", "h:1")
        self.fails(2, "--json", "sync", ada, "--stdio", "--json")
        self.fails(2, "unix", "sync", ada, "--connect", "unix:")
        self.fails(2, "unix", "sync", ada, "--connect", "unix:" + "x" * 108)
        with self.held("bob"):
            ran = self.run_weft("sync", bob, "--command", "exit 1")
            self.assertEqual((ran.returncode, ran.stderr.count(b"\n")), (3, 1))

    # The command is the guest's, and the holder cannot choose another.
    def test_a_command_runs_where_the_person_stands(self):
        ada, bob = self.two()
        with self.held("bob"):
            ran = subprocess.run(
                [cli_test.PROGRAM, "sync", bob, "--command",
                 "test -n \"$HERE\" && exec " + self.command("ada")],
                capture_output=True, cwd=self.folder.name, check=False,
                env={**self.environment, "HERE": "1"})
            self.assertEqual((ran.returncode, ran.stderr), (0, b""))
        self.level(ada, bob)


class CoreVerbs(Holders):
    def core(self, store, blocks=("one", "two")):
        key = self.weft("core", "create", store, "--name", "log")["key"]
        self.weft("core", "append", store, key, "--lines", stdin="\n".join(blocks) + "\n")
        return key

    def disk_bytes(self, store):
        total = 0
        for folder, _, files in os.walk(store):
            for file in files:
                with contextlib.suppress(FileNotFoundError):
                    total += os.stat(os.path.join(folder, file)).st_size
        return total

    def fill(self, store, name):
        key = self.weft("core", "create", store, "--name", name)["key"]
        for _ in range(10):
            self.weft("core", "append", store, key, stdin=os.urandom(1_000_000))
        return key

    def test_purge_frees_the_disk(self):
        store = self.path("s")
        kept = self.fill(store, "kept")
        key = self.fill(store, "gone")
        before = self.disk_bytes(store)
        self.assertGreater(before, 20_000_000)
        self.weft("core", "purge", store, key)
        self.assertLess(self.disk_bytes(store), before - 9_000_000)
        self.assertEqual(self.weft("core", "info", store, kept)["length"], 10)
        self.fails(1, key, "core", "info", store, key)
        self.fails(1, key, "core", "purge", store, key)
        self.fails(2, "key", "core", "purge", store, "nonsense")

    def test_a_purged_core_of_ours_begins_no_second_history(self):
        store = self.path("s")
        key = self.weft("core", "create", store, "--name", "news")["key"]
        self.weft("core", "purge", store, key)
        self.weft("core", "create", store, "--name", "news")
        self.weft("core", "append", store, key, stdin=b"never seen before")
        self.weft("core", "purge", store, key)
        self.assertEqual(self.weft("core", "create", store, "--name", "news")["key"], key)
        self.fails(3, "purged", "core", "append", store, key, stdin=b"another first block")
        self.weft("core", "adopt", store, key)
        self.weft("core", "append", store, key, stdin=b"nobody has seen the first")

    def test_a_removed_core_is_not_served_and_its_data_stays(self):
        store = self.path("s")
        key = self.core(store)
        self.weft("core", "remove", store, key)
        self.assertTrue(self.weft("core", "list", store)["cores"][0]["removed"])
        self.assertEqual(self.run_weft("core", "get", store, key, "0").stdout, b"one")
        with self.serving(store, "core", "serve") as address:
            self.fails(3, address, "core", "clone", key, self.path("c"), "--connect",
                       address, "--timeout", "5")
            self.weft("core", "create", store, "--name", "log")  # brings it back
            clone = self.weft("core", "clone", key, self.path("c"), "--connect", address)
            self.assertEqual(clone["have"], 2)

    def test_a_blocked_feed_is_neither_served_nor_fetched_over_restarts(self):
        store = self.path("s")
        key = self.core(store)
        clone = ["core", "clone", key, self.path("c"), "--timeout", "5", "--connect"]
        self.weft("core", "block", store, key)
        self.assertEqual(self.weft("core", "list", store)["blocked"], [key])
        with self.serving(store, "core", "serve") as address:
            self.fails(3, address, *clone, address)
            self.weft("core", "unblock", store, key)  # while it serves
            self.weft("core", "clone", key, self.path("c"), "--connect", address)
            self.weft("core", "append", store, key, stdin="three")
            self.weft("core", "block", self.path("c"), key)
            self.fails(3, "blocked", *clone, address)
            self.assertEqual(self.weft("core", "info", self.path("c"), key)["have"], 2)
            self.weft("core", "unblock", self.path("c"), key)
            self.assertEqual(self.weft(*clone, address)["have"], 3)
        self.fails(1, key, "core", "unblock", store, key)

    def test_a_feed_is_blocked_while_it_is_followed(self):
        store = self.path("s")
        key = self.core(store)
        with self.serving(store, "core", "serve") as address:
            with self.start("core", "clone", key, self.path("c"), "--connect", address,
                            "--live", "--json") as live:
                while json.loads(live.stdout.readline()) != {"have": 2, "length": 2}:
                    pass
                self.weft("core", "block", store, key)
                self.weft("core", "append", store, key, stdin="three")
                self.weft("core", "unblock", store, key)
                while json.loads(live.stdout.readline()) != {"have": 3, "length": 3}:
                    pass
                live.terminate()

    def test_the_logs_of_a_base_stay(self):
        store = self.store()
        log = self.weft("core", "list", store)["cores"][0]["key"]
        self.fails(1, "base", "core", "remove", store, log)
        self.fails(1, "base", "core", "purge", store, log)
        self.weft("put", store, "k", "v")


class Times(CliTest):
    def test_a_timeout_is_a_time(self):
        store = self.store()
        for time in ["-1", "0", "nan", "inf", "1e300", "soon", ""]:
            self.fails(2, "", "sync", store, "--connect", "127.0.0.1:1",
                       f"--timeout={time}")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cli_test.main("__main__")
