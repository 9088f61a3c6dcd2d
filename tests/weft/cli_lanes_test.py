#!/usr/bin/env python3
"""Counters, sets, flags, lists and texts from the shell.

Run as `cli_lanes_test.py PROGRAM DATA_FOLDER [TEST...]`; `--list` names the tests.
"""

import json

import cli_test
from cli_test import CliTest


class Lanes(CliTest):
    def test_counters_sets_and_flags_are_changed_and_read(self):
        store = self.path("s")
        self.weft("init", store)
        self.weft("inc", store, "likes", "5")
        self.weft("inc", store, "likes", "-2")
        self.assertEqual(self.weft("get", store, "likes")["counter"], 3)
        self.weft("inc", store, "songs/1", "4", "--column", "plays")
        row = self.weft("get", store, "songs/1")
        self.assertEqual(row["lane_cells"]["plays"], {"counter": 4})
        for tag in ("red", "blue", "red"):
            self.weft("add", store, "tags", tag)
        self.weft("rem", store, "tags", "blue")
        self.assertEqual(self.weft("get", store, "tags")["set"], ["red"])
        self.weft("max", store, "high", "7")
        self.weft("max", store, "high", "3")
        self.weft("min", store, "low", "-7")
        self.assertEqual(self.weft("get", store, "high")["max"], 7)
        self.assertEqual(self.weft("get", store, "low")["min"], -7)
        self.weft("enable", store, "on")
        self.assertTrue(self.weft("get", store, "on")["flag"])
        self.weft("disable", store, "on")
        self.assertFalse(self.weft("get", store, "on")["flag"])
        self.weft("reset", store, "likes")
        self.fails(1, "there is nothing", "get", store, "likes")
        self.fails(2, "not an integer", "inc", store, "likes", "many")

    def test_lanes_of_one_key_are_all_shown(self):
        store = self.path("s")
        self.weft("init", store)
        self.weft("put", store, "k", "plain")
        self.weft("inc", store, "k", "2")
        self.weft("push", store, "k", "one")
        self.weft("push", store, "k", "two")
        entry = self.weft("get", store, "k")
        self.assertEqual(entry["value"], "plain")
        self.assertEqual(entry["counter"], 2)
        self.assertEqual(entry["list"], ["one", "two"])
        self.assertEqual(entry["shown"], "list")
        ran = self.run_weft("scan", store)
        self.assertEqual(ran.stdout.decode().splitlines(),
                         ["k\tplain", "k\t2", 'k\t["one","two"]'])
        self.weft("del", store, "k")
        self.fails(1, "there is nothing", "get", store, "k")

    def test_a_text_is_typed_and_edited(self):
        store = self.path("s")
        self.weft("init", store)
        self.weft("text", store, "notes", "append", "hello world")
        self.weft("text", store, "notes", "insert", "5", ",")
        self.weft("text", store, "notes", "delete", "0", "1")
        self.weft("text", store, "notes", "insert", "0", "J")
        shown = self.weft("text", store, "notes")
        self.assertEqual((shown["text"], shown["length"]), ("Jello, world", 12))
        self.weft("text", store, "notes", "edit", stdin="Jello, w\u00f6rld\nmore\n")
        ran = self.run_weft("text", store, "notes")
        self.assertEqual(ran.stdout.decode(), "Jello, w\u00f6rld\nmore\n")
        self.assertEqual(self.weft("text", store, "notes", "edit",
                                   stdin=ran.stdout)["ops"], [])
        self.fails(1, "beyond the end", "text", store, "notes", "insert", "99", "x")
        self.fails(2, "text: takes", "text", store, "notes", "turn")

    def test_a_batch_may_change_every_lane(self):
        store = self.path("s")
        self.weft("init", store)
        lines = [
            {"op": "inc", "key": "a", "by": 4}, {"op": "inc", "key": "a"},
            {"op": "add", "key": "b", "value": "x"},
            {"op": "max", "key": "c", "value": 9, "column": "top"},
            {"op": "text", "key": "d", "insert": "hello"},
            {"op": "text", "key": "d", "pos": 5, "insert": "!"},
            {"op": "text", "key": "d", "pos": 0, "delete": 1},
            {"op": "push", "key": "e", "value": 1},
            {"op": "enable", "key": "f"},
        ]
        stdin = "".join(json.dumps(line) + "\n" for line in lines)
        self.assertEqual(len(self.weft("batch", store, stdin=stdin)["ops"]), 9)
        self.assertEqual(self.weft("get", store, "a")["counter"], 5)
        self.assertEqual(self.weft("get", store, "c")["lane_cells"], {"top": {"max": 9}})
        self.assertEqual(self.weft("get", store, "d")["text"], "ello!")
        self.assertEqual(self.weft("get", store, "e")["list"], [1])
        self.fails(2, "has to have an integer", "batch", store,
                   stdin='{"op": "max", "key": "k", "value": "x"}\n')


if __name__ == "__main__":
    cli_test.main("__main__")
