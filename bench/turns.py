"""Steps a second over HTTP with integration on and off, in turns, and how long an event waits for its checkpoint."""

import asyncio
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psycopg
import stock
from ground import House, scalar, served
from measure import Bench, Turn
from workloads import WORKLOADS

from mediation.gateway.embedded import Server
from mediation.gateway.logkeys import log_keys
from mediation.service.integrate import integrate_once
from mediation.settings import Settings, Urls

ENOUGH = 0.85
_WATCH_S = 0.02
_WARM_S = 3.0
_BESIDE = ("p50_ms", "p99_ms", "app_us", "postgres_us", "wal_bytes")


class Watch:
    """When each checkpoint could first be seen: a thread that looks all the time."""

    def __init__(self, url: str) -> None:
        self._url, self._over = url, threading.Event()
        self.seen: list[tuple[int, float]] = []

    @contextmanager
    def looking(self) -> Iterator["Watch"]:
        """Look while the block lasts."""
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    def _look(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as reader:
            over = False
            while not over:
                over = self._over.wait(_WATCH_S)  # and looks once more
                size = reader.execute("SELECT max(size) FROM log_checkpoints").fetchone()
                if size and size[0] and (not self.seen or size[0] > self.seen[-1][0]):
                    self.seen.append((size[0], time.time()))

    def delays(self, since: float) -> list[float]:
        """Seconds from each event at or after `since` to the moment its checkpoint could be seen."""
        query = "SELECT position, extract(epoch FROM since)::float8 FROM spans WHERE since >= to_timestamp(%s)"
        with psycopg.connect(self._url) as reader:
            events = reader.execute(query, (since,)).fetchall()
        sizes = [size for size, _ in self.seen]
        return [self.seen[bisect_left(sizes, position)][1] - at for position, at in events]


def in_turns(server: Server, folder: Path, clients: int, seconds: float, repeats: int) -> dict[str, Any]:
    """Steps a second over HTTP, integration on and off in turns, and how long an event waits for its checkpoint."""
    house = House(server, "load", folder)
    urls = house.urls
    stock.fill(house, 0)
    keys = log_keys(Settings(data_dir=folder, database=house.name))
    decks = stock.Decks(house).make(frozenset({"open"}))
    runs: dict[bool, list[Turn]] = {True: [], False: []}
    delays: list[float] = []
    for number in range(repeats):
        for logged in (True, False):
            with served(house, 1, logged=logged) as (url, service), Watch(urls.reader).looking() as watch:
                began = time.time()
                one = Bench(house, url, service, decks).http(WORKLOADS["step"], clients, seconds, _WARM_S)
                if logged:
                    _drained(urls)
            runs[logged].append(one)
            delays += watch.delays(began) if logged else []
            how = "on" if logged else "off"
            print(f"{number + 1} of {repeats}, integration {how}: {one.rate:,.0f} steps a second", file=sys.stderr)
            # What the run without left behind is no burden of the next with it.
            asyncio.run(integrate_once(urls.log, keys))
            stock.settled(house)
    return _told(runs, delays)


def _drained(urls: Urls, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while scalar(urls.log, "SELECT count(*) FROM outbox"):
        assert time.monotonic() < deadline, "the sequencer does not come to an end"
        time.sleep(_WATCH_S)


def _told(runs: Mapping[bool, list[Turn]], delays: list[float]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for logged, measured in runs.items():
        low, middle, high = quantiles([one.rate for one in measured], n=4, method="inclusive")
        found["on" if logged else "off"] = {
            "steps_a_second": round(middle),
            "quartiles": [round(low), round(high)],
            "each": [round(one.rate) for one in measured],
            **{name: round(median(getattr(one, name) for one in measured), 1) for name in _BESIDE},
        }
    found["ratio"] = round(median(one.rate for one in runs[True]) / median(one.rate for one in runs[False]), 3)
    pairs = [on.rate / off.rate for on, off in zip(runs[True], runs[False], strict=True)]
    found["ratio_of_pairs"] = round(median(pairs), 3)
    delays.sort()
    found["merge_delay_s"] = {
        "events": len(delays),
        "p50": round(delays[len(delays) // 2], 3),
        "p99": round(delays[len(delays) * 99 // 100], 3),
        "most": round(delays[-1], 3),
    }
    return found


def show(found: Mapping[str, Any]) -> None:
    """Print what `in_turns` found."""
    print("\nSteps a second over HTTP, integration on and off in turns:")
    for how in ("on", "off"):
        one = found[how]
        print(
            f"  {how:4}{one['steps_a_second']:7,} ({one['quartiles'][0]:,} to {one['quartiles'][1]:,})"
            f"   p50 {one['p50_ms']} ms   p99 {one['p99_ms']} ms   app {one['app_us']:.0f} µs"
            f"   pg {one['postgres_us']:.0f} µs   WAL {one['wal_bytes']:,.0f} B   each {one['each']}"
        )
    enough = "enough" if found["ratio"] >= ENOUGH else f"TOO LITTLE, {ENOUGH:.0%} is wanted"
    print(f"  ratio of the medians {found['ratio']:.1%}, median of the pairs {found['ratio_of_pairs']:.1%}: {enough}")
    delay = found["merge_delay_s"]
    print(
        f"  from an event to its checkpoint, {delay['events']:,} events: median {delay['p50']} s, "
        f"p99 {delay['p99']} s, at the most {delay['most']} s"
    )
