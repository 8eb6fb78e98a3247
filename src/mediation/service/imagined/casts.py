"""Cases cast of a mould, as the lines that PostgreSQL's COPY reads: events, the row of a case, and what is sealed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from random import Random
from typing import Any, NamedTuple

import msgspec

from mediation.domain.commands import STEP
from mediation.domain.decision import Digests
from mediation.domain.events import dump, evolve, parse
from mediation.gateway.vault import Sealed, Vault
from mediation.service.imagined import counties, townsfolk
from mediation.service.imagined.moulds import FIRST_SERIAL, NUMBER, Mould, taken, tallied
from mediation.service.registry import org_id, person_id
from mediation.store.columns import CaseColumns

Tallies = Counter[tuple[str, int, str, str, int]]

_MINUTE_US = 60_000_000
_VILLAGES_KNOWN = 4000
_NULL = "\\N"
_MEDIATOR = "-mediator-1"


class Casting(NamedTuple):
    """Which case is to be cast of a mould: the `serial`-th of all, in what village, under what number."""

    serial: int
    village: str
    number: str

    @property
    def other(self) -> bool:
        """Whether a body's second mediator handles it."""
        return self.serial % 2 == 1

    def moved(self, code: str) -> str:
        """The code of a body or person of the model village, as it is in this case."""
        here = counties.moved(code, self.village)
        return f"{here[:-1]}2" if self.other and here.endswith(_MEDIATOR) else here

    def id_of(self, code: str) -> str:
        """The id of a body or person of the model village, as it is in this case."""
        here = self.moved(code)
        return person_id(here) if code in counties.roles() else org_id(here)


class Lines:
    """Lines for COPY by table, the rows of `spans` by day, and what adds to the tallies."""

    def __init__(self) -> None:
        self.tables: dict[str, list[str]] = {name: [] for name in TABLES}
        self.spans: dict[str, list[str]] = {}
        self.tallies: Tallies = Counter()
        self.events = self.event_bytes = 0

    def joined(self) -> dict[str, bytes]:
        """The lines of each table, as COPY takes them."""
        return {name: "".join(lines).encode() for name, lines in self.tables.items() if lines}


TABLES = {
    "cases": " ".join(("id", "number", "version", "filed_at", "facts", *CaseColumns._fields)),
    "events": "id case_id seq bytes",
    "worklists": "org case_id state due_on inbound outbound holder category late_at",
    "vault_keys": "case_id subject wrapped",
    "vault": "case_id subject digest name sealed blind blind_id",
    "vault_words": "case_id digest subject grams lists",
}
"""The tables that are filled, in this order, and the columns of a line."""
SPAN_COLUMNS = (
    "position event case_id seq since until action org actor role basis before state holder open_orgs category "
    "division late_at was_late"
)
SPAN_KEY = 27 + 64
"""A line of `Lines.spans` begins with the instant and the leaf's hash; the columns after `position` follow."""


