"""A folder in which the embedded server can run, as whoever; and the command, run as a person or a script runs it."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def place():
    made = Path(tempfile.mkdtemp(prefix="mediation-commands-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def surroundings(place):
    """The environment of a command, with nothing of ours in it but where the data is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDIATION_")}
    kept.pop("LC_ALL", None)
    return {**kept, "LANG": "C.UTF-8", "MEDIATION_DATA_DIR": str(place / "data")}


@pytest.fixture
def run(surroundings):
    def run(*words: str, patience: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mediation", *words],
            env=surroundings | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=patience,
        )

    return run
