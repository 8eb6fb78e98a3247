"""A mould: one history, decided step by step in the model village, of which the same history elsewhere is cast.

What a step changes follows from the case, the command, the day and the laws; ids, and which of several bodies of one
kind it is, go through it unchanged. So a history decided once says what `decide` would say of it in another village,
among other people, seconds later: its bytes are the same but for these names. `retold` decides a cast again, and says
whether that is so.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from operator import itemgetter
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from mediation.domain.calendar import SHANGHAI
from mediation.domain.commands import STEP, Command, File
from mediation.domain.decision import Decision, Digests, World, decide
from mediation.domain.errors import MediationError
from mediation.domain.events import Event, evolve
from mediation.domain.facts import Actor, Case
from mediation.domain.plausible import named_people
from mediation.domain.tallying import Tally, tallies
from mediation.domain.vocabulary import Role
from mediation.gateway.vault import words_of
from mediation.service.imagined import counties, townsfolk
from mediation.service.imagined.plots import disputes_like, more_parties, plots
from mediation.service.lawbook import load_laws
from mediation.service.naiman.chronicle import CLOCK, Chronicle, Line
from mediation.service.registry import org_id, person_id
from mediation.store.columns import CaseColumns, columns_of

NUMBER = "MOULD-NUMBER"
FIRST_SERIAL = 1_000_000
_ENDS = time(18)
_SOON, _A_MONTH = 0.93, 28
"""How many promise what is due within a month."""

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NAMES = re.compile(
    rf"{NUMBER}|papers/[0-9]+/|NM0525-MC-[0-9]+|[0-9a-f]{{64}}|{_UUID}|{counties.MODEL}|\x01[0-9 ]*\x02"
    r'|(?<!T16:00:)00\.000000Z|"[\w-]{43}"(?:,"[\w-]{43}")*'
)
"""Whatever a cast says otherwise. No step is taken at midnight, so what is to happen then is a day's and stays."""
_ALIKE = {"00.": "tail", "papers/": "papers", "NM0525": "docket"}


class Sketch(NamedTuple):
    """Which history is to be told: of the `number`-th mould, with what plot, filed on what day."""

    number: int
    plot: str
    day: date
    until: date


class Step(NamedTuple):
    """A step of a mould: its event, how the case stood after it, and what was said, by the name it is sealed under."""

    event: Event
    case: Case
    columns: CaseColumns
    words: Mapping[str, Mapping[str, Any]]
    brings: int


class Filled(NamedTuple):
    """A text with gaps: the text for `%`, and which of the values of a cast go into them."""

    text: str
    gaps: Callable[[Sequence[str]], tuple[str, ...]]

    def of(self, values: Sequence[str]) -> str:
        """The text with the values of one cast."""
        return self.text % self.gaps(values)


