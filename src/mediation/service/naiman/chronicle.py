"""A dispute's history as it is written: every step as a command, who takes it for which body, and when it was taken."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from mediation.domain.calendar import SHANGHAI, WorkCalendar
from mediation.domain.facts import Instant
from mediation.service.naiman.county import COUNTY, person_code
from mediation.service.registry import org_id, person_id

Dispute = Mapping[str, Any]

COURT = f"{COUNTY}-court-01"
CENTRE = f"{COUNTY}-county_centre-01"
PETITIONS = f"{COUNTY}-petition_office-01"
LABOUR = f"{COUNTY}-labour_authority-01"
MARKET = f"{COUNTY}-market_regulator-01"
HEALTH = f"{COUNTY}-health_authority-01"
TRAFFIC_POLICE = f"{COUNTY}-traffic_police-01"

AGENCIES = {
    "forest_land": f"{COUNTY}-agency-02",
    "production_business": f"{COUNTY}-agency-03",
    "damages": f"{COUNTY}-agency-03",
    "environment": f"{COUNTY}-agency-04",
    "property_management": f"{COUNTY}-agency-05",
    "housing_homestead": f"{COUNTY}-agency-01",
    "migrant_wages": LABOUR,
    "labour_other": LABOUR,
    "consumer_other": MARKET,
    "e_commerce": MARKET,
    "medical": HEALTH,
    "road_traffic": TRAFFIC_POLICE,
}
"""The agency to whose counter a dispute of a category comes."""
CLOCK = "clock"

_OPENS = time(8, 30)
_CLOSES = time(17, 30)
# Who mediates or decides where nobody is called a mediator.
_MEDIATORS = {
    "court": "judge",
    "police": "officer",
    "traffic_police": "officer",
    "market_regulator": "officer",
    "petition_office": "officer",
    "procuratorate": "prosecutor",
    "arbitration_commission": "arbitrator",
    "land_commission": "arbitrator",
}


class Line(NamedTuple):
    """A step: in which case of the story (a dispute's number), by whom (a person's code or `clock`), for which body.

    `body` is the command's JSON; `@case:7` and `@version:7` in it stand for another case of the story and its version.
    """

    case: int
    who: str
    org: str
    body: dict[str, Any]
    at: Instant


class Chronicle:
    """Writes the lines of one dispute, and remembers how many legs, hand-offs and agreements there are by now.

    `pace` stretches the waiting between steps (1: as it would be); nothing is written outside office hours, and whoever
    tells the story sees to it that nothing is written after the day `until`.
    """

    def __init__(
        self, dispute: Dispute, opened_on: date, until: date, calendar: WorkCalendar, pace: float = 1.0
    ) -> None:
        self.dispute = dispute
        self.until = until
        self.lines: list[Line] = []
        self.legs = self.handoffs = self.agreements = 0
        self.signed_on = opened_on
        self.host = 1
        """The leg in which the dispute was last mediated."""
        self.owed = 0
        """The hand-off on which whoever holds the dispute owes a report, 0 for none."""
        self._calendar = calendar
        self._pace = pace
        number = int(dispute["id"])
        self._now = datetime.combine(opened_on, time(8, 40), SHANGHAI) + timedelta(minutes=number * 13 % 110)
        self.village = f"{dispute['division']}-people_committee-01"
        self.township = f"{dispute['division'][:9]}-people_committee-01"
        self.station = f"{dispute['division'][:9]}-police-01"
        self.parties = list(range(1, len(dispute["parties"]) + 1))
        self.applicants = [n for n in self.parties if dispute["parties"][n - 1]["side"] == "applicant"]
        claimed = [claim for claim in dispute["claims"] if claim["kind"] == "civil"]
        self.concerned = sorted({n for claim in claimed for n in (*claim["by"], *claim["against"])})
        self.said = f"“{dispute['title']}”"
        self.note = dispute.get("note", "")

    @property
    def today(self) -> date:
        """The day on which the next step is taken."""
        return self._now.date()

    def wait(self, days: int, *, at_least: int = 0) -> None:
        """Let days pass, and go on on a working day; fewer at a quicker pace, but not fewer than `at_least`."""
        days = max(round(days * self._pace), at_least)
        if days:
            self._next_morning(days)

    def wait_until(self, day: date) -> None:
        """Let time pass until a day, whatever the pace."""
        if day > self.today:
            self._next_morning((day - self.today).days)

    def wait_until_lately(self, days: int) -> None:
        """Let time pass until the last working day that is at least so many days ago, whatever the pace."""
        day = self.until - timedelta(days=days)
        while not self._calendar.is_working(day):
            day -= timedelta(days=1)
        self.wait_until(day)

    def by(self, body: str, role: str, action: str, papers: str = "", /, **fields: Any) -> None:  # noqa: ANN401  # fields of any command
        """Write a step taken by the first person of that role at a body."""
        command = {"action": action, **{name: value for name, value in fields.items() if value is not None}}
        if papers:
            command["documents"] = [self._paper(kind) for kind in papers.split()]
        who = person_code(body, role)
        self.lines.append(Line(self.dispute["id"], who, body, command, self._instant()))

    def by_clock(self, body: str, action: str, **fields: Any) -> None:  # noqa: ANN401  # fields of any command
        """Write a step that the clock takes at a body."""
        self.lines.append(Line(self.dispute["id"], CLOCK, body, {"action": action, **fields}, self._instant()))

    def clerk(self, body: str) -> str:
        """The role of whoever does a clerk's work there."""
        return "grid_worker" if len(body.partition("-")[0]) > len(self.township.partition("-")[0]) else "clerk"

    def hand(self, body: str) -> str:
        """The role of whoever mediates or decides there."""
        return _MEDIATORS.get(body.split("-")[1], "mediator")

    def plan(self, body: str) -> dict[str, Any]:
        """四有 for a body: its chair leads, its first mediator handles."""
        return {
            "leader": person_id(person_code(body, "chair")),
            "handler": person_id(person_code(body, self.hand(body))),
            "plan": f"先分别听取各方对{self.said}的意见，再到现场查看、核对凭据，最后面对面商定数额、方式和期限",
            "due_on": (self.today + timedelta(days=25)).isoformat(),
        }

    def obligations(self) -> list[dict[str, Any]]:
        """What the agreement says, its days counted from the day it is signed."""
        return [
            {
                "obligor": owed["obligor"],
                "what": owed["what"],
                "amount_fen": owed.get("amount_fen", 0),
                "due_on": (self.signed_on + timedelta(days=owed["days"])).isoformat(),
                "text": owed["text"],
            }
            for owed in self.dispute["obligations"]
        ]

    def _paper(self, kind: str) -> dict[str, str]:
        name = f"{self.dispute['id']:03}/{len(self.lines) + 1:02}/{kind}"
        return {"kind": kind, "sha256": hashlib.sha256(name.encode()).hexdigest(), "ref": f"papers/{name}"}

    def _instant(self) -> Instant:
        at = self._now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self._now += timedelta(minutes=4 + (self.dispute["id"] + 5 * len(self.lines)) % 13)
        if self._now.time() > _CLOSES:
            self._next_morning(1)
        return at

    def _next_morning(self, days: int) -> None:
        day = self._now.date() + timedelta(days=days)
        while not self._calendar.is_working(day):
            day += timedelta(days=1)
        minutes = (self.dispute["id"] * 7 + len(self.lines) * 11) % 90
        self._now = datetime.combine(day, _OPENS, SHANGHAI) + timedelta(minutes=minutes)