class Form:
    """A mould with every line of its casts made ready."""

    def __init__(self, mould: Mould) -> None:
        steps, dispute = mould.steps, mould.dispute
        self.mould = mould
        self.canonical = [mould.text(step.event.canonical.decode()) for step in steps]
        self.row = mould.text(self._row())
        self.spans = [(step.event.at[:10], mould.text(self._span(seq))) for seq, step in enumerate(steps)]
        self.listed = mould.text("".join(self._listed()))
        self.tallies = [
            (mould.text(one.org), (one.year, one.category, one.what, one.days), one.more) for one in tallied(mould)
        ]
        self.minutes = [int(datetime.fromisoformat(step.event.at).timestamp() * 1000) for step in steps]
        self.people = [(party["kind"], party["side"], party.get("minor", False)) for party in dispute["parties"]]
        self.yuan = next((one["amount_fen"] // 100 for one in dispute["claims"] if one.get("amount_fen")), 500)
        gaps = mould.gaps
        self.number, self.division, self.tail = gaps[NUMBER], gaps[counties.MODEL], gaps["tail"]
        self.ref, self.docket = gaps["papers"], gaps["docket"]
        self.own = [
            (gaps[f"event {seq}"], gaps[f"request {seq}"], gaps[f"leaf {seq}"], gaps[f"sealed {seq}"])
            for seq in range(len(steps))
        ]
        self.named = [(code, gaps[id_]) for id_, code in mould.codes.items()]
        self.papers = [(paper, gaps[hashed]) for hashed, paper in mould.papers.items()]
        self.sorted = [(members, gaps[marked]) for marked, members in mould.arrays.items()]

    def _row(self) -> str:
        case, columns = self.mould.case, self.mould.steps[-1].columns
        cells = (case.id, case.number, case.version, self.mould.steps[0].event.at, dump(case).decode(), *columns)
        return self._line(*cells)

    def _span(self, seq: int) -> str:
        steps = self.mould.steps
        event, columns = steps[seq].event, steps[seq].columns
        until, leaf = (
            (steps[seq + 1].event.at, steps[seq + 1].event.prev)
            if seq + 1 < len(steps)
            else (None, self.mould.case.head)
        )
        late = steps[seq - 1].columns.late_at if seq else None
        basis = "{" + ",".join(f'"{article}"' for article in event.basis) + "}"
        return f"{event.at}{leaf}" + self._line(
            event.event, event.case, event.seq, event.at, until, event.action, event.org or None, event.actor,
            event.role, basis, event.from_, event.to, columns.holder, columns.open_orgs, columns.category,
            columns.division, columns.late_at, late is not None and late <= event.at,
        )  # fmt: skip

    def _listed(self) -> list[str]:
        case, columns = self.mould.case, self.mould.steps[-1].columns
        known = counties.around(counties.MODEL)
        there = sorted({above for org in columns.orgs for above in (org, *known[org].path)})
        said = (columns.holder, columns.category, columns.late_at)
        return [
            self._line(
                *(org, case.id, columns.state, columns.due_on, org in columns.inbound, org in columns.outbound), *said
            )
            for org in there
        ]

    def _line(self, *cells: object) -> str:
        return "\t".join(map(self._cell, cells)) + "\n"

    def _cell(self, value: object) -> str:
        if isinstance(value, list):
            return self.mould.array(value)
        if isinstance(value, bool):
            return "t" if value else "f"
        return _NULL if value is None else str(value)


class Caster:
    """Casts cases in any village; what is sealed is salted by `salts`, so that one seed makes the same events."""

    def __init__(self, key: bytes, seed: str) -> None:
        self._seed = seed
        self._chance = Random()  # noqa: S311  # what is invented is to be invented again
        self._vault = Vault(key, self._chance.randbytes)
        self._ids: dict[tuple[str, bool], dict[str, str]] = {}

    def cast(self, form: Form, casting: Casting, lines: Lines) -> list[bytes]:
        """Write the lines of one case; gives the bytes of its events."""
        self._chance.seed(f"{self._seed}/case/{casting.serial}")
        values = self._values(form, casting)
        told, people = self._told(form, casting)
        case_id, tables = values[0], lines.tables
        data, text_key = list[bytes](), b""
        listed = form.listed.of(values)
        lists = ",".join(sorted(line.partition("\t")[0] for line in listed.splitlines()))
        for step, canonical, (event, _, leaf, sealed) in zip(form.mould.steps, form.canonical, form.own, strict=True):
            rows = [self._vault.seal_party(case_id, n, who) for n, who in enumerate(people[: step.brings], 1)]
            for name, said in step.words.items():
                row = self._vault.seal_words(case_id, name, _filled(said, told), text_key)
                text_key = text_key or row.wrapped
                rows.append(row)
            if rows:
                values[sealed] = ",".join(sorted([f'"{row.digest}"' for row in rows]))
                _stored(case_id, rows, lists, tables)
            text = canonical.of(values)
            data.append(text.encode())
            values[leaf] = sha256(b"\x00" + data[-1]).hexdigest()
            tables["events"].append(f"{values[event]}\t{case_id}\t{step.event.seq}\t{text}\n")
        for day, span in form.spans:
            lines.spans.setdefault(day, []).append(span.of(values))
        tables["cases"].append(form.row.of(values))
        tables["worklists"].append(listed)
        for org, what, more in form.tallies:
            lines.tallies[(org.of(values), *what)] += more
        lines.events += len(data)
        lines.event_bytes += sum(map(len, data))
        return data

    def _values(self, form: Form, casting: Casting) -> list[str]:
        village, serial = casting.village, FIRST_SERIAL + casting.serial
        values = [""] * len(form.mould.gaps)
        micros = int(self._chance.random() * _MINUTE_US)
        later = micros // 1000
        wide = 2 * len(form.minutes) + 1
        drawn = f"{self._chance.getrandbits(76 * wide):0{19 * wide}x}"
        values[0] = _uuid7(form.minutes[0] + later, drawn)
        values[form.number] = casting.number
        values[form.division] = village
        values[form.tail] = f"{micros // 1_000_000:02}.{micros % 1_000_000:06}Z"
        values[form.ref], values[form.docket] = f"papers/{serial}/", f"NM0525-MC-{serial}"
        at = 19
        for minute, (event, request, _, _) in zip(form.minutes, form.own, strict=True):
            values[event] = _uuid7(minute + later, drawn[at:])
            values[request] = _uuid7(minute + later, drawn[at + 19 :])
            at += 38
        if len(self._ids) > _VILLAGES_KNOWN:
            self._ids.clear()
        ids = self._ids.setdefault((village, casting.other), {})
        for code, gap in form.named:
            values[gap] = ids.get(code) or ids.setdefault(code, casting.id_of(code))
        for paper, gap in form.papers:
            values[gap] = sha256(f"{serial}/{paper}".encode()).hexdigest()
        for members, gap in form.sorted:
            values[gap] = "{" + ",".join(sorted([values[member] for member in members])) + "}"
        return values

    def _told(self, form: Form, casting: Casting) -> tuple[dict[str, str], list[dict[str, str | None]]]:
        """What fills the gaps of what is said, and the parties."""
        village, day = casting.village, form.mould.sketch.day
        where = counties.places()[village[6:]]
        some = [
            (kind, side, townsfolk.person(self._chance, where, day, legal=kind == "legal", minor=minor))
            for kind, side, minor in form.people
        ]
        first = {side: who.name for _, side, who in reversed(some)}
        told = {
            "a": first["applicant"],
            "b": first["respondent"],
            "day": f"{day.month}月{day.day}日",
            "yuan": str(form.yuan),
        }
        told["facts"] = townsfolk.facts(self._chance, form.mould.category, told)
        return told, [{"kind": kind, **who._asdict()} for kind, _, who in some]

    def retold(self, mould: Mould, casting: Casting) -> list[bytes]:
        """The bytes of the events of a case, each step decided for itself where it is taken: as `cast` writes them.

        Raises whatever `decide` raises.
        """
        bodies = [mould.text(msgspec.json.encode(line.body).decode()) for line in mould.lines]
        instants = [mould.text(line.at) for line in mould.lines]
        form, data, case = Form(mould), list[bytes](), None
        events = [parse(one) for one in self.cast(form, casting, Lines())]
        self._chance.seed(f"{self._seed}/case/{casting.serial}")
        values = self._values(form, casting)
        _, people = self._told(form, casting)
        for event, body, at, line, step in zip(events, bodies, instants, mould.lines, mould.steps, strict=False):
            told = msgspec.json.decode(body.of(values))
            for party, who in zip(told.get("parties", ()) if step.brings else (), people, strict=False):
                party.update({name: value for name, value in who.items() if value})
            actor = f"{line.who[:-1]}2" if casting.other and line.who.endswith(_MEDIATOR) else line.who
            digests = Digests(event.sd[: step.brings], event.sd[step.brings :])
            taken_by = line._replace(who=actor, at=at.of(values))
            decision = taken(taken_by, STEP.validate_python(told), case, casting.village, digests, casting.number)
            made = decision.event(case, event_id=event.event, case_id=event.case, request_id=event.request)
            case = evolve(case, made)
            data.append(made.canonical)
        return data


def _filled(said: Mapping[str, Any], told: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: text.format_map(told) if isinstance(text, str) else {n: each.format_map(told) for n, each in text.items()}
        for name, text in said.items()
    }


def _stored(case_id: str, rows: Sequence[Sealed], lists: str, tables: Mapping[str, list[str]]) -> None:
    """The lines of what is sealed, its keys, and by what it is found."""
    for row in rows:
        blind, blind_id = (f"\\\\x{index.hex()}" if index else _NULL for index in (row.blind, row.blind_id))
        sealed = f"\\\\x{row.sealed.hex()}"
        tables["vault"].append(f"{case_id}\t{row.subject}\t{row.digest}\t{row.name}\t{sealed}\t{blind}\t{blind_id}\n")
        if row.wrapped:
            tables["vault_keys"].append(f"{case_id}\t{row.subject}\t\\\\x{row.wrapped.hex()}\n")
        if row.grams:
            grams = ",".join(map(str, row.grams))
            tables["vault_words"].append(f"{case_id}\t{row.digest}\t{row.subject}\t{{{grams}}}\t{{{lists}}}\n")


def _uuid7(millis: int, drawn: str) -> str:
    """A UUIDv7 (RFC 9562 §5.7) of an instant and nineteen random hexadecimal digits."""
    at = f"{millis:012x}"
    variant = "89ab"[int(drawn[3], 16) & 3]
    return f"{at[:8]}-{at[8:]}-7{drawn[:3]}-{variant}{drawn[4:7]}-{drawn[7:19]}"
