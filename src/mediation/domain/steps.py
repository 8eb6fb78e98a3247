"""One step as it is asked for, and the changes that it makes."""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from msgspec import structs

from mediation.domain.calendar import day_of
from mediation.domain.commands import Command
from mediation.domain.events import HEADER, PARTS, merge
from mediation.domain.facts import Actor, Agreement, Case, Day, Handoff, Leg, Organisation
from mediation.domain.laws import Laws, Procedure
from mediation.domain.vocabulary import Letter, Role

OF_THE_PROCESS = "OUR-5"
"""What the process asks of every procedure, and no text of it says (docs/decisions/0007)."""


class Step(NamedTuple):
    """One asked-for step with all that guards and effects may look at."""

    case: Case
    leg: Leg | None
    handoff: Handoff | None
    agreement: Agreement | None
    command: Command
    actor: Actor
    role: Role
    letter: Letter
    at: str
    laws: Laws
    orgs: Mapping[str, Organisation]
    other: Case | None = None
    case_number: str = ""
    people: Mapping[str, frozenset[str]] = {}

    @property
    def on(self) -> date:
        """The legal day of the step."""
        return day_of(self.at)

    @property
    def here(self) -> Leg:
        """The leg it is about; LookupError where it opens one."""
        if self.leg is None:
            raise LookupError(self.command)
        return self.leg

    @property
    def procedure(self) -> Procedure | None:
        """The procedure of the leg."""
        return procedure_of(self, self.leg) if self.leg else None

    @property
    def org(self) -> Organisation:
        """The actor's body."""
        return self.orgs[self.actor.org]

    @property
    def concerned(self) -> tuple[int, ...]:
        """Parties, not gone, with a claim of the leg (or named) on either side."""
        numbers = self.command.claims or (self.leg.claims if self.leg else ())
        claims = [claim for claim in self.case.claims if claim.id in numbers]
        named = {party for claim in claims for party in (*claim.by, *claim.against)}
        present = [party.id for party in self.case.present]
        return tuple(party for party in present if party in named) if named else tuple(present)


def procedure_of(step: Step, leg: Leg) -> Procedure | None:
    """The procedure of a leg, in the version it was opened under."""
    body = step.orgs.get(leg.org)
    return step.laws.procedure_of(leg, body.division if body else "")


_DEFAULTS = {part: {field.name: field.default for field in structs.fields(kind)} for part, kind in PARTS.items()}


def fitting(procedure: Procedure | None, *articles: str) -> tuple[str, ...]:
    """Of these articles those of a text that speaks of the procedure; none does: the policy of this service."""
    own = tuple(article for article in articles if procedure and article.partition("-")[0] in procedure.texts)
    return own or (OF_THE_PROCESS,)


class Changes:
    """Collects changes by part and number; `case` is the case with all of them."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.case = step.case
        self.day: Day = step.on.isoformat()
        self.basis: list[str] = []
        self.notes: dict[str, Any] = {}
        self._parts: dict[str, dict[int, dict[str, Any]]] = {}
        self._header: dict[str, Any] = {}

    def put(self, part: str, number: int, /, **facts: Any) -> None:  # noqa: ANN401 - facts of any part
        """Change facts of one part."""
        self._parts.setdefault(part, {}).setdefault(number, {"id": number}).update(facts)
        self.case = merge(self.case, {part: [{"id": number, **facts}]})

    def add(self, part: str, /, **facts: Any) -> int:  # noqa: ANN401 - facts of any part
        """Add a part, leaving out what equals its default; its number."""
        number = len(getattr(self.case, part)) + 1
        defaults = _DEFAULTS[part]
        self.put(part, number, **{name: value for name, value in facts.items() if value != defaults[name]})
        return number

    def header(self, **facts: Any) -> None:  # noqa: ANN401 - facts of any part
        """Change header facts."""
        assert facts.keys() <= HEADER  # noqa: S101 - a programming error, not an input
        self._header.update(facts)
        self.case = merge(self.case, {"case": facts})

    def attrs(self) -> dict[str, Any]:
        """The event's attributes: notes, then every part that moved."""
        parts = {name: [facts[number] for number in sorted(facts)] for name, facts in self._parts.items()}
        return {**self.notes, **({"case": self._header} if self._header else {}), **parts}

    def leg(self, number: int) -> Leg:
        """The leg as it stands with these changes."""
        return self.case.leg(number)
