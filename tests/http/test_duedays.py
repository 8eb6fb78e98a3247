"""Deadlines through the API: each explains itself, moves with the case, and is sorted, filtered and found overdue."""

import asyncio
from typing import Any

import pytest
from tests.http.county import County, bare, file_one, running, settings_for, step

from mediation.service.registry import import_divisions, import_organisations, import_people
from mediation.settings import Urls
from mediation.store.database import engine

ACCEPT = {"action": "accept"}


def sandbox(county, person: str, day: str, hour: str = "09:00:00"):
    return county.client(person, X_Sandbox_At=f"{day}T{hour}+08:00")


def on(county, day: str, place: str, body: dict[str, Any], person: str = "wang") -> dict[str, Any]:
    with sandbox(county, person, day) as client:
        answer = step(client, place, body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def accepted(county, day: str, person: str = "wang", **changes: object) -> str:
    """A case filed and accepted on a day; its place."""
    with sandbox(county, person, day) as client:
        filed = file_one(client, **changes)
    place: str = filed.headers["location"]
    on(county, day, place, ACCEPT, person)
    return place


def deadlines(county, place: str, day: str, hour: str = "09:00:00", person: str = "wang") -> list[dict[str, Any]]:
    with sandbox(county, person, day, hour) as client:
        answer = client.get(f"{place}/deadlines")
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def mediation(county, place: str, day: str, hour: str = "09:00:00", person: str = "wang") -> dict[str, Any]:
    (found,) = [item for item in deadlines(county, place, day, hour, person) if item["rule"].startswith("PM-MED@")]
    return found


def test_a_case_accepted_has_a_month_and_every_step_of_the_count_is_told_with_its_article(county):
    place = accepted(county, "2026-03-02")
    with sandbox(county, "wang", "2026-03-02") as wang:
        case = wang.get(place)
        answer = wang.get(f"{place}/deadlines")
        assert answer.json()["laws"] == wang.get("/v1/rules").json()["digest"]
    assert answer.headers["etag"] == case.headers["etag"]
    for name in ("cache-control", "vary"):
        assert answer.headers[name] == case.headers[name]
    item = mediation(county, place, "2026-03-02")
    assert (item["rule"], item["value"], item["unit"], item["unit_zh"]) == ("PM-MED@2002-11-01", 1, "month", "个月")
    assert (item["from_on"], item["due_on"], item["days_left"]) == ("2026-03-02", "2026-04-02", 31)
    assert (item["state"], item["state_zh"], item["leg"]) == ("running", "计时中", 1)
    assert (item["overdue"], item["due_soon"], item["provisional"], item["recount_pending"]) == (False,) * 4
    assert item["reminders_on"] == ["2026-03-26", "2026-03-30"]
    assert (item["basis"], item["label"], item["label_zh"]) == ("人民调解工作若干规定第33条", "S", "二手来源")
    assert (item["on_expiry"], item["on_expiry_zh"]) == ("urge", "向上级报警催办")
    for told in (item["expiry_zh"], item["expiry_en"], item["doubt"]):
        assert told
    assert item["may_extend"]["by"] == "parties"
    assert "times_left" not in item["may_extend"]  # as often as both agree
    lines = item["explanation"]
    assert (lines[0]["on"], lines[-1]["on"]) == ("2026-03-02", "2026-04-02")
    assert "受理" in lines[0]["zh"]
    assert any("对应日" in line["zh"] and "corresponding day" in line["en"] for line in lines)


def test_days_on_which_a_clock_stood_still_are_shown_and_move_its_last_day(county):
    place = accepted(county, "2026-03-02")
    on(county, "2026-03-10", place, {"action": "suspend", "cause": "appraisal"})
    still = mediation(county, place, "2026-05-01")
    assert (still["state"], still["standing_since"], still["overdue"]) == ("standing", "2026-03-10", False)
    assert "days_left" not in still
    assert "may_extend" not in still
    on(county, "2026-03-20", place, {"action": "resume", "cause_removed": True})
    again = mediation(county, place, "2026-03-20")
    assert again["stood"] == [{"from": "2026-03-10", "to": "2026-03-19"}]
    assert again["due_on"] == "2026-04-13"  # ten days on is 12 April, a Sunday
    assert any("2026-03-10至2026-03-19中止" in line["zh"] for line in again["explanation"])
    assert again["explanation"][-1]["on"] == "2026-04-13"


def test_an_extension_is_told_with_what_is_still_allowed(county):
    place = accepted(county, "2026-03-02")
    number = mediation(county, place, "2026-03-02")["clock"]
    on(county, "2026-03-20", place, {"action": "extend", "clock": number, "by": 12, "agreed_by": [1, 2]})
    item = mediation(county, place, "2026-03-20")
    assert (item["extended"]["by"], item["extended"]["unit"], item["extended"]["times"]) == (12, "calendar_day", 1)
    assert item["due_on"] == "2026-04-14"
    assert any("延长" in line["zh"] for line in item["explanation"])
    assert "may_extend" in item
    assert "may_extend" not in mediation(county, place, "2026-04-15")  # too late


def test_a_clock_is_due_soon_from_its_first_reminder_and_overdue_from_the_midnight_after_its_last_day(county):
    place = accepted(county, "2026-03-02")
    for day, hour, soon, late in (
        ("2026-03-25", "23:59:59", False, False),
        ("2026-03-26", "00:00:00", True, False),
        ("2026-04-02", "23:59:59", True, False),
        ("2026-04-03", "00:00:00", False, True),
    ):
        item = mediation(county, place, day, hour)
        assert (item["due_soon"], item["overdue"]) == (soon, late), (day, hour)
        with sandbox(county, "wang", day, hour) as wang:
            case = wang.get(place).json()
            assert [clock["overdue"] for clock in case["clocks"] if clock["id"] == item["clock"]] == [late]
            (line,) = wang.get("/v1/cases", params={"q": case["number"]}).json()["items"]
            found = wang.get("/v1/cases", params={"q": case["number"], "overdue": late}).json()["items"]
        assert [shown["id"] for shown in found] == [case["id"]]
        for shown in (case, line):
            assert (shown["due_soon"], shown["overdue"], shown["due_on"]) == (soon, late, "2026-04-02")


def test_a_version_read_before_a_period_ran_out_is_not_called_unchanged_after_it(county):
    place = accepted(county, "2026-03-02")
    for day, status in (("2026-03-02", 304), ("2026-03-20", 304), ("2026-03-30", 200), ("2026-04-20", 200)):
        with sandbox(county, "wang", day) as wang:
            assert wang.get(place, headers={"If-None-Match": '"2"'}).status_code == status, day


def test_a_day_in_a_year_without_a_notice_is_provisional_and_says_so(county):
    item = mediation(county, accepted(county, "2026-12-20"), "2026-12-20")
    assert (item["due_on"], item["provisional"]) == ("2027-01-20", True)
    assert any(line["zh"].startswith("暂定") and "2027" in line["en"] for line in item["explanation"])


def test_a_notice_that_changes_a_day_is_told_before_the_clock_has_counted_it_anew(
    county, module_database_urls, tmp_path
):
    place = accepted(county, "2026-12-20")
    (tmp_path / "extra.csv").write_text("date,is_workday,kind,name\n2027-01-20,0,holiday,大寒\n", "utf-8")
    settings = settings_for(module_database_urls, county.settings.data_dir, sandbox_clock=True, laws=tmp_path)
    with running(settings) as address:
        item = mediation(County(address, settings), place, "2026-12-20")
        assert (item["due_on"], item["recount_pending"]) == ("2027-01-20", True)
        assert "2027-01-21" in {line["on"] for line in item["explanation"]}
        on(county, "2026-12-21", place, {"action": "fail", "ground": "party_refuses"})
        item = mediation(County(address, settings), place, "2026-12-21")
    assert (item["state"], item["recount_pending"]) == ("stopped", False)
    assert item["explanation"][-1]["on"] == "2027-01-20"
    assert "当时的放假安排" in item["explanation"][-1]["zh"]


def test_a_day_that_a_person_set_says_what_it_is_for(county):
    place = accepted(county, "2026-03-02")
    papers = [{"kind": "minutes", "sha256": "0" * 64, "ref": "file-1"}]
    offer = {"action": "refer", "link_up": "joint", "to_org": county.org("T"), "text": "请协助", "documents": papers}
    on(county, "2026-03-03", place, offer | {"answer_by": "2026-03-05", "consents": [1, 2]})
    first, *_ = deadlines(county, place, "2026-03-04")
    assert (first["owed"], first["zh"], first["handoff"]) == ("answer", "答复移交", 1)
    assert (first["due_on"], first["due_soon"], first["on_expiry"]) == ("2026-03-05", True, "return")
    assert [line["on"] for line in first["explanation"]] == ["2026-03-05"]
    assert "rule" not in first
    assert "basis" not in first


async def settle_yushui(urls: Urls) -> None:
    """A village of Yushui, whose committees answer within 24 hours of the application."""
    made = engine(urls.app)
    await import_divisions(made, "code,level,name,parent_code\n360502,county,渝水区,\n")
    await import_organisations(
        made,
        "code,name,name_en,kind,tier,division,speciality,superior\n"
        "Y,渝水区某村人民调解委员会,Yushui,people_committee,village,360502,,\n",
    )
    await import_people(made, "person_code,name,org_code,roles\nyu,于主任,Y,chair|clerk|mediator\n")
    await made.dispose()


def test_a_limit_in_hours_is_overdue_at_its_instant_on_the_clock_the_case_and_the_worklist(
    county, module_database_urls
):
    asyncio.run(settle_yushui(module_database_urls))
    with sandbox(county, "yu", "2026-03-02") as yu:
        place = file_one(yu, division="360502").headers["location"]
    for hour, late in (("08:59:59", False), ("09:00:00", True)):
        (item,) = [found for found in deadlines(county, place, "2026-03-03", hour, "yu") if "due_at" in found]
        assert (item["from_at"], item["due_at"]) == ("2026-03-02T01:00:00.000000Z", "2026-03-03T01:00:00.000000Z")
        assert (item["unit"], item["overdue"], item["rule"]) == ("hour", late, "PM-FB@2025-01-01")
        assert "渝水区" in item["region"]
        assert item["explanation"][-1]["on"] == item["due_at"]
        with sandbox(county, "yu", "2026-03-03", hour) as yu:
            assert yu.get(place).json()["overdue"] is late
            for asked in (True, False):
                found = yu.get("/v1/cases", params={"overdue": asked}).json()["items"]
                assert [line["overdue"] for line in found] == ([late] if asked is late else [])


def test_stopped_clocks_come_last_and_are_never_overdue(county):
    place = accepted(county, "2026-03-02")
    on(county, "2026-03-03", place, {"action": "fail", "ground": "party_refuses"})
    items = deadlines(county, place, "2030-01-01")
    stopped = [item["clock"] for item in items if item["state"] == "stopped"]
    assert [item["clock"] for item in items][-len(stopped) :] == stopped
    assert stopped
    assert not any(item["overdue"] for item in items if item["state"] == "stopped")


def test_the_deadlines_of_a_case_that_is_not_yours_are_those_of_no_case_to_the_byte(county):
    place = accepted(county, "2026-03-02")
    nowhere = f"/v1/cases/{'0' * 8}-0000-7000-8000-{'0' * 12}"
    with county.client("zhao") as zhao:
        hidden, absent = zhao.get(f"{place}/deadlines"), zhao.get(f"{nowhere}/deadlines")
    assert hidden.status_code == 404
    assert bare(hidden) == bare(absent)
    with county.client("li") as above:
        assert above.get(f"{place}/deadlines").status_code == 200


@pytest.fixture(scope="module")
def dated(county) -> dict[str, str]:
    """The due days of five accepted cases by their id; beside them one that is only filed, and not due at all."""
    found = {}
    for day in ("2026-06-03", "2026-06-01", "2026-06-02", "2026-06-02", "2026-06-04"):
        place = accepted(county, day, "zhao", risk="blue")
        due = mediation(county, place, day, person="zhao")["due_on"]
        found[place.rpartition("/")[2]] = due
    with sandbox(county, "zhao", "2026-06-01") as zhao:
        for case, due in found.items():
            assert zhao.get(f"/v1/cases/{case}").json()["due_on"] == due
        assert file_one(zhao, risk="blue").status_code == 201
    return found


def listed(client, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    while True:
        page = client.get("/v1/cases", params=query).json()
        items += page["items"]
        if page["next"] is None:
            return items
        query["cursor"] = page["next"]


def test_a_worklist_by_due_day_neither_skips_nor_repeats_and_leaves_out_what_is_never_due(county, dated):
    wanted = [case for due, case in sorted((due, case) for case, due in dated.items())]
    with county.client("zhao") as zhao:
        for limit in (1, 2, 50):
            assert [case["id"] for case in listed(zhao, sort="due", risk="blue", limit=limit)] == wanted
        newest = [case["id"] for case in listed(zhao, risk="blue", limit=2)]
    assert newest == sorted(newest, reverse=True)
    assert len(newest) == len(wanted) + 1


def test_a_worklist_is_cut_out_between_two_due_days_which_are_left_out(county, dated):
    first, last = min(dated.values()), max(dated.values())
    within = {case for case, due in dated.items() if first < due < last}
    with county.client("zhao") as zhao:
        found = listed(zhao, sort="due", risk="blue", due_after=first, due_before=last, limit=1)
    with sandbox(county, "zhao", "2026-07-03") as zhao:
        then = listed(zhao, sort="due", risk="blue", overdue=True)
    assert {case["id"] for case in found} == within
    assert {case["id"] for case in then} == {case for case, due in dated.items() if due < "2026-07-03"}


def test_a_cursor_goes_on_in_its_own_order_only(county, dated):
    with county.client("zhao") as zhao:
        for mine, other in (("due", "newest"), ("newest", "due")):
            cursor = zhao.get("/v1/cases", params={"sort": mine, "limit": 1}).json()["next"]
            answer = zhao.get("/v1/cases", params={"sort": other, "cursor": cursor})
            assert (answer.status_code, answer.json()["reasons"][0]["code"]) == (422, "bad_cursor")
        for made_up in ("WyIyMDI2LTAyLTMwIiwieCJd", "WyJ4IiwieCJd"):
            answer = zhao.get("/v1/cases", params={"sort": "due", "cursor": made_up})
            assert (answer.status_code, answer.json()["reasons"][0]["code"]) == (422, "bad_cursor")
        assert zhao.get("/v1/cases", params={"sort": "oldest"}).status_code == 422
