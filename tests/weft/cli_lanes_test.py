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

    def test_what_would_change_nothing_is_said_and_not_written(self):
        store = self.path("s")
        self.weft("init", store)
        self.weft("add", store, "tags", "red")
        self.weft("set", store, "t/1", "a=x")
        self.weft("add", store, "t/1", "red", "--column", "tags")
        version = self.weft("root", store)["version"]
        for words, said in [(["rem", store, "tags", "blue"], "no element 'blue'"),
                            (["rem", store, "none", "red"], "no element 'red'"),
                            (["rem", store, "t/1", "red"], "no element 'red'"),
                            (["rem", store, "t/1", "blue", "--column", "tags"], "'blue'"),
                            (["reset", store, "tags"], "no counter"),
                            (["unset", store, "t/1", "b"], "no cell 'b'"),
                            (["unset", store, "t/2", "b"], "t/2")]:
            self.fails(1, said, *words)
        self.assertEqual(self.weft("root", store)["version"], version)
        self.weft("rem", store, "t/1", "red", "--column", "tags")
        self.weft("unset", store, "t/1", "a", "b")

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
                         ["k\tplain", "k\tcounter: 2", 'k\tlist: ["one","two"]'])
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

    def test_positions_in_a_text_count_characters(self):
        store = self.path("s")
        self.weft("init", store)
        self.weft("text", store, "t", "append", "h\u00e9llo \U0001f600")
        self.assertEqual(self.weft("text", store, "t")["length"], 7)
        self.weft("text", store, "t", "insert", "7", "!")
        self.weft("text", store, "t", "delete", "6", "1")
        self.assertEqual(self.weft("text", store, "t")["text"], "h\u00e9llo !")
        self.fails(1, "position 9 is beyond the end, 7", "text", store, "t", "delete",
                   "7", "2")

    def test_a_text_nobody_typed_in_is_empty_and_is_no_key(self):
        store = self.path("s")
        self.weft("init", store)
        shown = self.weft("text", store, "t")
        self.assertEqual((shown["text"], shown["length"]), ("", 0))
        self.fails(1, "there is nothing", "get", store, "t")
        self.weft("text", store, "t", "append", "x")
        self.weft("text", store, "t", "delete", "0", "1")
        self.assertEqual(self.weft("text", store, "t")["text"], "")
        self.fails(1, "there is nothing", "get", store, "t")

    def test_wrong_words_are_usage(self):
        store = self.path("s")
        self.weft("init", store)
        for number in ("many", "1.5", "", "9223372036854775808", "0x10", " 1"):
            self.fails(2, "is not an integer", "inc", store, "k", number)
            self.fails(2, "is not an integer", "max", store, "k", number)
        for position in ("-1", "a", ""):
            self.fails(2, "not a number", "text", store, "t", "insert", position, "x")
        self.fails(2, "changes nothing", "text", store, "t", "append", "")
        self.fails(2, "changes nothing", "text", store, "t", "delete", "0", "0")
        self.fails(2, "UTF-8", "text", store, "t", "append", b"\xff")
        self.fails(2, "text: takes", "text", store, "t", "insert", "0")
        self.fails(2, "KEY ELEMENT", "add", store, "k")
        self.fails(2, "KEY ITEM", "push", store)
        self.fails(2, "0 bytes", "enable", store, "")
        self.assertEqual(self.lines("scan", store), [])

    def test_a_counter_beyond_64_bits_is_exact(self):
        store = self.path("s")
        self.weft("init", store)
        for _ in range(2):
            self.weft("inc", store, "k", str(2**63 - 1))
        entry = self.weft("get", store, "k")
        self.assertEqual(entry["counter"], 2**63 - 1)
        self.assertEqual(entry["counter_exact"], str(2**64 - 2))
        self.weft("inc", store, "k", str(-2**63))
        self.assertEqual(self.weft("get", store, "k")["counter"], 2**63 - 2)

    def test_every_lane_is_written_through_the_process_that_holds_the_store(self):
        store = self.store()
        with self.serving(store):
            self.weft("inc", store, "a", "3")
            self.weft("inc", store, "row/1", "2", "--column", "n")
            self.weft("add", store, "b", "x")
            self.weft("max", store, "c", "9")
            self.weft("disable", store, "d", "--wins")
            self.weft("push", store, "e", "item")
            self.weft("text", store, "f", "append", "abc")
            self.weft("text", store, "f", "edit", stdin="a-c\n")
            self.weft("batch", store, stdin='{"op":"text","key":"f","pos":0,"delete":1}\n')
            self.assertEqual(self.weft("text", store, "f")["text"], "-c\n")
            self.fails(1, "beyond the end", "text", store, "f", "insert", "9", "x")
            self.fails(2, "not an integer", "inc", store, "a", "x")
        held = {entry["key"]: entry for entry in self.lines("scan", store)}
        self.assertEqual(held["a"]["counter"], 3)
        self.assertEqual(held["row/1"]["lane_cells"], {"n": {"counter": 2}})
        self.assertEqual(held["b"]["set"], ["x"])
        self.assertEqual(held["c"]["max"], 9)
        self.assertEqual(held["d"]["flag"], False)
        self.assertEqual(held["e"]["list"], ["item"])
        self.assertEqual(held["f"]["text"], "-c\n")

    def test_the_fate_of_lane_ops_is_told(self):
        store = self.path("s")
        self.weft("init", store)
        inc = self.weft("inc", store, "k", "3")["op"]
        reset = self.weft("reset", store, "k")["op"]
        word = self.weft("text", store, "t", "append", "word")["op"]
        cut = self.weft("text", store, "t", "delete", "0", "4")["op"]
        fates = self.weft("fate", store, inc, reset, word, cut)["fates"]
        self.assertEqual([(fate["fate"], fate.get("by")) for fate in fates],
                         [("removed", [reset]), ("winner", None),
                          ("removed", [cut]), ("winner", None)])

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
