"""The packs say of every limit what the master table says, no more firmly than its text allows."""

import re
from datetime import date
from importlib.resources import files

import pytest
from tests.domain.limits import PACKAGED, oracle

from mediation.domain.deadlines import Rule, reckon
from mediation.domain.laws import Laws, Place
from mediation.domain.packs import parse_laws
from mediation.domain.vocabulary import Expiry, ExtendBy, Label, Moment, OrgKind, RollOver, Tier, Unit

PACKS = {
    pack.name: pack.read_text("utf-8")
    for pack in (files("mediation.domain") / "rules").iterdir()
    if pack.name.endswith(".toml")
}
LAWS: Laws = parse_laws(PACKS, {"workdays.csv": PACKAGED})
RULES = [rule for versions in LAWS.rules.values() for rule in versions]
RUNNING = [rule for rule in RULES if rule.starts and rule.value]

# The rows of domain.md §3.0; where a row holds several limits, the ids it was split into.
MASTER_TABLE = """
    PM-ACC PM-MED PM-REG PM-TERM
    SFQR-APP SFQR-ACC SFQR-DEC SFQR-DEC-30 SFQR-OBJ SFQR-OBJ-3 SFQR-ENF
    TY-WP TY-WT-P TY-WT-J
    ZX-SEL ZX-APT ZX-CNF ZX-ASK ZX-MED ZX-MED-P ZX-MED-J
    CT-PRE CT-PRE-J CT-REG CT-REG-ANS CT-TRIAL CT-TRIAL-J CT-RETRY
    XZ-ACC XZ-ACC-C XZ-TRF XZ-MED
    LQ-ACC LQ-PUB LQ-MED
    ZA-1 ZA-2 ZA-CASE
    DL-REQ DL-REQ2 DL-NTC DL-NTC-M DL-MED
    LD-MED LD-CONF LD-CONF-ACC LD-CONF-DEC LD-ARB-LIM
    LD-ARB-ACC LD-ARB-SRV LD-ARB-DEF LD-ARB-SRV2 LD-ARB LD-SUE LD-SUE-30
    TD-MED TD-ARB-ACC TD-ARB TD-ARB-SRV TD-SUE TD-LIM
    MED-PM MED-AD-ACC MED-AD MED-AUT MED-AUT-7 MED-BODY MED-SEAL
    XF-ACC-OLD XF-MED-OLD XF-ACC-NEW XF-MED-NEW XF-TELL
    XFANG-REG XFANG-OBJ XFANG-END XFANG-FC XFANG-FC-ASK XFANG-FH XFANG-FH-ASK
    FY-ACC FY-COR FY-COR-10 FY-DEC FY-DEC-J
    XS-REVIEW XS-REVIEW-F XS-REVIEW-F15
    LIM-CIV MISS-GOOD
"""

HELD = {
    "人民检察院刑事诉讼规则-2019", "人民法院在线调解规则-2021", "人民调解协议司法确认规定-2011",
    "人民调解委员会组织条例-1989", "人民调解法-2010", "信访工作条例-2022", "公安机关办理行政案件程序规定-2020",
    "农村土地承包经营纠纷调解仲裁法-2009", "劳动争议调解仲裁法-2007", "医疗纠纷预防和处理条例-2018",
    "地方-宁波市人民调解条例-2015", "地方-浙江省劳动人事争议调解仲裁条例-2020",
    "市场监督管理投诉举报处理暂行办法-2022-已失效", "最高人民法院特邀调解规定-2016", "民事诉讼法-2023",
    "民事诉讼法解释-2022", "民法典-总则-2020", "治安管理处罚法-2012-已修订", "行政复议法-2023",
    "道路交通事故处理程序规定-2018",
}  # fmt: skip
"""The texts of the law that were read."""

