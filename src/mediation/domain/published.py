"""The tables as they are published: the process with its law and its diagram in Mermaid, and who may do what."""

from typing import Any

import msgspec

from mediation.domain.access import ADMINISTRATORS, CAPACITIES, PERMITS, ROLE_LETTERS, WHO, needs_second_factor
from mediation.domain.facts import Actor
from mediation.domain.laws import Laws
from mediation.domain.process import CONDITIONS, GUARDS, LINK_UPS, NONE, ROWS, TEXTS, cite_zh
from mediation.domain.vocabulary import (
    Action,
    LegState,
    Letter,
    LinkUp,
    Power,
    Role,
    Sensitive,
    Sensitivity,
    Standing,
    Word,
)

Table = dict[str, Any]

FEWER = "OUR-6"
"""Where it is said which cases fewer people see."""
THREE = "OUR-7"
"""Where it is said who administers."""


def published(laws: Laws) -> Table:
    """`{states, actions, rows, conditions, guards, link_ups, procedures, roles, texts, mermaid}`, codes and labels.

    Of the procedures every version that has no end yet, of the nation and of regions, with all its fields.
    """
    return {
        "states": [{"code": state.value, "zh": state.zh, "en": state.en} for state in LegState],
        "actions": [{"code": action.value, "zh": action.zh, "en": action.en} for action in Action],
        "rows": [
            {
                "action": row.action.value,
                "from": row.source,
                "to": row.target,
                "when": sorted(row.when),
                "who": [letter.value for letter in row.who],
                "guards": list(row.guards),
                "basis": [{"code": article, "zh": cite_zh(article)} for article in row.basis],
            }
            for row in ROWS
        ],
        "conditions": [{"code": code, "en": en} for code, en in CONDITIONS.items()],
        "guards": [{"code": code, "zh": zh, "en": en} for code, (zh, en) in GUARDS.items()],
        "link_ups": [_link_up(link_up, laws) for link_up in LinkUp],
        "procedures": [
            msgspec.to_builtins(procedure) | {"code": procedure.id, "version": procedure.version}
            for versions in laws.procedures.values()
            for procedure in versions
            if not procedure.valid_to
        ],
        "roles": [
            {"code": role.value, "zh": role.zh, "en": role.en, "letters": sorted(letters)}
            for role, letters in ROLE_LETTERS.items()
        ],
        "texts": [{"code": code, **text._asdict()} for code, text in TEXTS.items()],
        "mermaid": mermaid(),
    }


def _link_up(link_up: LinkUp, laws: Laws) -> Table:
    row = LINK_UPS[link_up]
    return {
        "code": link_up.value,
        "zh": link_up.zh,
        "en": link_up.en,
        "mode": row.mode.value,
        "from": sorted(row.sources),
        "senders": sorted(row.senders),
        "receivers": sorted(row.receivers),
        "opens_leg": row.opens,
        "procedure": row.procedure,
        "consent": row.consent,
        "papers": [paper.value for paper in row.papers],
        "silence": row.silence.value,
        "owes": row.owes,
        "rules": [rule for rule, versions in laws.rules.items() if any(link_up in v.link_ups for v in versions)],
        "basis": [{"code": article, "zh": cite_zh(article)} for article in row.basis],
    }


def access_published() -> Table:
    """`{roles, letters, steps, capacities, permits, powers, …}`: the table of access, and every word in it with labels.

    Whatever stands in neither `capacities` nor `permits` is refused. A capacity without `actions` is for all of its
    letter's; a permit not `restricted` does not hold in a case that fewer may see.
    """
    return {
        "roles": [_word(role) | {"letters": sorted(ROLE_LETTERS.get(role, ()))} for role in Role],
        "letters": [_word(letter) for letter in Letter],
        "steps": [_word(action) | {"who": [letter.value for letter in WHO[action]]} for action in Action],
        "capacities": [
            {"letter": row.letter.value, "roles": sorted(row.roles), "standings": sorted(row.standings)}
            | ({"actions": sorted(row.actions)} if row.actions is not None else {})
            for row in CAPACITIES
        ],
        "permits": [
            {
                "power": row.power.value,
                "sensitivity": row.sensitivity.value,
                "roles": sorted(row.roles),
                "standings": sorted(row.standings),
                "restricted": row.restricted,
            }
            for row in PERMITS
        ],
        "powers": [_word(power) | {"second_factor": second_factor(power)} for power in Power],
        "sensitivities": [_word(sensitivity) for sensitivity in Sensitivity],
        "standings": [_word(standing) for standing in Standing],
        "sensitive": [_word(why) | {"basis": FEWER} for why in Sensitive],
        "administrators": [_word(role) | {"basis": THREE} for role in Role if role in ADMINISTRATORS],
        "texts": [{"code": article, "zh": cite_zh(article)} for article in (FEWER, THREE)],
    }


def second_factor(power: Power) -> list[str]:
    """The roles that have this power only where they have signed in with two factors."""
    holders = {role for permit in PERMITS if permit.power is power for role in permit.roles}
    return sorted(role for role in holders if needs_second_factor(power, Actor(person="", org="", roles=(role,))))


def _word(word: Word) -> Table:
    return {"code": word.value, "zh": word.zh, "en": word.en}


def moves() -> dict[tuple[str, str], tuple[str, ...]]:
    """Every move of a leg between two different states, and the actions that make it."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for row in ROWS:
        if row.source != row.target:
            found.setdefault((row.source, row.target), {})[row.action.value] = None
    return {edge: tuple(actions) for edge, actions in found.items()}


def mermaid() -> str:
    """The states of a leg and what moves it, as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    lines += [f"    {state.value}: {state.zh} {state.en}" for state in LegState]
    for (source, target), actions in moves().items():
        label = ", ".join(f"{Action(action).zh} {action}" for action in actions)
        lines.append(f"    {'[*]' if source == NONE else source} --> {target}: {label}")
    lines.append(f"    {LegState.ENDED.value} --> [*]")
    return "\n".join(lines) + "\n"
