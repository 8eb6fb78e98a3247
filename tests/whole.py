"""The address at which a test sees the whole database: a superuser's, as row-level security binds even its owner."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from mediation.gateway.embedded import SUPERUSER, Server
from mediation.settings import Urls


def whole(urls: Urls) -> str:
    """A superuser's address of the same database, on the server of this run of the tests."""
    name = urlsplit(urls.owner).path.lstrip("/")
    return Server(Path(os.environ["PYTEST_MEDIATION_FOLDER"])).url(SUPERUSER, name)
