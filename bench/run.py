"""Every workload over HTTP, beside pgbench with the very statements that the service sends for it, on one database.

It starts a PostgreSQL of its own with every safety on (fsync too), in a folder of its own that is removed afterwards,
fills it, and serves it with two workers: authentication, authorisation, row-level security, idempotency, audit, outbox
and the sequencer are all on. Clients in a process of their own ask in a closed loop; then pgbench, with as many
clients, sends what the service sent (read from the server's log); and so on in turns, since the machine's moods differ
by a fifth. Told are medians and quartiles of the turns. A ratio won by heavier SQL is a loss: so pgbench's own rate,
rows and bytes of write-ahead log stand beside it.

  make bench                                        everything, about 30 minutes on two idle cores
  make bench ARGS=--quick                           everything, once and briefly, about 3 minutes
  make bench ARGS='--only step,read --clients 16'   two workloads with 16 clients
  make bench ARGS='--json bench.json'               the figures in a file, for `make bench-report`
  make bench ARGS=--second-line                     what row-level security costs a step and a read
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import stock
from captured import Captured, Listener
from ground import House, machine, own_server, served, told
from measure import Bench, Turn
from workloads import WORKLOADS, Workload

CAPTURED, STREAMED = 16, 3


def wanted(only: str | None) -> list[Workload]:
    """The workloads of these names, separated by commas; every one by default."""
    if not only:
        return list(WORKLOADS.values())
    unknown = [name for name in only.split(",") if name not in WORKLOADS]
    if unknown:
        sys.exit(f"no such workload: {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    return [WORKLOADS[name] for name in only.split(",")]


class Field:
    """A filled database with the decks of its workloads, and what the service sends for each."""

    def __init__(self, house: House, some: Sequence[Workload], most: int, *, deep_limit: int = 0) -> None:
        self.house, self.workloads, self.most, self.deep_limit = house, list(some), most, deep_limit
        self.captured: dict[str, list[Captured]] = {}
        self.decks: dict[str, list[dict[str, Any]]] = {}
        self.about: dict[str, Any] = {}
        self.cases: list[str] = []

    def prepare(self) -> None:
        """Decks, cases for pgbench, and what is sent for a request of each workload."""
        first, *self.cases = stock.own(self.house, self.most + 1)
        listener = Listener(self.house)
        with listener.listening() as client:
            decks = stock.Decks(self.house, str(client.base_url), [first, *self.cases], self.deep_limit)
            self.decks = decks.make(frozenset(deck for one in self.workloads for deck in one.decks))
            self.about = decks.about
            ours = decks.of_own(first)
            end = [row | {"after": row["end"]} for row in self.decks.get("feed", ())]
            apart = {"open": ours, "mediating": ours, "feed": end}
            for one in self.workloads:
                say(f"{self.house.name}: what is sent for {one.name}")
                self.captured[one.name] = listener.capture(client, one, self.decks | apart, CAPTURED)
        stock.settled(self.house)
        stock.warmed(self.house)


def in_turns(
    fields: Sequence[Field], clients: Sequence[int], chosen: argparse.Namespace, said: dict[str, Any]
) -> list[dict[str, Any]]:
    """Every workload on each of these databases, in turns by pgbench and over HTTP: what was found, summed up.

    `said` is told it after each turn, and written where it is wanted: a run that is stopped midway loses its last turn.
    """
    found: dict[tuple[str, str, int], dict[str, list[Turn]]] = {}
    pairs = [(one, many) for one in fields[0].workloads for many in ((one.clients,) if one.clients else clients)]
    done, total, began = 0, chosen.repeats * len(pairs) * len(fields), time.monotonic()
    with ExitStack() as open_:
        benches = [
            (field, Bench(field.house, *open_.enter_context(served(field.house, chosen.workers)), field.decks))
            for field in fields
        ]
        for one in fields[0].workloads:  # what is measured is a steady state: the first rows of a deck are on disk
            for field, bench in benches:
                say(f"{field.house.name}: warming {one.name}")
                bench.http(one, one.clients or max(clients), 0.5, chosen.warm)
        for repeat in range(chosen.repeats):
            for one, many in pairs:
                for field, bench in benches:
                    turns = found.setdefault((field.house.name, one.name, many), {"pgbench": [], "http": []})
                    ceiling = bench.pgbench(one, field.captured[one.name], field.cases, many, chosen.seconds)
                    longer = chosen.seconds * (STREAMED if one.streams else 1)
                    http = bench.http(one, many, longer, min(1.0, chosen.seconds / 3))
                    turns["pgbench"].append(ceiling)
                    turns["http"].append(http)
                    done += 1
                    left = (time.monotonic() - began) / done * (total - done) / 60
                    say(
                        f"{repeat + 1} of {chosen.repeats}  {field.house.name:8} {one.name:10} {many:3} clients "
                        f"{http.rate:9,.0f}/s  pgbench {ceiling.rate:9,.0f}/s   {left:4.1f} min left"
                    )
            said["found"] = [
                {"database": name, "workload": workload, "clients": many}
                | {kind: summed(some) for kind, some in turns.items()}
                for (name, workload, many), turns in found.items()
            ]
            write(said, chosen.json)
    return said["found"]


def write(said: Mapping[str, Any], file: str | None) -> None:
    """The figures, where they are wanted."""
    if file:
        Path(file).write_text(json.dumps(said, indent=1), "utf-8")


def summed(turns: Sequence[Turn]) -> dict[str, Any]:
    """Medians of each figure; of the rate, and of its 99th percentile, the quartiles and each turn too."""
    said: dict[str, Any] = {
        name: median(getattr(turn, name) for turn in turns) for name in Turn._fields if name != "resident_mib"
    }
    said["count"] = sum(turn.count for turn in turns)
    for name in ("rate", "p99_ms"):
        each = [getattr(turn, name) for turn in turns]
        low, _, high = quantiles(each, n=4, method="inclusive") if len(each) > 1 else (each[0],) * 3
        said |= {f"{name}_quartiles": [low, high], f"{name}_each": each}
    said["resident_mib"] = [list(turn.resident_mib) for turn in turns if turn.resident_mib]
    return said


def show(found: Sequence[Mapping[str, Any]]) -> None:
    """Print one line for each workload and number of clients."""
    heads = ("clients", "a second", "of pgbench", "p50 ms", "p99 ms", "ours µs", "pg µs", "load µs", "WAL B")
    heads += ("pgbench", "pg µs", "rows", "WAL B", "sent")
    print(f"\n{'':16}" + "".join(f"{head:>11}" for head in heads))
    for one in found:
        http, beside = one["http"], one["pgbench"]
        figures = (
            f"{one['clients']}", f"{http['rate']:,.0f}", f"{http['rate'] / beside['rate']:.1%}",
            f"{http['p50_ms']:.1f}", f"{http['p99_ms']:.1f}",
            *(f"{http[name]:,.0f}" for name in ("app_us", "postgres_us", "generator_us", "wal_bytes")),
            f"{beside['rate']:,.0f}", f"{beside['postgres_us']:,.0f}", f"{beside['rows']:.1f}",
            f"{beside['wal_bytes']:,.0f}", f"{beside['statements']:.0f}",
        )  # fmt: skip
        several = len({other["database"] for other in found}) > 1
        print(
            f"{one['workload'] + (' ' + one['database'] if several else ''):16}"
            + "".join(f"{figure:>11}" for figure in figures)
        )
    print("µs: CPU per request (of the feed: per event) of our processes, PostgreSQL, the clients; sent: statements.")


def say(line: str) -> None:
    """Tell on stderr how far it is."""
    print(line, file=sys.stderr, flush=True)


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """What every bench of workloads may be told."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="NAMES", help=f"of {', '.join(WORKLOADS)}; separated by commas")
    parser.add_argument("--clients", metavar="N,N", help="numbers of clients, separated by commas")
    parser.add_argument("--workers", type=int, default=2, help="processes of the service; default 2")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn; default 3")
    parser.add_argument("--warm", type=float, default=8.0, help="seconds of each workload beforehand; default 8")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each; default 5")
    parser.add_argument("--quick", action="store_true", help="one short turn of each, with 16 clients")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    return parser


