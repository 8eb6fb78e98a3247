"""Histories and the feed: the bytes that are hashed, the same as JSON, page by page."""

import re
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from tests.http.county import County, file_one, step

from mediation.domain.events import leaf_hash

PAGE = Path(__file__).parents[2] / "docs" / "history.md"


@pytest.fixture(scope="module")
def script() -> str:
    """The script of the page about histories."""
    (found,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return found


def checked(script: str, county: County, place: str, person: str = "wang") -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", script, county.address, county.token(person), place.rpartition("/")[2]]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)


def test_ndjson_gives_the_canonical_bytes_and_json_the_same_members_with_their_hash(county, place):
    with county.client("wang") as wang:
        lines = wang.get(f"{place}/events", headers={"Accept": "application/x-ndjson"})
        assert lines.headers["content-type"] == "application/x-ndjson"
        shown = wang.get(f"{place}/events").json()["items"]
        one = wang.get(f"/v1/events/{shown[0]['event']}")
        single = wang.get(f"/v1/events/{shown[0]['event']}", headers={"Accept": "application/x-ndjson"})
    data = lines.content.splitlines()
    assert single.content == data[0] + b"\n"
    previous = "0" * 64
    for line, event in zip(data, shown, strict=True):
        assert event["hash"] == leaf_hash(line)
        assert event["prev"] == previous
        previous = event["hash"]
    assert one.json()["hash"] == shown[0]["hash"]


def test_a_history_is_read_page_by_page_in_both_forms(county, place):
    with county.client("wang") as wang:
        for _ in range(4):
            assert step(wang, place).status_code == 201
        whole = [event["seq"] for event in wang.get(f"{place}/events").json()["items"]]
        assert len(whole) > 2
        found, query = [], {"limit": 2}
        while True:
            page = wang.get(f"{place}/events", params=query).json()
            found += [event["seq"] for event in page["items"]]
            if page["next"] is None:
                break
            query["cursor"] = page["next"]
        assert found == whole
        lines, url = 0, f"{place}/events?limit=2"
        while url:
            answer = wang.get(url, headers={"Accept": "application/x-ndjson"})
            lines += len(answer.content.splitlines())
            link = answer.headers.get("link", "")
            url = link.partition(">")[0].removeprefix("<") if link else ""
        assert lines == len(whole)


def test_the_feed_gives_every_visible_event_once_in_order(county, place):
    with county.client("wang") as wang, county.client("zhao") as zhao, county.client("idle") as idle:
        mine = wait_for_position(wang, place)
        seen, after = [], 0
        while True:
            page = wang.get("/v1/events", params={"after": after, "limit": 3}).json()
            seen += [event["position"] for event in page["items"]]
            if page["next"] == after:
                break
            after = page["next"]
        assert seen == sorted(set(seen))
        assert mine in seen
        others = {event["case"] for event in zhao.get("/v1/events").json()["items"]}
        assert place.rpartition("/")[2] not in others
        assert idle.get("/v1/events").status_code == 200


def wait_for_position(client: httpx2.Client, place: str) -> int:
    for _ in range(100):
        event = client.get(f"{place}/events").json()["items"][-1]
        if "position" in event:
            return event["position"]
        time.sleep(0.05)
    raise AssertionError("the newest event got no position within five seconds")


@pytest.mark.parametrize("person", ["wang", "audit"])
def test_the_script_of_the_page_verifies_a_history_from_outside(county, script, person):
    with county.client("wang") as wang:
        place = file_one(wang).headers["location"]
        accepted = step(wang, place, {"action": "accept"})
        assert accepted.status_code == 201, accepted.text
        head = step(wang, place).json()["hash"]
    done = checked(script, county, place, person)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"3 events, accepted, head {head}\n", "")
    paged = checked(script.replace("/events", "/events?limit=1"), county, place, person)
    assert paged.stdout == done.stdout


def test_the_script_of_the_page_finds_a_changed_byte_a_lost_event_and_a_case_that_differs(county, place, script):
    with county.client("wang") as wang:
        assert step(wang, place).status_code == 201
    for honest, tampered, said in (
        ("data.splitlines()", "data.replace(b'neighbour', b'contract').splitlines()", "event 2 does not follow"),
        ("data.splitlines()", "data.splitlines()[1:]", "event 1 does not follow"),
        (
            '"application/json")[0])',
            '"application/json")[0].replace(b"neighbour", b"contract"))',
            "not what its history",
        ),
    ):
        assert honest in script
        done = checked(script.replace(honest, tampered), county, place)
        assert done.returncode == 1
        assert said in done.stderr
