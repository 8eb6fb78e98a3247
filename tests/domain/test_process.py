"""The table checks itself: complete, unambiguous, reachable, cited."""

from itertools import product

import pytest

from mediation.domain import guards
from mediation.domain.commands import COMMANDS
from mediation.domain.machine import step
from mediation.domain.process import CONDITIONS, GUARDS, LINK_UPS, NONE, ROWS, TEXTS, cite, cite_zh, row_conditions
from mediation.domain.published import mermaid, moves
from mediation.domain.vocabulary import Action, LegState, LinkUp


def test_every_action_has_a_command_a_row_and_an_effect() -> None:
    assert {action.value for action in Action} == set(COMMANDS)
    assert {row.action for row in ROWS} == set(Action) == set(guards.EFFECTS)


def test_every_state_is_reached_from_none() -> None:
    reached, frontier = {NONE}, {NONE}
    while frontier:
        frontier = {row.target for row in ROWS if row.source in frontier} - reached
        reached |= frontier
    assert reached == {NONE, *(state.value for state in LegState)}


def test_only_ended_is_final() -> None:
    leaving = {row.source for row in ROWS if row.target != row.source}
    assert {state for state in LegState if state.value not in leaving} == {LegState.ENDED}


def test_nothing_leaves_ended() -> None:
    assert {row.target for row in ROWS if row.source == LegState.ENDED.value} == {LegState.ENDED.value}


@pytest.mark.parametrize("action", list(Action))
def test_in_no_situation_do_two_rows_hold(action: Action) -> None:
    rows = [row for row in ROWS if row.action is action]
    names = sorted({name for row in rows for name in row_conditions(row)})
    for values in product((False, True), repeat=len(names)):
        situation = dict(zip(names, values, strict=True))
        for source in {row.source for row in rows}:
            holding = [
                row
                for row in rows
                if row.source == source and all(situation[n] is v for n, v in row_conditions(row).items())
            ]
            assert len(holding) <= 1, (action, source, situation)


def test_the_machine_takes_the_row_that_the_table_says() -> None:
    for row in ROWS:
        situation = {name: row_conditions(row).get(name, False) for name in CONDITIONS}
        assert step(row.action, row.source, situation) == row


def test_every_condition_of_a_row_is_explained() -> None:
    assert {name for row in ROWS for name in row_conditions(row)} == set(CONDITIONS)


def test_every_guard_is_named_explained_and_checked() -> None:
    named = {guard for row in ROWS for guard in row.guards}
    assert named <= set(GUARDS)
    assert set(GUARDS) - {"G12"} == set(guards.CHECKS)
    assert set(GUARDS) - named <= {"G12"}


def test_every_row_and_link_up_cites_a_text_that_is_described() -> None:
    for cited in [*ROWS, *LINK_UPS.values()]:
        assert cited.basis
        for article in cited.basis:
            assert article.partition("-")[0] in TEXTS
            assert cite(article).isascii()
            assert cite_zh(article).startswith(TEXTS[article.partition("-")[0]].zh)


def test_every_text_says_since_when_and_how_far_it_is_trusted() -> None:
    for text in TEXTS.values():
        assert text.label in {"P", "S", "C", "G", "Q"}
        assert len(text.in_force) == len("2026-01-01")


def test_every_link_up_has_a_row() -> None:
    assert set(LINK_UPS) == set(LinkUp)


def test_the_diagram_shows_every_state_and_every_move() -> None:
    drawn = mermaid()
    for state in LegState:
        assert f"    {state.value}: {state.zh}" in drawn
    for (source, target), actions in moves().items():
        line = next(
            line
            for line in drawn.splitlines()
            if line.startswith(f"    {'[*]' if source == NONE else source} --> {target}:")
        )
        assert all(action in line for action in actions)
