#!/usr/bin/env python3
"""A hundred real `weft` processes on the loopback in one base, for half an hour.

Run by `./dev soak`. Every process serves its own store and dials a few others; one in
five may write, and writes go on all the time through `weft put` on the stores in use.
Memory and open files of every process are read from /proc every ten seconds. In the
end all must be level and nothing may have grown: the report says what was measured.

Exit code 0: level and flat, 1: not, 2: usage.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAMPLE_SECONDS = 10
WRITER_EVERY = 5
# What a process may have grown by between the second quarter and the last.
MEMORY_GROWTH_MAX = 1.25
MEMORY_SLACK_KIB = 12 * 1024
FILES_GROWTH_MAX = 12


class Peer:
    def __init__(self, soak, number):
        self.soak, self.number = soak, number
        self.store = str(soak.folder / f"peer{number}")
        self.process, self.address, self.samples = None, None, []

    def serve(self, connect):
        log = open(self.store + ".log", "wb")
        arguments = [self.soak.program, "serve", self.store, "--listen", "127.0.0.1:0",
                     "--json"]
        for address in connect:
            arguments += ["--connect", address]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=log)
        self.address = json.loads(self.process.stdout.readline())["listening"]
        # Nobody reads the rest: it goes to a file.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stdout, stdout=log)

    def sample(self, moment):
        folder = Path("/proc") / str(self.process.pid)
        try:
            status = (folder / "status").read_text()
            files = len(os.listdir(folder / "fd"))
        except OSError:
            return
        memory = next(int(line.split()[1]) for line in status.splitlines()
                      if line.startswith("VmRSS:"))
        self.samples.append((moment, memory, files))

    def between(self, start, end, column):
        values = [s[column] for s in self.samples if start <= s[0] < end]
        return statistics.median(values) if values else 0


class Soak:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.program = options.program
        self.random = random.Random(options.seed)
        self.peers, self.writes, self.failures = [], 0, []

    def weft(self, *arguments):
        done = subprocess.run([self.program, *arguments, "--json"], check=False,
                              capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def build(self):
        founder = Peer(self, 0)
        link = self.weft("init", founder.store)["link"]
        founder.serve([])
        self.peers.append(founder)
        for number in range(1, self.options.peers):
            peer = Peer(self, number)
            near = self.random.sample(self.peers, min(len(self.peers), 3))
            identity = self.weft("join", peer.store, link, "--connect",
                                 near[0].address)["identity"]
            if number % WRITER_EVERY == 0:
                self.weft("grant", founder.store, identity, "writer")
            peer.serve([each.address for each in near])
            self.peers.append(peer)
            print(f"\r{number + 1} peers", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)

    def write(self):
        number = self.random.randrange(0, self.options.peers, WRITER_EVERY)
        peer = self.peers[number]
        key = f"key/{self.random.randrange(500)}"
        try:
            self.weft("put", peer.store, key, f"{self.writes} of {number}")
            self.writes += 1
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            self.failures.append(str(error))

    def run(self):
        started = time.monotonic()
        end = started + self.options.minutes * 60
        due = started
        while time.monotonic() < end:
            self.write()
            now = time.monotonic()
            if now >= due:
                due = now + SAMPLE_SECONDS
                for peer in self.peers:
                    peer.sample(now - started)
            pause = max(0.0, min(self.options.pause, end - time.monotonic()))
            self.dead()
            time.sleep(pause)
        return time.monotonic() - started

    def dead(self):
        for peer in self.peers:
            if peer.process.poll() is not None:
                raise RuntimeError(f"peer {peer.number} ended: see {peer.store}.log")

    def level(self, seconds):
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            digests = {self.weft("root", peer.store)["version"] for peer in self.peers}
            if len(digests) == 1:
                return time.monotonic() - started
        return None

    def stop(self):
        for peer in self.peers:
            if peer.process and peer.process.poll() is None:
                peer.process.send_signal(signal.SIGTERM)
        for peer in self.peers:
            if peer.process:
                try:
                    peer.process.wait(timeout=60)
                except subprocess.TimeoutExpired:
                    self.failures.append(f"peer {peer.number} did not stop")
                    peer.process.kill()
                peer.drain.wait(timeout=60)

    def report(self, seconds, level_after):
        """The lines of the report, and whether all is well."""
        quarter = seconds / 4
        rows, grown = [], []
        for column, name, unit in ((1, "memory", 1024), (2, "open files", 1)):
            early = [p.between(quarter, 2 * quarter, column) for p in self.peers]
            late = [p.between(3 * quarter, seconds + 1, column) for p in self.peers]
            rows.append(f"| {name}{' (MiB)' if unit > 1 else ''} | "
                        f"{statistics.median(early) / unit:.1f} | "
                        f"{statistics.median(late) / unit:.1f} | "
                        f"{max(late) / unit:.1f} |")
            for peer, before, after in zip(self.peers, early, late):
                most = (before * MEMORY_GROWTH_MAX + MEMORY_SLACK_KIB if column == 1
                        else before + FILES_GROWTH_MAX)
                if after > most:
                    grown.append(f"peer {peer.number}: {name} {before:.0f} -> {after:.0f}")
        well = level_after is not None and not grown and not self.failures
        lines = [
            f"{len(self.peers)} processes, {seconds / 60:.0f} minutes, {self.writes} "
            f"writes by {len(self.peers) // WRITER_EVERY} writers; "
            + (f"all level {level_after:.1f} s after the last"
               if level_after is not None else "NOT level"),
            "",
            "| per process | median, second quarter | median, last quarter | largest |",
            "| --- | --- | --- | --- |",
            *rows,
        ]
        lines += [f"- grew: {line}" for line in grown]
        lines += [f"- failed: {line}" for line in self.failures[:20]]
        return lines, well


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("program", help="the weft program")
    parser.add_argument("--peers", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--pause", type=float, default=0.5,
                        help="seconds between two writes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", help="also write the report to this file")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="weft-soak-"))
    soak = Soak(options, folder)
    try:
        soak.build()
        seconds = soak.run()
        level_after = soak.level(60 + options.peers)
    finally:
        soak.stop()
    lines, well = soak.report(seconds, level_after)
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.report:
        Path(options.report).write_text(text)
    if well:
        shutil.rmtree(folder)
    else:
        print(f"logs and stores are kept in {folder}", file=sys.stderr)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
