"""The laws in force: rules and procedures by id, version and region, the calendar, and the digest of the whole set."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple, TypeVar

from mediation.domain.calendar import WorkCalendar
from mediation.domain.deadlines import Rule
from mediation.domain.facts import Day, Fact, Leg
from mediation.domain.vocabulary import (
    Category,
    Circumstance,
    ClaimKind,
    DecisionKind,
    DocumentKind,
    FailGround,
    Label,
    Moment,
    OrgKind,
    Outcome,
    Tier,
    Track,
    Variant,
)


class Condition(Fact, frozen=True):
    """What a procedure asks for before it takes a case, and the article that says so (`<text>-<article>`)."""

    zh: str
    en: str
    basis: str


class Ground(Fact, frozen=True):
    """Why a procedure must refuse: `when` the circumstance is on record (or a condition of the guards holds)."""

    when: Circumstance
    zh: str
    en: str
    basis: str
    at: str = "accept"
    """The step that is refused: `accept`, or `start` where the body must take the case but may not mediate it."""


class Procedure(Fact, frozen=True):
    """One version of a procedure: who holds it where, what it takes and refuses, how it ends, and what comes next.

    `next` are the link-ups and actions by which the dispute may go on from here. `division` as of a rule. `by_link_up`:
    only by a link-up or by name. `default_of`: the kinds that choose it themselves (empty: all); others must name it.
    """

    id: str
    zh: str
    en: str
    track: Track
    decides: bool
    kinds: tuple[OrgKind, ...]
    basis: str
    label: Label
    valid_from: str
    valid_to: str = ""
    supersedes: str = ""
    division: str = ""
    region: str = ""
    text: str = ""
    doubt: str = ""
    tiers: tuple[Tier, ...] = ()
    texts: tuple[str, ...] = ()
    articles: dict[str, str] = {}  # noqa: RUF012  a struct copies its defaults
    by_link_up: bool = False
    default_of: tuple[OrgKind, ...] = ()
    beside: bool = False
    mediates: bool = True
    consent: str = "express"
    notice: bool = True
    prepared: bool = False
    confirmable: bool = False
    enforceable_by: str = ""
    forms: tuple[str, ...] = ("written",)
    seal: bool = True
    displaces: bool = False
    excludes: tuple[str, ...] = ()
    claim_kinds: tuple[ClaimKind, ...] = (ClaimKind.CIVIL,)
    categories: tuple[Category, ...] = ()
    speciality: str = ""
    accepts: tuple[Condition, ...] = ()
    refuses: tuple[Ground, ...] = ()
    fail_grounds: tuple[FailGround, ...] = ()
    decisions: tuple[DecisionKind, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    papers: tuple[DocumentKind, ...] = ()
    effect_zh: str = ""
    effect_en: str = ""
    next: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """`<id>@<valid_from>`, the name a leg keeps."""
        return f"{self.id}@{self.valid_from}"


class Place(NamedTuple):
    """Where a moment happens: in a leg's procedure or a hand-off's link-up, in which form, at what body, and where."""

    procedure: str = ""
    link_up: str = ""
    variant: str = Variant.ORDINARY.value
    kind: OrgKind | None = None
    tier: Tier | None = None
    speciality: str = ""
    division: str = ""

    def fits(self, rule: Rule) -> bool:
        """Whether a rule speaks of this place (its region apart)."""
        return (
            (self.procedure in rule.procedures or self.link_up in rule.link_ups)
            and rule.variant in {None, self.variant}
            and (not rule.tiers or self.tier in rule.tiers)
            and (not rule.kinds or self.kind in rule.kinds)
            and rule.speciality in {"", self.speciality}
        )


_V = TypeVar("_V", Rule, Procedure)


class Laws:
    """Everything the law says as data. Versions of an id are sorted by the day from which they hold.

    `sources` names the files of the set with the SHA-256 of their bytes; `digest` is that of the set (hex), by which an
    event that starts or recounts a clock names it.
    """

    def __init__(
        self,
        rules: Mapping[str, tuple[Rule, ...]],
        procedures: Mapping[str, tuple[Procedure, ...]],
        calendar: WorkCalendar,
        sources: Mapping[str, str],
        digest: str,
    ) -> None:
        self.rules, self.procedures, self.calendar = rules, procedures, calendar
        self.sources, self.digest = sources, digest

    def rule(self, rule_id: str, on: Day, division: str = "") -> Rule | None:
        """The version of a rule in force on a day in a division (its code; "" is the nation), or None."""
        return _in_force(self.rules.get(rule_id, ()), on, division)

    def procedure(self, procedure_id: str, on: Day, division: str = "") -> Procedure | None:
        """The version of a procedure in force on a day in a division, or None."""
        return _in_force(self.procedures.get(procedure_id, ()), on, division)

    def version(self, name: str, division: str = "") -> Rule | None:
        """The rule version that an event of a body in this division cites as `<id>@<valid_from>`, or None."""
        return _named(self.rules, name, division)

    def procedure_of(self, leg: Leg, division: str = "") -> Procedure | None:
        """The procedure of a leg, in the version under which it was opened; None if it is in no pack any more."""
        return _named(self.procedures, leg.rule, division) or self.procedure(leg.procedure, leg.filed_on, division)

    def starting(self, moment: Moment, on: Day, at: "Place") -> list[Rule]:
        """The rules whose clocks a moment starts at this place: of each id the version in force."""
        found = []
        for rule_id in self._starts.get((moment, at.procedure or at.link_up), ()):
            rule = _in_force(filter(at.fits, self.rules[rule_id]), on, at.division)
            if rule and rule.value and moment in rule.starts:
                found.append(rule)
        return found

    def default_procedure(
        self, kind: OrgKind, category: Category, speciality: str, on: Day, division: str = ""
    ) -> Procedure | None:
        """The procedure a body uses for a category where the command names none: the most specific that fits."""
        in_force = (_in_force(versions, on, division) for versions in self.procedures.values())
        fitting = [
            p
            for p in in_force
            if p
            and kind in (p.default_of or p.kinds)
            and not p.by_link_up
            and not p.beside
            and (not p.categories or category in p.categories)
            and (not p.speciality or p.speciality == speciality)
        ]
        return max(fitting, key=lambda p: (bool(p.speciality), bool(p.categories), bool(p.division)), default=None)

    @cached_property
    def _starts(self) -> dict[tuple[Moment, str], list[str]]:
        """Ids of the rules by the moment and the procedure or link-up that start them: looked up in every step."""
        index: dict[tuple[Moment, str], dict[str, None]] = {}
        for versions in self.rules.values():
            for rule in versions:
                for moment in rule.starts:
                    for whose in (*rule.procedures, *rule.link_ups):
                        index.setdefault((moment, str(whose)), {})[rule.id] = None
        return {key: list(ids) for key, ids in index.items()}


def _in_force(versions: Iterable[_V], on: Day, division: str) -> _V | None:
    """Of the versions in force on a day those of the smallest region around the division, of these the newest."""
    found: _V | None = None
    for version in versions:
        if version.valid_from <= on and (not version.valid_to or on <= version.valid_to):
            here = not version.division or division.startswith(version.division)
            if here and (found is None or len(version.division) >= len(found.division)):
                found = version
    return found


def _named(kinds: Mapping[str, tuple[_V, ...]], name: str, division: str) -> _V | None:
    """The version of this name; where a region has one of the same name, its own bodies mean that."""
    of_id = kinds.get(name.partition("@")[0], ())
    named = [v for v in of_id if v.version == name and (not v.division or division.startswith(v.division))]
    return max(named, key=lambda v: len(v.division), default=None)