class Mould:
    """A decided history; `gaps` names every value that a cast fills in, `steps` is as it was decided."""

    def __init__(self, sketch: Sketch, seed: str) -> None:
        self.sketch = sketch
        self.dispute, self.lines = tell(sketch, seed)
        self.steps = _decided(self.lines, f"{seed}/{sketch.number}")
        self.case = self.steps[-1].case
        self.category = self.case.category.value
        self.gaps: dict[str, int] = {}
        self.codes: dict[str, str] = {}
        self.papers: dict[str, str] = {}
        self.arrays: dict[str, tuple[int, ...]] = {}
        for name in ("case", NUMBER, counties.MODEL, "tail", "papers", "docket"):
            self._gap(name)
        self._known = {self.case.id: "case"}
        for seq, step in enumerate(self.steps):
            event = step.event
            sealed = ",".join(f'"{digest}"' for digest in event.sd)
            after = self.steps[seq + 1].event.prev if seq + 1 < len(self.steps) else self.case.head
            own = {event.event: "event", event.request: "request", after: "leaf", sealed: "sealed"}
            for value, name in own.items():
                self._known[value] = f"{name} {seq}"
            for name in ("event", "request", "leaf", "sealed"):
                self._gap(f"{name} {seq}")

    def text(self, told: str) -> Filled:
        """A text in which this history is told, with gaps for what a cast says otherwise."""
        if "\\" in told.replace("\\N", ""):
            raise ValueError(told)  # it would have to be told to PostgreSQL in another way
        parts, gaps, at = list[str](), list[int](), 0
        for found in _NAMES.finditer(told):
            gap = self._place(found[0])
            if gap is not None:
                parts.append(told[at : found.start()].replace("%", "%%"))
                gaps.append(gap)
                at = found.end()
        text = "%s".join([*parts, told[at:].replace("%", "%%")])
        return Filled(text, _picking(gaps))

    def array(self, ids: Sequence[str]) -> str:
        """The ids of bodies or people as a PostgreSQL array, which a cast sorts anew."""
        if len(ids) < 2:  # noqa: PLR2004  # nothing to sort
            return "{" + "".join(ids) + "}"
        return f"\x01{' '.join(str(self._place(each)) for each in ids)}\x02"

    def _place(self, name: str) -> int | None:
        """Which gap what is named so goes into; None where every cast says the same."""
        name = self._known.get(name, name)
        if name not in self.gaps:
            if name.startswith("\x01"):
                self.arrays[name] = tuple(map(int, name[1:-1].split()))
            elif name in _codes():
                self.codes[name] = _codes()[name]
            elif name in self._refs():
                self.papers[name] = self._refs()[name]
            else:
                name = next((gap for start, gap in _ALIKE.items() if name.startswith(start)), "")
                return self.gaps[name] if name else None
        return self._gap(name)

    def _gap(self, name: str) -> int:
        return self.gaps.setdefault(name, len(self.gaps))

    @cache  # noqa: B019  # a mould lives as long as its casts are made
    def _refs(self) -> Mapping[str, str]:
        """The papers by their SHA-256: what is behind the number of the dispute in their reference."""
        return {paper.sha256: paper.ref.split("/", 2)[2] for paper in self.case.documents}


