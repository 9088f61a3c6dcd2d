#!/usr/bin/env python3
"""Copies, backups and crashes never fork a log silently (semantics 7.1).

Run as `restore_test.py PROGRAM DATA_FOLDER [TEST...]`; `--list` names the tests. Real
processes on real directories, copied as people copy them.
"""

import json
import os
import resource
import shutil
import signal
import subprocess

import cli_test
from cli_test import CliTest


class Restores(CliTest):
    """A founder, Ada, and a peer, Bob, who has met her."""

    def two(self):
        ada = self.store("ada")
        link = self.weft("status", ada)["bases"][0]["link"]
        with self.serving(ada) as address:
            self.weft("join", self.path("bob"), link, "--connect", address)
        return ada, self.path("bob")

    def copy(self, source, name):
        """As `cp -a` does it."""
        subprocess.run(["cp", "-a", source, self.path(name)], check=True)
        return self.path(name)

    def put_says(self, store, key, value):
        """Writes, and gives what was said on stderr."""
        ran = self.run_weft("put", store, key, value)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return ran.stderr.decode()

    def sync(self, store, other):
        with self.serving(other) as address:
            self.weft("sync", store, "--connect", address)

    def status(self, store):
        return self.weft("status", store)["bases"][0]

    def keys(self, store):
        return {e["key"]: e["value"] for e in self.lines("scan", store)}

    def server(self, store, *arguments):
        process = subprocess.Popen(
            [cli_test.PROGRAM, "serve", store, "--listen", "127.0.0.1:0", "--json",
             *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=self.environment)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait, timeout=60)
        self.addCleanup(process.terminate)
        self.assertIn("listening", json.loads(process.stdout.readline()))
        return process

    def wait_for(self, process, word):
        for line in process.stdout:
            if word in line.decode():
                return
        self.fail(f"the server ended without a word of {word}")

    def assert_equal_everywhere(self, *stores):
        roots = [self.weft("root", store) for store in stores]
        self.assertEqual(roots, [roots[0]] * len(roots))


