"""A bad pack is refused, each fault with its file, its rule and its reason, in Chinese and English."""

import pytest

from mediation.domain.errors import Malformed, Reason
from mediation.domain.laws import Laws
from mediation.domain.packs import parse_laws

PROCEDURE = """
[[procedure]]
id = "people"
zh = "人民调解"
en = "people's mediation"
track = "people"
decides = false
kinds = ["people_committee"]
basis = "人民调解法第17条"
label = "P"
valid_from = "2011-01-01"
"""
RULE = """
[[rule]]
id = "X-MED"
zh = "某期限"
en = "some limit"
value = 3
unit = "working_day"
basis = "某法第1条"
label = "P"
valid_from = "2020-01-01"
procedures = ["people"]
starts = ["accepted"]
until = ["concluded"]
on_expiry = "fail"
"""
LATER = RULE.replace("2020-01-01", "2024-01-01").replace("value = 3", "value = 5")


def parsed(*rules: str, procedures: str = PROCEDURE, **packs: str) -> Laws:
    files = {"procedures.toml": procedures, "x.toml": "".join(rules)} | {f"{n}.toml": t for n, t in packs.items()}
    return parse_laws(files, {})


def refused(*rules: str, procedures: str = PROCEDURE, **packs: str) -> tuple[Reason, ...]:
    with pytest.raises(Malformed) as found:
        parsed(*rules, procedures=procedures, **packs)
    return found.value.reasons


def test_a_good_pack_is_taken():
    assert parsed(RULE).rules["X-MED"][0].value == 3


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ('unit = "working_day"', 'unit = "fortnight"', "fortnight"),
        ('basis = "某法第1条"\n', "", "basis"),
        ('basis = "某法第1条"', 'basis = " "', "basis is empty"),
        ('label = "P"\n', "", "label"),
        ('label = "P"', 'label = "X"', "X"),
        ('en = "some limit"\n', "", "en"),
        ('["people"]', '["witchcraft"]', "unknown procedure 'witchcraft'"),
        ("value = 3", "value = 3\nholidays = true", "holidays"),
        ("value = 3", "value = -3", "not negative"),
        ("value = 3", 'value = "three"', "int"),
        ('on_expiry = "fail"\n', "", "action on expiry"),
        ('until = ["concluded"]\n', "", "a clock needs what stops it"),
        ('on_expiry = "fail"', 'on_expiry = "explode"', "explode"),
        ('on_expiry = "fail"', 'on_expiry = "return"', "for hand-offs only"),
        ('["accepted"]', '["whenever"]', "whenever"),
        ('procedures = ["people"]\n', "", "neither procedure nor link-up"),
        ('starts = ["accepted"]\nuntil = ["concluded"]\non_expiry = "fail"\n', "", "what expiry means"),
        ('id = "X-MED"', 'id = "X-MED@2020-/"', "its id is to match"),
        ("value = 3", "value = 36501", "36500 working days at most"),
        ('value = 3\nunit = "working_day"', 'value = 101\nunit = "year"', "100 years at most"),
        ('value = 3\nunit = "working_day"', 'value = 1201\nunit = "month"', "1200 months at most"),
        ('value = 3\nunit = "working_day"', 'value = 87601\nunit = "hour"', "87600 hours at most"),
        (
            "value = 3",
            'value = 3\nextension = { by = "parties", value = 999999 }',
            "36500 calendar days at most together",
        ),
        ("value = 3", 'value = 3\nextension = { by = "parties", value = 1, unit = "hour" }', "not extended by hours"),
        ("value = 3", 'value = 3\ndivision = "../.."', "2 to 12 digits"),
        ("value = 3", 'value = 3\ndivision = "\uff12\uff11"', "2 to 12 digits"),
        ("value = 3", "value = 3\nwarn = [0]", "a reminder comes before the last day"),
        ("value = 3", "value = 3\nwarn = [3]", "within the limit"),
        ('procedures = ["people"]', 'procedures = ["people", "court"]', "for procedures that mediate only"),
        ('procedures = ["people"]', 'link_ups = ["escalate"]', "for procedures that mediate only"),
        ('valid_from = "2020-01-01"', 'valid_from = "2020-1-1"', "are days"),
        ('valid_from = "2020-01-01"', 'valid_from = "2020-01-01"\nvalid_to = "2021-02-29"', "are days"),
    ],
)
def test_a_wrong_field_is_refused_with_file_rule_and_reason(was: str, now: str, said: str):
    assert was in RULE
    court = PROCEDURE.replace('"people"', '"court"', 1) + "mediates = false\n"
    reasons = refused(RULE.replace(was, now), procedures=PROCEDURE + court)
    matching = [reason for reason in reasons if said in reason.en]
    assert len(matching) == 1, reasons
    for sentence in (matching[0].zh, matching[0].en):
        assert "x.toml" in sentence
        assert "X-MED@2020-" in sentence


