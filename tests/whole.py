"""What a test sees and does from outside the service: the whole database, and a sequencer of its own.

The address at which a test sees the whole database: a superuser's, as row-level security binds even its owner.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

from mediation.gateway.embedded import SUPERUSER, Server
from mediation.gateway.logkeys import LogKeys, log_key
from mediation.service.integrate import integrate_once
from mediation.settings import Urls


def whole(urls: Urls) -> str:
    """A superuser's address of the same database, on the server of this run of the tests."""
    return Server(_folder()).url(SUPERUSER, _name(urls))


def keys_of(urls: Urls) -> LogKeys:
    """The keys of the logs of a test's database, the same at each call."""
    folder, name = _folder() / "keys", _name(urls)
    return LogKeys(
        log_key(folder / f"{name}.log.key", f"test.example/{name}"),
        log_key(folder / f"{name}.access.key", f"test.example/{name}/access"),
    )


async def integrated(urls: Urls) -> int:
    """Give everything that was committed its place in its log: how much."""
    return await integrate_once(urls.log, keys_of(urls))


def _folder() -> Path:
    return Path(os.environ["PYTEST_MEDIATION_FOLDER"])


def _name(urls: Urls) -> str:
    return urlsplit(urls.owner).path.lstrip("/")
