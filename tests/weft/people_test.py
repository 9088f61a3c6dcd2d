#!/usr/bin/env python3
"""Letting people in, and out: invites, requests, removal, moderation, from outside.

Run as `people_test.py PROGRAM DATA_FOLDER [TEST...]`; `--list` names the tests. Real
processes over TCP, as a group of people would do it.
"""

import cli_test
from cli_test import CliTest


class People(CliTest):
    """What the tests below share."""

    def meet(self, guest, host):
        """`guest` calls at `host`, which is served meanwhile."""
        with self.serving(host) as address:
            self.assertTrue(self.weft("sync", guest, "--connect", address)["level"])

    def joined(self, name, link, host):
        """A store that followed `link` through `host`; gives it and its identity."""
        store = self.path(name)
        with self.serving(host) as address:
            identity = self.weft("join", store, link, "--connect", address)["identity"]
        return store, identity

    def granted(self, name, host, *role):
        """A store with a grant by `host`, level with it."""
        store, identity = self.joined(name, self.weft("status", host)["bases"][0]["link"],
                                      host)
        self.weft("grant", host, identity, *role)
        self.meet(store, host)
        return store, identity

    def role_of(self, identity, store):
        return {m["identity"]: m["role"]
                for m in self.weft("members", store)["members"]
                if not m["revoked"]}.get(identity)

    def value(self, store, key):
        ran = self.run_weft("get", store, key)
        return ran.stdout.decode().strip() if ran.returncode == 0 else None


class Invites(People):
    def test_one_line_lets_somebody_in_with_two_commands_on_each_side(self):
        ada, bob = self.store("ada"), self.path("bob")
        self.weft("put", ada, "k", "from Ada")
        with self.serving(ada) as address:
            invite = self.weft("invite", ada, "--address", address)["invite"]
            ran = self.run_weft("join", bob, invite)
            self.assertEqual(ran.returncode, 0, ran.stderr)
            self.assertIn(b"You are in, as writer", ran.stdout)
            self.weft("put", bob, "k2", "from Bob")
            self.assertTrue(self.weft("sync", bob)["level"])
            self.assertEqual(self.weft("get", ada, "k2")["value"], "from Bob")
        self.assertEqual(self.weft("get", bob, "k")["value"], "from Ada")
        self.assertEqual(self.weft("root", ada), self.weft("root", bob))

    def test_any_member_lets_the_holder_of_an_invite_in_while_the_founder_is_away(self):
        ada = self.store("ada")
        invite = self.weft("invite", ada, "--uses", "2", "--scope", "notes/")["invite"]
        bob, _ = self.joined("bob", invite, ada)
        cleo, cleos = self.joined("cleo", invite, bob)
        self.assertEqual(self.role_of(cleos, cleo), "writer")
        self.weft("put", cleo, "notes/1", "from Cleo")
        self.fails(1, "scope", "put", cleo, "other/1", "beyond the scope")
        self.meet(cleo, bob)
        self.meet(bob, ada)
        self.assertEqual(self.value(ada, "notes/1"), "from Cleo")

    def test_an_invite_lets_in_no_more_than_it_says(self):
        ada = self.store("ada")
        invite = self.weft("invite", ada)["invite"]
        self.joined("bob", invite, ada)
        cleo, cleos = self.path("cleo"), None
        with self.serving(ada) as address:
            cleos = self.weft("join", cleo, invite, "--connect", address)["identity"]
        self.assertIsNone(self.role_of(cleos, ada))
        self.fails(1, "", "put", cleo, "k", "v")
        self.fails(1, "used up", "redeem", ada, invite, cleos)

    def test_an_invite_that_was_revoked_lets_nobody_in(self):
        ada = self.store("ada")
        invite = self.weft("invite", ada)["invite"]
        founder = self.weft("members", ada)["members"][0]["identity"]
        other = self.weft("invite", ada)["invite"]
        # An invite is named by its link, or by its op.
        self.weft("revoke", ada, other, "--yes")
        self.fails(1, "", "redeem", ada, other, founder)
        self.weft("revoke", ada, f"{founder}:0.0", "--yes")
        bob, bobs = self.joined("bob", invite, ada)
        self.assertIsNone(self.role_of(bobs, ada))
        self.fails(1, "", "put", bob, "k", "v")

    def test_who_came_too_late_is_listed_and_may_take_another_invite(self):
        ada = self.store("ada")
        invite = self.weft("invite", ada)["invite"]
        self.joined("bob", invite, ada)
        cleo, cleos = self.joined("cleo", invite, ada)
        self.assertEqual([r["identity"] for r in self.weft("requests", ada)["requests"]],
                         [cleos])
        again = self.weft("invite", ada)["invite"]
        with self.serving(ada) as address:
            self.weft("join", cleo, again, "--connect", address)
        self.assertEqual(self.role_of(cleos, cleo), "writer")
        self.assertEqual(self.weft("requests", ada)["requests"], [])
        self.fails(1, "already", "join", cleo, again)

    def test_who_was_removed_is_not_carried_in_again_by_his_old_invite(self):
        ada = self.store("ada")
        invite = self.weft("invite", ada, "--uses", "5")["invite"]
        bob, bobs = self.joined("bob", invite, ada)
        self.weft("revoke", ada, bobs, "--yes")
        length = self.weft("status", ada)["bases"][0]["blocks"]
        for _ in range(3):
            self.meet(bob, ada)
        self.assertEqual(self.weft("status", ada)["bases"][0]["blocks"], length)
        self.fails(1, "removed", "redeem", ada, invite, bobs)
        self.assertIn(f"{bobs}, removed".encode(), self.run_weft("status", bob).stdout)

    def test_what_is_no_invite_is_one_line(self):
        ada = self.store("ada")
        link = self.weft("status", ada)["bases"][0]["link"]
        founder = self.weft("members", ada)["members"][0]["identity"]
        self.fails(2, "invite", "redeem", ada, link, founder)
        self.fails(2, "", "redeem", ada, "weft://nonsense", founder)
        self.fails(2, "admin", "invite", ada, "--role", "admin")
        self.fails(2, "", "invite", ada, "--uses", "0")
        self.fails(2, "nowhere", "invite", ada, "--address", "nowhere")

    def test_who_was_joined_by_no_address_has_to_name_one(self):
        ada = self.store("ada")
        self.fails(2, "--connect", "sync", ada)
        self.fails(2, "--connect", "serve", ada)


