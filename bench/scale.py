"""Whether it is as fast with a million cases in it as with ten thousand: the same workloads on both, in turns.

Two databases of one server are filled by `mediation synthesize`; each has its own service. A workload is measured on
the one and then on the other, over HTTP and by pgbench, and so on in turns. Told are the ratios of throughput and of
the 99th percentile, what the feed and the statistics take, and the room of every table, by case and by event.

  make bench-scale                                   10,000 cases beside 1,000,000: filling takes 20 minutes or more
  make bench-scale ARGS='--keep /var/tmp/scale'      the databases stay there, and are used again the next time
  make bench-scale ARGS='--cases 20000 --quick'      a look at it, a few minutes
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
import stock
from ground import MIB, House, machine, own_server, told
from run import Field, arguments, in_turns, say, show, told_what, wanted, write

FEWER = 10_000
ENOUGH, SLOWER = 0.9, 1.3
LISTS = ("worklist", "deep", "search", "lookup")
_SIZES = """
SELECT coalesce(pg_partition_root(c.oid)::regclass, c.oid::regclass)::text AS name,
       sum(pg_table_size(c.oid)) AS rows, sum(pg_indexes_size(c.oid)) AS indexes
FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace GROUP BY 1
"""


def room(house: House) -> dict[str, dict[str, int]]:
    """Bytes of each table with its partitions, and of its indexes, the largest first."""
    with psycopg.connect(house.superuser) as superuser:
        found = {name: {"rows": int(rows), "indexes": int(more)} for name, rows, more in superuser.execute(_SIZES)}
    return dict(sorted(found.items(), key=lambda one: -sum(one[1].values())))


def compared(found: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Of each workload and number of clients: the ratios of the second database to the first.

    Each is the median of the ratios of two turns that follow one another: from one minute to the next the machine's
    speed differs by more than what is asked for.
    """
    few, many = ([one for one in found if one["database"] == name] for name in names)
    ratios = []
    for one, other in zip(few, many, strict=True):
        assert (one["workload"], one["clients"]) == (other["workload"], other["clients"])
        ratios.append(
            {
                "workload": one["workload"],
                "clients": one["clients"],
                "rate": _of_pairs(one["http"], other["http"], "rate"),
                "p99": _of_pairs(one["http"], other["http"], "p99_ms"),
                "pgbench": _of_pairs(one["pgbench"], other["pgbench"], "rate"),
            }
        )
    return ratios


def _of_pairs(one: Mapping[str, Any], other: Mapping[str, Any], figure: str) -> float:
    each = zip(one[f"{figure}_each"], other[f"{figure}_each"], strict=True)
    return median(then / first if first else 1.0 for first, then in each)  # a stream has no latency


def filled(house: House, cases: int) -> dict[str, Any]:
    """A database with so many cases, its size, and how long it took."""
    began = time.monotonic()
    stock.fill(house, cases)
    stock.settled(house)
    counts = {table: stock.count(house, table) for table in ("cases", "events")}
    say(f"{house.name}: {counts['cases']:,} cases, {counts['events']:,} events, {time.monotonic() - began:,.0f} s")
    return {**counts, "seconds": time.monotonic() - began, "tables": room(house)}


def show_scale(said: Mapping[str, Any]) -> None:
    """Print the figures."""
    few, many = said["databases"]
    more, less = (said["databases"][name]["cases"] for name in (many, few))
    print(f"\nthroughput and p99 of {more:,} cases beside {less:,}:")
    for one in said["ratios"]:
        enough = one["rate"] >= ENOUGH and one["p99"] <= SLOWER
        verdict = "" if enough else f"  NOT ENOUGH: {ENOUGH:.0%} and {SLOWER} are wanted"
        print(f"  {one['workload']:12}{one['clients']:4} clients {one['rate']:8.1%} {one['p99']:8.2f}{verdict}")
    for one in said["found"]:
        if one["database"] == many and one["workload"] in LISTS and one["clients"] == min(said["clients"]):
            print(f"  {one['workload']:12} p99 {one['http']['p99_ms']:.1f} ms with {one['clients']} clients")
        if one["database"] == many and one["workload"] == "feed":
            seen = one["http"]["resident_mib"]
            print(f"  feed {one['http']['rate']:,.0f} events/s; MiB resident first, most, last: {seen}")
    for name, database in said["databases"].items():
        print(f"\n{name}: {database['cases']:,} cases, {database['events']:,} events")
        whole = sum(sum(table.values()) for table in database["tables"].values())
        for table, size in [*database["tables"].items(), ("all", {"rows": whole, "indexes": 0})]:
            total = sum(size.values())
            if total > MIB:
                print(
                    f"{table:>24}: {total / MIB:10,.1f} MiB  {total / database['cases']:9,.0f} B a case"
                    f"  {total / database['events']:8,.0f} B an event"
                )


def main() -> None:
    """Fill, measure in turns, print."""
    parser = arguments(__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000, help="in the larger database; default 1,000,000")
    parser.add_argument("--fewer", type=int, default=FEWER, help="in the smaller one; default 10,000")
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="where the databases stay, or are already")
    chosen, clients = told_what(parser, usual="4,16")
    with own_server(chosen.keep) as (server, folder):
        said: dict[str, Any] = {
            "machine": machine(server),
            "chosen": {**vars(chosen), "keep": None},
            "clients": clients,
        }
        print(told(said["machine"]))
        houses = [House(server, name, folder) for name in ("few", "many")]
        said["databases"] = {
            house.name: filled(house, cases) for house, cases in zip(houses, (chosen.fewer, chosen.cases), strict=True)
        }
        limit = max(stock.deep_limit(house) for house in houses)  # the same page of both, as deep as there is
        fields = [Field(house, wanted(chosen.only), max(clients), deep_limit=limit) for house in houses]
        for field in fields:
            field.prepare()
        said["about"] = {field.house.name: field.about for field in fields}
        show(in_turns(fields, clients, chosen, said))
    said["ratios"] = compared(said["found"], [house.name for house in houses])
    show_scale(said)
    write(said, chosen.json)


if __name__ == "__main__":
    main()