# --- what bodies do, many steps at once -------------------------------------------------------------------------------


def file(story: Chronicle, body: str, papers: str = "registration identity application", **fields: Any) -> None:  # noqa: ANN401  # fields of the command
    """登记: the dispute is put on record at a body, as its people told it."""
    dispute = story.dispute
    story.legs += 1
    story.by(
        body,
        story.clerk(body),
        "file",
        papers,
        category=dispute["category"],
        division=dispute["division"],
        channel=dispute["channel"],
        parties=dispute["parties"],
        claim=dispute["claims"],
        on_behalf_of=story.applicants,
        text=dispute["facts"],
        **fields,
    )


def hand_over(story: Chronicle, sender: str, receiver: str, link_up: str, papers: str, **fields: Any) -> None:  # noqa: ANN401  # fields of the command
    """移交 and 接收: offered by the sender, received a day or so later."""
    offer(story, sender, receiver, link_up, papers, **fields)
    story.wait(1)
    receive(story, receiver)


def offer(story: Chronicle, sender: str, receiver: str, link_up: str, papers: str, **fields: Any) -> None:  # noqa: ANN401  # fields of the command
    """移交: offered, not yet received."""
    story.handoffs += 1
    to_org = org_id(receiver)
    if link_up == "escalate":
        story.by(sender, "chair", "escalate", papers, to_org=to_org, **fields)
    else:
        role = story.hand(sender) if sender != CENTRE else "coordinator"
        role = story.clerk(sender) if role == "mediator" and link_up == "triage" else role
        story.by(sender, role, "refer", papers, link_up=link_up, to_org=to_org, **fields)


