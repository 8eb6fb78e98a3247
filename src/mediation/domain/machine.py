"""The only room that knows `transitions`: one flat machine of the leg, built from the table at import.

`add_model` would reset a stored state and auto-transitions open every door, so the machine has no model: a throwaway
token carries the leg's state and its situation through one event.
"""

import warnings
from collections.abc import Mapping
from functools import cache, lru_cache, partial

from mediation.domain.errors import ActionUnavailable, Reason
from mediation.domain.process import NONE, ROWS, Row, row_conditions
from mediation.domain.vocabulary import Action, LegState

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from transitions import Machine


class Token:
    """A leg on its way through one step: its state, its situation, and in the end the row it took."""

    __slots__ = ("row", "situation", "state")

    def __init__(self, state: str, situation: Mapping[str, bool]) -> None:
        self.state = state
        self.situation = situation
        self.row: Row | None = None


def _holds(wanted: Mapping[str, bool], token: Token) -> bool:
    return all(token.situation.get(name, False) is value for name, value in wanted.items())


def _take(row: Row, token: Token) -> None:
    token.row = row


def _build() -> Machine:
    machine = Machine(
        model=None, states=[NONE, *(state.value for state in LegState)], initial=NONE, auto_transitions=False
    )
    for row in ROWS:
        machine.add_transition(
            row.action.value,
            row.source,
            row.target,
            conditions=partial(_holds, row_conditions(row)),
            before=partial(_take, row),
        )
    return machine


_MACHINE = _build()
_SOURCES = {action: {row.source for row in ROWS if row.action is action} for action in Action}


def knows(action: Action, state: str) -> bool:
    """Whether the table has any row for this action from this state."""
    return state in _SOURCES[action]


def step(action: Action, state: str, situation: Mapping[str, bool]) -> Row:
    """The one row taken from `state` in this situation.

    Raises ActionUnavailable when the process has no such step.
    """
    row = _taken(action, state, frozenset(name for name, true in situation.items() if true))
    if row is None:
        raise unavailable(action, state)
    return row


@lru_cache(maxsize=4096)
def _taken(action: Action, state: str, holding: frozenset[str]) -> Row | None:
    """What the machine says of a situation: of one and the same it says the same."""
    token = Token(state, dict.fromkeys(holding, True))
    if knows(action, state):
        _MACHINE.events[action.value].trigger(token, token)
    return token.row


def unavailable(action: Action, state: str) -> ActionUnavailable:
    """The refusal of a step the process does not have, naming from where it could be taken."""
    return ActionUnavailable(_reason(action, state))


@cache
def _reason(action: Action, state: str) -> Reason:
    label = "尚无程序段" if state == NONE else LegState(state).zh
    possible = [state for state in LegState if state.value in _SOURCES[action]]
    zh = "、".join(state.zh for state in possible) or "新的程序段"
    en = ", ".join(state.en for state in possible) or "a new leg"
    return Reason(
        "no_such_step",
        f"处于“{label}”的程序段不能“{action.zh}”；可在：{zh}",
        f"A leg that is {state} does not admit {action.en}; it can be taken from: {en}",
    )
