"""What is refused at the counter is written down: who, what and why, and nothing personal."""

import time
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row
from tests.http.county import NOBODY, NOTE, County, step
from tests.whole import whole

from mediation.http.blotter import PER_MINUTE
from mediation.service.registry import person_id
from mediation.settings import Urls

NUMBER = "150599199001011231"


@pytest.fixture
def written(module_database_urls: Urls):
    """The attempt of a request, waited for."""

    def find(answer: Any) -> dict[str, Any] | None:
        deadline = time.monotonic() + 5
        with psycopg.connect(whole(module_database_urls), autocommit=True, row_factory=dict_row) as connection:
            while time.monotonic() < deadline:
                query = "SELECT * FROM attempts WHERE request = %s"
                row = connection.execute(query, (answer.headers["x-request-id"],)).fetchone()
                if row:
                    return row
                time.sleep(0.05)
        return None

    return find


def test_a_failed_login_is_written_down_with_a_keyed_hash_of_its_address(county: County, written):
    with county.client(None, Authorization="Bearer no.such.token") as stranger:
        first = stranger.get(f"/v1/cases/{NOBODY}")
        second = stranger.post("/v1/persons/nobody")
    one, two = written(first), written(second)
    assert (one["status"], one["code"], one["method"]) == (401, "not_recognised", "GET")
    assert (one["route"], str(one["case_id"])) == ("/v1/cases/{case_id}", NOBODY)
    assert one["person"] is one["org"] is None
    assert len(one["client"]) == 16
    assert one["client"] == two["client"]  # the same address, and not to be read
    assert (two["route"], two["case_id"]) == ("none", None)


def test_a_step_that_is_not_theirs_is_written_down_with_person_body_action_and_case(
    county: County, place: str, written
):
    with county.client("idle") as idle:
        answer = step(idle, place, {"action": "start"})
    assert answer.status_code == 403, answer.text
    row = written(answer)
    assert (row["status"], row["code"], row["action"]) == (403, "not_permitted", "start")
    assert (row["method"], row["route"]) == ("POST", "/v1/cases/{case_id}/events")
    assert str(row["case_id"]) == place.rpartition("/")[2]
    assert (str(row["person"]), str(row["org"])) == (person_id("idle"), county.org("V1"))
    assert row["reasons"] == ["not_permitted"]
    assert row["client"] is None


def test_a_case_of_others_and_one_that_is_absent_are_written_down_alike(county: County, place: str, written):
    with county.client("zhao") as zhao:
        hidden, absent = zhao.get(place), zhao.get(f"/v1/cases/{NOBODY}")
    one, two = written(hidden), written(absent)
    assert {one["status"], two["status"]} == {404}
    own = {"id", "at", "request", "case_id"}
    assert {k: v for k, v in one.items() if k not in own} == {k: v for k, v in two.items() if k not in own}
    assert str(one["org"]) == county.org("V2")


def test_a_guard_that_refuses_a_write_names_its_reasons(county: County, place: str, written):
    with county.client("wang") as wang:
        answer = step(wang, place, {"action": "close"})
    assert answer.status_code == 409, answer.text
    row = written(answer)
    assert (row["status"], row["action"], row["code"]) == (409, "close", answer.json()["code"])
    assert row["reasons"] == list(dict.fromkeys(reason["code"] for reason in answer.json()["reasons"])) != []


def test_a_slip_is_no_attempt(county: County, place: str, written, module_database_urls: Urls):
    with county.client("wang") as wang, county.client("zhao") as zhao:
        slips = [
            wang.post(f"{place}/events", json=NOTE),
            wang.post(f"{place}/events", json={"action": "no such"}),
            step(wang, place, version=99),
            wang.get("/v1/cases?no=such"),
            wang.put(place),
        ]
        assert [slip.status_code for slip in slips] == [428, 422, 412, 422, 405]
        assert written(zhao.get(place))  # later than these, and already there
    ids = [slip.headers["x-request-id"] for slip in slips]
    with psycopg.connect(whole(module_database_urls)) as connection:
        (found,) = connection.execute("SELECT count(*) FROM attempts WHERE request = ANY (%s)", (ids,)).fetchone() or ()
    assert found == 0


def test_a_body_is_believed_of_its_member_alone(county: County, place: str, written):
    with county.client("two") as two:
        several = two.get(f"/v1/cases/{NOBODY}", headers={"Acting-For": county.org("T")})
        foreign = two.get(f"/v1/cases/{NOBODY}", headers={"Acting-For": county.org("K")})
    assert str(written(several)["org"]) == county.org("T")
    row = written(foreign)
    assert (row["status"], row["reasons"]) == (403, ["not_a_member"])
    assert str(row["org"]) == county.org("V1")  # where they are registered, and not where they claimed to be
    assert str(row["person"]) == person_id("two")


