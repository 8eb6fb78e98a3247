"""The commands of an operator after an erasure: no restore brings anybody back, and a ledger that cannot do its work is told of."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.http.county import County
from tests.http.test_erasure import erase, over, rows

from mediation.gateway.backup import read_backup


class Operator:
    """`backup`, `restore`, `doctor`, `verify` as an operator runs them, with a ledger of their own."""

    def __init__(self, county: County, ledger: Path) -> None:
        urls, self.ledger = county.settings.given_urls(), ledger
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("MEDIATION_")} | {
            "LANG": "C.UTF-8",
            "MEDIATION_DATABASE_URL": urls.app,
            "MEDIATION_OWNER_URL": urls.owner,
            "MEDIATION_READER_URL": urls.reader,
            "MEDIATION_DATA_DIR": str(county.settings.data_dir),
            "MEDIATION_KEY_FILE": str(county.settings.key_file),
            "MEDIATION_ERASURES": str(ledger),
            "MEDIATION_LOG_KEY": str(county.settings.log_key),
            "MEDIATION_ACCESS_LOG_KEY": str(county.settings.access_log_key),
        }

    def run(self, *words):
        return subprocess.run(
            [sys.executable, "-m", "mediation", *words],
            env=self._environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def finds(self) -> tuple[bool, str]:
        """What the doctor says of the ledger: whether all is well, and how the sentence ends."""
        checks = json.loads(self.run("doctor", "--json").stdout)["checks"]
        found = next(check for check in checks if check["name"] == "erasures")
        assert bool(found["remedy_en"]) is not found["ok"]
        return found["ok"], found["en"].partition(f"{self.ledger}")[2].removeprefix(": ")


def test_the_commands_restore_the_night_and_erase_again(county, chair, tmp_path):
    operator = Operator(county, county.settings.erasures)
    run = operator.run
    dump = str(tmp_path / "night.dump")
    place = over(chair)
    kept = run("backup", dump)
    assert kept.returncode == 0, kept.stderr
    assert "erasures.jsonl, by which a restore erases again" in kept.stdout
    assert "never put an old one over a newer" in kept.stdout
    assert erase(chair, place, party=1).status_code == 200
    assert erase(chair, place, text=True).status_code == 200
    restored = run("restore", "--force", dump)
    assert restored.returncode == 0, restored.stderr
    assert "Erased again, as the ledger of erasures says: 2." in restored.stdout
    assert rows(county, place)["vault_keys"] == [(2,)]
    assert operator.finds() == (True, "0 to be erased again")
    told = run("verify")  # whole but for the log, of which more was signed than the night's
    assert told.returncode == 1
    assert all("it was set back" in line for line in told.stdout.splitlines()), told.stdout
    read_backup(
        county.settings.given_urls("owner").owner, dump, force=True
    )  # by other means than ours: found, and made good
    assert operator.finds() == (False, "2 to be erased again")
    assert run("worker", "--once").returncode == 0
    assert operator.finds() == (True, "0 to be erased again")
    assert rows(county, place)["vault_keys"] == [(2,)]


def test_a_ledger_that_is_away_or_damaged_or_another_is_found(county, chair, tmp_path):
    place = over(chair)
    assert erase(chair, place, party=1).status_code == 200
    text = county.settings.erasures.read_text()
    operator = Operator(county, tmp_path / "erasures.jsonl")

    def found(written: str) -> tuple[bool, str]:
        operator.ledger.write_text(written)
        return operator.finds()

    well, said = operator.finds()  # no such file
    assert (well, said.endswith("were erased that it does not name")) == (False, True)
    *others, last = text.splitlines(keepends=True)
    all_gone = "0 to be erased again"
    one = "1 were erased that it does not name"
    assert found(text) == (True, all_gone)
    assert found("".join(others)) == (False, f"{all_gone}, {one}")
    assert found(f"{''.join(others)}{last[:-9]}\n") == (False, f"{all_gone}, 1 lines cannot be read, {one}")
    assert found(f"no line\n{text}") == (False, f"{all_gone}, 1 lines cannot be read")
    assert found(f"{text}{last[:-9]}") == (True, all_gone)  # torn off by a crash, before any erasure


def test_a_restore_without_a_whole_ledger_warns(county, chair, tmp_path):
    dump = str(tmp_path / "night.dump")
    over(chair)
    operator = Operator(county, tmp_path / "erasures.jsonl")
    assert operator.run("backup", dump).returncode == 0
    said = operator.run("restore", "--force", dump)
    assert said.returncode == 0, said.stderr
    assert f"There is no ledger of erasures {operator.ledger}" in said.stderr
    operator.ledger.write_text("no line\n")
    said = operator.run("restore", "--force", dump)
    assert said.returncode == 0, said.stderr
    assert f"{operator.ledger} is not whole" in said.stderr