def receive(story: Chronicle, receiver: str, *, opens: bool = True) -> None:
    """接收: a leg is opened at the receiver, where the link-up opens one."""
    story.legs += opens
    story.by(receiver, story.clerk(receiver), "receive", handoff=story.handoffs)


def accept(story: Chronicle, body: str, **fields: Any) -> None:  # noqa: ANN401  # fields of the command
    """受理·立案, by a clerk where mediation follows, else by who decides."""
    decides = body.split("-")[1] in _MEDIATORS
    story.by(body, story.hand(body) if decides else story.clerk(body), "accept", **fields)


def start(story: Chronicle, body: str, *, sessions: int = 1) -> None:
    """四有, 告知, 意愿, 开始调解, and so many sessions."""
    hand = story.hand(body)
    story.host = story.legs
    if hand == "mediator":
        story.by(body, "chair", "prepare", plan=story.plan(body))
    story.wait(1)
    story.by(body, hand, "inform_rights", "rights_notice")
    story.by(body, hand, "record_consent", "consent_paper", consent="given", on_behalf_of=story.concerned)
    story.wait(2)
    story.by(body, hand, "start")
    for number in range(1, sessions + 1):
        told = f"第{number}次调解：各方就{story.said}说明经过和要求，调解员逐项核对证据，指出分歧所在"
        story.by(body, hand, "convene", "minutes", held_on=story.today.isoformat(), text=told)
        story.wait(3)


def settle(story: Chronicle, body: str, **fields: Any) -> None:  # noqa: ANN401  # fields of the command
    """达成协议: written, signed by all, sealed."""
    story.agreements += 1
    story.signed_on = story.today
    story.by(
        body,
        story.hand(body),
        "settle",
        "minutes agreement",
        obligations=story.obligations(),
        signed_by=story.parties,
        mediator_signed=True,
        sealed=True,
        **fields,
    )


def fail(story: Chronicle, body: str) -> None:
    """调解不成."""
    told = f"各方对{story.said}的责任和数额分歧较大，经多次调解未能达成协议"
    story.by(body, story.hand(body), "fail", ground="no_agreement", text=told)


def perform(story: Chronicle, body: str, obligations: Sequence[int] | None = None) -> None:
    """履行, of all or of the obligations named, with proof."""
    role = story.hand(body) if story.hand(body) == "mediator" else story.clerk(body)
    story.by(body, role, "fulfil", "performance_proof", agreement=story.agreements, obligations=obligations)


def report(story: Chronicle, body: str, code: str, papers: str, **fields: Any) -> None:  # noqa: ANN401  # fields of the command
    """反馈 on the hand-off that is owed one, if there is any."""
    if story.owed:
        story.by(body, story.clerk(body), "report", papers, handoff=story.owed, code=code, **fields)
        if not fields.get("interim"):
            story.owed = 0


def close(story: Chronicle, body: str, **fields: Any) -> None:  # noqa: ANN401  # fields of the command
    """结案, by the head of the body."""
    story.by(body, "chair", "close", "closing_report", **fields)


def archive(story: Chronicle, body: str) -> None:
    """回访 and 归档."""
    story.wait(20)
    role = story.hand(body)
    finding = ("reconciled", "stable", "reconciled", "stable", "strained")[story.dispute["id"] % 5]
    story.by(
        body, role, "follow_up", "follow_up_record", leg=story.host, finding=finding, text="上门回访，双方均无新的争议"
    )
    story.wait(5)
    story.by(body, "archivist", "archive")
