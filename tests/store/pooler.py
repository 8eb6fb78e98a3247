"""PgBouncer before the server of the tests, as stingy as can be: two sessions for all, lent a transaction at a time."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from mediation.gateway.embedded import Server
from mediation.gateway.programs import clean_environment
from mediation.settings import Urls

PORT = 6432  # only names the socket: the pooler listens on no network
SESSIONS = 2
UNPACKED = Path(sys.prefix, "debian")  # see requirements/pooler.sh

INI = """\
[databases]
* = host={server} port=5432
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
unix_socket_mode = 0700
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {sessions}
server_round_robin = 1
"""


def needed() -> tuple[Path, list[Path]]:
    """The program and the folders of libraries it brings; the test is skipped where there is none."""
    installed = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if installed:
        return Path(installed), []
    if (UNPACKED / "usr/sbin/pgbouncer").exists():
        return UNPACKED / "usr/sbin/pgbouncer", [*UNPACKED.glob("usr/lib/*-linux-*"), *UNPACKED.glob("lib/*-linux-*")]
    pytest.skip("no PgBouncer: it is neither installed, nor could `make setup` fetch it (requirements/pooler.sh)")


@contextmanager
def pooled(server: Server, urls: Urls) -> Iterator[Urls]:
    """The same doors, the application's through a pooler of its own.

    It runs as the server does, as root cannot run it, out of a private folder: a private clone cannot be walked through.
    """
    program, libraries = needed()
    cluster = server.cluster
    folder = Path(tempfile.mkdtemp(prefix="pooler-", dir=cluster.root))
    shutil.copy(program, folder / "pgbouncer")
    for library in libraries:
        shutil.copytree(library, folder / "lib", dirs_exist_ok=True, ignore=shutil.ignore_patterns("systemd"))
    password = cluster.password("mediation_app")
    ini = INI.format(server=cluster.socket_folder(), port=PORT, folder=folder, sessions=SESSIONS)
    cluster.write_private(folder / "ini", ini, for_server=True)
    cluster.write_private(folder / "users", f'"mediation_app" "{password}"\n', for_server=True)
    for path in (folder, *folder.rglob("*")):
        cluster.account.owns(path)
    name = psycopg.conninfo.conninfo_to_dict(urls.app)["dbname"]
    url = f"postgresql://mediation_app:{password}@/{name}?host={quote(str(folder), safe='')}&port={PORT}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [folder / "pgbouncer", folder / "ini"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=clean_environment(**({"LD_LIBRARY_PATH": str(folder / "lib")} if libraries else {})),
            **cluster.account.privileges,
        )
    try:
        deadline = time.monotonic() + 20
        while not (folder / f".s.PGSQL.{PORT}").exists():
            said = (folder / "log").read_text()
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.01)
        yield Urls(url, urls.owner, urls.reader, urls.log, pooled=True)
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder)
