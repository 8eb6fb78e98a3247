"""Histories and the feed: the bytes that are hashed, the same as JSON, page by page."""

import time

import httpx2
from tests.http.county import step

from mediation.domain.events import leaf_hash


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