# What domain.md §11 leaves open: the version must say so.
OPEN = [
    "TY-WP@2025-01-01", "TY-WT-P@2025-01-01", "TY-WT-J@2025-01-01", "ZA-2@2026-01-01", "ZA-CASE@2026-01-01",
    "XF-ACC-NEW@2026-04-15", "XF-MED-NEW@2026-04-15", "XZ-MED@2015-09-01", "LD-CONF@2017-07-01",
    "LD-CONF-ACC@2017-07-01", "LD-CONF-DEC@2017-07-01", "LD-ARB-ACC@2008-05-01", "ENF-REG@2021-01-01",
]  # fmt: skip

NINGBO, SHENZHEN, HANGZHOU, GAOTAI, GUANGZHOU, YUSHUI, BEIJING = (
    *("330203", "440305", "330102", "620724", "440106", "360502", "110101"),
)


def rule(rule_id: str, on: str, division: str = "") -> Rule:
    found = LAWS.rule(rule_id, on, division)
    assert found is not None, f"{rule_id} on {on}"
    return found


def read(pack: str) -> list[Rule]:
    ids = set(re.findall(r'^id = "(.+)"$', PACKS[pack], re.MULTILINE))
    division = re.search(r'^division = "(.+)"$', PACKS[pack], re.MULTILINE)
    return [r for r in RULES if r.id in ids and r.division == (division[1] if division else "")]


def started(moment: str, procedure: str, on: str, division: str = "", **place: object) -> set[str]:
    at = Place(procedure=procedure, division=division)._replace(**place)  # type: ignore[arg-type]  # a word per field
    return {found.version for found in LAWS.starting(Moment(moment), on, at)}


def named(rules: list[Rule]) -> list[str]:
    return [found.version for found in rules]


@pytest.mark.parametrize("rule_id", MASTER_TABLE.split())
def test_every_row_of_the_master_table_is_in_a_pack(rule_id: str) -> None:
    assert rule_id in LAWS.rules


def test_what_was_read_cites_its_article() -> None:
    assert not named([r for r in RULES if r.label is Label.P and not re.search(r"第\d+[条–、]", r.basis)])


def test_a_text_that_is_named_was_read_and_only_few_are_called_read_without_being_held() -> None:
    assert {r.text for r in RULES} - {""} <= HELD
    unheld = {r.basis.partition("第")[0] for r in RULES if r.label is Label.P and not r.text}
    assert unheld == {
        "登记立案规定", "人民法院民事调解工作若干问题的规定", "宁波市医疗纠纷预防与处置条例",
        "深圳经济特区矛盾纠纷多元化解条例", "广东省林木林地权属争议调解处理条例",
    }  # fmt: skip


@pytest.mark.parametrize("version", OPEN)
def test_what_is_open_says_so_in_both_languages(version: str) -> None:
    found = LAWS.version(version)
    assert found is not None
    assert re.search(r"[一-鿿]", found.doubt)
    assert re.search(r"[A-Za-z]{3}", found.doubt)


def test_a_doubtful_text_never_ends_a_mediation() -> None:
    """Article 27 of the invited-mediation rules was read and stands: it, not the opinion of 2024, ends TY-*."""
    ending = [r for r in RULES if r.on_expiry is Expiry.FAIL and (r.doubt or r.label is not Label.P)]
    assert {r.id for r in ending} == {"TY-WP", "TY-WT-P", "TY-WT-J"}
    assert all("特邀调解规定第27条" in r.basis for r in ending)


def test_a_doubtful_text_never_deems_anything_accepted_nor_sends_it_back() -> None:
    hard = {Expiry.ACCEPT, Expiry.RETURN, Expiry.RECALL}
    assert not named([r for r in RULES if r.on_expiry in hard and (r.doubt or r.label is not Label.P)])


def test_every_rule_says_in_both_languages_from_when_it_counts_and_what_lapse_means() -> None:
    for found in RULES:
        assert all((found.en, found.from_en, found.expiry_en)), found.version
        assert all(re.search(r"[一-鿿]", zh) for zh in (found.zh, found.from_zh, found.expiry_zh)), found.version


