"""The page docs/scaling.md: what a year of the nation needs, worked out from the figures in docs/figures.

`make bench-report` writes it where `scale.json` and `bench.json` are there. What is assumed is named as such; all else
is multiplication of what was measured.
"""

import json
from collections.abc import Mapping
from typing import Any

from report import DOCS, FIGURES, MIB, Said, machine, table, text

PAGE = DOCS / "scaling.md"
CASES_A_YEAR, STEPS_A_YEAR = 15_000_000, 150_000_000
PEAK, READS, LISTS, SEARCHES = 300, 5, 1, 0.2
"""Steps a second at the peak; and for each step so many reads of a case, worklists, and searches or lookups."""
SPARE = 0.6
"""A core is planned to be busy for so much of the time at the peak."""
YEARS = (1, 5, 10)
_GIB, _TIB = 1 << 30, 1 << 40
_SECONDS = 365 * 86_400
_PARTS = (
    ("filing", "file", CASES_A_YEAR / STEPS_A_YEAR),
    ("other steps", "step", 1 - CASES_A_YEAR / STEPS_A_YEAR),
    ("reads of a case", "read", READS),
    ("worklists", "worklist", LISTS),
    ("searches and lookups", "search", SEARCHES),
)


def disk(many: Said) -> str:
    """Bytes of a case times the cases of a year."""
    sizes = {name: sum(size.values()) for name, size in many["tables"].items()}
    whole = sum(sizes.values())
    rows = [
        (f"`{name}`", f"{size / many['cases']:,.0f}", *(f"{_tib(size, many, years):.2f}" for years in YEARS))
        for name, size in sizes.items()
        if size > whole / 100
    ]
    rows.append(("all", f"{whole / many['cases']:,.0f}", *(f"{_tib(whole, many, years):.2f}" for years in YEARS)))
    heads = ("table, with its indexes", "bytes a case", *(f"TiB, {years} year{'s' * (years > 1)}" for years in YEARS))
    return table(heads, rows)


def _tib(size: int, many: Said, years: int) -> float:
    return float(size / many["cases"] * CASES_A_YEAR * years / _TIB)


def memory(many: Said, soak: Said | None) -> str:
    """Indexes of a year, and what the service's processes hold."""
    indexes = sum(size["indexes"] for size in many["tables"].values()) / many["cases"] * CASES_A_YEAR
    held = ""
    if soak:
        processes = soak["stretches"][-1]["resident_mib"]
        held = f"The {len(processes)} processes of the service, two of them its workers, held"
        held += f" {sum(processes.values()):,.0f} MiB after the soak."
    return text(
        f"All indexes of a year's cases take {indexes / _GIB:,.0f} GiB. They need not all be in",
        "memory: cases are worked on",
        "for weeks, ids begin with the time, and what is written goes to the newest part of each index; of the tables",
        "parted by time only the last month is written. Two months of all indexes are a fair beginning for the memory",
        "of the database:",
        f"{indexes / 6 / _GIB:,.0f} GiB, and as much again for pages of rows.",
        held,
    )


def cores(found: Mapping[str, Said]) -> str:
    """CPU of everything that comes with a step, at the average and at the peak."""
    rows, whole = [], {"app_us": 0.0, "postgres_us": 0.0}
    for name, workload, share in _PARTS:
        http = found[workload]["http"]
        used = {who: http[who] * share for who in whole}
        whole = {who: whole[who] + used[who] for who in whole}
        rows.append(
            (name, f"{share:.1f}", *(f"{http[who]:,.0f}" for who in whole), *(f"{used[who]:,.0f}" for who in whole))
        )
    rows.append(("together, a step", "", "", "", *(f"{whole[who]:,.0f}" for who in whole)))
    average = STEPS_A_YEAR / _SECONDS
    total = sum(whole.values()) / 1e6
    return "\n".join(
        [
            table(("", "for each step", "ours µs", "PostgreSQL µs", "ours, a step", "PostgreSQL, a step"), rows),
            text(
                f"{STEPS_A_YEAR:,} steps a year are {average:.1f} a second: {average * total:.2f} cores. At",
                f"the peak of {PEAK}",
                f"steps a second, with all that comes with them, it is {PEAK * total:.1f} cores of these",
                f"({PEAK * whole['app_us'] / 1e6:.1f} ours, {PEAK * whole['postgres_us'] / 1e6:.1f} PostgreSQL's); for",
                f"cores that are busy {SPARE:.0%} of the time, {PEAK * total / SPARE:.0f}.",
            ),
        ]
    )


def written(found: Mapping[str, Said]) -> str:
    """Bytes of write-ahead log in a year, a day, and at the peak."""
    each = sum(found[workload]["http"]["wal_bytes"] * share for _, workload, share in _PARTS[:2])
    return text(
        f"A step writes {each:,.0f} bytes of write-ahead log, filings and the signed log with it: in a year",
        f"{each * STEPS_A_YEAR / _TIB:.2f} TiB, on an average day",
        f"{each * STEPS_A_YEAR / 365 / _GIB:,.1f} GiB, at the peak",
        f"{each * PEAK / MIB:.1f} MiB a second. That is what a replica receives and an archive for",
        "point-in-time recovery",
        "keeps, before it is compressed.",
    )


def main() -> None:
    """Write the page."""
    scale, soak = (_figures(name) for name in ("scale", "soak"))
    if scale is None:
        return
    name, many = list(scale["databases"].items())[1]
    there = [one for one in scale["found"] if one["database"] == name]
    found = {one["workload"]: one for one in there if one["clients"] in {16, 1}}
    lines = [
        "# What a nation needs 全国一年所需\n",
        text(
            "Written by `make bench-report` (`bench/needs.py`) from the figures in",
            "[figures](figures/); not to be edited. How they",
            "were measured: [benchmarks](benchmarks.md).",
        ),
        machine(scale),
        text(
            f"**Given**: {CASES_A_YEAR:,} disputes a year with {STEPS_A_YEAR:,} steps. **Assumed**, as",
            "nobody has counted it: at",
            f"the peak {PEAK} steps a second; for each step {READS} reads of a case, {LISTS} worklist,",
            "and one search or lookup in",
            f"{1 / SEARCHES:.0f} steps. **Measured**: everything per case and per request, on",
            f"{many['cases']:,} cases with",
            f"{many['events']:,} events, and with 16 clients. Nothing here is of a larger machine: it",
            "was not measured on one.",
        ),
        "## Disk\n",
        disk(many),
        written(found),
        "## Cores\n",
        cores(found),
        "## Memory\n",
        memory(many, soak),
    ]
    PAGE.write_text("\n".join(lines).rstrip() + "\n", "utf-8")


def _figures(name: str) -> dict[str, Any] | None:
    there = FIGURES / f"{name}.json"
    return json.loads(there.read_text("utf-8")) if there.exists() else None


if __name__ == "__main__":
    main()