class Requests(People):
    def test_who_follows_is_listed_and_approved(self):
        ada = self.store("ada")
        link = self.weft("status", ada)["bases"][0]["link"]
        bob, bobs = self.path("bob"), None
        with self.serving(ada) as address:
            bobs = self.weft("join", bob, link, "--connect", address)["identity"]
            self.weft("sync", bob)
            asked = [r["identity"] for r in self.weft("requests", ada)["requests"]]
            self.assertEqual(asked, [bobs])
            self.weft("approve", ada, bobs)
            self.weft("sync", bob)
        self.assertEqual(self.weft("requests", ada)["requests"], [])
        self.weft("put", bob, "k", "from Bob")
        self.meet(bob, ada)
        self.assertEqual(self.value(ada, "k"), "from Bob")

    def test_nobody_may_approve_who_may_not_grant(self):
        ada = self.store("ada")
        bob, bobs = self.granted("bob", ada)
        self.fails(1, "", "approve", bob, bobs, "admin")
        self.fails(2, "duke", "approve", ada, bobs, "duke")


class Removal(People):
    def test_what_was_written_before_stays_and_what_comes_later_has_no_effect(self):
        ada = self.store("ada")
        bob, bobs = self.granted("bob", ada)
        self.weft("put", bob, "before", "1")
        self.meet(bob, ada)
        self.weft("put", bob, "unseen", "2")
        self.assertEqual(self.weft("revoke", ada, bobs, "--yes")["writes_withdrawn"], 0)
        self.meet(bob, ada)
        self.assertEqual(self.value(ada, "before"), "1")
        self.assertIsNone(self.value(ada, "unseen"))
        self.fails(1, "", "put", bob, "after", "3")
        held = self.weft("held", ada)["held"]
        self.assertEqual([(h["author"], h["state"], h["writes"]) for h in held],
                         [(bobs, "quarantined", 1)])
        # Nothing is lost: an admin may take it back in.
        self.weft("admit", ada, held[0]["writer"], f"{held[0]['from']}..{held[0]['to']}")
        self.assertEqual(self.value(ada, "unseen"), "2")
        self.meet(bob, ada)
        self.assertEqual(self.weft("root", ada), self.weft("root", bob))

    def test_F4_recover_writes_again_once_and_lists_what_it_cannot_each_time(self):
        ada = self.store("ada")
        bob, bobs = self.granted("bob", ada, "writer")
        self.weft("put", bob, "k", "v")
        self.weft("put", bob, "other/1", "v")
        self.weft("text", bob, "letter", "append", "Dear Ada")
        self.meet(bob, ada)
        self.weft("revoke", ada, bobs, "--keep-nothing", "--yes")
        self.weft("grant", ada, bobs, "writer", "--scope", "k")
        self.meet(bob, ada)
        listed = self.weft("recover", bob, "--list")["lost"]
        self.assertEqual([(r["writes"], r.get("left")) for r in listed], [(3, 1)])
        self.assertEqual(listed[0]["left_keys"], [{"key": "letter"}])
        ran = self.run_weft("recover", bob, stdin="n\n")
        self.assertEqual(ran.returncode, 1)
        self.assertIn(b"up to 2 changes", ran.stderr)
        ran = self.run_weft("recover", bob, "--yes")
        self.assertEqual(ran.returncode, 1, "one may not be written")
        self.assertIn(b"texts and lists at letter", ran.stdout)
        where = f"{listed[0]['writer']} {listed[0]['from']}..{listed[0]['to']}"
        self.assertIn(f"`weft log {where}`".encode(), ran.stdout)
        self.assertIn(b"quarantined letter: insert Dear Ada",
                      self.run_weft("log", bob, *where.split()).stdout)
        self.assertIn(b"not written: ", ran.stdout)
        self.assertIn(b"1 written again, 1 left", ran.stdout)
        self.meet(bob, ada)
        self.assertEqual(self.value(ada, "k"), "v")
        self.weft("grant", ada, bobs, "writer")
        self.meet(bob, ada)
        done = self.weft("recover", bob, "--yes")
        self.assertEqual((done["recovered"], done["left"], done["refused"]), (1, 1, []))
        # Nothing is to be asked any more, and the text is not forgotten.
        for _ in range(2):
            ran = self.run_weft("recover", bob)
            self.assertEqual(ran.returncode, 0, ran.stderr)
            self.assertIn(b"0 written again, 1 left", ran.stdout)

    def test_a_removal_says_what_it_takes_and_asks(self):
        ada = self.store("ada")
        bob, bobs = self.granted("bob", ada)
        self.weft("put", bob, "k", "1")
        self.meet(bob, ada)
        ran = self.run_weft("revoke", ada, bobs, "--keep-nothing", stdin="n\n")
        self.assertEqual(ran.returncode, 1)
        self.assertIn(b"1 grant, and 1 write ", ran.stderr)
        self.assertEqual(self.value(ada, "k"), "1")
        ran = self.run_weft("revoke", ada, bobs, "--keep-nothing", stdin="y\n")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIsNone(self.value(ada, "k"))

    def test_who_holds_two_grants_resigns_both(self):
        ada = self.store("ada")
        bob, bobs = self.granted("bob", ada, "reader")
        self.weft("grant", ada, bobs)
        self.meet(bob, ada)
        self.weft("put", bob, "k", "1")
        self.weft("revoke", bob, bobs, "--yes")
        self.fails(1, "", "put", bob, "k", "2")
        self.meet(bob, ada)
        self.assertIsNone(self.role_of(bobs, ada))
        self.assertEqual(self.value(ada, "k"), "1")
        founder = self.weft("members", ada)["members"][0]["identity"]
        self.fails(1, "founder", "revoke", ada, founder, "--yes")

    def test_words_of_others_are_no_commands_to_the_terminal(self):
        ada = self.store("ada")
        bob, bobs = self.granted("bob", ada)
        evil = "x\n\x1b[31mFAKE \u009b31m"
        self.weft("grant", ada, bobs, "--scope", evil)
        self.weft("put", bob, "k", "1")
        self.meet(bob, ada)
        writer = self.weft("fate", ada, f"{bobs}:0.0")["fates"][0]["op"]
        self.weft("revoke", ada, bobs, "--yes", "--keep-nothing", "--reason", evil)
        ada_log = self.weft("status", ada)["bases"][0]["identity"]
        for shown in [self.run_weft("members", ada).stdout,
                      self.run_weft("log", ada, ada_log).stdout,
                      self.run_weft("fate", ada, writer).stdout,
                      self.run_weft("held", ada).stdout]:
            self.assertIn(b"FAKE", shown)
            self.assertNotIn(b"\x1b", shown)
            self.assertNotIn("\u009b".encode(), shown)
            self.assertFalse(any(line.startswith(b"FAKE") for line in shown.split(b"\n")))

    def plan(self, store, *words):
        """What `revoke` says that it would do: grants, writes."""
        ran = self.run_weft("revoke", store, *words, stdin="n\n")
        self.assertEqual(ran.returncode, 1, ran.stderr)
        numbers = [int(word) for word in ran.stderr.split() if word.isdigit()]
        return tuple(numbers[:2])

    def test_the_plan_of_a_removal_is_what_it_does(self):
        ada = self.store("ada")
        bob, bobs = self.granted("bob", ada, "admin")
        cleo, cleos = self.granted("cleo", bob)
        for store, key in [(bob, "b1"), (bob, "b2"), (cleo, "c1")]:
            self.weft("put", store, key, "x")
        self.meet(cleo, bob)
        self.meet(bob, ada)
        # Who resigns keeps what he wrote; what hangs below him goes only if he says so.
        self.assertEqual(self.plan(bob, bobs), (1, 0))
        self.assertEqual(self.plan(bob, bobs, "--keep-nothing"), (1, 0))
        self.assertEqual(self.plan(bob, bobs, "--subtree"), (2, 1))
        self.assertEqual(self.plan(ada, bobs), (1, 0))
        self.assertEqual(self.plan(ada, bobs, "--subtree"), (2, 0))
        # Nothing kept of an admin: what he granted is void, and so are their writes.
        self.assertEqual(self.plan(ada, bobs, "--keep-nothing"), (2, 3))
        self.weft("grant", ada, bobs)
        self.assertEqual(self.plan(ada, bobs, "--subtree", "--keep-nothing"), (3, 3))
        self.weft("revoke", ada, bobs, "--keep-nothing", "--yes")
        self.assertEqual([self.value(ada, key) for key in ["b1", "b2", "c1"]], [None] * 3)
        self.assertIsNone(self.role_of(cleos, ada))

    def test_P8_the_plan_counts_whom_the_removed_had_let_in(self):
        ada = self.store("ada")
        bob, bobs = self.granted("bob", ada, "reader")
        invite = self.weft("invite", ada)["invite"]
        self.meet(bob, ada)
        # The founder is away: he carries the redemption.
        cleo, _ = self.joined("cleo", invite, bob)
        for key in ["u1", "u2"]:
            self.weft("put", cleo, key, "x")
        self.meet(cleo, bob)
        self.meet(bob, ada)
        self.assertEqual(self.plan(ada, bobs), (1, 0))
        self.assertEqual(self.plan(ada, bobs, "--keep-nothing"), (2, 2))
        done = self.weft("revoke", ada, bobs, "--keep-nothing", "--yes")
        self.assertEqual((done["grants"], done["writes_withdrawn"]), (2, 2))
        self.assertIsNone(self.value(ada, "u1"))

    def test_a_resignation_with_all_below_takes_their_writes_along(self):
        ada = self.store("ada")
        bob, bobs = self.granted("bob", ada, "admin")
        cleo, cleos = self.granted("cleo", bob)
        self.weft("put", bob, "b1", "x")
        self.weft("put", cleo, "c1", "x")
        self.meet(cleo, bob)
        done = self.weft("revoke", bob, bobs, "--subtree", "--yes")
        self.assertEqual((done["grants"], done["writes_withdrawn"]), (2, 1))
        self.assertEqual([self.value(bob, key) for key in ["b1", "c1"]], ["x", None])

    def test_only_those_below_can_be_removed(self):
        ada = self.store("ada")
        bob, bobs = self.granted("bob", ada, "admin")
        founder = self.weft("members", ada)["members"][0]["identity"]
        self.fails(1, "", "revoke", bob, founder, "--yes")
        cleo, cleos = self.granted("cleo", bob)
        self.weft("put", cleo, "k", "1")
        self.meet(cleo, bob)
        self.meet(bob, ada)
        self.assertEqual(self.weft("revoke", ada, bobs, "--yes", "--subtree")["grants"], 2)
        self.assertIsNone(self.role_of(cleos, ada))
        self.assertEqual(self.value(ada, "k"), "1")