def test_every_clock_has_an_end_an_action_and_no_moment_that_both_starts_and_stops_it() -> None:
    for found in RUNNING:
        assert found.until, found.version
        assert found.on_expiry, found.version
        assert not set(found.starts) & set(found.until), found.version


def test_a_reminder_comes_before_the_last_day_and_after_the_first() -> None:
    longest = {Unit.CALENDAR_DAY: 1, Unit.WORKING_DAY: 1, Unit.MONTH: 28, Unit.YEAR: 365, Unit.HOUR: 0}
    for found in RULES:
        assert all(0 < days < found.value * longest[found.unit] for days in found.warn), found.version


def test_hours_run_on_through_rest_days() -> None:
    hours = [r for r in RULES if r.unit is Unit.HOUR]
    assert {r.id for r in hours} == {"PM-FB", "MED-AUT"}
    assert all(r.roll is RollOver.NONE for r in hours)


def test_every_procedure_answers_complaints_in_fifteen_days() -> None:
    for procedure in LAWS.procedures:
        answers = LAWS.starting(Moment.COMPLAINED, "2026-11-22", Place(procedure=procedure))
        assert [(r.value, r.unit) for r in answers] == [(15, Unit.CALENDAR_DAY)], procedure


def test_every_procedure_but_two_is_concluded_against_a_clock() -> None:
    """The law sets no limit to village mediation of land disputes, nor one for carrying an enforcement through."""
    concluded = {name for r in RUNNING if Moment.CONCLUDED in r.until for name in r.procedures}
    assert set(LAWS.procedures) - concluded == {"land_mediation", "enforcement"}
    assert rule("TD-MED", "2026-11-22").value == 0


def test_referrals_before_and_after_2025_keep_different_rules() -> None:
    old, new = "2024-12-20", "2025-01-10"
    assert started("received", "court_entrusted", old) == {"TY-WT-P@2016-07-01"}
    assert started("received", "court_entrusted", new) == {"TY-WT-P@2025-01-01"}
    assert started("received", "court_entrusted", new, variant="summary") == {"TY-WT-J@2025-01-01"}
    assert started("received", "court_delegated", old) == {"TY-WP@2016-07-01"}
    assert started("received", "court_delegated", new) == {"TY-WP@2025-01-01"}
    before, after = rule("TY-WT-P", old).extension, rule("TY-WT-P", new).extension
    assert before is not None
    assert (before.by, before.value, before.times) == (ExtendBy.PARTIES, 0, 0)
    assert after is not None
    assert (after.by, after.value, after.times) == (ExtendBy.PARTIES, 30, 1)


def test_police_cases_before_and_after_2026_keep_different_rules() -> None:
    assert started("first_session", "public_security", "2025-12-31") == {"ZA-2@2020-08-06"}
    assert started("first_session", "public_security", "2026-01-01") == {"ZA-2@2026-01-01"}
    assert rule("ZA-2", "2025-12-31").on_expiry is Expiry.FAIL
    assert rule("ZA-2", "2026-01-01").on_expiry is Expiry.URGE
    for moment in ("accepted", "failed", "unperformed"):
        assert "ZA-CASE@2020-08-06" in started(moment, "public_security", "2025-12-31")
        assert "ZA-CASE@2026-01-01" in started(moment, "public_security", "2026-01-01")


def test_consumer_complaints_before_and_after_the_new_order_keep_different_rules() -> None:
    assert started("filed", "consumer", "2026-04-14") == {"XF-ACC-OLD@2020-01-01"}
    assert started("accepted", "consumer", "2026-04-14") == {"XF-MED-OLD@2020-01-01"}
    assert started("filed", "consumer", "2026-04-15") == {"XF-ACC-NEW@2026-04-15"}
    assert started("accepted", "consumer", "2026-04-15") == {"XF-MED-NEW@2026-04-15"}
    assert (rule("XF-MED-OLD", "2026-04-14").value, rule("XF-MED-OLD", "2026-04-14").unit) == (45, Unit.WORKING_DAY)
    assert (rule("XF-MED-NEW", "2026-04-15").value, rule("XF-MED-NEW", "2026-04-15").unit) == (60, Unit.CALENDAR_DAY)
    assert LAWS.rule("XF-MED-OLD", "2026-04-15") is None
    assert LAWS.rule("XF-TELL", "2026-04-15") is None