def told_what(parser: argparse.ArgumentParser, usual: str = "4,16,64") -> tuple[argparse.Namespace, tuple[int, ...]]:
    """What was chosen, and with how many clients."""
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.repeats, chosen.seconds, chosen.warm = 1, min(chosen.seconds, 1.5), min(chosen.warm, 2.0)
    clients = tuple(int(part) for part in (chosen.clients or ("16" if chosen.quick else usual)).split(","))
    return chosen, clients


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="in the database; default 10,000")
    parser.add_argument("--second-line", action="store_true", help="with row-level security and without, nothing else")
    chosen, clients = told_what(parser)
    if chosen.second_line:
        chosen.only = chosen.only or "step,read"
    with own_server() as (server, folder):
        house = House(server, "bench", folder)
        said = {"machine": machine(server), "chosen": vars(chosen)}
        print(told(said["machine"]))
        stock.fill(house, chosen.cases)
        field = Field(house, wanted(chosen.only), max(clients))
        field.prepare()
        said["about"] = field.about | {"cases": stock.count(house, "cases"), "events": stock.count(house, "events")}
        if chosen.second_line:
            for on in (True, False):
                stock.second_line(house, on=on)
                print(f"{'with' if on else 'without'} row-level security:")
                show(in_turns([field], clients, chosen, said))
            return
        show(in_turns([field], clients, chosen, said))


if __name__ == "__main__":
    main()
