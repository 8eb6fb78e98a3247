"""A year in figures: what each body reads of itself and those below it, and what nobody reads of others."""

import time
import uuid
from typing import Any

import httpx2
import pytest
from tests.http.county import NOBODY, County, bare, file_one, step

AT = "2026-11-20T01:00:00Z"
ZEROS = {
    **dict.fromkeys(
        ("cases", "received", "accepted", "agreed", "failed", "fell_through", "late", "open", "merged", "overdue"), 0
    ),
    "settled": {"count": 0, "of": 0, "median_days": None},
    "ended": {"count": 0, "median_days": None},
    "outcomes": [],
}


def papers(*kinds: str) -> list[dict[str, Any]]:
    return [{"kind": kind, "sha256": "0" * 64, "ref": f"file/{kind}"} for kind in kinds]


PROMISE = {"obligor": 2, "what": "money", "amount_fen": 30000, "due_on": "2026-12-31", "text": "给付"}
ON_THE_SPOT = {
    "action": "settle",
    "form": "oral",
    "signed_by": [1, 2],
    "mediator_signed": True,
    "notice_given": True,
    "consents": [1, 2],
    "obligations": [PROMISE],
    "documents": papers("oral_register"),
}


class Year:
    """The year's disputes, told day by day in the sandbox."""

    def __init__(self, county: County) -> None:
        self.county = county

    def file(self, day: str, person: str = "wang", **changes: Any) -> str:
        with self.on(day, person) as client:
            answer = file_one(client, documents=papers("registration", "identity"), **changes)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"]

    def take(self, day: str, person: str, place: str, action: str, **fields: Any) -> None:
        with self.on(day, person) as client:
            answer = step(client, place, {"action": action} | fields)
        assert answer.status_code == 201, (action, answer.text)

    def on(self, day: str, person: str) -> httpx2.Client:
        return self.county.client(person, X_Sandbox_At=f"{day}T09:00:00+08:00")

    def settled(self, filed: str, closed: str, **changes: Any) -> str:
        place = self.file(filed, **changes)
        self.take(filed, "wang", place, **ON_THE_SPOT)
        self.take(closed, "wang", place, "fulfil", documents=papers("performance_proof"))
        self.take(closed, "wang", place, "close", documents=papers("closing_report"))
        return place

    def up_to_the_court_and_back(self) -> str:
        """From the village to the township, where it fails; to the court, which returns it; the township closes."""
        org, place = self.county.org, self.file("2026-03-02")
        self.take(
            "2026-03-04", "wang", place, "escalate", to_org=org("T"), documents=papers("minutes"), text="村里调不了"
        )
        self.take("2026-03-05", "li", place, "receive", handoff=1)
        self.take("2026-03-05", "li", place, "accept")
        self.take("2026-03-20", "li", place, "fail", ground="no_agreement", documents=papers("end_report"))
        suit = {"link_up": "suit", "to_org": org("K"), "consents": [1], "on_behalf_of": [1]}
        self.take("2026-03-21", "li", place, "refer", documents=papers("application", "rights_notice"), **suit)
        self.take("2026-03-23", "judge", place, "receive", handoff=2)
        self.take("2026-03-24", "judge", place, "return", handoff=2, reason="no_capacity")
        self.take("2026-03-30", "li", place, "close", routes_told=True, documents=papers("closing_report"))
        return place


