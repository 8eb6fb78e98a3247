"""A desk without a database: takes steps by `decide`, folds them, and keeps the bytes, as the corridor would."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tests.stories import cast

from mediation.domain.commands import STEP, Command, PartyIn
from mediation.domain.decision import Decision, Digests, World, decide
from mediation.domain.events import Event, evolve, parse
from mediation.domain.facts import Actor, Case, Organisation
from mediation.service.lawbook import load_laws

laws = cache(load_laws)


def _digest(word: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(word.encode()).digest()).decode().rstrip("=")


def _digests(command: Command) -> Digests:
    joining = [] if command.action == "record_consent" else getattr(command, "parties", [])
    people = [party for party in [*joining, *getattr(command, "join", [])] if isinstance(party, PartyIn)]
    words = command.model_dump_json(include={"text", "claim", "obligations", "documents", "plan", "prepare"})
    worded = '"text":"' in words or '"plan":"' in words or '"name":"' in words
    return Digests(tuple(_digest(party.name) for party in people), (_digest("text"),) if worded else ())


@dataclass
class Desk:
    """Cases in memory, each with the canonical bytes of its history."""

    orgs: Mapping[str, Organisation]
    cases: dict[str, Case] = field(default_factory=dict)
    histories: dict[str, list[bytes]] = field(default_factory=dict)
    people: Mapping[str, frozenset[str]] = field(default_factory=lambda: cast.PEOPLE)
    names: dict[str, list[str]] = field(default_factory=dict)
    """Of each case, what the vault would know: the names of its parties in order."""

    def world(self, other: Case | None = None, command: Command | None = None) -> World:
        """All that a decision may look at beside the case."""
        digests = _digests(command) if command else Digests()
        return World(laws(), self.orgs, digests, other, f"150525-2026-{len(self.cases) + 1:06}", (), self.people)

    def decide(self, name: str, body: dict[str, Any], actor: Actor, at: str, other: str = "") -> Decision:
        """What a step in the case of that name would change. Raises what `decide` raises."""
        command = STEP.validate_python(body)
        world = self.world(self.cases.get(other), command)._replace(known=self._known(name, other))
        return decide(self.cases.get(name), command, actor, at, world)

    def _known(self, name: str, other: str) -> tuple[int, ...]:
        case = self.cases.get(name)
        present = {party.id for party in case.present} if case else set()
        numbered = enumerate(self.names.get(name, ()), 1)
        here = {said: number for number, said in sorted(numbered, key=lambda pair: pair[0] in present)}
        return tuple(here.get(said, 0) for said in self.names.get(other, ()))

    def take(self, name: str, body: dict[str, Any], actor: Actor, at: str, other: str = "") -> Event:
        """Take a step in the case of that name (new, if there is none). Raises what `decide` raises."""
        decision = self.decide(name, body, actor, at, other)
        known = self.names.setdefault(name, [])
        joining = [
            party["name"] for field in ("parties", "join") for party in body.get(field, ()) if isinstance(party, dict)
        ]
        if decision.action == "absorb":
            before = len(self.cases[name].parties)
            numbers = zip(decision.attrs["parties_as"], self.names[other], strict=True)
            joining = [said for number, said in numbers if number > before]
        known += joining
        case = self.cases.get(name)
        case_id = case.id if case else str(uuid5(NAMESPACE_URL, f"case:{name}"))
        number = case.version if case else 0
        event = decision.event(
            case,
            event_id=str(uuid5(NAMESPACE_URL, f"event:{name}:{number}")),
            case_id=case_id,
            request_id=str(uuid5(NAMESPACE_URL, f"request:{name}:{number}")),
        )
        self.cases[name] = evolve(case, event)
        self.histories.setdefault(name, []).append(event.canonical)
        return event

    def replayed(self, name: str) -> Case:
        """The case as its bytes alone tell it."""
        case = None
        for data in self.histories[name]:
            case = evolve(case, parse(data))
        assert case is not None
        return case
