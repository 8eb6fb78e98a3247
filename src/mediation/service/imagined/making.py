"""A process that casts: it is told a task, and gives the lines of its cases; spans it leaves in files by day."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from mediation.domain.errors import MediationError
from mediation.service.imagined.casts import Caster, Form, Lines, Tallies
from mediation.service.imagined.moulds import Mould
from mediation.service.imagined.years import Task


class Untrue(MediationError):
    """A cast is not what is decided when its steps are decided one by one: nothing of it may be kept."""

    code = "untrue"
    zh = "合成的历史与逐步决定的结果不符，已全部放弃；请报告此问题"
    en = "What was synthesised is not what is decided step by step; nothing was kept. Please report it"


class Made(NamedTuple):
    """The lines of a task, by table; what it adds to the tallies; `retold`: the cases that were decided anew."""

    tables: Mapping[str, bytes]
    tallies: Tallies
    cases: int
    events: int
    event_bytes: int
    open_cases: int
    retold: tuple[str, ...]


class _Maker:
    """What a process keeps from task to task."""

    def __init__(self, key: bytes, seed: str, spool: Path) -> None:
        self.caster = Caster(key, seed)
        self.seed = seed
        self.spool = spool


_makers: list[_Maker] = []


def begin(key: bytes, seed: str, spool: Path) -> None:
    """Make this process ready; `spool` is a folder of its own."""
    _makers[:] = [_Maker(key, seed, spool)]


def make(task: Task) -> Made:
    """Cast a task's cases. Raises Untrue."""
    maker, lines = _makers[0], Lines()
    retold, states = list[str](), Counter[bool]()
    for sketch, castings, again in task:
        mould = Mould(sketch, maker.seed)
        form = Form(mould)
        for number, casting in enumerate(castings):
            data = maker.caster.cast(form, casting, lines)
            if again and number == 0:
                retold.append(lines.tables["cases"][-1].partition("\t")[0])
                if maker.caster.retold(Mould(sketch, maker.seed), casting) != data:
                    raise Untrue
        states[any(leg.open for leg in mould.case.legs)] += len(castings)
    for day, spans in lines.spans.items():
        with (maker.spool / day).open("ab") as out:
            out.write("".join(spans).encode())
    cases = sum(states.values())
    return Made(lines.joined(), lines.tallies, cases, lines.events, lines.event_bytes, states[True], tuple(retold))
