"""Refusals: every error has a status, a page and words in both languages, and never repeats what was sent."""

import json

import pytest
from pydantic import ValidationError

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
