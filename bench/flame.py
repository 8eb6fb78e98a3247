"""Where the CPU of a worker goes while it takes steps: a flame graph, and a table of its rooms.

The service runs with one worker and is asked for steps by sixteen clients; `py-spy` looks at it some hundred times a
second, at threads that use the CPU alone (or wait for it: other work on the machine blurs the picture). One recording
makes both the picture and the table. A sample is a room's own where its innermost frame of Python lies there; what C
code does (msgspec, libpq, the parser of HTTP) counts for the frame that called it.

  make bench-flame                                       writes docs/flame.svg and docs/figures/flame.json
  make bench-flame ARGS='--seconds 5 --workload read --svg /tmp/read.svg --json /tmp/read.json'
"""

import argparse
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import takewhile
from pathlib import Path
from typing import Any

import psutil
import stock
from ground import House, cpu_of, family, machine, own_server, served, told
from measure import Bench
from run import say
from workloads import WORKLOADS

DOCS = Path(__file__).parents[1] / "docs"
ROOMS = (
    ("mediation/domain/decision", "the law: decision"),
    ("mediation/domain/guards", "the law: guards"),
    ("mediation/domain/events", "the law: event and fold"),
    ("mediation/domain", "the law: all else"),
    ("mediation/service", "the corridor"),
    ("mediation/store", "the memory (store)"),
    ("mediation/gateway", "the doors (tokens, vault)"),
    ("mediation/http", "the counter (http)"),
    ("psycopg_pool", "psycopg"),
    ("psycopg", "psycopg"),
    ("sqlalchemy", "SQLAlchemy"),
    ("pydantic", "pydantic"),
    ("fastapi", "FastAPI and Starlette"),
    ("starlette", "FastAPI and Starlette"),
    ("uvicorn", "uvicorn and the loop"),
    ("asyncio", "uvicorn and the loop"),
    ("multiprocessing", "uvicorn and the loop"),
    ("contextlib", "uvicorn and the loop"),
)
OTHER = "other libraries"
COLOURS = ("#c0504d", "#d98880", "#e59866", "#f0b27a", "#f4d03f", "#7dcea0", "#76d7c4", "#85c1e9", "#bb8fce", "#d7bde2")
WIDTH, ROW, LEAST = 1200, 17, 0.003
_WAITS = "_worker (concurrent/futures/thread.py"  # a thread that waits for work
_RATE = 250
Stacks = Counter[tuple[str, ...]]


def recorded(process: psutil.Process, seconds: float, raw: Path) -> Stacks:
    """The stacks of a process, outermost frame first, and how often each was seen."""
    command = [
        *(
            str(Path(sys.executable).with_name("py-spy")),
            "record",
            "--pid",
            str(process.pid),
            "--duration",
            str(round(seconds)),
            "--rate",
            str(_RATE),
        ),
        *("--format", "raw", "--full-filenames", "--output", str(raw)),
    ]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    found: Stacks = Counter()
    for line in raw.read_text("utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        frames = tuple(_frame(frame) for frame in stack.split(";"))
        if not frames[-1].startswith(_WAITS):
            found[frames] += int(count)
    levels = zip(*found, strict=False)
    alike = sum(1 for _ in takewhile(lambda frames: len(set(frames)) == 1, levels))  # down to the loop is one way
    return Counter({frames[alike:] or frames[-1:]: count for frames, count in found.items()})


def _frame(said: str) -> str:
    """`name (mediation/store/append.py)`, whatever the line and wherever it is installed."""
    name, _, place = said.partition(" (")
    path = place.rstrip(")").rpartition(":")[0].replace("\\", "/")
    for root in ("site-packages/", "/src/", "/lib/python"):
        if root in path:
            path = path.rpartition(root)[2]
            path = path.partition("/")[2] if root == "/lib/python" else path
    return f"{name} ({path})" if path else name


def room_of(frame: str) -> str:
    """The room a frame lies in."""
    place = frame.partition(" (")[2]
    return next((name for start, name in ROOMS if place.startswith(start)), OTHER)


def shares(stacks: Mapping[tuple[str, ...], int]) -> dict[str, float]:
    """What part of the CPU is each room's own; a frame of other libraries counts for the room that called it."""
    own: Counter[str] = Counter()
    for stack, count in stacks.items():
        rooms = [room_of(frame) for frame in reversed(stack)]
        own[next((room for room in rooms if room != OTHER), OTHER)] += count
    whole = sum(own.values())
    return {room: count / whole for room, count in own.most_common()}


def drawn(stacks: Mapping[tuple[str, ...], int], title: str) -> str:
    """The flame graph: what is outermost lies at the bottom; hover to read a frame and its share."""
    whole = sum(stacks.values())
    boxes = [box for box in _boxes(sorted(stacks.items()), whole) if box[2] >= LEAST]
    colours = dict(zip(dict.fromkeys(name for _, name in ROOMS), COLOURS * 2, strict=False))
    deepest = max(depth for _, depth, _, _ in boxes)
    height = (deepest + 3) * ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        "<style>text{font-size:11px}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{WIDTH / 2}" y="13" text-anchor="middle">{escape(title)}</text>',
    ]
    for left, depth, share, frame in boxes:
        x, wide, y = left * WIDTH, share * WIDTH, height - (depth + 1) * ROW
        colour = colours.get(room_of(frame), "#d5d8dc")
        fits = frame.partition(" (")[0][: int(wide / 6.2)]
        text = f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(fits)}</text>' if len(fits) > 2 else ""  # noqa: PLR2004  # two letters tell nothing
        lines.append(
            f'<g><title>{escape(frame)} {share:.1%}</title><rect x="{x:.1f}" y="{y}" width="{wide:.1f}" '
            f'height="{ROW - 1}" fill="{colour}"/>{text}</g>'
        )
    return "\n".join([*lines, "</svg>\n"])