def _picking(gaps: Sequence[int]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    if len(gaps) > 1:
        return itemgetter(*gaps)
    return lambda values: tuple(values[gap] for gap in gaps)


def tell(sketch: Sketch, seed: str) -> tuple[dict[str, Any], list[Line]]:
    """The dispute of a sketch and the steps taken in it up to the day `until`; the same of the same seed."""
    chance = Random(f"{seed}/{sketch.number}")  # noqa: S311  # invented, and to be invented again
    plot = plots()[sketch.plot]
    dispute: dict[str, Any] = deepcopy(dict(chance.choice(disputes_like(sketch.plot))))
    dispute["id"] = FIRST_SERIAL + chance.randrange(1000, 9999)
    _in_other_words(dispute, sketch, chance)
    story = Chronicle(dispute, sketch.day, sketch.day + timedelta(days=plot.days), load_laws().calendar)
    plot.tell(story)
    last = datetime.combine(sketch.until, _ENDS, SHANGHAI).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return dispute, [line for line in story.lines if line.at <= last]


def _in_other_words(dispute: dict[str, Any], sketch: Sketch, chance: Random) -> None:
    """Whatever the demo says of the dispute in words, said with gaps; more people in it; other sums."""
    more_parties(dispute, chance)
    for party in dispute["parties"]:
        minor, legal = party.get("minor", False), party["kind"] == "legal"
        invented = townsfolk.person(chance, counties.MODEL, sketch.day, legal=legal, minor=minor)
        party.update({name: value for name, value in invented._asdict().items() if value is not None})
    scale = chance.choice((1, 1, 2, 3, 5)) * chance.randrange(4, 20)
    for owed in (*dispute["claims"], *dispute["obligations"]):
        if owed.get("amount_fen"):
            owed["amount_fen"] = owed["amount_fen"] * scale // 1000 * 100
    for claim in dispute["claims"]:
        claim["text"] = _CLAIMED.get(claim["what"], "{a}的其他请求")
    soon = chance.random() < _SOON
    for owed in dispute["obligations"]:
        owed["days"] = 1 + owed["days"] % _A_MONTH if soon else owed["days"]
        owed["text"] = _OWED.get(owed["what"], "{b}按约定履行")
    longest = "十五天内未能调成。" if "十五天" in dispute["facts"] else ""
    dispute.update(
        division=counties.MODEL, title="{a}与{b}的纠纷", facts="{facts}" + longest, note=_noted(dispute.get("note", ""))
    )


def _noted(note: str) -> str:
    for word, said in (("鉴定", "须先作鉴定"), ("死亡", "一方当事人死亡，等待继承人表明是否参加")):
        if word in note:
            return said
    return "{b}一方情况有变，已记录在案"


_CLAIMED = {
    "money": "请{b}赔偿{a}{yuan}元", "conduct": "请{b}停止侵害、恢复原状", "apology": "请{b}当面赔礼道歉",
    "return_property": "请{b}返还{a}的财物", "land_boundary": "请确定{a}与{b}的地界", "custody": "请{b}按月支付费用",
    "violation": "依法处理{b}的违法行为", "crime": "依法处理{b}的行为", "petition": "{a}反映的信访事项",
}  # fmt: skip
_OWED = {
    "money": "{b}按期付给{a}款项", "conduct": "{b}按约定恢复原状", "apology": "{b}向{a}赔礼道歉",
    "return_property": "{b}把财物还给{a}", "land_boundary": "{a}、{b}按新界使用土地", "custody": "{b}按月支付{a}费用",
}  # fmt: skip


def _decided(lines: Sequence[Line], seed: str) -> list[Step]:
    """Decide each step of a history in the model village."""
    chance = Random(f"{seed}/ids")  # noqa: S311  # they stand for ids that a cast makes
    case_id, case, steps = _id(chance), None, list[Step]()
    for line in lines:
        command = STEP.validate_python(line.body)
        words = words_of(command, case)
        count = len(command.parties) if isinstance(command, File) else 0
        sealed = [_digest(chance) for _ in range(count + sum(1 for said in words.values() if said))]
        digests = Digests(tuple(sealed[:count]), tuple(sealed[count:]))
        try:
            decision = taken(line, command, case, counties.MODEL, digests, NUMBER)
        except MediationError:
            if case is None:
                raise
            break  # the law does not let it go on as it is told: so far it went
        event = decision.event(case, event_id=_id(chance), case_id=case_id, request_id=_id(chance))
        case = evolve(case, event)
        said = {name: texts for name, texts in words.items() if texts}
        steps.append(Step(event, case, columns_of(case), said, count))
    return steps


def taken(line: Line, command: Command, case: Case | None, village: str, digests: Digests, number: str) -> Decision:
    """Decide one step, by whoever takes it in that village. Raises what `decide` raises."""
    body = counties.moved(line.org, village)
    clock = line.who == CLOCK
    actor = Actor(
        CLOCK if clock else person_id(counties.moved(line.who, village)),
        org_id(body),
        (Role.CLOCK,) if clock else counties.roles()[line.who],
    )
    people = {person: counties.staff(village)[person] for person in named_people(command)}
    world = World(load_laws(), counties.around(village), digests, case_number=number, people=people)
    return decide(case, command, actor, line.at, world)


def tallied(mould: Mould) -> list[Tally]:
    """What the steps of a history add to the statistics, in the model village."""
    before: list[Case | None] = [None, *(step.case for step in mould.steps)]
    return [one for earlier, step in zip(before, mould.steps, strict=False) for one in tallies(earlier, step.case)]


def _id(chance: Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


def _digest(chance: Random) -> str:
    return f"{chance.getrandbits(160):043x}"


@cache
def _codes() -> Mapping[str, str]:
    """The codes of all bodies and people that the model village meets, by their ids."""
    return {org_id(code): code for code in counties.body_codes()} | {person_id(code): code for code in counties.roles()}
