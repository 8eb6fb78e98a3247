"""How a case and a worklist stood, and what has changed: what was answered then is answered again, to whom it is seen now."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from tests.http.county import NOBODY, County, bare, file_one, step

ESCALATE = {
    "action": "escalate",
    "documents": [{"kind": "minutes", "name": "调解笔录.pdf", "sha256": "0" * 64, "ref": "file:1"}],
    "text": "村里调不了",
}
JOIN = {"action": "change_parties", "change": "join", "join": [{"name": "王五六", "side": "third"}], "text": "要求加入"}
LATER = "2026-06-30T01:00:00Z"


class Story:
    """A case told day by day: each event, and what was answered about the case right after it."""

    def __init__(self, county: County) -> None:
        self.county = county
        self.place = ""
        self.events: list[dict[str, Any]] = []
        self.answers: list[httpx2.Response] = []

    def on(self, day: str, body: dict[str, Any] | None = None, person: str = "wang") -> None:
        with self.county.client(person, X_Sandbox_At=f"{day}T09:00:00+08:00") as client:
            answer = step(client, self.place, body) if self.place else file_one(client)
            assert answer.status_code == 201, answer.text
            self.place = self.place or answer.headers["location"]
            self.events.append(answer.json())
            self.answers.append(client.get(self.place))

    def get(self, suffix: str = "", person: str = "wang", at: str = LATER, **query: str) -> httpx2.Response:
        with self.county.client(person, X_Sandbox_At=at) as client:
            return client.get(f"{self.place}{suffix}", params=query)


@pytest.fixture(scope="module")
def story(county: County) -> Story:
    told = Story(county)
    told.on("2026-03-02")
    told.on("2026-03-03", {"action": "accept"})
    told.on("2026-03-10", JOIN)
    told.on("2026-05-06", ESCALATE | {"to_org": county.org("T")})
    told.on("2026-05-07", {"action": "receive", "handoff": 1}, "li")
    told.on("2026-05-20", {"action": "note", "kind": "fact"}, "li")
    with county.client("wang") as wang:
        for _ in range(100):
            if "position" in wang.get(f"{told.place}/events").json()["items"][-1]:
                break
            time.sleep(0.05)
    return told


def before(at: str) -> str:
    moment = datetime.fromisoformat(at) - timedelta(microseconds=1)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def facts(answer: httpx2.Response) -> dict[str, Any]:
    """What is said of the case itself: neither its code, nor what the log has proven of its hand-offs since."""
    said: dict[str, Any] = answer.json()
    said.pop("case_code", None)
    for handoff in said["handoffs"]:
        handoff.pop("evidence", None)
    return said


# ── a case ──


def test_at_the_instant_of_every_event_a_case_is_answered_as_it_was_then(story: Story):
    for number, (event, answer) in enumerate(zip(story.events, story.answers, strict=True)):
        again = story.get(as_of=event["at"])
        assert again.status_code == 200, again.text
        assert again.headers["etag"] == answer.headers["etag"] == f'"{number + 1}"'
        assert facts(again) == facts(answer)
        if number:
            earlier = story.get(as_of=before(event["at"]))
            assert earlier.headers["etag"] == f'"{number}"'


def test_a_case_as_it_stood_shows_no_later_party_and_people_as_masked_as_now(story: Story):
    then = story.get(as_of=story.events[1]["at"]).json()
    now = story.get().json()
    assert [party["name"] for party in then["parties"]] == [party["name"] for party in now["parties"]][:2]
    assert len(now["parties"]) == 3
    assert "*" in then["parties"][0]["name"]


def test_a_case_was_overdue_from_when_its_period_ran_out(story: Story):
    for at, overdue in (("2026-04-03T01:00:00Z", False), ("2026-04-04T01:00:00Z", True)):
        assert story.get(as_of=at).json()["overdue"] is overdue, at


def test_an_instant_may_be_of_any_offset(story: Story):
    assert story.get(as_of="2026-03-03T09:00:00+08:00").content == story.get(as_of="2026-03-03T01:00:00Z").content


def test_before_it_was_filed_there_was_no_case_which_is_told_as_of_any_case_that_is_not_there(story: Story):
    with story.county.client("wang", X_Sandbox_At=LATER) as wang:
        absent = bare(wang.get(f"/v1/cases/{NOBODY}"))
    first = before(story.events[0]["at"])
    assert absent[0] == 404
    for answer in (
        story.get(as_of=first),
        story.get(as_of="0001-01-01T00:00:00Z"),
        story.get("/changes", until=first),
        story.get("/changes", since="2000-01-01T00:00:00Z", until="2001-01-01T00:00:00Z"),
    ):
        assert bare(answer) == absent


def test_a_version_that_is_known_already_is_not_sent_again(story: Story):
    at = story.events[1]["at"]
    with story.county.client("wang", X_Sandbox_At=LATER, If_None_Match='"2"') as wang:
        assert wang.get(story.place, params={"as_of": at}).status_code == 304
        assert wang.get(story.place, params={"as_of": story.events[0]["at"]}).status_code == 200


@pytest.mark.parametrize("path", ["", "/changes"])
def test_an_instant_that_is_still_to_come_is_refused_in_both_languages(story: Story, path: str):
    name = "until" if path else "as_of"
    answer = story.get(path, **{name: "2026-06-30T01:00:00.000001Z"})
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    (reason,) = answer.json()["reasons"]
    assert (reason["code"], reason["zh"], reason["en"]) == (
        "in_the_future",
        f"{name}: 该时刻尚未到来",
        f"{name}: this instant is still to come",
    )
    assert story.get(path, **{name: LATER}).status_code == 200


@pytest.mark.parametrize(
    "wrong", ["2026-03-03", "yesterday", "1772000000", "2026-03-03T09:00:00", "0001-01-01T00:00:00+08:00", ""]
)
def test_what_is_no_instant_is_refused_and_an_example_given(story: Story, wrong: str):
    for suffix, name in (("", "as_of"), ("/changes", "since"), ("/changes", "until")):
        answer = story.get(suffix, **{name: wrong})
        assert answer.status_code == 422, (suffix, name, wrong)
        (reason,) = answer.json()["reasons"]
        assert name in reason["zh"]
        assert "such as" not in reason["zh"]
        assert "RFC 3339" in reason["zh"]
        assert "RFC 3339" in reason["en"]


# ── what has changed ──


def test_what_has_changed_is_told_fact_by_fact_with_the_events_between(story: Story):
    answer = story.get("/changes", since=story.events[0]["at"], until=story.events[1]["at"])
    said = answer.json()
    assert said["since"] == {"at": story.events[0]["at"], "version": 1}
    assert said["until"] == {"at": story.events[1]["at"], "version": 2}
    assert [event["event"] for event in said["events"]] == [story.events[1]["event"]]
    changes = {change["path"]: (change["before"], change["after"]) for change in said["changes"]}
    assert changes["state"] == ("filed", "accepted")
    assert changes["legs.1.state"] == ("filed", "accepted")
    assert changes["legs.1.accepted_on"] == (None, "2026-03-03")
    assert not {path for path in changes if path.startswith(("parties", "claims", "number", "version"))}


def test_without_instants_it_is_everything_from_nothing_to_now(story: Story):
    said = story.get("/changes").json()
    assert said["since"] == {"version": 0}
    assert said["until"]["version"] == len(story.events)
    assert [event["seq"] for event in said["events"]] == list(range(1, len(story.events) + 1))
    changes = {change["path"]: change for change in said["changes"]}
    assert {change["before"] for change in said["changes"]} == {None}
    assert changes["filed_by"]["after"] == story.county.org("V1")
    assert changes["parties.3.side"]["after"] == "third"


def test_what_has_changed_step_by_step_adds_up_to_what_has_changed_in_all(story: Story):
    ats = [event["at"] for event in story.events]
    for first in range(len(ats) - 1):
        known: dict[str, Any] = {}
        start: dict[str, Any] = {}
        for since, until in zip(ats[first:], ats[first + 1 :], strict=False):
            for change in story.get("/changes", since=since, until=until).json()["changes"]:
                assert change["before"] != change["after"]
                assert known.get(change["path"], change["before"]) == change["before"]
                start.setdefault(change["path"], change["before"])
                known[change["path"]] = change["after"]
        whole = story.get("/changes", since=ats[first], until=ats[-1]).json()["changes"]
        assert {c["path"]: c["after"] for c in whole} == {p: a for p, a in known.items() if a != start[p]}


def test_between_an_instant_and_itself_nothing_has_changed(story: Story):
    at = story.events[2]["at"]
    said = story.get("/changes", since=at, until=at).json()
    assert (said["events"], said["changes"]) == ([], [])


def test_no_fact_that_has_changed_is_personal(story: Story):
    with story.county.client("wang") as wang:
        wanted = {"purpose": "notify", "fields": [f"parties.{n}.name" for n in (1, 2, 3)]}
        shown = wang.post(f"{story.place}/disclosures", json=wanted)
    text = story.get("/changes").text
    assert shown.status_code in {200, 403}
    for value in ("张三丰", "李四", "王五六", "13812345678", "150599199001011231", "赔偿院墙损失", "村里调不了"):
        assert value not in text


def test_what_ends_before_it_begins_is_refused(story: Story):
    answer = story.get("/changes", since=story.events[1]["at"], until=story.events[0]["at"])
    assert answer.status_code == 422
    (reason,) = answer.json()["reasons"]
    assert (reason["zh"], reason["en"]) == (
        "query: 起点不得晚于终点",
        "query: since does not come after until",
    )


# ── lists ──


def listed(story: Story, person: str = "audit", **query: str) -> dict[str, dict[str, Any]]:
    with story.county.client(person, X_Sandbox_At=LATER) as client:
        answer = client.get("/v1/cases", params=query)
    assert answer.status_code == 200, answer.text
    return {item["id"]: item for item in answer.json()["items"]}


def test_a_list_shows_the_cases_as_they_stood_and_not_those_that_were_not_there(story: Story):
    case = story.events[0]["case"]
    assert case not in listed(story, as_of=before(story.events[0]["at"]))
    for event in story.events:
        item = listed(story, as_of=event["at"])[case]
        shown = story.get(as_of=event["at"], person="audit").json()
        assert item == {name: shown[name] for name in item}
        assert item["version"] == event["seq"]


def test_an_auditor_finds_what_was_overdue_on_a_day_in_a_state_at_a_body(story: Story):
    case, body = story.events[0]["case"], story.county.org("V1")
    wanted = {"as_of": "2026-04-20T01:00:00Z", "overdue": "true", "state": "accepted", "holder": body}
    assert listed(story, **wanted)[case]["overdue"] is True
    for name, other in (
        ("as_of", "2026-04-01T01:00:00Z"),
        ("overdue", "false"),
        ("state", "in_transit"),
        ("holder", story.county.org("T")),
        ("category", "medical"),
        ("division", "150525100202"),
    ):
        assert case not in listed(story, **wanted | {name: other}), name


def test_a_condition_that_is_for_now_alone_is_refused_by_name(story: Story):
    with story.county.client("audit", X_Sandbox_At=LATER) as client:
        answer = client.get(
            "/v1/cases",
            params={"as_of": "2026-04-20T01:00:00Z", "risk": "red", "q": "12", "sort": "due", "state": "filed"},
        )
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    reasons = answer.json()["reasons"]
    assert [reason["code"] for reason in reasons] == ["not_with_as_of"] * 3
    assert [reason["en"].partition(":")[0] for reason in reasons] == ["q", "risk", "sort"]
    assert all("可用 category, division, holder, overdue, state" in reason["zh"] for reason in reasons)


# ── who does not see it ──


def test_whoever_does_not_see_the_case_is_told_of_no_past_of_it(story: Story):
    with story.county.client("zhao", X_Sandbox_At=LATER) as zhao:
        expected = bare(zhao.get(f"/v1/cases/{NOBODY}"))
        assert expected[0] == 404
        for at in ["2000-01-01T00:00:00Z", *(event["at"] for event in story.events), LATER]:
            for suffix in (f"?as_of={at}", f"/changes?since={at}", f"/changes?until={at}"):
                assert bare(zhao.get(f"{story.place}{suffix}")) == expected, suffix


def test_a_county_of_hidden_cases_leaks_nothing_through_any_condition_of_a_list_or_the_feed(story: Story):
    event, at = story.events[3], story.events[3]["at"]
    org, wang = story.county.org("V1"), event["actor"]
    conditions = [
        {"org": org},
        {"org": story.county.org("C")},
        {"actor": wang},
        {"action": "escalate"},
        {"basis": event["basis"][0]} if event["basis"] else {"basis": "PM-MED"},
        {"state": "in_transit"},
        {"since": at},
        {"until": LATER},
        {"category": "neighbour"},
        {"overdue": "true"},
        {"overdue": "false"},
    ]
    nothing = {"actor": NOBODY}  # what nobody has done
    with story.county.client("zhao", X_Sandbox_At=LATER) as zhao:
        ends = set()
        for condition in [nothing, *conditions]:
            found = zhao.get("/v1/events", params=condition)
            assert (found.status_code, found.json()["items"]) == (200, []), condition
            ends.add(found.json()["next"])
            lines = zhao.get("/v1/events", params=condition, headers={"Accept": "application/x-ndjson"})
            assert lines.content == b"", condition
        assert len(ends) == 1
        for then in ({}, {"state": "in_transit"}, {"holder": org}, {"overdue": "true"}, {"category": "neighbour"}):
            found = zhao.get("/v1/cases", params={"as_of": at} | then)
            assert found.json() == {"items": [], "next": None}, then
    with story.county.client("audit", X_Sandbox_At=LATER) as auditor:
        for condition in conditions:
            found = auditor.get("/v1/events", params=condition)
            assert story.events[0]["case"] in {item["case"] for item in found.json()["items"]}, condition