class Copies(Restores):
    def test_A2_both_copies_write_and_nothing_forks(self):
        ada, bob = self.two()
        self.weft("put", ada, "k/0", "before")
        copy = self.copy(ada, "copy")
        # The copy says one line, once; the original says nothing at all.
        said = self.put_says(copy, "k/copy", "from the copy")
        self.assertEqual(said.count("\n"), 1)
        self.assertIn("copy or a backup", said)
        self.assertEqual(self.put_says(copy, "k/copy2", "again"), "")
        self.assertEqual(self.put_says(ada, "k/ada", "from the original"), "")
        for store in (ada, copy, bob, ada, copy):
            if store != bob:
                self.sync(store, bob)
        self.assertEqual(self.keys(bob), {
            "k/0": "before", "k/ada": "from the original",
            "k/copy": "from the copy", "k/copy2": "again"})
        self.assert_equal_everywhere(ada, bob, copy)
        logs = self.weft("members", bob)["members"][0]["logs"]
        self.assertEqual([(log["incarnation"], log["forked"]) for log in logs],
                         [(0, False), (1, False)])
        self.assertEqual(self.status(ada)["incarnation"], 0)
        self.assertEqual(self.status(copy)["incarnation"], 1)
        self.weft("verify", bob)

    def test_A2_a_copy_that_only_reads_begins_nothing(self):
        ada, _ = self.two()
        self.weft("put", ada, "k", "v")
        copy = self.copy(ada, "copy")
        ran = self.run_weft("get", copy, "k")
        self.assertEqual((ran.returncode, ran.stdout), (0, b"v\n"))
        self.assertEqual(ran.stderr.count(b"\n"), 1)
        self.assertEqual(self.weft("get", copy, "k")["value"], "v")
        status = self.status(copy)
        self.assertEqual((status["incarnation"], status["renews"]), (0, True))

    def test_A2_a_store_may_be_renamed(self):
        ada, _ = self.two()
        self.weft("put", ada, "k", "v")
        os.rename(ada, self.path("moved"))
        self.assertEqual(self.put_says(self.path("moved"), "k", "w"), "")
        self.assertEqual(self.status(self.path("moved"))["incarnation"], 0)

    def test_A2_a_backup_put_back_over_the_store_begins_a_new_incarnation(self):
        ada, bob = self.two()
        self.weft("put", ada, "k/0", "yesterday")
        backup = self.copy(ada, "backup")
        self.weft("put", ada, "k/1", "today")
        self.sync(ada, bob)
        shutil.rmtree(ada)
        self.copy(backup, "ada")
        # No peer is there: what was written today is not known here.
        self.assertEqual(self.put_says(ada, "k/2", "after").count("\n"), 1)
        self.sync(ada, bob)
        self.assertEqual(self.keys(ada), {"k/0": "yesterday", "k/1": "today",
                                          "k/2": "after"})
        self.assert_equal_everywhere(ada, bob)
        self.assertFalse(self.weft("members", bob)["members"][0]["forked"])

    def mirror(self, source, target):
        """As `rsync -a --delete` does it: what has its size and time is left alone."""
        for folder, _, files in os.walk(target):
            for name in files:
                path = os.path.join(folder, name)
                if not os.path.exists(os.path.join(source,
                                                   os.path.relpath(path, target))):
                    os.unlink(path)
        for folder, _, files in os.walk(source):
            for name in files:
                old = os.path.join(folder, name)
                new = os.path.join(target, os.path.relpath(old, source))
                stat = os.stat(old)
                if os.path.exists(new) and (
                        os.stat(new).st_size, os.stat(new).st_mtime_ns) == (
                            stat.st_size, stat.st_mtime_ns):
                    continue
                shutil.copy2(old, new + ".tmp")
                os.rename(new + ".tmp", new)

    def test_A2_a_backup_mirrored_over_the_store_is_seen(self):
        ada, bob = self.two()
        self.weft("put", ada, "k/0", "yesterday")
        backup = self.path("backup")
        os.makedirs(os.path.join(backup, "db"), mode=0o700)
        os.chmod(backup, 0o700)
        self.mirror(ada, backup)
        self.weft("put", ada, "k/1", "today")
        self.sync(ada, bob)
        self.mirror(backup, ada)
        self.assertIn("copy or a backup", self.put_says(ada, "k/2", "after"))
        self.sync(ada, bob)
        self.assertEqual(len(self.keys(bob)), 3)
        self.assert_equal_everywhere(ada, bob)
        self.assertFalse(self.status(ada)["forked"])

    def put_back(self, backup, store, how):
        """As people do it without removing the store first; what is newer stays."""
        if how == "cp":
            # Into the very files: they keep their inodes and times of birth.
            subprocess.run(["cp", "-a", os.path.join(backup, "."), store], check=True)
        else:
            packed = subprocess.run(["tar", "-C", backup, "-c", "."], check=True,
                                    capture_output=True).stdout
            subprocess.run(["tar", "-C", store, "-x"], input=packed, check=True)

    def test_A2_an_older_copy_written_over_the_store_is_seen(self):
        for how in ("cp", "tar"):
            for dies in (False, True):
                with self.subTest(how=how, dies=dies):
                    self.setUp()
                    self.write_over(how, dies)

    def write_over(self, how, dies):
        ada, bob = self.two()
        self.weft("put", ada, "k/0", "yesterday")
        backup = self.copy(ada, "backup")
        with self.serving(bob) as address:
            self.weft("put", ada, "k/1", "today")
            self.weft("sync", ada, "--connect", address)
            if dies:
                server = self.server(ada, "--connect", address)
                self.wait_for(server, "connected")
                self.weft("put", ada, "k/2", "today")
                server.kill()
                server.wait(timeout=60)
        inode = os.stat(os.path.join(ada, "LEASE")).st_ino
        self.put_back(backup, ada, how)
        if how == "cp":
            self.assertEqual(os.stat(os.path.join(ada, "LEASE")).st_ino, inode)
        # Nobody is there to ask for the end of the log.
        if dies:
            # The database keeps what it wrote last beside the older files: it says that
            # it is no whole, or it is one. In neither case the old log grows.
            ran = self.run_weft("put", ada, "k/3", "after")
            self.assertIn(ran.returncode, (0, 3))
            if ran.returncode == 3:
                self.assertIn(b"not on the disk", ran.stderr)
                return
        else:
            self.assertIn("copy or a backup", self.put_says(ada, "k/3", "after"))
        self.assertEqual(self.status(ada)["incarnation"], 1)
        self.sync(ada, bob)
        self.assert_equal_everywhere(ada, bob)
        self.assertFalse(self.status(ada)["forked"])
        self.assertFalse(self.weft("members", bob)["members"][0]["forked"])
        self.assertEqual(self.keys(bob)["k/3"], "after")
        self.weft("verify", ada)

    def test_A2_a_store_whose_lease_cannot_be_made_anew_refuses_to_write(self):
        ada, _ = self.two()
        self.weft("put", ada, "k", "v")
        in_the_way = os.path.join(ada, "LEASE.new")
        os.mkdir(in_the_way)
        self.fails(3, "LEASE.new", "put", ada, "k", "w")
        self.assertEqual(self.weft("get", ada, "k")["value"], "v")
        copy = self.copy(ada, "copy")
        self.fails(3, "can be read only", "put", copy, "k", "w")
        self.assertEqual(self.weft("get", copy, "k")["value"], "v")
        os.rmdir(in_the_way)
        self.weft("put", ada, "k", "w")

    def test_A2_only_the_database_put_back_is_seen_too(self):
        ada, bob = self.two()
        self.weft("put", ada, "k/0", "yesterday")
        backup = self.copy(ada, "backup")
        self.weft("put", ada, "k/1", "today")
        self.sync(ada, bob)
        shutil.rmtree(os.path.join(ada, "db"))
        subprocess.run(["cp", "-a", os.path.join(backup, "db"), ada], check=True)
        said = self.put_says(ada, "k/2", "after")
        self.assertIn("not of one time", said)
        self.sync(ada, bob)
        self.assert_equal_everywhere(ada, bob)
        self.assertFalse(self.status(ada)["forked"])

    def test_A2_a_lease_that_was_taken_away_is_missed_once(self):
        ada, _ = self.two()
        self.weft("put", ada, "k", "v")
        os.unlink(os.path.join(ada, "LEASE"))
        # Its mirror is still there: somebody took the file away.
        self.assertIn("missing", self.put_says(ada, "k", "w"))
        self.assertTrue(os.path.exists(os.path.join(ada, "LEASE")))
        self.assertEqual(self.put_says(ada, "k", "x"), "")

    def test_A2_copies_of_a_copy_are_incarnations_of_their_own(self):
        ada, bob = self.two()
        self.weft("put", ada, "k/0", "v")
        stores = [ada]
        for n in (1, 2):
            stores.append(self.copy(ada, f"copy{n}"))
            self.put_says(stores[-1], f"k/copy{n}", "v")
        stores.append(self.copy(stores[1], "copy3"))
        self.put_says(stores[-1], "k/copy3", "v")
        for _ in range(2):
            for store in stores:
                self.sync(store, bob)
        self.assertEqual(len(self.keys(bob)), 4)
        self.assert_equal_everywhere(bob, *stores)
        numbers = [log["incarnation"]
                   for log in self.weft("members", bob)["members"][0]["logs"]]
        self.assertEqual(numbers, [0, 1, 1, 2])

    def test_A2_a_plain_core_of_a_copy_is_not_appended_to_before_it_is_adopted(self):
        ada, _ = self.two()
        key = self.weft("core", "create", ada, "--name", "log")["key"]
        self.weft("core", "append", ada, key, stdin="one")
        copy = self.copy(ada, "copy")
        self.weft("core", "append", ada, key, stdin="two")
        self.assertIn(b"copy", self.run_weft("core", "info", copy, key).stderr)
        self.fails(3, "adopt", "core", "append", copy, key, stdin="other")
        self.fails(1, "nothing", "core", "adopt", ada, key)
        self.weft("core", "adopt", copy, key)
        self.weft("core", "append", copy, key, stdin="other")
        # What is made in the copy was never anywhere else.
        fresh = self.weft("core", "create", copy, "--name", "fresh")["key"]
        self.weft("core", "append", copy, fresh, stdin="one")

    def test_A2_a_copied_member_may_still_let_people_in(self):
        ada, bob = self.two()
        copy = self.copy(ada, "copy")
        identity = self.status(bob)["identity"]
        self.run_weft("grant", copy, identity, "writer")
        self.sync(bob, copy)
        self.weft("put", bob, "k", "v")
        self.sync(bob, ada)
        self.assertEqual(self.keys(ada), {"k": "v"})


