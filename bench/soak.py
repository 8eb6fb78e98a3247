"""Half an hour of mixed load at 70 % of the most it can take, to see whether anything grows.

The most is found first, in a closed loop. Then as many clients send at given moments, whether or not the last answer
has come, so that a service that falls behind is seen to. Every ten seconds: what is resident of each process, the
percentiles of that stretch, how long events wait for the checkpoint that covers them, the rows of the outbox, and the
dead rows of the tables that change. In the end the first third is compared with the last.

  make bench-soak                                     30 minutes
  make bench-soak ARGS='--minutes 2 --cases 500'      a look at it
  make bench-soak ARGS='--keep FOLDER'                among the million cases that make bench-scale has left there
"""

import json
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import psycopg
import stock
from ground import House, cpu_of, machine, own_server, resident_of, served, told
from measure import Bench, last_of
from run import arguments, say, told_what
from turns import Watch
from workloads import WORKLOADS, plan

SHARE, EVERY_S, CLIENTS = 0.7, 10.0, 32
MOST_DELAY_S, GROWN, GROWN_MIB = 5.0, 1.15, 16.0
_TABLES = """
SELECT coalesce(pg_partition_root(relid)::regclass, relid::regclass)::text, sum(n_live_tup), sum(n_dead_tup),
       sum(pg_table_size(relid)), sum(n_tup_upd), sum(n_tup_hot_upd), sum(autovacuum_count)
FROM pg_stat_user_tables GROUP BY 1
"""
_FIGURES = ("live", "dead", "bytes", "updates", "hot_updates", "vacuumed")
_WATCHED = ("cases", "outbox", "worklists", "spans")


class Sampling:
    """What is looked at after each stretch."""

    def __init__(self, house: House, service: psutil.Process, watch: Watch) -> None:
        self._house, self._service, self._watch = house, service, watch
        self._connection = psycopg.connect(house.superuser, autocommit=True)
        self._position = self._one("SELECT coalesce(max(position), 0) FROM feed")
        self._cpu = [cpu_of(service), cpu_of(house.postgres)]
        self.rows: list[dict[str, Any]] = []

    def look(self, stretch: Mapping[str, Any]) -> None:
        """Note how everything stands."""
        cpu = [cpu_of(self._service), cpu_of(self._house.postgres)]
        tables = {name: sizes for name, *sizes in self._connection.execute(_TABLES) if name in _WATCHED}
        row = {
            **stretch,
            "resident_mib": {str(pid): round(mib, 1) for pid, mib in resident_of(self._service).items()},
            "cpu_s": [round(now - then, 2) for now, then in zip(cpu, self._cpu, strict=True)],
            "delay_s": self._delays(),
            "outbox": self._one("SELECT count(*) FROM outbox"),
            "tables": {name: dict(zip(_FIGURES, map(int, figures), strict=True)) for name, figures in tables.items()},
        }
        self._cpu = cpu
        self.rows.append(row)
        delay = row["delay_s"]["most"] if row["delay_s"] else 0.0
        say(
            f"{len(self.rows) * EVERY_S / 60:5.1f} min {row['rate']:7,.0f}/s  p50 {row.get('p50_ms', 0):6.1f}  "
            f"p99 {row.get('p99_ms', 0):6.1f} ms  {sum(row['resident_mib'].values()):7.1f} MiB  "
            f"delay {delay:4.1f} s  outbox {row['outbox']:5,}"
        )

    def _delays(self) -> dict[str, float]:
        """Seconds from each event of which a checkpoint could be seen since the last look, to that moment."""
        seen = self._watch.seen[-1][0] if self._watch.seen else self._position
        asked = "SELECT position, extract(epoch FROM since)::float8 FROM spans WHERE position > %s AND position <= %s"
        events = self._connection.execute(asked, [self._position, seen]).fetchall()
        sizes = [size for size, _ in self._watch.seen]
        delays = sorted(self._watch.seen[bisect_left(sizes, place)][1] - at for place, at in events)
        self._position = max(self._position, seen)
        if not delays:
            return {}
        places = {"p50": len(delays) // 2, "p99": len(delays) * 99 // 100, "most": len(delays) - 1}
        return {name: round(delays[place], 3) for name, place in places.items()} | {"events": len(delays)}

    def drained(self, within_s: float = 30.0) -> float:
        """Seconds until the outbox is empty, now that nobody asks any more."""
        began = time.monotonic()
        while self._one("SELECT count(*) FROM outbox"):
            if time.monotonic() - began > within_s:
                return float("inf")
            time.sleep(0.1)
        return round(time.monotonic() - began, 1)

    def _one(self, query: str) -> int:
        row = self._connection.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])


