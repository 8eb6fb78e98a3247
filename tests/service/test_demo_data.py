"""The demo county's content is whole: units, bodies, names, and two hundred disputes that fit together."""

import csv
import re
import tomllib
from collections import Counter
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

import pytest

from mediation.domain import vocabulary as v
from mediation.domain.access import ADMINISTRATORS
from mediation.domain.commands import File, ObligationIn

Table = dict[str, Any]

DATA = files("mediation") / "data"
INVENTED_DIVISION = "150599"
CATEGORIES = {word.value for word in v.Category}
PATHS = {
    *("filed", "declined", "accepted", "mediating", "suspended", "settled", "settled_partly_performed", "breached"),
    *("unsettled", "closed_performed", "archived", "escalated_in_transit", "at_township", "at_county", "court_trial"),
    *("court_entrusted", "confirmation_pending", "confirmed", "enforcement", "police_case", "petition"),
    *("labour_arbitration", "medical", "traffic", "consumer", "procuratorate", "joint", "merged", "reopened"),
    *("supervised", "danger", "on_the_spot", "suit_offered", "confirmation_offered"),
}
WHAT_PUBLIC = {"violation": "police_case", "crime": "procuratorate", "petition": "petition"}
NEEDS_NOTE = {"declined", "suspended", "breached", "reopened", "enforcement", "danger"}
ROLES = {word.value for word in v.Role} - {"clock"}
KINDS = {word.value for word in v.OrgKind}
WITHOUT_BODY = {"proactive", "procuratorate"}


def read_toml(name: str) -> Table:
    return tomllib.loads((DATA / name).read_text(encoding="utf-8"))


def read_csv(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((DATA / name).read_text(encoding="utf-8").splitlines()))