class Moderation(People):
    def test_what_a_moderated_member_wrote_waits_until_somebody_looked(self):
        ada = self.store("ada")
        bob, bobs = self.granted("bob", ada, "moderated")
        self.weft("put", bob, "good", "1")
        self.weft("put", bob, "bad", "2")
        self.meet(bob, ada)
        self.assertIsNone(self.value(ada, "good"))
        held = self.weft("held", ada)["held"]
        self.assertEqual([h["state"] for h in held], ["pending"])
        writer, first = held[0]["writer"], held[0]["from"]
        self.assertEqual(held[0]["to"], first + 2)
        shown = self.run_weft("log", ada, writer, f"{first}..{first + 2}").stdout
        self.assertEqual([line.split(b" ", 1)[1] for line in shown.splitlines()],
                         [b"pending good: put 1", b"pending bad: put 2"])
        self.weft("accept", ada, writer, f"{first}..{first + 1}")
        self.weft("reject", ada, writer, f"{first + 1}..{first + 2}")
        self.assertEqual(self.value(ada, "good"), "1")
        self.assertIsNone(self.value(ada, "bad"))
        version = self.weft("root", ada)["version"]
        self.fails(1, "accepted", "accept", ada, writer, f"{first}..{first + 1}")
        self.fails(1, "rejected", "reject", ada, writer, f"{first + 1}..{first + 2}")
        self.assertEqual(self.weft("root", ada)["version"], version)
        fates = [self.weft("fate", ada, f"{writer}:{first + i}.0")["fates"][0]["fate"]
                 for i in range(2)]
        self.assertEqual(fates, ["winner", "rejected"])

    def test_single_changes_and_whole_ranges_are_hidden_and_shown_again(self):
        ada = self.store("ada")
        bob, bobs = self.granted("bob", ada)
        ops = [self.weft("put", bob, key, "Bob's")["op"] for key in ["a", "b", "c/1"]]
        self.meet(bob, ada)
        self.weft("hide", ada, ops[0])
        self.assertIsNone(self.value(ada, "a"))
        hidden = self.weft("held", ada)["held"]
        self.assertEqual([(h["state"], h["writes"]) for h in hidden], [("hidden", 1)])
        self.assertEqual(f"{hidden[0]['writer']}:{hidden[0]['from']}.0", ops[0])
        self.assertIn("hidden by ", hidden[0]["reason"])
        self.weft("unhide", ada, ops[0])
        self.assertEqual(self.weft("held", ada)["held"], [])
        self.assertEqual(self.value(ada, "a"), "Bob's")
        writer = ops[0].split(":")[0]
        self.weft("rollback", ada, writer, "0..3", "--prefix", "c/")
        self.assertEqual([self.value(ada, key) for key in ["a", "b", "c/1"]],
                         ["Bob's", "Bob's", None])
        own = self.weft("put", ada, "own", "Ada's")["op"]
        log, place = own.split(".")[0].split(":")
        version = self.weft("root", ada)["version"]
        for words, said in [(["hide", ops[2]], "hidden already"),
                            (["unhide", ops[0]], "not hidden"),
                            (["hide", own], "not junior"),
                            (["rollback", log, f"{place}..{int(place) + 1}"], "not junior"),
                            (["rollback", writer, "0..3", "--prefix", "c/"], "hidden"),
                            (["rollback", writer, "0..3", "--prefix", "d/"], "nothing"),
                            (["rollback", writer, "0..9"], "9 blocks"),
                            (["rollback", log, "0..50"], "no 50 blocks"),
                            (["accept", writer, "0..3"], "waits to be accepted"),
                            (["reject", writer, "0..3"], "waits to be rejected"),
                            (["admit", writer, "0..3"], "held back"),
                            (["hide", f"{writer}:99.0"], "no op")]:
            self.fails(1, said, words[0], ada, *words[1:])
        self.assertEqual(self.weft("root", ada)["version"], version)
        self.fails(1, "", "hide", bob, ops[1])
        self.fails(2, "A..B", "rollback", ada, writer, "7..7")
        self.fails(2, "x", "hide", ada, "x")


if __name__ == "__main__":
    cli_test.main("__main__")
