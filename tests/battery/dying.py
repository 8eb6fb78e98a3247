"""A sequencer that is killed at one of its points: `python -m tests.battery.dying LOG_URL OWNER_URL POINT`."""

import asyncio
import os
import signal
import sys

from tests.whole import keys_of

from mediation.service.integrate import integrate_once
from mediation.settings import Urls


def die_at(point: str, reached: str) -> None:
    if reached == point:
        os.kill(os.getpid(), signal.SIGKILL)


async def main(log_url: str, owner_url: str, point: str) -> None:
    keys = keys_of(Urls("", owner=owner_url))
    while True:
        await integrate_once(log_url, keys, lambda reached: die_at(point, reached))
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
