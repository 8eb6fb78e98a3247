"""What the service really sends to the database for a request, read from the server's own log, as a script of pgbench.

No statement is written twice by hand: a request is served while the server logs statements with their values, and the
script holds these very statements. What cannot be sent twice as it was is found by its value: the case, its version
(one more in the next step of that case), the id of the event, the key, the number, the hashes of the people. A script
that takes steps has cases of its own (`stock.own`), one for each client. What scripts write has ids between `LOWEST`
and `HIGHEST`, and `swept` takes it out again: the sequencer would find that all these events are of the same bytes.
"""

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2
import psycopg
from ground import House, served
from load import Call
from workloads import Workload

LOWEST, HIGHEST = "00000000-0000-7bec-8000-000000000000", "00000000-0000-7bec-9000-ffffffffffff"
_FRESH = "('00000000-0000-7bec-{group}-' || lpad(to_hex(:client_id::bigint * 100000000 + :{counter}), 12, '0'))"
_STEP, _NEW = _FRESH.format(group="8000", counter="n"), _FRESH.format(group="9000", counter="m")
_KEYS = {True: "('bench' || :client_id || 'x' || :n)", False: "('bench' || :client_id || 'y' || :m)"}
_NEVER = {"spans"}  # written by the sequencer, which saw none of it
_SETTINGS = {
    "log_statement": "all",
    "log_parameter_max_length": "-1",
    "log_error_verbosity": "default",  # terse leaves the values out
    "log_min_messages": "log",
}
_LINE = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \S+ \[(\d+)\] (LOG|DETAIL): {2}(.*)$")
_SENT = re.compile(r"(?:statement|execute [^:]+): (.*)", re.DOTALL)
_CASE_NUMBER = re.compile(r".+-\d{4}-\d{6}")
_BLIND = re.compile(r"(?<=x)[0-9a-f]{64}")
_PERSON = "md5('{place}' || :client_id || 'x' || :m) || md5('{place}' || :client_id || 'y' || :m)"
_VALUE = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")


class Sent(NamedTuple):
    """A statement as it was sent, and its values in order (None is null)."""

    text: str
    values: tuple[str | None, ...] = ()


class Captured(NamedTuple):
    """A request with what was sent for it, and what is known of it: case, version, event, key; `lines` of a stream."""

    call: Mapping[str, Any]
    statements: tuple[Sent, ...]
    known: Mapping[str, str]
    next_version: tuple[Sent, ...] = ()
    lines: int = 1


class Listener:
    """Reads what the server logs while one request after another is served."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._log = house.server.cluster.log

    @contextmanager
    def listening(self) -> Any:  # noqa: ANN401  # a context manager's iterator
        """Let sessions that begin now log what they are sent, of this database alone."""
        with psycopg.connect(self._house.superuser, autocommit=True) as superuser:
            name = psycopg.sql.Identifier(self._house.name)
            for setting, value in _SETTINGS.items():
                superuser.execute(
                    psycopg.sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                        name, psycopg.sql.Identifier(setting), value
                    )
                )
            try:
                with (
                    served(self._house, 1, logged=False) as (url, _),
                    httpx2.Client(base_url=url, timeout=60) as client,
                ):
                    yield client
            finally:
                for setting in _SETTINGS:
                    superuser.execute(
                        psycopg.sql.SQL("ALTER DATABASE {} RESET {}").format(name, psycopg.sql.Identifier(setting))
                    )

    def capture(
        self, client: httpx2.Client, workload: Workload, rows: Mapping[str, Sequence[dict[str, Any]]], count: int
    ) -> list[Captured]:
        """So many requests of each call of a workload, with what was sent for each."""
        found = []
        for call in workload.calls:
            moves, deck = bool(call.get("moves")), rows[call["deck"]]
            some = deck[:1] if moves else deck[:count]
            for row in some:
                self._ask(client, call, row)  # the first of a connection prepares and looks up what the next need not
                one = self._ask(client, call, row)
                found.append(one._replace(next_version=self._ask(client, call, row).statements) if moves else one)
        return found

    def _ask(self, client: httpx2.Client, call: Mapping[str, Any], row: dict[str, Any]) -> Captured:
        key, version = uuid4().hex, str(row.get("version", ""))
        head, _, body = Call(dict(call), "x").made(row, key).partition(b"\r\n\r\n")
        _, path, _ = head.split(b"\r\n")[0].decode().split(" ", 2)
        headers = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n")[1:])
        begun = self._log.stat().st_size
        with client.stream(call["method"], path, headers=headers, content=body or None) as said:
            text = said.read()
        assert said.status_code in call["right"], f"{path}: {said.status_code} {text[:600]!r}"
        time.sleep(0.02)  # what is sent after the answer is no part of it, but the log may lag behind
        with self._log.open("rb") as log:
            log.seek(begun)
            sent = _read(log.read().decode())
        known = {"version": version, "key": key}
        if call.get("moves") or call["deck"] == "filings":
            event = said.json()
            known |= {"case": event["case"], "event": event["event"]}
            row["version"] = event["seq"]
            filing = next((one for one in sent if "prepare_filing(" in one.text), Sent(""))
            known["people"] = "|".join(dict.fromkeys(_BLIND.findall(" ".join(filter(None, filing.values)))))
        return Captured(call, tuple(sent), known, lines=text.count(b"\n") if call.get("streams") else 1)


def _read(log: str) -> list[Sent]:
    """The statements in a stretch of the server's log, in order."""
    entries: list[list[str]] = []
    for line in log.splitlines():
        if match := _LINE.match(line):
            entries.append([match[2], match[3]])
        elif entries:
            entries[-1][1] += "\n" + line.removeprefix("\t")
    found: list[Sent] = []
    for kind, text in entries:
        if kind == "LOG" and (match := _SENT.fullmatch(text)):
            found.append(Sent(match[1]))
        elif kind == "DETAIL" and text.lower().startswith("parameters: ") and found:
            values = (None if value == "NULL" else value[1:-1].replace("''", "'") for _, value in _VALUE.findall(text))
            found[-1] = found[-1]._replace(values=tuple(values))
    return found