class Tails(Restores):
    def test_A3_yesterdays_backup_gets_its_own_tail_back_before_it_writes(self):
        ada, bob = self.two()
        self.weft("put", ada, "k/0", "yesterday")
        backup = self.copy(ada, "backup")
        for n in range(20):
            self.weft("put", ada, f"k/{n}", "today")
        self.sync(ada, bob)
        shutil.rmtree(ada)
        self.copy(backup, "ada")
        with self.serving(bob) as address:
            server = self.server(ada, "--connect", address)
            self.wait_for(server, "connected")
            # Through the server, which has a peer to ask. It writes on what came back.
            self.weft("put", ada, "k/0", "after")
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
            self.weft("sync", ada, "--connect", address)
        self.assertEqual(self.keys(ada)["k/0"], "after")
        self.assertEqual(self.weft("conflicts", ada)["conflicts"], [])
        self.assertEqual(len(self.keys(ada)), 20)
        self.assert_equal_everywhere(ada, bob)
        self.assertFalse(self.status(ada)["forked"])

    def set_back(self, store, image):
        """As a virtual machine is: every file as it was, and the same file."""
        os.rename(self.path("lease"), os.path.join(store, "LEASE"))
        shutil.rmtree(os.path.join(store, "db"))
        subprocess.run(["cp", "-a", os.path.join(image, "db"), store], check=True)
        with open(os.path.join(image, "LEASE"), "rb") as lease:
            content = lease.read()
        with open(os.path.join(store, "LEASE"), "r+b") as lease:
            lease.write(content)

    def image_of_a_running(self, ada, address):
        """Ada's store as it is while a server has it open and has written."""
        server = self.server(ada, "--connect", address)
        self.wait_for(server, "connected")
        self.weft("put", ada, "k/0", "yesterday")
        server.kill()
        server.wait(timeout=60)
        # The store gives this inode up; an image that is set back has it again.
        os.link(os.path.join(ada, "LEASE"), self.path("lease"))
        return self.copy(ada, "image")

    def after_a_day_set_back(self, ada, address):
        """Ada's machine is as it was yesterday; her peers have what she wrote today."""
        image = self.image_of_a_running(ada, address)
        for n in range(1, 10):
            self.weft("put", ada, f"k/{n}", "today")
        self.weft("sync", ada, "--connect", address)
        self.set_back(ada, image)

    def test_A3_a_machine_set_back_gets_its_tail_and_goes_on_in_its_log(self):
        ada, bob = self.two()
        with self.serving(bob) as address:
            self.after_a_day_set_back(ada, address)
            self.assertEqual(list(self.keys(ada)), ["k/0"])
            server = self.server(ada, "--connect", address)
            self.wait_for(server, "connected")
            self.weft("put", ada, "k/0", "after")
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
            self.weft("sync", ada, "--connect", address)
        self.assertEqual(len(self.keys(ada)), 10)
        self.assertEqual(self.keys(ada)["k/0"], "after")
        self.assert_equal_everywhere(ada, bob)
        status = self.status(ada)
        self.assertEqual((status["incarnation"], status["forked"]), (0, False))

    def test_A3_an_end_that_does_not_fit_is_not_built_upon(self):
        ada, bob = self.two()
        with self.serving(bob) as address:
            self.after_a_day_set_back(ada, address)
            # Nobody is there to ask, and then the machine dies again: A4.
            server = self.server(ada)
            self.weft("put", ada, "k/0", "unseen")
            server.kill()
            server.wait(timeout=60)
            server = self.server(ada, "--connect", address)
            self.wait_for(server, "connected")
            self.weft("put", ada, "k/0", "after")
            self.assertEqual(self.status(ada)["incarnation"], 1)
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)

    def test_A1_a_store_killed_again_and_again_never_forks(self):
        ada, bob = self.two()
        with self.serving(bob) as address:
            for n in range(6):
                server = self.server(ada, "--connect", address)
                self.wait_for(server, "connected")
                self.weft("put", ada, f"k/{n}", "v")
                server.kill()
                server.wait(timeout=60)
                self.assertEqual(self.put_says(ada, f"l/{n}", "v"), "")
            self.weft("sync", ada, "--connect", address)
        self.assertEqual(len(self.keys(ada)), 12)
        self.assert_equal_everywhere(ada, bob)
        status = self.status(ada)
        self.assertEqual((status["incarnation"], status["forked"]), (0, False))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cli_test.main("__main__")
