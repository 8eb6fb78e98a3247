"""Logs that grow in memory, and witnesses that stand at a port of this machine: the real command."""

import hashlib
import http.client
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

from mediation.domain.checkpoints import Addition, Checkpoint
from mediation.domain.merkle import consistency_proof, leaf_hash, root
from mediation.domain.notes import new_signer, sign

ORIGIN = "log.example/events"


class Book:
    """A log in memory: what it has signed of any of its sizes, and the proofs between them."""

    def __init__(self, origin=ORIGIN, leaves=40, *, twist="", key=None):
        self.signer = new_signer(origin, hashlib.sha256((key or origin).encode()).digest())
        self.leaves = [leaf_hash(f"{twist}{number}".encode()) for number in range(leaves)]

    def checkpoint(self, size):
        return Checkpoint(self.signer.name, size, root(self.leaves[:size]))

    def note(self, size):
        return sign(self.checkpoint(size).text, self.signer)

    def addition(self, old, size):
        proof = consistency_proof(self.leaves[:size], old) if old <= size else []
        return Addition(old, tuple(proof), self.note(size)).text.encode()


class Standing:
    """A witness's command that runs: where, and how it is asked."""

    def __init__(self, folder, vkeys, port=None):
        self.folder, self.vkeys, self.port = folder, vkeys, port or free_port()
        self.key = folder / "witness.key"
        self.process = None
        self.vkey = mediation("witness", "new", f"witness.example/{folder.name}", "-o", self.key).stdout.strip()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        logs = [word for vkey in self.vkeys for word in ("--log", vkey)]
        words = ["witness", "serve", "--key", str(self.key), *logs, "--port", str(self.port)]
        with (self.folder / "witness.log").open("ab") as said:
            self.process = subprocess.Popen([sys.executable, "-m", "mediation", *words], stdout=said, stderr=said)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with suppress(OSError):
                if self.ask("GET", "/livez")[0] == 200:
                    return self
            assert self.process.poll() is None, (self.folder / "witness.log").read_text()
            time.sleep(0.05)
        raise AssertionError("it does not answer")

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def ask(self, method, path, body=None):
        """The status, the headers and the body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def add(self, body):
        return self.ask("POST", "/add-checkpoint", body)

    def newest(self, origin):
        return self.ask("GET", f"/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint")


def mediation(*words, check=True, **environment):
    """A command of ours, run as a person runs it."""
    return subprocess.run(
        [sys.executable, "-m", "mediation", "--lang", "en", *map(str, words)],
        env={**os.environ, **environment},
        check=check,
        capture_output=True,
        text=True,
    )


def free_port():
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return tried.getsockname()[1]


@contextmanager
def standing(folder, *vkeys):
    folder.mkdir(exist_ok=True)
    made = Standing(folder, vkeys)
    try:
        yield made.start()
    finally:
        made.kill()
