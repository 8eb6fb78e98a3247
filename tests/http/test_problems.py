"""Refusals: every error has a status, a page and words in both languages, and never repeats what was sent."""

import json
import re

import pytest
from pydantic import ValidationError
from tests.http.county import NOBODY

import mediation.gateway.embedded
import mediation.settings
import mediation.store.database  # noqa: F401  # so that the tree is whole
from mediation.domain.commands import STEP
from mediation.domain.errors import GuardRefused, MediationError, NotFound, Reason, StaleVersion
from mediation.http.problems import COUNTER, HELP, TurnedAway, family, faults, language, refusal, status_of

STATUSES = {
    "not_found": 404,
    "not_permitted": 403,
    "malformed": 422,
    "key_reused": 422,
    "refused": 409,
    "action_unavailable": 409,
    "guard_refused": 409,
    "conflict": 409,
    "key_in_flight": 409,
    "stale_version": 412,
}


@pytest.mark.parametrize("kind", [k for k in family() if k is not TurnedAway], ids=lambda k: k.__name__)
def test_every_error_of_the_tree_has_a_status(kind):
    expected = STATUSES.get(kind.code) or (COUNTER[kind.code].status if kind.code in COUNTER else None)
    assert status_of(kind()) == (expected or 500 if kind.code != "database_unreachable" else 503)


def test_every_refusal_a_caller_can_meet_is_explained():
    reachable = {kind.code for kind in family() if 400 <= status_of_kind(kind) < 500}
    assert reachable - {"error"} <= set(HELP) | set(COUNTER)


def status_of_kind(kind: type[MediationError]) -> int:
    return 500 if kind is TurnedAway else status_of(kind())


@pytest.mark.parametrize(
    ("accept", "lang"),
    [
        ("", "zh"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en;q=0.5,zh;q=0.7", "zh"),
        ("zh;q=0.2, en;q=0.3", "en"),
        ("*", "zh"),
        ("en, *", "en"),
        ("fr", "zh"),
        ("fr, en;q=0.1", "en"),
        ("en;q=0", "zh"),
        ("en;q=x", "zh"),
        ("en;q=nan", "zh"),
    ],
)
def test_the_language_is_the_one_preferred_and_chinese_by_default(accept, lang):
    assert language(accept) == lang


def test_a_problem_tells_its_reasons_in_the_language_asked_for_with_their_basis():
    error = GuardRefused(
        Reason("g6", "尚未四有", "No plan yet", "NMQ-1"), Reason("g4", "未同意", "No consent", "PML-17")
    )
    chinese, english = (json.loads(refusal(error, lang).body) for lang in ("zh", "en"))
    assert [r["detail"] for r in chinese["reasons"]] == ["尚未四有", "未同意"]
    assert [r["detail"] for r in english["reasons"]] == ["No plan yet", "No consent"]
    assert [r["basis"] for r in english["reasons"]] == ["NMQ-1", "PML-17"]
    assert (chinese["code"], chinese["status"], chinese["type"]) == ("guard_refused", 409, "/problems/guard_refused")
    assert chinese["detail"] == "尚未四有"


def test_two_not_founds_are_the_same_bytes():
    one, other = refusal(NotFound(), "zh"), refusal(NotFound(), "zh")
    assert (one.body, one.raw_headers, one.status_code) == (other.body, other.raw_headers, 404)


def test_a_stale_version_is_412():
    assert refusal(StaleVersion(), "en").status_code == 412


def test_a_malformed_command_names_its_fields_and_repeats_nothing():
    secret = "330102199001011234"
    body = {"action": "settle", "form": secret, "obligations": [{"what": "money", "due_on": secret}], secret[:3]: 1}
    with pytest.raises(ValidationError) as found:
        STEP.validate_json(json.dumps(body))
    error = faults(found.value.errors(include_input=False, include_url=False))
    where = [reason.zh.partition(":")[0] for reason in error.reasons]
    assert "settle.form" in where
    assert "settle.obligations.0.due_on" in where
    assert secret not in json.dumps(error.reasons)


def reasons_of(body) -> dict[str, Reason]:
    with pytest.raises(ValidationError) as found:
        STEP.validate_json(json.dumps(body))
    return {
        r.zh.partition(": ")[0]: r for r in faults(found.value.errors(include_input=False, include_url=False)).reasons
    }


@pytest.mark.parametrize(
    ("body", "where", "allowed"),
    [
        ({"action": "note", "kind": "x", "text": "见面"}, "note.kind", "treatment_ended"),
        ({"action": "note", "kind": "fact", "text": "长" * 4001}, "note.text", "4000"),
        ({"action": "note", "kind": "fact", "text": ""}, "note.text", "1"),
        ({"action": "extend", "clock": 1, "by": 0}, "extend.by", "1"),
        ({"action": "extend", "clock": 1, "by": 366}, "extend.by", "365"),
        ({"action": "appoint", "mediators": []}, "appoint.mediators", "1"),
        ({"action": "appoint", "mediators": [NOBODY] * 6}, "appoint.mediators", "5"),
        ({"action": "correct", "division": "Naiman"}, "correct.division", "[0-9]{6,12}"),
    ],
)
def test_both_languages_say_what_is_allowed(body, where, allowed):
    reason = reasons_of(body)[where]
    assert allowed in reason.zh
    assert allowed in reason.en


def test_an_unknown_action_is_told_the_known_ones_and_not_repeated():
    reason = next(iter(reasons_of({"action": "330102199001011234"}).values()))
    for said in (reason.zh, reason.en):
        assert "settle" in said
        assert "330102199001011234" not in said


@pytest.mark.parametrize(
    ("said", "zh", "en"),
    [
        ("编号重复 numbers must be distinct", "编号重复", "numbers must be distinct"),
        ("日期写作 YYYY-MM-DD a day is written so", "日期写作 YYYY-MM-DD", "a day is written so"),
        ("obligor 与 obligor_org 须填一项 exactly one", "obligor 与 obligor_org 须填一项", "exactly one"),
        ("新纠纷须填 a new dispute needs: text, claim", "新纠纷须填：text, claim", "a new dispute needs: text, claim"),
        ("plain", "plain", "plain"),
    ],
)
def test_a_sentence_in_two_languages_is_parted(said, zh, en):
    fault = {"type": "value_error", "loc": ("note",), "msg": f"Value error, {said}", "ctx": {"error": ValueError(said)}}
    (reason,) = faults([fault]).reasons
    assert (reason.zh, reason.en) == (f"note: {zh}", f"note: {en}")


def test_no_reason_of_our_own_commands_mixes_the_languages():
    wrong = [
        {"action": "file"},
        {"action": "correct"},
        {"action": "note", "kind": "fact", "on": "1.2.2026"},
        {"action": "settle", "obligations": [{"what": "money", "due_on": "2026-01-01"}]},
    ]
    for body in wrong:
        for where, reason in reasons_of(body).items():
            assert not re.search(r"[\u4e00-\u9fff]", reason.en.removeprefix(where)), reason
            assert re.search(r"[\u4e00-\u9fff]", reason.zh), reason