def verdict(rows: Sequence[Mapping[str, Any]], drained_s: float) -> dict[str, Any]:
    """The first third beside the last, and whether each is as flat as it should be."""
    third = max(1, len(rows) // 3)

    def of(some: Sequence[Mapping[str, Any]], figure: Callable[[Mapping[str, Any]], float]) -> float:
        return round(median(figure(row) for row in some), 2)

    figures: dict[str, Callable[[Mapping[str, Any]], float]] = {
        "resident_mib": lambda row: sum(row["resident_mib"].values()),
        "p50_ms": lambda row: row.get("p50_ms", 0.0),
        "p99_ms": lambda row: row.get("p99_ms", 0.0),
        "delay_p99_s": lambda row: row["delay_s"].get("p99", 0.0),
        "outbox": lambda row: row["outbox"],
        "dead_rows_of_cases": lambda row: row["tables"]["cases"]["dead"],
        "cpu_of_ours": lambda row: row["cpu_s"][0] / EVERY_S,
        "cpu_of_postgres": lambda row: row["cpu_s"][1] / EVERY_S,
    }
    said = {name: [of(rows[:third], one), of(rows[-third:], one)] for name, one in figures.items()}
    flat = {name: said[name][1] <= said[name][0] * GROWN for name in ("p50_ms", "p99_ms")}
    flat["resident_mib"] = said["resident_mib"][1] <= said["resident_mib"][0] + GROWN_MIB
    most = max((row["delay_s"].get("most", 0.0) for row in rows), default=0.0)
    flat |= {"delay": most < MOST_DELAY_S, "drained": drained_s < MOST_DELAY_S}
    return {"thirds": said, "most_delay_s": most, "drained_s": drained_s, "flat": flat}


def soaked(house: House, decks: dict[str, Any], chosen: Any) -> dict[str, Any]:  # noqa: ANN401  # of argparse
    """Find the most, load with 70 % of it, and look every ten seconds."""
    mixed = WORKLOADS["mixed"]
    with served(house, chosen.workers) as (url, service), Watch(house.urls.reader).looking() as watch:
        bench = Bench(house, url, service, decks)
        # What it can take for a moment is more than what it can take for long: the least of three minutes.
        most = min(bench.http(mixed, 16, min(60.0, chosen.minutes * 6), 2.0).rate for _ in range(3))
        pace = most * SHARE
        say(f"at the most {most:,.0f} requests a second; {pace:,.0f} a second for {chosen.minutes:g} minutes")
        how = {"url": url, "clients": CLIENTS, "warm_s": 5.0, "seconds": chosen.minutes * 60, "pace": pace}
        written = house.folder / "plan.json"
        written.write_text(json.dumps(plan(mixed, bench.decks, **how, every_s=EVERY_S), ensure_ascii=False), "utf-8")
        sampling = Sampling(house, service, watch)
        over = last_of(written, sampling.look)
        over.pop("decks")
        found = verdict(sampling.rows, sampling.drained())
    return {"most": most, "pace": pace, "over": over, "stretches": sampling.rows, **found}


def main() -> int:
    """Soak and print; 1 where something grew."""
    parser = arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of steady load; default 30")
    parser.add_argument("--cases", type=int, default=10_000, help="in the database at least; default 10,000")
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="in the larger database of make bench-scale")
    chosen, _ = told_what(parser)
    with own_server(chosen.keep) as (server, folder):
        house = House(server, "many" if chosen.keep else "soak", folder)
        said: dict[str, Any] = {"machine": machine(server), "chosen": {**vars(chosen), "keep": None}}
        print(told(said["machine"]))
        stock.fill(house, chosen.cases)
        stock.settled(house)
        said["cases"] = stock.count(house, "cases")
        decks = stock.Decks(house).make(WORKLOADS["mixed"].decks)
        said |= soaked(house, decks, chosen)
    print(f"{said['pace']:,.0f} requests a second, {said['over']['count']:,} in all; first third, last third:")
    for name, (first, last) in said["thirds"].items():
        print(f"  {name:20}{first:12,.2f}{last:12,.2f}")
    print(f"  from an event to its checkpoint at the most {said['most_delay_s']} s; drained in {said['drained_s']} s")
    grew = [name for name, flat in said["flat"].items() if not flat]
    print(f"GREW: {', '.join(grew)}" if grew else "flat")
    if chosen.json:
        Path(chosen.json).write_text(json.dumps(said, indent=1), "utf-8")
    return 1 if grew else 0


if __name__ == "__main__":
    sys.exit(main())
