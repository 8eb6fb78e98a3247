"""The plots of docs/benchmarks.md: small SVG files without scripts, the same bytes for the same figures."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pygal
from pygal.style import Style

PLOTS = Path(__file__).parents[1] / "docs" / "plots"
_STYLE = Style(
    background="#ffffff",
    plot_background="#ffffff",
    colors=("#2e6da4", "#c98b2f", "#8a8f98", "#b04a4a", "#5a8f5a"),
    font_family="sans-serif",
    label_font_size=11,
    major_label_font_size=11,
    legend_font_size=12,
    title_font_size=14,
    value_font_size=10,
)
_LOOK: dict[str, Any] = {
    "style": _STYLE, "js": (), "width": 900, "legend_at_bottom": True, "show_dots": False, "no_prefix": True,
    "disable_xml_declaration": True, "truncate_legend": -1, "truncate_label": -1,
}  # fmt: skip
_ONLY_SCRIPTS = re.compile(r"<script.*?</script>|<!--.*?-->", re.DOTALL)
_ID = re.compile(r"chart-[0-9a-f-]{36}")


def rates(found: Sequence[Mapping[str, Any]]) -> str:
    """A second over HTTP and by pgbench, with their quartiles."""
    chart = pygal.HorizontalBar(
        title="requests a second, log scale", logarithmic=True, height=90 + 42 * len(found), **_LOOK
    )
    chart.x_labels = [one["workload"] for one in reversed(found)]
    for kind in ("http", "pgbench"):
        some = [one[kind] for one in reversed(found)]
        chart.add(kind, [_with_quartiles(one) for one in some])
    return _put(chart, "rates", "requests a second over HTTP and by pgbench")


def cpu(found: Sequence[Mapping[str, Any]]) -> str:
    """CPU of a request: ours, PostgreSQL's, the clients'."""
    some = [one for one in reversed(found) if one["workload"] != "feed"]
    chart = pygal.HorizontalStackedBar(title="µs of CPU a request", height=90 + 30 * len(some), **_LOOK)
    chart.x_labels = [one["workload"] for one in some]
    for name, field in (("ours", "app_us"), ("PostgreSQL", "postgres_us"), ("clients", "generator_us")):
        chart.add(name, [round(one["http"][field]) for one in some])
    return _put(chart, "cpu", "CPU of a request")


def latency(found: Sequence[Mapping[str, Any]], clients: Sequence[int]) -> str:
    """The 99th percentile by the number of clients."""
    names = [name for name in dict.fromkeys(one["workload"] for one in found) if name != "feed"]
    chart = pygal.HorizontalBar(title="p99, ms, log scale", logarithmic=True, height=90 + 46 * len(names), **_LOOK)
    chart.x_labels = list(reversed(names))
    there = {(one["workload"], one["clients"]): one["http"]["p99_ms"] for one in found}
    for many in clients:
        chart.add(f"{many} clients", [round(there[name, many], 1) for name in reversed(names)])
    return _put(chart, "latency", "p99 by the number of clients")


def ratios(found: Sequence[Mapping[str, Any]]) -> str:
    """Throughput and p99 of the larger database, where the smaller has 1."""
    chart = pygal.HorizontalBar(title="larger database, the smaller being 1", height=90 + 26 * len(found), **_LOOK)
    chart.x_labels = [f"{one['workload']}, {one['clients']}" for one in reversed(found)]
    for name, field in (("throughput", "rate"), ("p99", "p99")):
        chart.add(name, [round(one[field], 2) for one in reversed(found)])
    return _put(chart, "ratios", "the larger database beside the smaller")


def soak(stretches: Sequence[Mapping[str, Any]]) -> str:
    """Latency and memory over the minutes."""
    every = [f"{(number + 1) / 6:.0f}" if number % 12 == 11 else "" for number in range(len(stretches))]  # noqa: PLR2004  # of ten seconds each
    found = []
    lines = {
        "p50 ms": [one.get("p50_ms") for one in stretches],
        "p99 ms": [one.get("p99_ms") for one in stretches],
        "to the checkpoint, p99, ms": [one["delay_s"].get("p99", 0) * 1000 or None for one in stretches],
    }
    resident = {"MiB of the service": [sum(one["resident_mib"].values()) for one in stretches]}
    for name, title, some in (
        ("soak_latency", "ms by the minute, log scale", lines),
        ("soak_memory", "MiB by the minute", resident),
    ):
        chart = pygal.Line(title=title, height=300, logarithmic=name == "soak_latency", range=None, **_LOOK)
        chart.x_labels = every
        for label, values in some.items():
            chart.add(label, [None if value is None else round(value, 1) for value in values])
        found.append(_put(chart, name, title))
    return "\n".join(found)


def _with_quartiles(one: Mapping[str, Any]) -> dict[str, Any]:
    low, high = one["rate_quartiles"]
    return {"value": round(one["rate"], 1), "ci": {"low": round(low, 1), "high": round(high, 1)}}


def _put(chart: pygal.Graph, name: str, says: str) -> str:
    """Write the plot; the line of Markdown that shows it."""
    PLOTS.mkdir(parents=True, exist_ok=True)
    drawn = _ID.sub("chart", _ONLY_SCRIPTS.sub("", chart.render(is_unicode=True)))
    (PLOTS / f"{name}.svg").write_text(drawn + "\n", "utf-8")
    return f"![{says}](plots/{name}.svg)\n"
