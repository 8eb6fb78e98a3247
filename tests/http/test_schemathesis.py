"""schemathesis with every check against the running county: no 5xx, no undocumented status, no schema violation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.http.county import County, file_one

CASES = 5000 if os.environ.get("MEDIATION_BATTERY") else 500
EXAMPLES = 150 if os.environ.get("MEDIATION_BATTERY") else 4
CONFIG = """
# What a schema cannot say (that a claim names a party that is there, that a version is still the newest) is refused.
[[operations]]
include-method = "POST"
checks.positive_data_acceptance.expected-statuses = ["2xx", "403", "404", "409", "412", "422"]

# Nor that an instant is past, comes before another, or cannot be asked together with what is only known of now.
[[operations]]
include-operation-id = ["list_cases", "show_case", "list_changes", "list_events"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "403", "404", "422"]
"""
CONTRACT = Path(__file__).parents[2] / "openapi" / "mediation.json"
HOOKS = '''
import os, random
import requests, schemathesis
from schemathesis import GenerationMode

@schemathesis.hook
def before_call(context, case, kwargs):
    """Lead requests that are meant to be good past the door: to a case that is there, by its version, with two sides.

    A cursor is opaque, so no made-up one is any good; those we gave are tested elsewhere.
    """
    if case.query:
        case.query.pop("cursor", None)
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    chance = random.Random(repr(case.body) + repr(case.path_parameters))
    places = os.environ["CASES"].split()
    if "case_id" in (case.path_parameters or {}) and chance.random() < 0.9:
        case.path_parameters["case_id"] = chance.choice(places)
        if case.method == "POST" and "If-Match" in case.headers:
            url = os.environ["ADDRESS"] + "/v1/cases/" + case.path_parameters["case_id"]
            case.headers["If-Match"] = requests.get(url, headers={"Authorization": os.environ["TOKEN"]}).headers["ETag"]
    if case.path == "/v1/cases" and isinstance(case.body, dict) and chance.random() < 0.9:
        case.body.pop("case_code", None)
        case.body.pop("successor_of", None)
        sides = [{"name": "甲", "side": "applicant"}, {"name": "乙", "side": "respondent"}]
        case.body["parties"] = sides + (case.body.get("parties") or [])[:48]
        for claim in case.body.get("claim") or []:
            claim |= {"by": [1], "against": [2]}
        case.body["claim"] = case.body.get("claim") or [{"what": "money"}]
        case.body |= {"category": case.body.get("category") or "other", "division": "150525100201"}
        case.body["text"] = case.body.get("text") or "纠纷"
'''


@pytest.mark.timeout(3600)
def test_nothing_that_schemathesis_can_think_of_breaks_the_contract(county: County, tmp_path: Path):
    with county.client("wang") as wang:
        places = [file_one(wang).json()["case"] for _ in range(3)]
    report, config, hooks = tmp_path / "report.json", tmp_path / "schemathesis.toml", tmp_path / "hooks.py"
    config.write_text(CONFIG, "utf-8")
    hooks.write_text(HOOKS, "utf-8")
    done = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(config), "run"),
            f"{county.address}/openapi.json",
            *("--checks", "all", "--max-examples", str(EXAMPLES), "--seed", "20261121", "--no-color"),
            *("--header", f"Authorization: Bearer {county.token('wang')}"),
            *("--continue-on-failure", "--report", "json", "--report-json-path", str(report)),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": str(hooks),
            "ADDRESS": county.address,
            "TOKEN": f"Bearer {county.token('wang')}",
            "CASES": " ".join(places),
        },
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    found = json.loads(report.read_text("utf-8"))
    there = sum(len(methods) for methods in json.loads(CONTRACT.read_text("utf-8"))["paths"].values())
    assert found["operations"]["tested"] == found["operations"]["total"] == there
    assert found["test_cases"]["generated"] >= CASES