@pytest.mark.parametrize(
    ("rule_id", "start", "last_day"),
    [
        ("TY-WT-P", "2024-12-20", "2025-01-06"),  # the fifteenth day is a Saturday
        ("TY-WT-P", "2025-01-10", "2025-01-26"),  # the fifteenth day is a Saturday, the Sunday after it is made up
        ("TY-WP", "2024-12-20", "2025-01-20"),
        ("ZA-2", "2025-12-31", "2026-01-12"),  # three days of New Year, and a make-up Sunday
        ("ZA-CASE", "2026-01-01", "2026-02-02"),
        ("XF-MED-OLD", "2026-04-14", "2026-06-18"),  # forty-five working days across Labour Day
        ("XF-MED-NEW", "2026-04-15", "2026-06-15"),  # sixty days, the last a Sunday
        ("SFQR-APP", "2026-03-02", "2026-04-01"),
        ("DL-MED", "2026-09-24", "2026-10-15"),
    ],
)
def test_a_limit_ends_on_the_day_counted_by_hand(rule_id: str, start: str, last_day: str) -> None:
    found, day = rule(rule_id, start), date.fromisoformat(start)
    assert reckon(found, day, LAWS.calendar).on == last_day
    assert oracle(found, day, [], 0)[0] == last_day


def test_a_region_goes_before_the_nation_in_its_own_divisions_only() -> None:
    ningbo, shenzhen, beijing = (rule("PM-MED", "2026-03-31", place) for place in (NINGBO, SHENZHEN, BEIJING))
    assert (ningbo.value, ningbo.unit, ningbo.on_expiry) == (1, Unit.MONTH, Expiry.FAIL)
    assert (shenzhen.value, shenzhen.unit, shenzhen.on_expiry) == (30, Unit.CALENDAR_DAY, Expiry.URGE)
    assert (beijing.value, beijing.unit, beijing.on_expiry) == (1, Unit.MONTH, Expiry.URGE)
    assert rule("LD-MED", "2026-03-31", HANGZHOU).basis != rule("LD-MED", "2026-03-31", BEIJING).basis
    assert (rule("LD-CONF-DEC", "2026-03-31", HANGZHOU).value, rule("LD-CONF-DEC", "2026-03-31").value) == (30, 15)


def test_a_limit_that_only_a_region_sets_runs_only_there() -> None:
    day = "2026-03-31"
    assert started("filed", "medical_people", day, NINGBO) == {"PM-ACC@2012-03-01"}
    assert started("filed", "medical_people", day, BEIJING) == set()
    assert started("filed", "administrative", day, SHENZHEN) == {"XZ-ACC@2022-05-01"}
    assert started("filed", "administrative", day, BEIJING) == set()
    assert started("replied", "forest_rights", day, GUANGZHOU) == {"LQ-MED@2016-05-01"}
    assert started("replied", "forest_rights", day, NINGBO) == set()
    assert started("filed", "people", day, YUSHUI) == {"PM-FB@2025-01-01"}
    assert started("filed", "people", "2024-12-31", YUSHUI) == set()


@pytest.mark.parametrize(
    ("pack", "division"),
    [
        ("ningbo.toml", "3302"), ("shenzhen.toml", "4403"), ("zhejiang.toml", "33"), ("gaotai.toml", "620724"),
        ("guangdong.toml", "44"), ("yushui.toml", "360502"), ("national.toml", ""),
    ],
)  # fmt: skip
def test_a_pack_speaks_for_its_own_divisions(pack: str, division: str) -> None:
    assert {r.division for r in read(pack)} == {division}
    assert all(r.region for r in read(pack)) is bool(division)


