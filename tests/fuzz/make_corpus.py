#!/usr/bin/env python3
"""Writes the seeds of the fuzz harnesses from recorded sessions of real Node peers.

Reads tests/vectors (transcripts.json: plaintext mux frames; raw-session.json: every
byte of a session; hypercore-messages.json; keys.json) and writes tests/fuzz/corpus.
Run it again when a harness changes the form of its input.
"""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors"
CORPUS = HERE / "corpus"
CORE_MESSAGES = 10


def load(name):
    return json.loads((VECTORS / name).read_text())


def uint(value):
    if value <= 0xFC:
        return bytes([value])
    if value <= 0xFFFF:
        return b"\xfd" + value.to_bytes(2, "little")
    return b"\xfe" + value.to_bytes(4, "little")


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def uint(self):
        lead = self.data[self.at]
        self.at += 1
        if lead <= 0xFC:
            return lead
        size = {0xFD: 2, 0xFE: 4, 0xFF: 8}[lead]
        value = int.from_bytes(self.data[self.at:self.at + size], "little")
        self.at += size
        return value

    def take(self, size):
        self.at += size
        return self.data[self.at - size:self.at]

    def done(self):
        return self.at >= len(self.data)


def items(frame):
    """(channel, type, body) of each message of a mux frame."""
    reader = Cursor(frame)
    channel, kind = reader.uint(), reader.uint()
    if channel or kind:
        return [(channel, kind, frame[reader.at:])]
    found = []
    channel = reader.uint()
    while not reader.done():
        size = reader.uint()
        if size == 0:
            channel = reader.uint()
            continue
        item = Cursor(reader.take(size))
        kind = item.uint()
        found.append((channel, kind, item.data[item.at:]))
    return found


def write(harness, name, data):
    folder = CORPUS / harness
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def from_transcripts():
    seen = set()
    for session in load("transcripts.json")["sessions"]:
        for side in ("initiator", "responder"):
            frames = [bytes.fromhex(frame["frame"]) for frame in session["frames"]
                      if frame["from"] == side]
            name = f"{session['name']}-{side}"
            short = [frame for frame in frames if len(frame) <= 4096][:40]
            write("protomux", name, b"".join(uint(len(f)) + f for f in short))
            whole = b""
            for frame in short:
                for channel, kind, body in items(frame):
                    if channel == 0 or kind >= CORE_MESSAGES:
                        continue
                    # Once as if we served, once as if we fetched.
                    for offset in (0, 10):
                        whole += bytes([kind + offset]) + uint(len(body)) + body
                    shape = (kind, body[:1], len(body) // 16)
                    if shape not in seen and len(body) <= 1024:
                        seen.add(shape)
                        write("core_messages", f"{kind}-{len(seen)}",
                              bytes([kind]) + body)
            write("session", name, whole[:8192])
            write("session", name + "-frames", b"".join(
                bytes([20]) + uint(len(f)) + f for f in short)[:8192])


def from_raw_session():
    for side in ("initiator", "responder"):
        stream = b"".join(bytes.fromhex(piece["bytes"])
                          for piece in load("raw-session.json")["raw"]
                          if piece["from"] == side)
        write("frame", f"raw-{side}", stream[:4096])
        other = 0 if side == "initiator" else 1
        write("handshake", f"raw-{side}", bytes([0xFE | other]) + stream[:2048])


def from_manifests():
    def walk(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key.startswith("manifest") and isinstance(inner, str):
                    yield inner
                else:
                    yield from walk(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner)

    for number, text in enumerate(sorted(set(walk(load("keys.json"))))):
        try:
            write("manifest", f"keys-{number}", bytes.fromhex(text))
        except ValueError:
            continue


def by_hand():
    for length in range(6):
        write("proof", f"right-{length}", bytes([length, 0]))
        write("proof", f"ahead-{length}", bytes([length, 2]))
        write("proof", f"turned-{length}", bytes([length, 2, 0, 40, 1, 1, 9, 128]))
    write("secret_stream", "right", b"")
    write("secret_stream", "turned", bytes([30, 0, 1, 90, 0, 128]))


if __name__ == "__main__":
    from_transcripts()
    from_raw_session()
    from_manifests()
    by_hand()
