"""All that the rules may know, frozen: the case with its parties, claims, legs, hand-offs, agreements and clocks.

Nothing here is null: an absent code, id, day or instant is the empty value (`""`, `0`, `()`), so that a fact reads the
same in an event, in the stored document and in memory. Days are `YYYY-MM-DD` in Asia/Shanghai, instants RFC 3339 UTC
with six digits; both sort as text. Money is in fen.
"""

from typing import ClassVar, TypeAlias, TypeVar

from msgspec import Struct

from mediation.domain import vocabulary as v

Day: TypeAlias = str
Instant: TypeAlias = str


class Fact(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A frozen value; defaults are left out of its document."""


class Organisation(Fact, frozen=True):
    """A body 单位. `path` holds its superiors, nearest first."""

    id: str
    code: str
    name: str
    kind: v.OrgKind
    tier: v.Tier
    division: str
    superior: str = ""
    speciality: str = ""
    path: tuple[str, ...] = ()
    name_en: str = ""


class Actor(Fact, frozen=True):
    """Who acts: a person (or `clock`), for one body, in the roles held there."""

    person: str
    org: str
    roles: tuple[v.Role, ...]


class Party(Fact, frozen=True):
    """A party 当事人; name, number, phone and address are in the vault, their digest in the event."""

    id: int
    kind: v.PartyKind = v.PartyKind.NATURAL
    side: v.Side = v.Side.APPLICANT
    minor: bool = False
    left: bool = False
    represented_by: int = 0
    successor_of: int = 0


class Claim(Fact, frozen=True):
    """A claim 诉求: what is settled, decided or dropped."""

    id: int
    kind: v.ClaimKind = v.ClaimKind.CIVIL
    what: v.ClaimWhat = v.ClaimWhat.MONEY
    by: tuple[int, ...] = ()
    against: tuple[int, ...] = ()
    amount_fen: int = 0
    state: v.ClaimState = v.ClaimState.OPEN


class Leg(Fact, frozen=True):
    """A leg 程序段: one procedure at one body. `via` is the hand-off that opened it, 0 if it was filed here.

    `rule` is the version of the procedure under which it was opened, `<id>@<valid_from>`; `sessions` are counted anew
    after each start.
    """

    id: int
    org: str = ""
    procedure: str = ""
    track: v.Track = v.Track.PEOPLE
    tier: v.Tier = v.Tier.VILLAGE
    decides: bool = False
    state: v.LegState = v.LegState.FILED
    outcome: str = ""
    claims: tuple[int, ...] = ()
    beside: bool = False
    via: int = 0
    agreement: int = 0
    filed_on: Day = ""
    accepted_on: Day = ""
    number: str = ""
    rule: str = ""
    variant: v.Variant = v.Variant.ORDINARY
    started: bool = False
    rounds: int = 0
    sessions: int = 0
    mediators: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    leader: str = ""
    handler: str = ""
    plan_due_on: Day = ""
    notice: bool = False
    consented: tuple[int, ...] = ()
    refused: tuple[int, ...] = ()
    cause: str = ""
    cause_removed: bool = False
    routes_told: bool = False
    follow_up_on: Day = ""
    closed_by: str = ""

    @property
    def open(self) -> bool:
        """Not ended."""
        return self.state is not v.LegState.ENDED

    @property
    def taken(self) -> bool:
        """Past `filed` and not ended: it may hold claims."""
        return self.state not in {v.LegState.FILED, v.LegState.ENDED}

    @property
    def prepared(self) -> bool:
        """四有: a leader, a handler, a plan and a deadline."""
        return bool(self.leader and self.handler and self.plan_due_on)


class Handoff(Fact, frozen=True):
    """A hand-off 移交 from `from_leg` to the body `to_org`, where it may open `to_leg`."""

    id: int
    link_up: v.LinkUp = v.LinkUp.TRANSFER
    mode: v.Mode = v.Mode.ENDS
    state: v.HandoffState = v.HandoffState.OFFERED
    from_leg: int = 0
    from_org: str = ""
    to_org: str = ""
    to_leg: int = 0
    claims: tuple[int, ...] = ()
    agreement: int = 0
    variant: v.Variant = v.Variant.ORDINARY
    reason: str = ""
    urgent: bool = False
    offered_at: Instant = ""
    received_at: Instant = ""
    answer_by: Day = ""
    report_by: Day = ""
    owes: str = ""
    report: str = ""

    LIVE: ClassVar = frozenset({v.HandoffState.OFFERED, v.HandoffState.RECEIVED, v.HandoffState.TAKEN})

    @property
    def unanswered(self) -> bool:
        """Offered or received, not yet taken, returned or recalled."""
        return self.state in {v.HandoffState.OFFERED, v.HandoffState.RECEIVED}

    @property
    def live(self) -> bool:
        """Still binding somebody to something."""
        return self.unanswered or (
            self.state is v.HandoffState.TAKEN and (self.mode is not v.Mode.ENDS or bool(self.owes))
        )

    @property
    def holds(self) -> bool:
        """It holds the sender's leg (R3): an `ends` offer until taken, a `waits` one until answered."""
        if self.mode is v.Mode.ENDS:
            return self.unanswered
        return self.mode is v.Mode.WAITS and self.state in self.LIVE


class Agreement(Fact, frozen=True):
    """An agreement 协议 hosted by a leg, on some claims, among some parties."""

    id: int
    leg: int = 0
    hosted_by: str = ""
    claims: tuple[int, ...] = ()
    parties: tuple[int, ...] = ()
    form: v.AgreementForm = v.AgreementForm.WRITTEN
    state: v.AgreementState = v.AgreementState.IN_EFFECT
    effective_on: Day = ""
    due_on: Day = ""
    enforceable_by: str = ""

    @property
    def unfinished(self) -> bool:
        """Something is still to come of it: effect, performance or enforcement."""
        return self.state in {v.AgreementState.PENDING, v.AgreementState.IN_EFFECT} or (
            self.state is v.AgreementState.BREACHED and bool(self.enforceable_by)
        )


class Obligation(Fact, frozen=True):
    """One thing promised in an agreement; owed by a party, or by a body that signed as third party."""

    id: int
    agreement: int = 0
    obligor: int = 0
    obligor_org: str = ""
    what: v.ClaimWhat = v.ClaimWhat.MONEY
    amount_fen: int = 0
    due_on: Day = ""
    done: bool = False


class Clock(Fact, frozen=True):
    """A clock 期限 under one version of a rule, with the terms it started under; or (`rule` "") a day somebody set.

    `owed`: what a day was set for (answer, report, performance, or tracking, which has no last day). Of an hour rule
    `from_at` and `due_at` are the instants. `stood` holds the days it stood still in pairs, first and last; `extended`
    is in the unit `extended_in`. `warn_on` is the next day to remind the body. `alarmed`: it ran out, and
    the superior was told.
    """

    id: int
    rule: str = ""
    leg: int = 0
    handoff: int = 0
    agreement: int = 0
    complaint: int = 0
    listing: int = 0
    owed: str = ""
    state: v.ClockState = v.ClockState.RUNNING
    value: int = 0
    unit: v.Unit = v.Unit.CALENDAR_DAY
    roll: v.RollOver = v.RollOver.REST_DAY
    expiry: str = ""
    exclude_start: bool = True
    until: tuple[v.Moment, ...] = ()
    suspends: tuple[v.SuspendCause, ...] = ()
    from_on: Day = ""
    from_at: Instant = ""
    due_on: Day = ""
    due_at: Instant = ""
    provisional: bool = False
    extended: int = 0
    extended_in: v.Unit = v.Unit.CALENDAR_DAY
    extensions: int = 0
    standing_on: Day = ""
    stood: tuple[Day, ...] = ()
    stopped_on: Day = ""
    warn_on: Day = ""
    alarmed: bool = False

    @property
    def going(self) -> bool:
        """Running or standing still: not yet stopped or lapsed."""
        return self.state in {v.ClockState.RUNNING, v.ClockState.STANDING}


class Document(Fact, frozen=True):
    """A paper of the file: metadata only; its name is in the vault, its bytes wherever `ref` says."""

    id: int
    kind: v.DocumentKind = v.DocumentKind.OTHER
    sha256: str = ""
    ref: str = ""
    leg: int = 0


class Complaint(Fact, frozen=True):
    """A complaint 投诉 and its answer."""

    id: int
    leg: int = 0
    on: Day = ""
    answered: bool = False
    upheld: bool = False


class Reference(Fact, frozen=True):
    """A number of this dispute in another system."""

    id: int
    system: str = ""
    number: str = ""


class Listing(Fact, frozen=True):
    """A listing for supervision 挂牌 by a superior body."""

    id: int
    org: str = ""
    on: Day = ""
    lifted: bool = False


class Case(Fact, frozen=True):
    """A dispute. `version` is the `seq` of its last event, `head` that event's leaf hash."""

    id: str
    number: str = ""
    version: int = 0
    head: str = ""
    at: Instant = ""
    state: v.CaseState = v.CaseState.NEW
    tier: str = ""
    track: str = ""
    holder: str = ""
    category: v.Category = v.Category.OTHER
    division: str = ""
    channel: v.Channel = v.Channel.WINDOW
    occurred_on: Day = ""
    request_on: Day = ""
    filed_by: str = ""
    risk: v.Risk = v.Risk.NONE
    leader: str = ""
    archived: bool = False
    final: bool = False
    circumstances: tuple[v.Circumstance, ...] = ()
    sensitive: tuple[v.Sensitive, ...] = ()
    reconciled: str = ""
    merged_into: str = ""
    successor_of: str = ""
    absorbed: tuple[str, ...] = ()
    absorbed_version: int = 0
    statement: bool = False
    parties: tuple[Party, ...] = ()
    claims: tuple[Claim, ...] = ()
    legs: tuple[Leg, ...] = ()
    handoffs: tuple[Handoff, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    clocks: tuple[Clock, ...] = ()
    documents: tuple[Document, ...] = ()
    complaints: tuple[Complaint, ...] = ()
    listings: tuple[Listing, ...] = ()
    refs: tuple[Reference, ...] = ()

    def leg(self, number: int) -> Leg:
        """The leg of that number, from 1; LookupError if there is none."""
        return _numbered(self.legs, number)

    def handoff(self, number: int) -> Handoff:
        """The hand-off of that number, from 1; LookupError if there is none."""
        return _numbered(self.handoffs, number)

    def agreement(self, number: int) -> Agreement:
        """The agreement of that number, from 1; LookupError if there is none."""
        return _numbered(self.agreements, number)

    def claim(self, number: int) -> Claim:
        """The claim of that number, from 1; LookupError if there is none."""
        return _numbered(self.claims, number)

    def holding(self, leg: int) -> Handoff | None:
        """The live hand-off that holds this leg (R3), if any."""
        return next((h for h in self.handoffs if h.from_leg == leg and h.holds), None)

    def open_claims(self, leg: Leg) -> tuple[int, ...]:
        """Claims of a leg that are open and not covered by an agreement still pending there."""
        pending = {
            c for a in self.agreements if a.leg == leg.id and a.state is v.AgreementState.PENDING for c in a.claims
        }
        return tuple(c for c in leg.claims if c not in pending and self.claim(c).state is v.ClaimState.OPEN)

    def unfinished(self, leg: int) -> tuple[Agreement, ...]:
        """Agreements hosted by a leg that still await effect, performance or enforcement."""
        return tuple(a for a in self.agreements if a.leg == leg and a.unfinished)

    @property
    def present(self) -> tuple[Party, ...]:
        """Parties that have not left."""
        return tuple(p for p in self.parties if not p.left)

    @property
    def leading(self) -> Leg | None:
        """The leg whose body is answerable now (process.md §2 Case state)."""
        newest = sorted((leg for leg in self.legs if leg.open), key=lambda leg: -leg.id)
        for leg in newest:
            if leg.taken and leg.claims and not leg.beside and self.holding(leg.id) is None:
                return leg
        return next((leg for leg in newest if not leg.beside), newest[0] if newest else None)

    @property
    def named(self) -> tuple[str, ...]:
        """Bodies that a leg or hand-off names, a returned or never received offer excepted: they may read the case."""
        legs = {leg.org for leg in self.legs if leg.outcome != "returned"}
        live = {h.to_org for h in self.handoffs if h.state not in {v.HandoffState.RETURNED, v.HandoffState.RECALLED}}
        received = {h.to_org for h in self.handoffs if h.state is v.HandoffState.RECALLED and h.received_at}
        return tuple(sorted(legs | live | received))

    @property
    def due_on(self) -> Day:
        """The earliest day on which a running clock is or was due, or the empty day."""
        if self.archived:
            return ""
        return min((c.due_on for c in self.clocks if c.due_on and c.state is v.ClockState.RUNNING), default="")


_Numbered = TypeVar("_Numbered", Leg, Handoff, Agreement, Claim)


def _numbered(facts: tuple[_Numbered, ...], number: int) -> _Numbered:
    if not 1 <= number <= len(facts):
        raise LookupError(number)
    return facts[number - 1]
