"""Histories and the feed: the bytes that are hashed, the same as JSON, page by page."""

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
from tests.http.county import County, file_one, step

from mediation.domain.events import leaf_hash
from mediation.http.app import create_app
from mediation.store import spans

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


# ── what an auditor chooses, and all at once ──

LINES = {"Accept": "application/x-ndjson"}


def paged(client: httpx2.Client, **query: str) -> list[bytes]:
    """The lines of the feed, page by page as the links lead."""
    found: list[bytes] = []
    url = str(httpx2.URL("/v1/events", params={"limit": "3"} | query))
    while url:
        answer = client.get(url, headers=LINES)
        assert answer.status_code == 200, answer.text
        found += answer.content.splitlines(keepends=True)
        link = answer.headers.get("link", "")
        url = link.partition(">")[0].removeprefix("<") if link else ""
    return found


def test_without_a_limit_everything_that_is_chosen_comes_at_once(county, place, monkeypatch):
    monkeypatch.setattr(spans, "CHUNK", 2)
    with county.client("wang") as wang, county.client("audit") as audit:
        wait_for_position(wang, place)
        for query in (
            {},
            {"action": "note", "org": county.org("T")},
            {"overdue": "false", "since": "2026-01-01T00:00:00+08:00"},
            {"actor": "clock"},
        ):
            with audit.stream("GET", "/v1/events", params=query, headers=LINES) as answer:
                assert answer.headers["content-type"] == "application/x-ndjson"
                assert "content-length" not in answer.headers
                lines = b"".join(answer.iter_bytes())
            assert lines == b"".join(paged(audit, **query)), query
            assert bool(lines) == ("actor" not in query)
            # The link leads to what comes after, by the same conditions.
            after = answer.headers["link"].partition(">")[0].removeprefix("<")
            again = audit.get(after, headers=LINES)
            assert (again.content, "link" in again.headers) == (b"", False)
            step(wang, place)
            wait_for_position(wang, place)
            assert len(audit.get(after, headers=LINES).content.splitlines()) == (1 if "actor" not in query else 0)


def test_json_gives_pages_of_what_is_chosen_with_or_without_a_limit(county, place):
    with county.client("wang") as wang:
        wait_for_position(wang, place)
        found = wang.get("/v1/events", params={"action": "file"}).json()
        assert {event["action"] for event in found["items"]} == {"file"}
        one = wang.get("/v1/events", params={"action": "note", "limit": 1}).json()
        assert [event["position"] for event in one["items"]] == [one["next"]]


def test_of_a_stream_one_chunk_more_is_read_than_its_reader_takes(county, place, monkeypatch):
    monkeypatch.setattr(spans, "CHUNK", 1)
    read = 0

    class Counted(spans.Stored):
        def __new__(cls, *values: Any) -> Self:
            nonlocal read
            read += 1
            return super().__new__(cls, *values)

    monkeypatch.setattr(spans, "Stored", Counted)
    with county.client("wang") as wang:
        lines = len(wang.get("/v1/events", headers=LINES).content.splitlines())
    assert lines > 3
    taken: list[bytes] = []
    read = 0

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        if body := message.get("body"):
            taken.append(body)
            if len(taken) == 2:  # and then the reader takes no more
                await asyncio.sleep(0.5)
                assert read == 2
                raise OSError

    async def ask() -> None:
        app = create_app(county.settings)
        headers = [(b"authorization", f"Bearer {county.token('wang')}".encode()), (b"accept", b"application/x-ndjson")]
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET",
            "path": "/v1/events", "raw_path": b"/v1/events", "query_string": b"", "headers": headers, "scheme": "http",
            "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "root_path": "",
        }  # fmt: skip
        async with app.router.lifespan_context(app):
            await app(scope, receive, send)

    asyncio.run(ask())
    assert (len(taken), read) == (2, 3)  # one more is under way


def test_a_reader_who_leaves_half_way_is_no_fault_of_ours(county, place, monkeypatch, caplog):
    monkeypatch.setattr(spans, "CHUNK", 1)
    with county.client("wang") as wang:
        for _ in range(5):
            with wang.stream("GET", "/v1/events", headers=LINES) as answer:
                next(answer.iter_raw())
        assert wang.get("/v1/events", headers=LINES).status_code == 200
    assert [record.message for record in caplog.records if "fault" in record.message] == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"org": "V1"}, "org"),
        ({"actor": "wang"}, "actor"),
        ({"action": "shout"}, "action"),
        ({"basis": "PM MED"}, "basis"),
        ({"basis": "PM-MED@today"}, "basis"),
        ({"state": "lost"}, "state"),
        ({"since": "2026-03-01"}, "since"),
        ({"category": "weather"}, "category"),
        ({"overdue": "perhaps"}, "overdue"),
        ({"limit": "201"}, "limit"),
        ({"case": "1"}, "case"),
        ({"since": "2026-03-02T00:00:00Z", "until": "2026-03-01T00:00:00Z"}, "query"),
    ],
)
def test_what_cannot_be_chosen_by_is_refused_in_both_languages(county, place, query, said):
    for accept in ("application/json", "application/x-ndjson"):
        with county.client("audit", Accept=accept) as audit:
            answer = audit.get("/v1/events", params=query)
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
        (reason,) = answer.json()["reasons"]
        assert said in reason["zh"]
        assert said in reason["en"]
        assert re.search("[\u4e00-\u9fff]", reason["zh"])
        assert not re.search("[\u4e00-\u9fff]", reason["en"])


def test_every_reason_is_named_at_once(county, place):
    with county.client("audit") as audit:
        answer = audit.get("/v1/events", params={"org": "V1", "action": "shout", "since": "now"})
    assert len(answer.json()["reasons"]) == 3


# ── the page about it ──


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