def test_a_limit_in_hours_is_extended_by_hours_or_days_only():
    hours = RULE.replace("working_day", "hour")
    for unit in ("hour", "calendar_day"):
        assert parsed(f'{hours}extension = {{ by = "parties", value = 1, unit = "{unit}" }}\n')
    (reason,) = refused(f'{hours}extension = {{ by = "parties", value = 1, unit = "month" }}\n')
    assert "extended by hours or days only" in reason.en


@pytest.mark.parametrize("typed", ["[rule]\nid = 'A'", "rule = 3", "rule = [3]", "rule = [[]]", "rule = 'x'"])
def test_rules_that_are_no_list_of_tables_are_refused(typed: str):
    for said, key in ((typed, "rule"), (typed.replace("rule", "procedure"), "procedure")):
        (reason,) = refused(z=said + "\n")
        assert f"z.toml, -: {key} is written [[{key}]]" in reason.en


def test_a_division_or_region_of_a_whole_pack_is_a_text():
    reasons = refused(z=f"division = 21\nregion = ['x']\n{RULE}")
    assert [reason.en.rpartition(": ")[2] for reason in reasons] == ["division is a text", "region is a text"]
    assert "2 to 12 digits" in refused(z=f'division = "2101x"\n{RULE}')[0].en


@pytest.mark.parametrize("named", ["", "People", "人民", "people mediation", "a@2020"])
def test_the_id_of_a_procedure_is_a_word(named: str):
    reasons = refused(procedures=PROCEDURE + PROCEDURE.replace('"people"', f'"{named}"', 1))
    assert any("its id is to match" in reason.en for reason in reasons), reasons


def test_every_fault_of_every_file_is_told_at_once():
    reasons = refused(RULE.replace("working_day", "moon"), y=RULE.replace("X-MED", "Y").replace("people", "nobody"))
    assert [name for name in ("x.toml", "y.toml") if any(name in reason.en for reason in reasons)] == [
        "x.toml",
        "y.toml",
    ]


def test_what_is_not_toml_and_what_is_no_table_of_ours_is_refused():
    assert "z.toml" in refused(RULE, z="= nothing")[0].en
    assert "unknown table 'rules'" in refused(RULE, z="[[rules]]\nid = 1\n")[0].en


def test_two_versions_in_force_at_once_in_one_region_are_refused():
    reasons = refused(RULE, LATER)
    assert ["in force at the same time as X-MED@2020-01-01" in reason.en for reason in reasons] == [True]
    assert "X-MED@2024-01-01" in reasons[0].zh


def test_what_is_superseded_ends_the_day_before_and_a_region_stands_beside_the_nation():
    laws = parsed(RULE, LATER + 'supersedes = "X-MED@2020-01-01"\n', north='division = "21"\n' + RULE)
    assert [(version.valid_from, version.valid_to, version.division) for version in laws.rules["X-MED"]] == [
        ("2020-01-01", "2023-12-31", ""),
        ("2020-01-01", "", "21"),
        ("2024-01-01", "", ""),
    ]
    assert laws.rule("X-MED", "2023-12-31") is laws.rules["X-MED"][0]
    assert laws.rule("X-MED", "2025-01-01", "210101") is laws.rules["X-MED"][1]
    assert laws.rule("X-MED", "2019-12-31") is None


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ('excludes = ["witchcraft"]', "unknown procedure 'witchcraft'"),
        ('next = ["fly"]', "unknown next step 'fly'"),
        ('texts = ["XYZ"]', "unknown text"),
        ('accepts = [{ zh = "一", en = "one", basis = "XYZ-1" }]', "unknown text"),
        ('refuses = [{ when = "because", zh = "一", en = "one", basis = "PML-17" }]', "because"),
    ],
)
def test_a_procedure_that_names_what_is_not_there_is_refused(field: str, said: str):
    reasons = refused(RULE, procedures=f"{PROCEDURE}{field}\n")
    assert any(said in reason.en and "procedures.toml" in reason.en for reason in reasons), reasons
