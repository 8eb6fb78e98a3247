"""The whole of it, with the commands an operator has: a witness, a backup, a restore, and the log that begins anew."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from tests.service.town import DIVISIONS, FILE, NOTE, ORGANISATIONS, PEOPLE
from tests.witness.bystanders import free_port, standing

from mediation.domain.checkpoints import open_checkpoint, parse_proof
from mediation.domain.merkle import leaf_hash
from mediation.domain.notes import encode64, parse_verifier_key
from mediation.gateway.embedded import Server

PATIENCE_S = 60


class House:
    """An installation of the service: its data, its settings, and its commands."""

    def __init__(self, place):
        self.place, self.port = place, free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEDIATION_", "LC_"))}
        self.environ = kept | {"LANG": "C.UTF-8", "MEDIATION_DATA_DIR": str(place / "data")}

    def run(self, *words, check=True, said=""):
        done = subprocess.run(
            [sys.executable, "-m", "mediation", *map(str, words)],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            input=said,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done

    @contextmanager
    def serving(self):
        with (self.place / "serve.log").open("wb") as log:
            words = [sys.executable, "-m", "mediation", "serve", "--port", str(self.port), "--no-worker"]
            process = subprocess.Popen(words, env=self.environ, stdout=log, stderr=log)
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{self.port}") as client:
                until(lambda: answers(client))
                client.headers["Authorization"] = f"Bearer {self.run('token', 'wang').stdout.strip()}"
                yield client
        finally:
            process.terminate()
            process.wait()

    def log(self):
        return (self.place / "serve.log").read_text()


def answers(client):
    try:
        return client.get("/readyz").status_code == 200
    except httpx2.TransportError:
        return False


def until(holds):
    end = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)
    return found


def step(client, path, body, version=None):
    headers = {"Idempotency-Key": uuid.uuid4().hex} | ({"If-Match": f'"{version}"'} if version else {})
    answer = client.post(path, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer


@pytest.fixture
def house():
    place = Path(tempfile.mkdtemp(prefix="mediation-restored-"))
    place.chmod(0o711)
    with Server(place / "data").in_use():  # no command starts and stops it
        yield House(place)
    shutil.rmtree(place)


def founded(house):
    """The town, and the public halves of its log keys."""
    vkeys = [
        house.run("keys", "new", "--name", f"county.example/{log}", *more).stdout.strip()
        for log, more in (("events", ()), ("access", ("--access",)))
    ]
    house.run("migrate")
    for kind, text in (("divisions", DIVISIONS), ("organisations", ORGANISATIONS), ("people", PEOPLE)):
        (house.place / f"{kind}.csv").write_text(text, "utf-8")
        house.run("import", kind, house.place / f"{kind}.csv")
    return vkeys


def test_an_operator_who_restores_an_older_backup_cannot_hide_it_and_can_go_on(house, tmp_path):
    vkeys = founded(house)
    with standing(tmp_path / "court", *vkeys) as court:
        house.environ |= {"MEDIATION_WITNESSES": f"{court.vkey} {court.url}", "MEDIATION_QUORUM": "1"}
        believed = [parse_verifier_key(vkey) for vkey in (vkeys[0], court.vkey)]
        with house.serving() as client:
            case = step(client, "/v1/cases", FILE).headers["Location"]
            events = f"{case}/events"

            def shown(size):
                note = client.get("/v1/log/checkpoint")
                return note.status_code == 200 and int(note.text.splitlines()[1]) >= size and note.text

            before = until(lambda: shown(4))  # three files were loaded, and a case was filed
            assert len(open_checkpoint(before, believed)[1].signatures) == 2
            house.run("backup", house.place / "older.dump")
            step(client, events, NOTE, 1)
            lost = open_checkpoint(until(lambda: shown(5)), believed)[0]
        house.run("restore", "--force", house.place / "older.dump")

        with house.serving() as client:
            later = step(client, events, NOTE, 1).json()["event"]
            until(lambda: "log_rollback" in house.log())
            assert "mediation log recover" in house.log()
            assert client.get("/v1/log/checkpoint").text == before
            assert client.get(f"/v1/events/{later}/proof").status_code == 409  # not logged yet
        status = house.run("log", "status", check=False)
        assert (status.returncode, "log_rollback" in status.stdout) == (1, True)
        assert house.run("log", "recover", check=False, said="n\n").returncode != 0
        begun = house.run("log", "recover", "--yes").stdout
        origin = f"county.example/events/epoch-{lost.size + 1}"
        assert f"events: {origin}" in begun
        assert encode64(lost.root) in begun

        new = house.run("keys", "list").stdout.split()
        fresh = next(vkey for vkey in new if vkey.startswith(f"{origin}+"))
        with house.serving() as client:
            until(lambda: "no cosignature" in house.log())  # the court does not know the new name
            court.kill()
            court.vkeys = (*vkeys, fresh)
            court.start()
            found = until(lambda: (got := client.get(f"/v1/events/{later}/proof")).status_code == 200 and got)
            lines = client.get(events, headers={"Accept": "application/x-ndjson"}).content.splitlines()
            leaf = next(line for line in lines if later.encode() in line)
            proof = parse_proof(found.text)
            assert proof.verify(leaf_hash(leaf), [parse_verifier_key(fresh)], origin).size >= 2
            assert proof.index > 0  # what was lost comes first
        assert house.run("verify").returncode == 0