# ── as a script of pgbench ──


def script(one: Captured, cases: Sequence[str], versions: Sequence[int]) -> str:
    """The statements of a request; of a step, in the case of the client, whose versions it counts."""
    made = []
    later = [sent.values for sent in one.next_version]
    for place, sent in enumerate(one.statements):
        then = later[place] if place < len(later) and len(later[place]) == len(sent.values) else sent.values
        pairs = zip(sent.values, then, strict=True)
        shown = [_shown(value, after, one, sent.text) for value, after in pairs]
        made.append(
            re.sub(r"\$(\d+)", lambda found, shown=shown: shown[int(found[1]) - 1], sent.text).strip().rstrip(";")
        )
    lines = _together([f"{text};\n" for text in made])
    if one.call.get("moves"):
        ours = "ARRAY[" + ",".join(f"'{case}'" for case in cases) + "]::uuid[]"
        begun = "ARRAY[" + ",".join(map(str, versions)) + "]"
        lines = [line.replace(_CASES, f"({ours})[:client_id + 1]") for line in lines]
        (write,) = (place for place, line in enumerate(lines) if "write_step(" in line)
        check = "\\if :written\n\\set n :n + 1\n\\else\nSELECT 1 / 0;\n\\endif\n"
        lines[write] = f"{lines[write].removesuffix(';' + chr(10))} AS written \\gset\n{check}"
        lines.insert(0, f"\\if :n = 0\nSELECT ({begun})[:client_id + 1] AS n \\gset\n\\endif\n")
    elif one.call["deck"] == "filings":
        lines.insert(0, "\\set m :m + 1\n")
    return "".join(lines)


def _together(lines: Sequence[str]) -> list[str]:
    """In one pipeline what is one transaction without saying so: who asks, and then what is asked (`Line.together`)."""
    said, piped, begun = list[str](), False, False
    for line in lines:
        begun = (begun or line == "BEGIN;\n") and line not in {"COMMIT;\n", "ROLLBACK;\n"}
        if line.startswith("SELECT enter(") and not begun:
            said.append("\\startpipeline\n")
            piped = True
        said.append(line)
        if piped and not line.startswith(("SELECT enter(", "SELECT set_config(")):
            said.append("\\endpipeline\n")
            piped = False
    return said


_CASES = "(the cases)"


def _shown(value: str | None, after: str | None, one: Captured, text: str) -> str:
    known, moves = one.known, bool(one.call.get("moves"))
    if value is None:
        return "NULL"
    if "case" in known:
        fresh = _STEP if moves else _NEW
        if value == known["case"]:
            return _CASES if moves else f"{fresh}::uuid"
        if value == known["event"]:
            return f"{fresh}::uuid"
        if value == known["key"]:
            return _KEYS[moves]
        if "open_case" in text and _CASE_NUMBER.fullmatch(value):
            return fresh
        if moves and value == known["version"] and after == str(int(value) + 1):
            return ":n"
        # Who is filed twice with the same people is looked up among all that were: so every client files other people.
        if not moves and known["people"]:
            parts = re.split(f"({known['people']})", value)
            people = known["people"].split("|")
            made = (_PERSON.format(place=people.index(part)) if part in people else _literal(part) for part in parts)
            return f"({' || '.join(made)})" if len(parts) > 1 else _literal(value)
    return _literal(value)


def _literal(value: str) -> str:
    """A literal without a colon, which pgbench would take for the beginning of a variable."""
    told = value.replace("\\", "\\\\").replace("'", "''").replace(":", "\\072").replace("\n", "\\n")
    return f"E'{told}'" if "\\" in told else f"'{told}'"


def swept(house: House) -> None:
    """Take out what the scripts left: the sequencer never sees it, and no list."""
    between = f"BETWEEN '{LOWEST}' AND '{HIGHEST}'"
    with psycopg.connect(house.superuser) as superuser:
        superuser.execute("SET session_replication_role = replica")
        tables = superuser.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'case_id' "
            "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace"
        ).fetchall()
        superuser.execute(f"DELETE FROM outbox WHERE event {between}".encode())
        superuser.execute(b"DELETE FROM event_keys WHERE key LIKE 'bench%' AND event " + between.encode())
        for table in {name for (name,) in tables} - _NEVER:
            superuser.execute(f"DELETE FROM {table} WHERE case_id {between}".encode())
        superuser.execute(f"DELETE FROM cases WHERE id {between}".encode())
