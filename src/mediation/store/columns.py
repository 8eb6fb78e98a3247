"""What the row of a case says of its facts."""

from typing import NamedTuple

import msgspec

from mediation.domain import access
from mediation.domain.facts import Case
from mediation.domain.lapsing import late_at, wake_at
from mediation.domain.lines import line_of


class CaseColumns(NamedTuple):
    """What the row of a case says of its facts: `line` for lists, all else for searching.

    In the order of `write_step`'s parameters.
    """

    line: str
    state: str
    tier: str
    track: str
    holder: str
    category: str
    division: str
    risk: str
    due_on: str | None
    wake_at: str | None
    late_at: str | None
    orgs: list[str]
    past_orgs: list[str]
    open_orgs: list[str]
    inbound: list[str]
    outbound: list[str]
    refs: list[str]
    restricted: bool
    assigned: list[str]
    recused: list[str]
    closers: list[str]


def columns_of(case: Case) -> CaseColumns:
    """The columns of a case. Lists are sorted and distinct, so that equal facts make equal rows."""
    named = case.named
    mentioned = {leg.org for leg in case.legs} | {org for h in case.handoffs for org in (h.from_org, h.to_org)}
    live = [handoff for handoff in case.handoffs if handoff.live]
    return CaseColumns(
        msgspec.json.encode(line_of(case)).decode(),
        case.state.value,
        case.tier,
        case.track,
        case.holder,
        case.category.value,
        case.division,
        case.risk.value,
        case.due_on or None,
        wake_at(case) or None,
        late_at(case) or None,
        list(named),
        sorted(mentioned.difference(named)),
        sorted({leg.org for leg in case.legs if leg.open}),
        sorted({handoff.to_org for handoff in live}),
        sorted({handoff.from_org for handoff in live}),
        sorted({ref.number for ref in case.refs}),
        access.restricted(case),
        sorted(access.assigned(case)),
        sorted(access.recused(case)),
        sorted(access.closers(case)),
    )