def check_character(seventeen: str) -> str:
    """The last character of an identity number (GB 11643, ISO 7064 MOD 11-2)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(seventeen, weights, strict=True))
    return "10X98765432"[total % 11]


@pytest.fixture(scope="module")
def disputes() -> list[Table]:
    names = sorted(entry.name for entry in DATA.iterdir() if re.fullmatch(r"disputes_\d\.toml", entry.name))
    return [dispute for name in names for dispute in read_toml(name)["disputes"]]


@pytest.fixture(scope="module")
def county() -> Table:
    return read_toml("county.toml")


@pytest.fixture(scope="module")
def units() -> dict[str, dict[str, str]]:
    return {row["code"]: row for row in read_csv("naiman_150525.csv")}


def body_codes(county: Table, units: dict[str, dict[str, str]]) -> Counter[str]:
    """Codes of every body: listed, and derived by the `per_unit` rules."""
    codes = Counter(body["code"] for body in county["bodies"])
    for rule in county["per_unit"]:
        codes.update(rule["code"].format(code=code) for code, row in units.items() if row["level"] == rule["level"])
    return codes


def test_there_are_sixteen_townships_and_three_hundred_and_eighty_one_villages(
    units: dict[str, dict[str, str]],
) -> None:
    levels = Counter(row["level"] for row in units.values())
    assert (levels["township"], levels["village"]) == (16, 381)


def test_the_other_tables_of_the_package_can_be_read() -> None:
    assert len(read_csv("shangcheng_330102.csv")) == 220
    assert all(date.fromisoformat(row["date"]) for row in read_csv("workday_exceptions_2004_2026.csv"))


def test_every_body_has_its_own_code_and_a_superior_that_exists(
    county: Table,
    units: dict[str, dict[str, str]],
) -> None:
    codes = body_codes(county, units)
    assert [code for code, times in codes.items() if times > 1] == []
    superiors = {body["superior"] for body in county["bodies"] if "superior" in body}
    for rule in county["per_unit"]:
        of_level = (row for row in units.values() if row["level"] == rule["level"])
        superiors |= {rule["superior"].format(code=row["code"], parent=row["parent_code"]) for row in of_level}
    assert superiors - set(codes) == set()
    assert {body["kind"] for body in county["bodies"]} <= KINDS
    assert {body["speciality"] for body in county["bodies"] if "speciality" in body} <= CATEGORIES
    assert {body["division"] for body in county["bodies"]} <= set(units)
    assert set(county["township_en"]) == {code for code, row in units.items() if row["level"] == "township"}


def test_no_two_bodies_bear_one_name(county: Table, units: dict[str, dict[str, str]]) -> None:
    names = Counter(body["name"] for body in county["bodies"])
    for rule in county["per_unit"]:
        for code, row in units.items():
            if row["level"] == rule["level"]:
                unit = row["name"].removesuffix(rule["strip"])
                above = units[row["parent_code"]]["name"].removesuffix("办事处")
                plain = rule["name"].format(unit=unit, parent_unit=above)
                names[rule.get("except", {}).get(code, plain)] += 1
    assert [name for name, times in names.items() if times > 1] == []


def test_a_body_s_code_is_its_division_its_kind_and_two_digits(county: Table) -> None:
    for body in county["bodies"]:
        assert re.fullmatch(rf"{body['division']}-{body['kind']}-\d\d", body["code"]), body


def test_every_kind_of_body_is_staffed_and_every_role_has_a_title(county: Table) -> None:
    kinds = {(body["tier"], body["kind"]) for body in county["bodies"]}
    kinds |= {(rule["level"], rule["kind"]) for rule in county["per_unit"]}
    staffed = {(tier, kind) for tier, table in county["staffing"].items() for kind in table}
    assert kinds - staffed == set()
    used = {role for table in county["staffing"].values() for roles in table.values() for role in roles}
    assert used == ROLES == set(county["people"]["titles"])


def test_the_three_administrators_are_one_of_each_at_one_body(county: Table) -> None:
    administrators = {role.value for role in ADMINISTRATORS}
    found = [
        (tier, kind, role, count)
        for tier, table in county["staffing"].items()
        for kind, roles in table.items()
        for role, count in roles.items()
        if role in administrators
    ]
    assert sorted(found) == [("city", "government", role, 1) for role in sorted(administrators)]
    assert sum((body["tier"], body["kind"]) == ("city", "government") for body in county["bodies"]) == 1


def test_no_name_is_listed_twice_among_the_people(county: Table) -> None:
    people = county["people"]
    for key in ("surnames", "given_male", "given_female", "mongolian_male", "mongolian_female"):
        assert len(set(people[key])) == len(people[key]), key


def test_two_hundred_disputes_cover_every_type_path_and_channel(disputes: list[Table]) -> None:
    assert [dispute["id"] for dispute in disputes] == list(range(1, 201))
    assert {dispute["category"] for dispute in disputes} == CATEGORIES
    assert {dispute["path"] for dispute in disputes} == PATHS
    assert {dispute["channel"] for dispute in disputes} == {word.value for word in v.Channel} - WITHOUT_BODY


def test_land_neighbours_family_wages_and_damages_weigh_most(disputes: list[Table]) -> None:
    heaviest = {category for category, _ in Counter(dispute["category"] for dispute in disputes).most_common(5)}
    assert heaviest == {"forest_land", "neighbour", "marriage_family", "migrant_wages", "damages"}


def test_every_path_is_walked_at_least_four_times(disputes: list[Table]) -> None:
    assert min(Counter(dispute["path"] for dispute in disputes).values()) >= 4


def test_disputes_have_from_two_to_ten_parties(disputes: list[Table]) -> None:
    assert {len(dispute["parties"]) for dispute in disputes} == set(range(2, 11))
    for dispute in disputes:
        names = [party["name"] for party in dispute["parties"]]
        assert len(set(names)) == len(names), dispute["id"]
        sides = {party["side"] for party in dispute["parties"]}
        assert {"applicant", "respondent"} <= sides <= {"applicant", "respondent", "third"}, dispute["id"]


def test_disputes_arise_in_known_units_of_every_township(
    disputes: list[Table],
    units: dict[str, dict[str, str]],
) -> None:
    divisions = {dispute["division"] for dispute in disputes}
    assert divisions <= set(units)
    townships = {code for code, row in units.items() if row["level"] == "township"}
    assert {division[:9] for division in divisions} == townships


def test_titles_and_facts_are_each_written_once(disputes: list[Table]) -> None:
    for key in ("title", "title_en", "facts"):
        assert [text for text, times in Counter(d[key] for d in disputes).items() if times > 1] == [], key
    assert [d["id"] for d in disputes if not 50 <= len(d["facts"]) <= 300] == []
    claims = Counter(
        claim["text"] for dispute in disputes if dispute["path"] != "merged" for claim in dispute["claims"]
    )
    assert max(claims.values()) <= 4


def test_every_identity_number_is_valid_and_belongs_to_nobody(disputes: list[Table]) -> None:
    for party in (party for dispute in disputes for party in dispute["parties"]):
        assert ("id_number" in party) == (party["kind"] == "natural"), party
        if number := party.get("id_number"):
            assert number.startswith(INVENTED_DIVISION), party
            assert number[17] == check_character(number[:17]), party
            born = date.fromisoformat(f"{number[6:10]}-{number[10:12]}-{number[12:14]}")
            assert date(1930, 1, 1) < born < date(2026, 1, 1), party


def test_every_telephone_number_is_of_the_invented_block_and_one_person_s(disputes: list[Table]) -> None:
    owners: dict[str, set[str]] = {}
    for party in (party for dispute in disputes for party in dispute["parties"]):
        assert re.fullmatch(r"1380000\d{4}", party["phone"]), party
        owners.setdefault(party["phone"], set()).add(party["name"])
    assert [phone for phone, names in owners.items() if len(names) > 1] == []


def test_every_dispute_can_be_filed_and_its_agreement_signed_as_it_stands(disputes: list[Table]) -> None:
    for dispute in disputes:
        File(
            category=dispute["category"],
            division=dispute["division"],
            channel=dispute["channel"],
            parties=dispute["parties"],
            claim=dispute["claims"],
            risk=dispute.get("risk", "none"),
            text=dispute["facts"],
        )
        for promised in dispute["obligations"]:
            due_on = dispute["filed_on"] + timedelta(days=promised["days"])
            kept = {key: value for key, value in promised.items() if key not in {"obligee", "days"}}
            ObligationIn(**kept, due_on=due_on)


def test_every_claim_names_who_against_whom_and_what(disputes: list[Table]) -> None:
    for dispute in disputes:
        parties = range(1, len(dispute["parties"]) + 1)
        assert 1 <= len(dispute["claims"]) <= 3, dispute["id"]
        for claim in dispute["claims"]:
            public = claim["what"] in WHAT_PUBLIC
            assert claim["kind"] == ("public" if public else "civil"), dispute["id"]
            assert not public or WHAT_PUBLIC[claim["what"]] == dispute["path"], dispute["id"]
            assert claim["by"], dispute["id"]
            assert claim["against"], dispute["id"]
            assert set(claim["by"]).isdisjoint(claim["against"]), dispute["id"]
            assert {*claim["by"], *claim["against"]} <= set(parties), dispute["id"]
            assert claim["what"] != "money" or claim["amount_fen"] > 0, dispute["id"]


def test_every_agreement_binds_parties_of_its_dispute_to_no_more_than_was_claimed(disputes: list[Table]) -> None:
    for dispute in disputes:
        assert dispute["obligations"] or dispute["path"] == "declined", dispute["id"]
        for obligation in dispute["obligations"]:
            ends = {obligation["obligor"], obligation["obligee"]}
            assert len(ends & set(range(1, len(dispute["parties"]) + 1))) == 2, dispute["id"]
            assert 1 <= obligation["days"] <= 1000, dispute["id"]
            assert obligation["text"], dispute["id"]
        claimed = sum(claim.get("amount_fen", 0) for claim in dispute["claims"])
        promised = sum(obligation.get("amount_fen", 0) for obligation in dispute["obligations"])
        assert promised <= claimed, dispute["id"]


def test_whoever_reads_a_path_finds_what_it_needs(disputes: list[Table]) -> None:
    by_path: dict[str, list[Table]] = {}
    for dispute in disputes:
        by_path.setdefault(dispute["path"], []).append(dispute)
        assert ("risk" in dispute) == (dispute["path"] == "danger"), dispute["id"]
        assert ("merge_with" in dispute) == (dispute["path"] == "merged"), dispute["id"]
        assert dispute["path"] not in NEEDS_NOTE or dispute["note"], dispute["id"]
        assert date(2025, 1, 1) <= dispute["filed_on"] <= date(2026, 11, 20), dispute["id"]
    for path, what in (("police_case", "violation"), ("procuratorate", "crime"), ("petition", "petition")):
        for dispute in by_path[path]:
            whats = {claim["what"] for claim in dispute["claims"]}
            assert what in whats, dispute["id"]
            assert whats - set(WHAT_PUBLIC), dispute["id"]
    for dispute in by_path["settled_partly_performed"]:
        assert len(dispute["obligations"]) > 1, dispute["id"]


def test_the_halves_of_a_merged_pair_are_the_same_dispute_of_the_same_people(disputes: list[Table]) -> None:
    by_id = {dispute["id"]: dispute for dispute in disputes}
    for dispute in (dispute for dispute in disputes if dispute["path"] == "merged"):
        other = by_id[dispute["merge_with"]]
        assert other["merge_with"] == dispute["id"]
        assert (other["division"], other["category"]) == (dispute["division"], dispute["category"])
        assert abs((other["filed_on"] - dispute["filed_on"]).days) <= 30
        people = [{party.get("id_number", party["name"]) for party in half["parties"]} for half in (dispute, other)]
        assert len(people[0] & people[1]) >= 2, dispute["id"]
