"""The page docs/benchmarks.md and its plots, from the figures in docs/figures and nothing else.

`make bench-report` writes them anew from what is there: `bench.json`, `scale.json`, `soak.json`, `flame.json`, each
as its bench left it (`--json`). What was not measured is not shown. How it is measured is told by hand, in
`benchmarks.head.md`.
"""

import json
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import plots
from workloads import WORKLOADS

DOCS = Path(__file__).parents[1] / "docs"
PAGE, FIGURES = DOCS / "benchmarks.md", DOCS / "figures"
HEAD = Path(__file__).with_name("benchmarks.head.md")
LEAST = {"step": 0.20, "convene": 0.20, "read": 0.25}
"""Of pgbench's rate, over HTTP."""
CPU_US, ENOUGH, SLOWER, LIST_MS, FEED, STATISTICS_MS = 1000, 0.9, 1.3, 50, 20_000, 1000
LISTS = ("worklist", "deep", "search", "lookup")
MIB = 1 << 20
_USUAL = 16
Said = Mapping[str, Any]


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of Markdown, numbers to the right."""
    under = "|".join("---" if place == 0 else "---:" for place in range(len(heads)))
    lines = [f"| {' | '.join(heads)} |", f"|{under}|", *(f"| {' | '.join(map(str, row))} |" for row in rows)]
    return "\n".join(lines) + "\n"


def text(*sentences: str) -> str:
    """A paragraph."""
    return "\n".join(textwrap.wrap(" ".join(sentences), 128, break_long_words=False, break_on_hyphens=False)) + "\n"


def machine(said: Said) -> str:
    """What it was measured on."""
    on = said["machine"]
    return text(
        f"{on['processor']}, {on['cores']} cores, {on['ram_gib']} GiB, PostgreSQL {on['postgresql']},",
        f"Python {on['python']}; load average at the start {on['busy']}.",
    )


def named(workload: str) -> str:
    """A workload in both languages."""
    one = WORKLOADS[workload]
    return f"{one.zh} {one.en}"


def ratio(one: Said) -> float:
    """Of what pgbench reaches, this much over HTTP."""
    return float(one["http"]["rate"] / one["pgbench"]["rate"])


def spread(one: Said) -> str:
    """A rate with its quartiles."""
    low, high = one["rate_quartiles"]
    return f"{one['rate']:,.0f} ({low:,.0f}–{high:,.0f})"


def wanted(rows: Iterable[tuple[str, str, str, bool]]) -> str:
    """What is wanted beside what was found."""
    said = [(what, limit, found, "yes" if reached else "**no**") for what, limit, found, reached in rows]
    return table(("wanted", "limit", "found", "reached"), said)


# ── every workload ──


def workloads(said: Said) -> str:
    """Every workload beside pgbench, then with fewer and more clients."""
    found, how, about = said["found"], said["chosen"], said["about"]
    clients = sorted({one["clients"] for one in found if one["workload"] != "feed"})
    usual = _USUAL if _USUAL in clients else clients[-1]
    some = [one for one in found if one["clients"] == usual or one["workload"] == "feed"]
    deep = about.get("deep")
    lines = [
        "## Every workload\n",
        machine(said),
        text(
            f"{about['cases']:,} cases with {about['events']:,} events; {how['workers']} workers, {usual} clients (of",
            f"the feed one); {how['repeats']} turns of {how['seconds']:g} s each. Medians, in brackets the quartiles.",
            f"The deep page is page {deep['page']:,}, of {deep['limit']} cases each." if deep else "",
        ),
        _over_http(some),
        text("And pgbench with the same statements; the last column is what a request over HTTP adds to the log:"),
        _by_pgbench(some),
        text(
            "Over HTTP the sequencer writes too (feed, spans, tiles): that is in the last column, and in no other.",
            "Where a checkpoint came by, PostgreSQL wrote whole pages, and both columns of WAL hold them.",
        ),
        plots.rates(some),
        plots.cpu(some),
        wanted(_of_steps(some)),
    ]
    if len(clients) > 1:
        lines += ["### With fewer and more clients\n", _by_clients(found, clients), plots.latency(found, clients)]
    return "\n".join(lines)


def _over_http(some: Sequence[Said]) -> str:
    heads = ("workload", "a second over HTTP", "of pgbench", "p50 ms", "p99 ms")
    heads += ("ours µs", "PostgreSQL µs", "clients µs")
    figures = (("p50_ms", ",.1f"), ("p99_ms", ",.1f"), ("app_us", ",.0f"), ("postgres_us", ",.0f"))
    figures += (("generator_us", ",.0f"),)
    return table(
        heads,
        (
            (
                named(one["workload"]),
                spread(one["http"]),
                f"{ratio(one):.0%}",
                *(format(one["http"][name], how) if one["http"][name] else "–" for name, how in figures),
            )
            for one in some
        ),
    )


def _by_pgbench(some: Sequence[Said]) -> str:
    heads = ("workload", "a second by pgbench", "PostgreSQL µs", "statements", "rows written", "WAL bytes")
    figures = (("postgres_us", ",.0f"), ("statements", ",.0f"), ("rows", ",.1f"), ("wal_bytes", ",.0f"))
    return table(
        (*heads, "WAL bytes over HTTP"),
        (
            (
                named(one["workload"]),
                spread(one["pgbench"]),
                *(format(one["pgbench"][name], how) for name, how in figures),
                f"{one['http']['wal_bytes']:,.0f}",
            )
            for one in some
        ),
    )


def _of_steps(some: Sequence[Said]) -> Iterable[tuple[str, str, str, bool]]:
    there = {one["workload"]: one for one in some}
    for name, least in LEAST.items():
        if one := there.get(name):
            yield f"{named(name)}, of pgbench", f"at least {least:.0%}", f"{ratio(one):.1%}", ratio(one) >= least
    for name in ("step", "convene"):
        if one := there.get(name):
            used = one["http"]["app_us"]
            yield f"{named(name)}, our CPU", f"under {CPU_US:,} µs", f"{used:,.0f} µs", used < CPU_US


def _by_clients(found: Sequence[Said], clients: Sequence[int]) -> str:
    there = {(one["workload"], one["clients"]): one for one in found}
    heads = ("workload", *(f"{many}: {what}" for many in clients for what in ("a second", "of pgbench", "p99 ms")))
    rows = []
    for name in dict.fromkeys(one["workload"] for one in found if one["workload"] != "feed"):
        cells = [named(name)]
        for many in clients:
            one = there[name, many]
            cells += [f"{one['http']['rate']:,.0f}", f"{ratio(one):.0%}", f"{one['http']['p99_ms']:,.0f}"]
        rows.append(cells)
    return table(heads, rows)


# ── a million cases, half an hour, a flame ──


def scale(said: Said) -> str:
    """Two databases side by side."""
    few, many = said["databases"].values()
    name = list(said["databases"])[1]
    there = {(one["workload"], one["clients"]): one for one in said["found"] if one["database"] == name}
    heads = (
        "workload",
        "clients",
        "a second",
        "of the smaller's",
        "pgbench, likewise",
        "p99 ms",
        "times the smaller's",
    )
    pages = [f"{about['deep']['page']:,}" for about in said["about"].values() if "deep" in about]
    deep = " and, of the larger, ".join(f"page {page}" for page in pages)
    return "\n".join(
        [
            f"## {many['cases']:,} cases beside {few['cases']:,}\n",
            machine(said),
            text(
                f"{many['events']:,} events beside {few['events']:,}; each database has a service of its own, and they",
                f"take turns, {said['chosen']['repeats']} of {said['chosen']['seconds']:g} s each. The deep page is",
                f"{deep or '–'}. Ratios are medians of those of two turns that follow one another, since the machine's",
                "speed differs more from one minute to the next than what is asked for.",
            ),
            table(
                heads,
                (
                    (
                        *(named(one["workload"]), one["clients"]),
                        spread(there[one["workload"], one["clients"]]["http"]),
                        *(f"{one['rate']:.0%}", f"{one['pgbench']:.0%}"),
                        *_latency(there[one["workload"], one["clients"]]["http"]["p99_ms"], one["p99"]),
                    )
                    for one in said["ratios"]
                ),
            ),
            plots.ratios(said["ratios"]),
            wanted(_of_scale(said, there)),
            _streamed(there),
            "### What it takes on disk\n",
            _room(many),
        ]
    )


def _latency(p99_ms: float, times: float) -> tuple[str, str]:
    """A stream has none."""
    return (f"{p99_ms:,.1f}", f"{times:.2f}") if p99_ms else ("–", "–")


def _of_scale(said: Said, there: Mapping[tuple[str, int], Said]) -> Iterable[tuple[str, str, str, bool]]:
    ratios = said["ratios"]
    for what, field, limit, reached in (
        ("throughput", "rate", f"at least {ENOUGH:.0%}", lambda found: found >= ENOUGH),
        ("p99", "p99", f"at most {SLOWER} times", lambda found: found <= SLOWER),
    ):
        kept = sum(reached(one[field]) for one in ratios)
        yield f"{what} of the smaller's, in every row", limit, f"in {kept} of {len(ratios)}", kept == len(ratios)
        worst = (min if field == "rate" else max)(ratios, key=lambda one, field=field: one[field])
        told = f"{worst[field]:.0%}" if field == "rate" else f"{worst[field]:.2f} times"
        yield f"{what}, the worst ({worst['workload']}, {worst['clients']} clients)", limit, told, reached(worst[field])
    fewest = min(clients for name, clients in there if name != "feed") if there else 0
    for name in (*LISTS, "statistics"):
        if one := there.get((name, fewest)):
            limit, p99 = STATISTICS_MS if name == "statistics" else LIST_MS, one["http"]["p99_ms"]
            yield f"{named(name)}, p99, {fewest} clients", f"under {limit:,} ms", f"{p99:,.1f} ms", p99 < limit
    if one := there.get(("feed", 1)):
        rate = one["http"]["rate"]
        yield f"{named('feed')}, events a second", f"at least {FEED:,}", f"{rate:,.0f}", rate >= FEED


def _streamed(there: Mapping[tuple[str, int], Said]) -> str:
    feed = there.get(("feed", 1))
    if not feed:
        return ""
    seen = "; ".join("–".join(f"{mib:,.0f}" for mib in turn) for turn in feed["http"]["resident_mib"])
    return text(
        f"While the feed streamed, MiB resident of the service at first, at the most, at last, by turns: {seen}."
    )


def _room(database: Said) -> str:
    whole = {kind: sum(size[kind] for size in database["tables"].values()) for kind in ("rows", "indexes")}
    rows = [
        (
            name,
            *(f"{size[kind] / MIB:,.0f}" for kind in ("rows", "indexes")),
            *(f"{sum(size.values()) / database[each]:,.0f}" for each in ("cases", "events")),
        )
        for name, size in [*((f"`{one}`", size) for one, size in database["tables"].items()), ("all", whole)]
        if sum(size.values()) > MIB
    ]
    return table(("table", "MiB of rows", "MiB of indexes", "bytes a case", "bytes an event"), rows)


_UNITS = {"cpu_of_ours": "ours, cores", "cpu_of_postgres": "PostgreSQL, cores", "delay_p99_s": "delay p99 s"}


def soak(said: Said) -> str:
    """Half an hour."""
    first = said["stretches"][0]["tables"]
    grew = {name: "" if flat else "**grew**" for name, flat in said["flat"].items()}
    return "\n".join(
        [
            f"## {said['chosen']['minutes']:g} minutes at 70 % of the most\n",
            machine(said),
            text(
                f"Mixed load (70 % read, 20 % step, 10 % file) among {said['cases']:,} cases: at the most",
                f"{said['most']:,.0f} a second in a closed loop, then {said['pace']:,.0f} a second",
                "at given moments, whether or not the last answer had come:",
                f"{said['over']['count']:,} requests, every one answered as it should be. The medians of the stretches",
                "of ten seconds in the first third and in the last:",
            ),
            table(
                ("", "first third", "last third", ""),
                (
                    (_UNITS.get(name, name.replace("_", " ")), f"{first:,.2f}", f"{last:,.2f}", grew.get(name, ""))
                    for name, (first, last) in said["thirds"].items()
                ),
            ),
            text(
                f"From an event to the checkpoint that covers it: {said['most_delay_s']} s at the most (under 5 s is",
                f"wanted). The outbox was empty {said['drained_s']} s after the last request. What became of rows",
                "that were updated:",
            ),
            table(
                ("table", "updates", "HOT", "dead rows at the end", "autovacuums"),
                (_updated(name, first[name], last) for name, last in said["stretches"][-1]["tables"].items()),
            ),
            plots.soak(said["stretches"]),
        ]
    )


def _updated(name: str, first: Mapping[str, int], last: Mapping[str, int]) -> tuple[str, ...]:
    more = {figure: last[figure] - first[figure] for figure in last}
    hot = more["hot_updates"] / max(1, more["updates"])
    return f"`{name}`", f"{more['updates']:,}", f"{hot:.0%}", f"{last['dead']:,}", f"{more['vacuumed']:,}"


def flame(said: Said) -> str:
    """Where the CPU goes."""
    return "\n".join(
        [
            "## Where the CPU of a step goes\n",
            machine(said),
            text(
                f"One worker, {said['clients']} clients, {said['rate']:,.0f} steps a second, {said['app_us']:,.0f} µs",
                f"of CPU each; {said['samples']:,} samples ({said['seen_s']:.1f} s seen, {said['used_s']:.1f} s used).",
                "What C code takes (msgspec, libpq, the parser of HTTP) counts for the room that called it.",
            ),
            table(
                ("room", "share", "µs"),
                ((room, f"{part:.1%}", f"{part * said['app_us']:,.0f}") for room, part in said["shares"].items()),
            ),
            "[![The flame graph of a worker](flame.svg)](flame.svg)\n",
        ]
    )


SECTIONS: Mapping[str, Callable[[Said], str]] = {"bench": workloads, "scale": scale, "soak": soak, "flame": flame}


def main() -> None:
    """Write the page and its plots."""
    parts = [HEAD.read_text("utf-8")]
    for name, section in SECTIONS.items():
        there = FIGURES / f"{name}.json"
        if there.exists():
            parts.append(section(json.loads(there.read_text("utf-8"))))
    PAGE.write_text("\n".join(parts).rstrip() + "\n", "utf-8")


if __name__ == "__main__":
    main()
