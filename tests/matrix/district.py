"""Two counties with their bodies and people, and one case for each relation.

A case says here, by the story told and by nothing that the service computes, who stands where to it: that is what the
oracle judges by.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

DIVISIONS = """\
code,level,name,parent_code
1505,city,通辽市,
150525,county,奈曼旗,1505
150525100,township,大沁他拉镇,150525
150525100201,village,一村,150525100
150525100202,village,二村,150525100
150525101,township,八仙筒镇,150525
150525101201,village,三村,150525101
150526,county,邻旗,1505
150526100,township,邻镇,150526
150526100201,village,邻村,150526100
"""


class Body(NamedTuple):
    """A body: its kind, tier and division, and the body above it."""

    kind: str
    tier: str
    division: str
    superior: str = ""


BODIES = {
    "J": Body("justice_bureau", "county", "150525"),
    "C": Body("county_centre", "county", "150525", "J"),
    "T": Body("people_committee", "township", "150525100", "C"),
    "T2": Body("people_committee", "township", "150525101", "C"),
    "V1": Body("people_committee", "village", "150525100201", "T"),
    "V2": Body("people_committee", "village", "150525100202", "T"),
    "V3": Body("people_committee", "village", "150525101201", "T2"),
    "K": Body("court", "county", "150525"),
    "P": Body("police", "county", "150525"),
    "A": Body("audit_office", "county", "150525"),
    "C9": Body("county_centre", "county", "150526"),
    "V9": Body("people_committee", "village", "150526100201", "C9"),
    "A9": Body("audit_office", "county", "150526"),
    "AA": Body("audit_office", "city", "1505"),
}


class Person(NamedTuple):
    """Who asks: for which body, in which roles, with a second factor or without. `before`: what they served as first."""

    org: str
    roles: tuple[str, ...]
    second_factor: bool = False
    before: tuple[str, tuple[str, ...]] | None = None


PEOPLE = {
    "mediator": Person("V1", ("mediator",)),
    "other_mediator": Person("V1", ("mediator",)),
    "recused_mediator": Person("V1", ("mediator",)),
    "clerk": Person("V1", ("clerk",)),
    "chair": Person("V1", ("chair",)),
    "archivist": Person("V1", ("archivist",), second_factor=True),
    "sibling_chair": Person("V2", ("chair", "clerk", "mediator")),
    "coordinator": Person("T", ("coordinator",)),
    "township_mediator": Person("T", ("mediator",)),
    "township_clerk": Person("T", ("clerk",)),
    "sibling_coordinator": Person("T2", ("coordinator",)),
    "supervisor": Person("C", ("supervisor",)),
    "leader": Person("C", ("leader",)),
    "judge": Person("K", ("judge",)),
    "court_clerk": Person("K", ("clerk",)),
    "court_client": Person("K", ("system",)),
    "officer": Person("P", ("officer",)),
    "auditor": Person("A", ("auditor",)),
    "auditor_who_closed": Person("A", ("auditor",), before=("V1", ("chair",))),
    "far_auditor": Person("A9", ("auditor",)),
    "city_auditor": Person("AA", ("auditor",)),
    "far_chair": Person("V9", ("chair", "clerk")),
    "system_admin": Person("J", ("system_admin",), second_factor=True),
    "security_admin": Person("J", ("security_admin",), second_factor=True),
    "audit_admin": Person("J", ("audit_admin",), second_factor=True),
    "audit_admin_with_one_factor": Person("J", ("audit_admin",)),
    "stranger": Person("", ()),
}
"""`stranger` has a good token and is a member of no body."""


class HandedOff(NamedTuple):
    """A hand-off of a case: from whom, to whom, whether it still binds somebody, and was received."""

    from_org: str
    to_org: str
    live: bool = True
    received: bool = True


@dataclass(frozen=True)
class Story:
    """What was told of a case, and so who stands where to it.

    `named`: bodies with a part in it, past or present; `open`: those with an open leg; `leg_org`: whose leg (number
    `leg`) is asked about; `mediators` of a body's leg, of which whoever settles on the spot is one; `closers`: people who
    closed it. Bodies and people by their names here.
    """

    relation: str
    named: tuple[str, ...]
    open: tuple[str, ...]
    leg_org: str
    leg: int = 1
    keeper: str = ""
    mediators: dict[str, tuple[str, ...]] = field(default_factory=dict)
    recused: tuple[str, ...] = ()
    handoffs: tuple[HandedOff, ...] = ()
    assisting: tuple[str, ...] = ()
    deciding: tuple[str, ...] = ()
    listed_by: tuple[str, ...] = ()
    leader: str = ""
    restricted: bool = False
    closers: tuple[str, ...] = ()
    division: str = "150525100201"


V1 = ("V1",)
STORIES = {
    "filed": Story("own subtree, holder", V1, V1, "V1"),
    "assigned": Story("assigned", V1, V1, "V1", mediators={"V1": ("mediator",)}),
    "recused": Story("recused", V1, V1, "V1", mediators={"V1": ("mediator",)}, recused=("recused_mediator",)),
    "offered": Story("referred, not yet received", ("K", "V1"), ("K",), "K", handoffs=(HandedOff("K", "V1", received=False),), deciding=("K",)),
    "accepted": Story("referred and accepted", ("K", "V1"), ("K", "V1"), "V1", 2, handoffs=(HandedOff("K", "V1"),), deciding=("K",)),
    "returned": Story("referred and returned", ("K",), ("K",), "K", handoffs=(HandedOff("K", "V1", live=False),), deciding=("K",)),
    "recalled": Story("recalled after receipt", ("K", "V1"), ("K",), "K", handoffs=(HandedOff("K", "V1", live=False),), deciding=("K",)),
    "withdrawn_offer": Story("recalled, never received", ("K",), ("K",), "K", handoffs=(HandedOff("K", "V1", live=False),), deciding=("K",)),
    "sued": Story("referred to a court", ("K", "V1"), V1, "V1", handoffs=(HandedOff("V1", "K", received=False),)),
    "joint": Story("joint mediation", ("P", "V1"), V1, "V1", mediators={"V1": ("mediator",)}, handoffs=(HandedOff("V1", "P"),), assisting=("P",)),
    "escalated": Story("handed on", ("T", "V1"), ("T",), "T", 2, keeper="T", mediators={"V1": ("mediator",)}, handoffs=(HandedOff("V1", "T", live=False),)),
    "supervised": Story("supervising", V1, V1, "V1", listed_by=("C",), leader="leader"),
    "minor": Story("restricted: a minor", V1, V1, "V1", mediators={"V1": ("mediator",)}, restricted=True),
    "violence": Story("restricted: domestic violence", V1, V1, "V1", restricted=True),
    "medical": Story("restricted: medical", V1, V1, "V1", restricted=True),
    "closed": Story("closed", V1, (), "V1", keeper="V1", mediators={"V1": ("mediator",)}, closers=("auditor_who_closed",)),
    "archived": Story("archived", V1, (), "V1", keeper="V1", mediators={"V1": ("mediator",)}, closers=("chair",)),
    "elsewhere": Story("none: another county", ("V9",), ("V9",), "V9", division="150526100201"),
    "arose_here": Story("audit jurisdiction", ("V9",), ("V9",), "V9"),
}  # fmt: skip