def _boxes(
    stacks: Sequence[tuple[tuple[str, ...], int]], whole: int, depth: int = 0, left: float = 0.0
) -> Iterator[tuple[float, int, float, str]]:
    """Left edge, depth, width (of one) and frame of each box; sorted stacks with one frame in common lie together."""
    place = 0
    while place < len(stacks):
        stack, _ = stacks[place]
        if len(stack) <= depth:
            left += stacks[place][1] / whole
            place += 1
            continue
        end = place
        while end < len(stacks) and len(stacks[end][0]) > depth and stacks[end][0][depth] == stack[depth]:
            end += 1
        share = sum(count for _, count in stacks[place:end]) / whole
        yield left, depth, share, stack[depth]
        yield from _boxes(stacks[place:end], whole, depth + 1, left)
        left, place = left + share, end


def looked_at(
    house: House, workload: str, seconds: float, clients: int
) -> tuple[Counter[tuple[str, ...]], dict[str, Any]]:
    """Load a worker and look at it."""
    one = WORKLOADS[workload]
    with served(house, 1) as (url, service):
        bench = Bench(house, url, service, stock.Decks(house, url).make(one.decks))
        worker = max(family(service), key=cpu_of)
        stacks: Stacks = Counter()
        used = []

        def look() -> None:
            begun = cpu_of(worker)
            stacks.update(recorded(worker, seconds, house.folder / "stacks.txt"))
            used.append(cpu_of(worker) - begun)

        looking = threading.Thread(target=look)
        looking.start()
        turn = bench.http(one, clients, seconds, 2.0)
        looking.join()
    seen_s = sum(stacks.values()) / _RATE  # of CPU; the OS says how much there was, of the whole recording
    return stacks, {
        "seen_s": seen_s,
        "used_s": used[0],
        "rate": turn.rate,
        "app_us": turn.app_us,
        "clients": clients,
        "workload": workload,
    }


def main() -> None:
    """Record, draw, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of recording; default 20")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--workload", choices=[one.name for one in WORKLOADS.values()], default="step")
    parser.add_argument("--cases", type=int, default=2000, help="in the database; default 2,000")
    parser.add_argument("--svg", type=Path, default=DOCS / "flame.svg")
    parser.add_argument("--json", type=Path, default=DOCS / "figures" / "flame.json")
    chosen = parser.parse_args()
    with own_server() as (server, folder):
        house = House(server, "flame", folder)
        said: dict[str, Any] = {"machine": machine(server)}
        print(told(said["machine"]))
        stock.fill(house, chosen.cases)
        stacks, found = looked_at(house, chosen.workload, chosen.seconds, chosen.clients)
    said |= {**found, "samples": sum(stacks.values()), "shares": shares(stacks)}
    title = f"CPU of a worker during {chosen.workload}s: {said['samples']:,} samples, {said['app_us']:,.0f} µs each"
    chosen.svg.write_text(drawn(stacks, title), "utf-8")
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(said, indent=1), "utf-8")
    print(f"{said['seen_s']:.1f} s of CPU seen, {said['used_s']:.1f} s used")
    for room, share in said["shares"].items():
        print(f"  {room:28}{share:7.1%}{share * said['app_us']:9,.0f} µs")
    say(f"{chosen.svg}: {chosen.svg.stat().st_size / 1000:,.0f} kB")


if __name__ == "__main__":
    main()
