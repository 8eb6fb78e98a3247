"""The line of a case tells lists what the case itself says, and is as urgent, after every step of every walk."""

from datetime import datetime, timedelta

import msgspec
import pytest
from tests.domain.desk import Desk, laws
from tests.domain.test_walks import tell
from tests.stories import cast
from tests.stories.telling import PROCEDURES, WALKS, Walk

from mediation.domain.clocks import most_urgent, runs_out, urgencies, urgency
from mediation.domain.events import evolve, parse
from mediation.domain.facts import Case
from mediation.domain.lines import Line, line_of

ACROSS_S = (-20 * 86_400, -86_400, 0, 86_400)


@pytest.mark.parametrize("story", [*WALKS, *PROCEDURES], ids=str)
def test_a_line_says_what_its_case_says_and_is_as_urgent_before_and_after_each_due_day(story: Walk):
    desk = Desk(cast.ORGANISATIONS)
    tell(story, desk)
    urgent = set()
    for history in desk.histories.values():
        case = None
        for data in history:
            case = evolve(case, parse(data))
            line = msgspec.json.decode(msgspec.json.encode(line_of(case)), type=Line)
            for name in set(Line.__struct_fields__) - {"clocks"}:
                assert getattr(line, name) == getattr(case, name), name
            for at in instants(case):
                found = urgency(line.clocks, laws(), desk.orgs, at)
                assert found == most_urgent(urgencies(case, laws(), desk.orgs, at)), at
                urgent.add(found)
    if story in WALKS:  # whatever runs there is now urgent and now not
        assert len(urgent) > 1


def instants(case: Case) -> list[str]:
    days = [datetime.fromisoformat(runs_out(clock)) for clock in case.clocks if clock.due_on]
    moments = [day + timedelta(seconds=across) for day in days for across in ACROSS_S]
    return [case.at, *(moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for moment in moments)]