def figures(county: County, person: str, at: str = AT, **query: Any) -> Any:
    with county.client(person, X_Sandbox_At=at) as client:
        answer = client.get("/v1/statistics", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def year(county: County) -> Year:
    told = Year(county)
    place = told.up_to_the_court_and_back()
    told.settled("2026-04-01", "2026-04-01")
    told.settled("2026-04-01", "2026-04-11", category="damages")
    told.settled("2026-04-01", "2026-04-04")
    told.settled("2025-12-30", "2026-01-02")
    last = told.file("2026-05-06")
    told.take("2026-05-07", "wang", last, "accept")
    for seen in (place, last):
        with county.client("wang") as wang:
            for _ in range(100):
                if "position" in wang.get(f"{seen}/events").json()["items"][-1]:
                    break
                time.sleep(0.05)
    return told


def outcomes(said: dict[str, Any]) -> dict[str, int]:
    return {one["outcome"]: one["count"] for one in said["outcomes"]}


def test_each_body_reads_what_it_received_and_what_became_of_it(county: County, year: Year):
    village, township, court = (figures(county, who, year=2026) for who in ("wang", "li", "judge"))
    assert village["organisation"]["id"] == county.org("V1")
    assert {name: village["total"][name] for name in ("cases", "received", "accepted", "agreed", "failed", "open")} == {
        "cases": 5,
        "received": 5,
        "accepted": 4,
        "agreed": 3,
        "failed": 0,
        "open": 1,
    }
    assert village["total"]["settled"] == {"count": 4, "of": 5, "median_days": 3}
    assert outcomes(village["total"]) == {"settled": 4, "handed_off": 1}
    assert outcomes(court["total"]) == {"returned": 1}
    own = next(one["figures"] for one in township["organisations"] if one["organisation"]["id"] == county.org("T"))
    assert (own["received"], own["accepted"], own["failed"], outcomes(own)) == (1, 1, 1, {"informed": 1})
    assert own["ended"] == {"count": 1, "median_days": 25}
    assert own["settled"] == {"count": 0, "of": 1, "median_days": None}


def test_a_body_reads_those_below_it_summed_and_one_by_one_as_deep_as_it_asks(county: County, year: Year):
    township = figures(county, "li", year=2026)
    assert [one["organisation"]["code"] for one in township["organisations"]] == ["T", "V1", "V2"]
    assert township["total"]["received"] == sum(one["figures"]["received"] for one in township["organisations"]) == 6
    assert outcomes(township["total"]) == {"settled": 4, "handed_off": 1, "informed": 1}
    assert township["total"]["ended"] == {"count": 6, "median_days": 3}
    below = figures(county, "li", year=2026, org=county.org("V1"))
    assert below["total"] == next(
        one["figures"] for one in township["organisations"] if one["organisation"]["code"] == "V1"
    )
    assert below["organisations"] == []


def test_by_type_and_year(county: County, year: Year):
    village = figures(county, "wang", year=2026)
    types = {one["category"]: one for one in village["types"]}
    assert set(types) == {"neighbour", "damages"}
    assert types["damages"]["label_zh"] == "损害赔偿"
    assert types["damages"]["figures"]["settled"] == {"count": 1, "of": 1, "median_days": 10}
    assert sum(one["figures"]["received"] for one in types.values()) == village["total"]["received"]
    last = figures(county, "wang", year=2025)["total"]
    assert (last["received"], last["agreed"], last["ended"]["count"], last["open"]) == (1, 1, 0, 1)


def test_what_is_overdue_is_so_now(county: County, year: Year):
    soon, later = (figures(county, "li", at, year=2026) for at in ("2026-05-08T01:00:00Z", AT))
    assert soon["total"]["overdue"] == 0
    assert later["total"]["overdue"] == 1
    assert {one["organisation"]["code"]: one["figures"]["overdue"] for one in later["organisations"]} == {
        "T": 0,
        "V1": 1,
        "V2": 0,
    }


def test_an_auditor_reads_the_bodies_of_its_jurisdiction(county: County, year: Year):
    assert figures(county, "audit", year=2026, org=county.org("T")) == figures(
        county, "li", year=2026, org=county.org("T")
    )


def test_a_body_of_which_there_is_nothing_reads_zeros_and_no_lists(county: County, year: Year):
    said = figures(county, "zhao", year=2026)
    assert said["total"] == ZEROS
    assert (said["organisations"], said["types"]) == ([], [])


def test_this_year_is_asked_for_by_default(county: County, year: Year):
    assert figures(county, "wang")["year"] == 2026
    assert figures(county, "wang", "2025-12-31T15:59:59Z")["year"] == 2025


def test_a_body_that_is_not_theirs_is_as_absent_as_one_that_is_not(county: County, year: Year):
    with county.client("wang") as wang:
        absent = wang.get(f"/v1/statistics?org={NOBODY}")
        for org in ("V2", "T", "K"):
            assert bare(wang.get(f"/v1/statistics?org={county.org(org)}")) == bare(absent)
        assert bare(wang.get(f"/v1/statistics?org={uuid.uuid4()}")) == bare(absent)
    assert absent.status_code == 404


@pytest.mark.parametrize("query", ["year=1999", "year=x", "org=here", "month=1", "year=2026&year=2025"])
def test_what_is_asked_amiss_is_malformed(county: County, query: str):
    with county.client("wang") as wang:
        assert wang.get(f"/v1/statistics?{query}").status_code in {400, 422}
