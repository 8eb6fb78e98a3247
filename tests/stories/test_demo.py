"""The demo as a newcomer runs it: a command of its own, its timeline on standard output, exit code 0."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import RUN

from mediation.gateway.embedded import Server
from mediation.service.naiman import county

BATTERY = bool(os.environ.get("MEDIATION_BATTERY"))
DISPUTES = [] if BATTERY else ["--disputes", "20"]
CASES = 200 if BATTERY else 20
SECONDS = 90


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command, on the server of the tests."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MEDIATION_")}
    env |= {"MEDIATION_DATA_DIR": os.environ[RUN], **environ}
    command = [sys.executable, "-m", "mediation", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.fixture(scope="module")
def told(server: Server) -> str:
    """What the demo prints."""
    done = run("demo", *DISPUTES, MEDIATION_PORT="8871")
    assert (done.returncode, done.stderr) == (0, "")
    yield done.stdout
    server.drop_database("demo")


def test_the_dispute_goes_from_the_village_to_the_court_and_back_into_the_archive(told: str):
    moves = [
        *("新建 → 已登记", "已登记 → 已受理", "已受理 → 调解中", "调解中 → 调解未成", "调解未成 → 移送中"),
        *("已登记 → 审理(办理)中", "审理(办理)中 → 移送中", "调解中 → 已达成协议", "已达成协议 → 审理(办理)中"),
        *("审理(办理)中 → 已达成协议", "已达成协议 → 已结案", "已结案 → 已归档"),
    ]
    places = [told.index(move) for move in moves]
    assert places == sorted(places)


def test_refusals_show_their_reasons_in_both_languages(told: str):
    for zh, en in (
        ("应逐级上报", "One tier at a time"),
        ("四有未落实", "Not prepared"),
        ("尚未告知当事人权利义务", "have not been told their rights"),
        ("须由双方当事人共同申请", "must apply jointly"),
        ("已超过协议生效之日起三十日", "Out of time"),
        ("412 案件已有新的办理记录", "stale version"),
    ):
        assert zh in told
        assert en in told


def test_the_history_and_the_whole_database_are_verified_and_counted(told: str):
    assert re.search(r"events +49 *\n", told)
    assert f"全库校验：{CASES + 1}件" in told
    assert "何**、初**、佟**" in told
    assert "何桂芝" not in told.partition("七 审计员查验")[2]
    assert re.search(rf"合计 total .* {CASES + 1} │", told)


def test_the_people_it_names_can_sign_in(told: str):
    codes = re.findall(r"150525[0-9]*-[a-z_]+(?:-[a-z_]+)?-\d", told.partition("接下来可以")[2])
    assert len(set(codes)) == 5
    assert set(codes) <= {row["person_code"] for row in county.people()}
    for code in (codes[0], codes[-1]):
        done = run("token", "--demo", code)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(".") == 2


def test_what_to_try_next_is_at_the_port_that_serve_will_take(told: str):
    assert set(re.findall(r"127\.0\.0\.1:([0-9]+)", told.partition("接下来可以")[2])) == {"8871"}


def test_the_demo_s_county_is_not_seeded_twice(told: str):
    done = run("--lang", "zh", "seed", "--demo", "--disputes", "1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "--force" in done.stderr


def test_a_database_given_from_outside_is_refused_in_a_sentence():
    done = run("demo", MEDIATION_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 1
    assert "MEDIATION_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_demo_that_finds_no_place_for_its_database_says_so(tmp_path: Path):
    file = tmp_path / "in_the_way"
    file.write_text("")
    done = run("demo", MEDIATION_DATA_DIR=str(file))
    assert done.returncode == 1
    assert str(file) in done.stderr
    assert "Traceback" not in done.stderr
