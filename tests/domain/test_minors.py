"""Who is under 18 on the day of the step is a minor, said or not, and restricts the case while they are of it."""

from typing import Any

import pytest
from tests.domain.desk import Desk
from tests.domain.wandering import TEXT, everybody, papers
from tests.stories import cast

from mediation.domain import access
from mediation.domain.facts import Case

VILLAGE = everybody("village")
BIRTHDAY, DAY_AFTER, ADULT = "150525200803020018", "150525200803030013", "150525199001010015"
AT = "2026-03-02T{:02}:00:00.000000Z"
RESPONDENT = {"name": "李四", "side": "respondent"}


def filed(desk: Desk, **person: Any) -> Case:
    body = {"action": "file", "category": "neighbour", "division": "150525100201", "text": TEXT}
    parties = [{"name": "张三", "side": "applicant"} | person, RESPONDENT]
    more = {"parties": parties, "claim": [{"what": "money", "amount_fen": 500}], "documents": papers("registration")}
    desk.take("x", body | more, VILLAGE, AT.format(1))
    return desk.cases["x"]


@pytest.mark.parametrize(
    ("person", "minor"),
    [
        ({"id_number": DAY_AFTER}, True),
        ({"id_number": BIRTHDAY}, False),
        ({"id_number": ADULT}, False),
        ({"id_number": ADULT, "minor": True}, True),
        ({"id_number": DAY_AFTER, "id_kind": "other"}, False),  # such a number tells no day of birth
        ({"id_number": DAY_AFTER, "id_kind": "resident_id", "kind": "legal"}, False),
        ({}, False),
    ],
)
def test_a_number_of_somebody_under_eighteen_that_day_restricts_the_case_without_the_box(
    person: dict[str, Any], *, minor: bool
):
    desk = Desk(cast.ORGANISATIONS)
    case = filed(desk, **person)
    assert case.parties[0].minor is minor
    assert access.restricted(case) is minor
    assert desk.replayed("x") == case


def test_a_minor_by_number_who_joins_restricts_the_case_until_they_leave_it():
    desk = Desk(cast.ORGANISATIONS)
    assert not access.restricted(filed(desk))
    change: dict[str, Any] = {"action": "change_parties", "text": "变更当事人"}
    joining = {"name": "王五", "side": "third", "id_number": DAY_AFTER}
    desk.take("x", change | {"change": "join", "join": [joining]}, VILLAGE, AT.format(2))
    assert access.sensitive(desk.cases["x"]) == {"minor"}
    desk.take("x", change | {"change": "leave", "parties": [3]}, VILLAGE, AT.format(3))
    assert desk.cases["x"].parties[2].minor
    assert not access.restricted(desk.cases["x"])
