r"""The clients of an API in a process of their own: `load.py PLAN` loads whatever speaks HTTP at the plan's address.

Closed loop: a client sends its next request once it has the answer to the last; where the plan names a pace, it sends
at given moments instead, and counts the time from the moment at which it should have sent. A plan is JSON:

    {"url": "http://127.0.0.1:8000", "clients": 16, "warm_s": 1, "seconds": 5,
     "calls": [{"weight": 1, "deck": "cases", "moves": true, "method": "POST", "path": "/v1/cases/{{case}}/events",
                "headers": {"If-Match": "\"{{version}}\"", "Idempotency-Key": "{{key}}"}, "body": "{…}",
                "right": [201]}],
     "decks": {"cases": [{"case": "…", "version": 2, "token": "…"}]}}

Optional: `streams` of a call (the lines of its answer are counted as they come), `pace` (requests a second of all
clients), `every_s` (tell of each such stretch), `seed`. A request is made of a call and a row of its deck, each client
going round rows that no other client has; `{{key}}`, and `{{resident_id}}` in a body, are new every time, and a call
that `moves` adds one to the row's `version` when it was answered. It tells in JSON, a line each: `steady` once it is
warm, `stretch` after each stretch, and at the end `over`, with the rows whose version moved. Any other status than
those that are `right` ends the run: the line is then `wrong`.
"""

import asyncio
import gc
import json
import random
import re
import sys
import time
from operator import mul
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import uvloop

_HOLE = re.compile(r"(\{\{\w+\}\})")
_LATE = {"{{key}}", "{{version}}", "{{resident_id}}"}
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_DAYS = [f"{year}{month:02}{day:02}" for year in range(1950, 2000) for month in range(1, 13) for day in range(1, 29)]
_SHOWN = 600


class Wrong(Exception):
    """An answer with a status that is not right."""


class Call:
    """A kind of request: text with holes, those that a row fills filled once."""

    def __init__(self, said: dict[str, Any], host: str) -> None:
        self.weight, self.deck, self.moves = said.get("weight", 1), said["deck"], said.get("moves", False)
        self.right, self.streams = set(said["right"]), bool(said.get("streams"))
        self._body = said.get("body") or ""
        lines = [f"{said['method']} {said['path']} HTTP/1.1", f"Host: {host}", "Connection: keep-alive"]
        self._head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in said["headers"].items())])
        self._made: dict[int, list[bytes]] = {}

    def made(self, row: dict[str, Any], key: str = "") -> bytes:
        """The bytes of a request for a row, under this key or a new one."""
        parts = self._made.get(id(row))
        if parts is None:
            parts = self._made[id(row)] = self._parts(row)
        if len(parts) == 1:
            return parts[0]
        late = {b"{{key}}": (key or uuid4().hex).encode(), b"{{version}}": str(row.get("version")).encode()}
        return b"".join(resident_id() if part == b"{{resident_id}}" else late.get(part, part) for part in parts)

    def _parts(self, row: dict[str, Any]) -> list[bytes]:
        def filled(text: str) -> str:
            return "".join(
                str(row[part[2:-2]]) if _HOLE.fullmatch(part) and part not in _LATE else part
                for part in _HOLE.split(text)
            )

        body = filled(self._body).encode()
        length = len(body) + body.count(b"{{resident_id}}") * (18 - len(b"{{resident_id}}"))
        head = filled(self._head) + (f"\r\nContent-Length: {length}" if body else "") + "\r\n\r\n"
        return [part.encode() for part in _HOLE.split(head + body.decode())]


def resident_id() -> bytes:
    """The number of nobody, another every time: 150599 is no division (GB 11643)."""
    digits = f"150599{random.choice(_DAYS)}{random.randrange(1000):03}"
    return (digits + "10X98765432"[sum(map(mul, map(int, digits), _WEIGHTS)) % 11]).encode()


