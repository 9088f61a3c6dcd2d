"""The engine's side of a differential run: one long-lived model_replay process."""

import json
import subprocess

import encode

SALT = bytes(range(32))
PEOPLE = 24  # identities with fixed keys; a history uses some of them
CORES = 24   # keys of later incarnations, likewise
SECRETS = 1000  # seeds of invite keys begin here


class Engine:
    def __init__(self, program):
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        people = self.ask({"do": "identities", "salt": SALT.hex(), "first": 1,
                           "count": PEOPLE + CORES})
        self.keys = [bytes.fromhex(person["key"]) for person in people]
        self.manifests = [bytes.fromhex(person["manifest"]) for person in people]
        self.publics = {}

    def ask(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the engine died with {self.process.wait()}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def sign(self, items):
        return [bytes.fromhex(text) for text in self.ask(
            {"do": "sign", "items": [[seed, message.hex()] for seed, message in items]})]

    def public(self, seed):
        if seed not in self.publics:
            self.publics[seed] = bytes.fromhex(
                self.ask({"do": "public", "seeds": [seed]})[0])
        return self.publics[seed]

    def prepare(self, history):
        """Gives a history its keys, hashes and bytes (see encode.Encoder)."""
        history["limits"] = {**encode.LIMITS, **history.get("limits", {})}
        pool = history["people"]
        history["identity_keys"] = [self.keys[person] for person in pool]
        history["identity_seeds"] = [person + 1 for person in pool]
        history["manifests"] = [self.manifests[person] for person in pool]
        history["keys"] = [
            self.keys[pool[writer["identity"]] if writer["number"] == 0
                      else PEOPLE + writer["core"]]
            for writer in history["writers"]]
        history["genesis"] = encode.genesis(
            SALT, [history["manifests"][founder] for founder in history["founders"]],
            history["limits"], "model")
        encode.Encoder(history, encode.base_id(history["genesis"]), self.sign, self.public)
        return history

    def replay(self, history, orders, ops, watch=False):
        """The engine's states: see replay.cc. Of every order the steps are [log, length],
        ["flush"], ["restart"] or ["state"]; `ops` are (writer, position, index)."""
        return self.ask({
            "do": "case", "genesis": history["genesis"].hex(),
            "keys": [key.hex() for key in history["keys"]],
            "logs": [{"key": log["writer"], "blocks": [b.hex() for b in log["bytes"]]}
                     for log in history["logs"]],
            "proofs": sorted(history.get("proofs", {}).items()),
            "orders": orders, "ops": [list(op) for op in ops], "watch": watch})