def test_gaotai_climbs_its_ladder_in_working_days_beside_the_national_month() -> None:
    rungs = [
        ("LADDER-VILLAGE@2014-01-01", OrgKind.PEOPLE_COMMITTEE, Tier.VILLAGE),
        ("LADDER-OFFICE@2014-01-01", OrgKind.JUSTICE_OFFICE, Tier.TOWNSHIP),
        ("LADDER-CENTRE@2014-01-01", OrgKind.COUNTY_CENTRE, Tier.TOWNSHIP),
    ]
    for rung, kind, tier in rungs:
        here = started("accepted", "people", "2026-03-31", f"{GAOTAI}100", kind=kind, tier=tier)
        assert here == {rung, "PM-MED@2002-11-01"}
        assert started("accepted", "people", "2026-03-31", BEIJING, kind=kind, tier=tier) == {"PM-MED@2002-11-01"}
    ladder = [r for r in RULES if r.id.startswith("LADDER-")]
    assert sum(r.value for r in ladder) == 7
    assert all(r.unit is Unit.WORKING_DAY and r.on_expiry in {None, Expiry.ESCALATE} for r in ladder)


def test_a_summary_case_has_its_short_limit_beside_the_ordinary_one_it_may_fall_back_on() -> None:
    day = "2026-03-31"
    assert started("accepted", "civil_suit", day) == {"CT-TRIAL@2024-01-01"}
    both = {"CT-TRIAL@2024-01-01", "CT-TRIAL-J@2024-01-01"}
    assert started("accepted", "civil_suit", day, variant="summary") == both
    assert started("started", "civil_suit", day) == {"CT-PRE@2021-01-01"}
    assert started("started", "civil_suit", day, variant="summary") == {"CT-PRE-J@2021-01-01"}


def test_mediation_on_the_platform_counts_from_acceptance_there_and_by_what_it_came_from() -> None:
    day = "2026-03-31"
    assert started("accepted", "online", day, variant="online") == {"ZX-MED@2022-01-01", "ZX-ASK@2022-01-01"}
    assert started("accepted", "court_entrusted", day, variant="online") == {"ZX-MED-P@2022-01-01"}
    assert started("accepted", "court_entrusted", day, variant="online_summary") == {"ZX-MED-J@2022-01-01"}
    for procedure in ("online", "court_entrusted"):
        assert started("received", procedure, day, variant="online") == set()


def test_an_application_goes_by_the_limit_of_the_commission_it_is_sent_to() -> None:
    labour = Place(link_up="arbitration", kind=OrgKind.ARBITRATION_COMMISSION)
    land = Place(link_up="arbitration", kind=OrgKind.LAND_COMMISSION)
    assert named(LAWS.starting(Moment.FILED, "2026-03-31", labour)) == ["LD-ARB-ACC@2008-05-01"]
    assert named(LAWS.starting(Moment.FILED, "2026-03-31", land)) == ["TD-ARB-ACC@2010-01-01"]


def test_an_appraisal_stops_the_clocks_whose_text_says_so_and_no_others() -> None:
    """医疗38、40, 在线26, 程序规定165, 解释243, 暂行办法20, 浙江36; people's and administrative mediation by policy."""
    standing = {r.id for r in RULES if "appraisal" in r.suspends}
    assert standing == {
        "MED-PM", "MED-AD", "ZX-MED", "ZA-CASE", "CT-TRIAL", "CT-TRIAL-J", "XF-MED-OLD", "LD-ARB", "LD-ARB-J",
        "PM-MED", "XZ-MED",
    }  # fmt: skip
    assert "appraisal" not in rule("LD-ARB", "2026-03-31", BEIJING).suspends
    assert {r.id for r in RULES if "mediation" in r.suspends} == {"FY-DEC", "FY-DEC-J"}