class Client:
    """One connection that keeps alive, with as little between the socket and the clock as Python allows."""

    def __init__(self, run: "Run", number: int, rows: dict[str, list[dict[str, Any]]]) -> None:
        self._run, self._rows = run, rows
        self._chance = random.Random(run.seed * 1000 + number)
        self._turn = dict.fromkeys(rows, 0)

    async def go(self, first: float) -> None:
        """Ask until the time is over; `first` is the moment of the first request, and then its pace decides."""
        reader, writer = await asyncio.open_connection(self._run.host, self._run.port)
        run, calls = self._run, self._run.calls
        weights = [call.weight for call in calls]
        due = first
        try:
            while True:
                call = calls[0] if len(calls) == 1 else self._chance.choices(calls, weights)[0]
                rows = self._rows[call.deck]
                row = rows[self._turn[call.deck] % len(rows)]
                self._turn[call.deck] += 1
                if run.each_s:
                    await asyncio.sleep(max(0.0, due - time.perf_counter()))
                began = due if run.each_s else time.perf_counter()
                if time.perf_counter() >= run.until:
                    return
                request = call.made(row)
                writer.write(request)
                status, head, body = await self._answer(reader, call)
                if status not in call.right:
                    raise Wrong(_told(request, head, body))
                if call.moves:
                    row["version"] += 1
                run.note(began, time.perf_counter())
                due += run.each_s
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, call: Call) -> tuple[int, bytes, bytes]:
        head = await reader.readuntil(b"\r\n\r\n")
        lowered, status = head.lower(), int(head[9:12])
        start = lowered.find(b"content-length:")
        if start >= 0:
            start += 15
            length = int(lowered[start : lowered.index(b"\r\n", start)])
            body = await reader.readexactly(length)
            self._run.bytes += length
            return status, head, body
        body = b""
        if b"transfer-encoding: chunked" in lowered:
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                chunk = (await reader.readexactly(size + 2))[:-2]
                self._run.bytes += size
                if call.streams:
                    if time.perf_counter() > self._run.until:
                        raise EOFError  # whoever has read enough goes away
                    self._run.lines += chunk.count(b"\n") if self._run.steady else 0
                elif len(body) < _SHOWN:
                    body += chunk
            await reader.readuntil(b"\r\n")
        return status, head, body


class Run:
    """What all clients of a plan did."""

    def __init__(self, plan: dict[str, Any]) -> None:
        there = urlsplit(plan["url"])
        self.host, self.port = there.hostname or "127.0.0.1", there.port or 80
        self.calls = [Call(said, self.host) for said in plan["calls"]]
        self.seed = plan.get("seed", 1)
        self.clients = plan["clients"]
        self.warm_s, self.seconds = plan["warm_s"], plan["seconds"]
        self.every_s = plan.get("every_s", 0.0)
        self.each_s = self.clients / plan["pace"] if plan.get("pace") else 0.0
        self.decks: dict[str, list[dict[str, Any]]] = plan["decks"]
        self.steady, self.since, self.until = False, 0.0, float("inf")
        self.took: list[float] = []
        self.lines = self.bytes = 0
        self._told = 0

    def note(self, began: float, now: float) -> None:
        """A request was answered: it counts where that was within the steady time."""
        if self.steady and now <= self.until:
            self.took.append(now - began)

    async def go(self) -> dict[str, Any]:
        """Warm up, ask steadily, and say what was found."""
        now = time.perf_counter()
        spread = [now + number * self.each_s / self.clients for number in range(self.clients)]
        asking = asyncio.gather(*(self._client(number).go(spread[number]) for number in range(self.clients)))
        timing = asyncio.create_task(self._time())
        try:
            await asking
        except EOFError:
            pass
        finally:
            timing.cancel()
        _say({"over": self._found(self.took, self.seconds) | {"lines": self.lines, "decks": self._moved()}})
        return {}

    def _client(self, number: int) -> Client:
        rows = {name: deck[number :: self.clients] for name, deck in self.decks.items()}
        for name, some in rows.items():
            assert some, f"the deck {name} has {len(self.decks[name])} rows: too few for {self.clients} clients"
        return Client(self, number, rows)

    async def _time(self) -> None:
        await asyncio.sleep(self.warm_s)
        gc.collect()
        gc.freeze()
        self.since, self.bytes = time.perf_counter(), 0
        self.until, self.steady = self.since + self.seconds, True
        _say({"steady": time.time()})
        while self.every_s:
            begun = len(self.took)
            await asyncio.sleep(self.every_s)
            _say({"stretch": self._found(self.took[begun:], self.every_s)})

    def _found(self, took: list[float], lasted: float) -> dict[str, Any]:
        some = sorted(took)
        found: dict[str, Any] = {"count": len(some), "rate": len(some) / lasted, "bytes": self.bytes}
        if some:
            found |= {f"p{n}_ms": some[min(len(some) - 1, len(some) * n // 100)] * 1000 for n in (50, 95, 99)}
        return found

    def _moved(self) -> dict[str, list[dict[str, Any]]]:
        moving = {call.deck for call in self.calls if call.moves}
        return {name: self.decks[name] for name in moving}


def _told(request: bytes, head: bytes, body: bytes) -> str:
    asked = re.sub(rb"Bearer \S+", b"Bearer ...", request)[:_SHOWN].decode(errors="replace")
    answered = (head.partition(b"\r\n")[0] + b" " + body[:_SHOWN]).decode(errors="replace")
    return f"{asked}\n -> {answered}"


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def main() -> int:
    """Run a plan; `--url ADDRESS` loads another place than the plan's."""
    plan = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    if sys.argv[2:3] == ["--url"]:
        plan["url"] = sys.argv[3]
    try:
        uvloop.run(Run(plan).go())
    except Wrong as found:
        _say({"wrong": str(found)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