def test_what_is_written_down_holds_nothing_of_path_query_body_or_headers(county: County, written):
    with county.client("wang", User_Agent=NUMBER) as wang:
        answers = [
            wang.get(f"/v1/cases/{NUMBER}"),
            wang.get(f"/v1/{NUMBER}?q=13812345678"),
            step(wang, f"/v1/cases/{NOBODY}", NOTE | {"text": "张三丰 13812345678"}, version=1),
        ]
    assert [answer.status_code for answer in answers] == [404] * 3
    said = " ".join(str(written(answer)) for answer in answers)
    for planted in ("张三丰", NUMBER, "13812345678"):
        assert planted not in said


def test_a_case_code_that_was_guessed_is_written_down(county: County, place: str, written):
    guess = {"case_code": "V1-2026-000001-AAAAAAAA"}
    other = place.rpartition("/")[2]
    with county.client("wang") as wang:
        filing = wang.post("/v1/cases", json=guess, headers={"Idempotency-Key": "guessing-a-code"})
        absorbing = step(wang, place, {"action": "absorb", "case": other, "version": 1} | guess)
    for answer in (filing, absorbing):
        assert (answer.status_code, [reason["code"] for reason in answer.json()["reasons"]]) == (409, ["bad_case_code"])
        assert written(answer)["reasons"] == ["bad_case_code"]


def test_one_clients_flood_is_not_a_flood_of_rows_and_what_is_left_out_is_counted(
    county: County, written, module_database_urls: Urls
):
    def dropped(client) -> float:
        lines = client.get("/metrics").text.splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("mediation_attempts_dropped_total")))

    with county.client("judge") as judge, county.client("li") as li:
        before = dropped(judge)
        flood = [judge.get(f"/v1/cases/{NOBODY}").headers["x-request-id"] for _ in range(PER_MINUTE + 30)]
        assert written(li.get(f"/v1/cases/{NOBODY}"))  # later, and of somebody else
        with psycopg.connect(whole(module_database_urls)) as connection:
            query = "SELECT count(*) FROM attempts WHERE request = ANY (%s)"
            (kept,) = connection.execute(query, (flood,)).fetchone() or (0,)
        assert PER_MINUTE <= kept < len(flood)
        assert dropped(judge) - before == len(flood) - kept


def test_nobody_hides_an_attempt_behind_noise_of_their_own(
    county: County, place: str, written, module_database_urls: Urls
):
    with county.client("two", Acting_For=county.org("T")) as two:
        noise = [two.get(f"/v1/cases/{NOBODY}") for _ in range(2 * PER_MINUTE)]
        probe = two.post(f"{place}/erasures", json={"party": 1, "ground": "retention_ended"})
        assert probe.status_code in {403, 404}, probe.text
        assert written(probe)["code"] == probe.json()["code"]
    query = "SELECT code FROM attempts WHERE request = ANY (%s)"
    with psycopg.connect(whole(module_database_urls)) as connection:
        requests = [answer.headers["x-request-id"] for answer in noise]
        codes = [code for (code,) in connection.execute(query, (requests,)).fetchall()]
    assert codes.count("flood") == 1
    assert PER_MINUTE <= codes.count("not_found") < len(noise)


def test_who_tries_ever_other_things_leaves_a_mark_of_it(county: County, module_database_urls: Urls):
    with county.client("zhao") as zhao:
        tried = [zhao.get(f"/v1/cases/{uuid4()}").headers["x-request-id"] for _ in range(PER_MINUTE + 30)]
    query = "SELECT code FROM attempts WHERE request = ANY (%s)"
    deadline = time.monotonic() + 5
    with psycopg.connect(whole(module_database_urls), autocommit=True) as connection:
        codes: list[str] = []
        while "flood" not in codes and time.monotonic() < deadline:
            codes = [code for (code,) in connection.execute(query, (tried,)).fetchall()]
            time.sleep(0.05)
    assert codes.count("flood") == 1
    assert codes.count("not_found") >= PER_MINUTE - 5  # what this client was refused before counts too


def test_refusals_are_measured_by_status_and_code_alone(county: County):
    with county.client("wang") as wang:
        wang.get(f"/v1/cases/{NOBODY}")
        lines = wang.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith("mediation_refusals_total")]
    assert any('code="not_found",status="404"' in line for line in found)
    assert any(line.startswith("mediation_attempts_dropped_total") for line in lines)
