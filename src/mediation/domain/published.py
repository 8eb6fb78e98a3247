"""The process as it is published: rows, link-ups, guards, texts and procedures as data, and the diagram in Mermaid."""

from typing import Any

import msgspec

from mediation.domain.access import ROLE_LETTERS
from mediation.domain.laws import Laws
from mediation.domain.process import CONDITIONS, GUARDS, LINK_UPS, NONE, ROWS, TEXTS, cite_zh
from mediation.domain.vocabulary import Action, LegState, LinkUp

Table = dict[str, Any]


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
