"""The PostgreSQL that comes with a wheel: started when somebody needs it, stopped by whoever leaves last.

The server belongs to no command. Two files are locked with `flock`: `pg18.users`, shared, by each command for as long
as it runs, and `pg18.turn`, exclusive, for the moment in which one comes or goes. Who leaves tries for `pg18.users`
alone: getting it means that nobody is left. A server that outlived its command (`kill -9`) is found answering and used.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import quote

import psycopg
from psycopg import sql

from mediation.domain.errors import MediationError
from mediation.gateway.cluster import PORT, Cluster
from mediation.gateway.programs import Programs, clean_environment, copied, find_programs
from mediation.settings import APP_LIMITS, Door, Settings, Urls

SUPERUSER = "postgres"
ROLES = {
    "mediation_owner": "NOBYPASSRLS",
    "mediation_app": "NOBYPASSRLS",
    "mediation_log": "NOBYPASSRLS",
    "mediation_reader": "BYPASSRLS",
}
"""What each role may beyond its grants; none may be superuser or make databases or roles."""

_START_SECONDS = 300  # recovery after a crash may take a while; a server that dies is noticed at once
_STOP_SECONDS = 60
_ORPHAN_SECONDS = 3
_LEAVING_S = 1.0  # what a command that has just ended, or was killed, takes to be gone from the server
_BUILTIN_LOCALE = 17  # the first PostgreSQL that brings its own C.UTF-8


class EmbeddedFailed(MediationError):
    """The embedded server cannot be started, reached or stopped."""

    code = "embedded_failed"


class DatabaseInUse(EmbeddedFailed):
    """A database that is to be made anew is being used by another command."""

    code = "database_in_use"


class Status(NamedTuple):
    """What is known of the embedded server without starting it."""

    running: bool
    in_use: bool
    pid: int | None
    version: str
    data: str
    socket: str
    log: str


class Server:
    """One PostgreSQL cluster under `root`, whose data directory is named by its major version."""

    def __init__(self, root: Path, *, fsync: bool = True) -> None:
        """Find the programs and make `root`; nothing is started. `fsync=False` is for tests, whose data may be lost.

        Raises: PostgresMissing; EmbeddedFailed, if `root` cannot be made or reached.
        """
        self.fsync = fsync
        self.programs: Programs = find_programs()
        try:
            self.cluster = Cluster(root, self.programs.major)
        except OSError as error:
            raise EmbeddedFailed(
                zh=f"无法使用目录 {root}：{error.strerror}。可用 MEDIATION_DATA_DIR 另行指定。",
                en=f"The folder {root} cannot be used: {error.strerror}. MEDIATION_DATA_DIR names another.",
            ) from error
        account = self.cluster.account
        if not account.reaches(self.cluster.data):
            raise EmbeddedFailed(
                zh=f"以 root 运行时 PostgreSQL 由另一用户（uid {account.uid}）运行，它进不了 {root}："
                "请让 MEDIATION_DATA_DIR 指向各级目录都允许他人通过的位置。",
                en=f"Run as root, PostgreSQL runs as another user (uid {account.uid}), who cannot reach {root}: "
                "let MEDIATION_DATA_DIR name a place whose parent folders others may pass through.",
            )

    # ── coming and going ──

    @contextmanager
    def in_use(self) -> Iterator["Server"]:
        """Hold the server: it answers when the block begins, and is stopped after it if nobody else holds it."""
        with self.cluster.users() as users:
            with self.cluster.turn():
                self._ensure()
                fcntl.flock(users, fcntl.LOCK_SH)
            try:
                yield self
            finally:
                with self.cluster.turn():
                    if self.cluster.nobody_uses(users):
                        self._shut_down()

    def revive(self) -> None:
        """Start the server again if it has died under those who hold it."""
        with self.cluster.turn():
            self._ensure()

    def stop(self, *, force: bool = False) -> bool:
        """Stop the server; False if others hold it and `force` was not given."""
        with self.cluster.users() as users, self.cluster.turn():
            if not self.cluster.nobody_uses(users) and not force:
                return False
            self._shut_down()
            return True

    def status(self) -> Status:
        """Look, without starting or stopping anything."""
        with self.cluster.users() as users, self.cluster.turn():
            in_use = not self.cluster.nobody_uses(users)
        pid = self.cluster.postmaster()
        return Status(
            running=pid is not None and self._answers(),
            in_use=in_use,
            pid=pid,
            version=self.programs.version,
            data=str(self.cluster.data),
            socket=str(self.cluster.socket_folder()),
            log=str(self.cluster.log),
        )

    # ── databases and doors ──

    def url(self, role: str, database: str) -> str:
        """A libpq URL through the socket, with its password."""
        folder = quote(str(self.cluster.socket_folder()), safe="")
        return f"postgresql://{role}:{self.cluster.password(role)}@/{database}?host={folder}"

    def urls(self, database: str) -> Urls:
        """The four doors into `database`."""
        doors: tuple[Door, ...] = ("app", "owner", "reader", "log")
        app, owner, reader, log = (self.url(f"mediation_{door}", database) for door in doors)
        return Urls(app, owner, reader, log)

    def create_database(self, name: str, *, recreate: bool = False, template: str = "template1") -> None:
        """Make `name`, owned by `mediation_owner`, unless it is there; `recreate` drops it first.

        Raises: DatabaseInUse, if it is to be dropped and somebody is connected.
        """
        with self._superuser() as connection:
            connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])  # two commands may both miss it
            if recreate:
                self._await_leaving(connection, name)
                self._drop(connection, name)
            elif connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                return
            new, old = sql.Identifier(name), sql.Identifier(template)
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER mediation_owner TEMPLATE {}").format(new, old))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(new))
            others = sql.SQL("mediation_app, mediation_log, mediation_reader")
            connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(new, others))

    def drop_database(self, name: str) -> None:
        """Drop `name` if it is there, whoever is connected."""
        with self._superuser() as connection:
            self._drop(connection, name)

    @staticmethod
    def _await_leaving(connection: psycopg.Connection[Any], name: str) -> None:
        asked = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend')"
        deadline = time.monotonic() + _LEAVING_S
        while connection.execute(asked, [name]).fetchone() == (True,):
            if time.monotonic() > deadline:
                raise DatabaseInUse(
                    zh=f"数据库 {name} 正被另一命令使用（如 mediation serve）：请先停止它，再重建。",
                    en=f"The database {name} is in use by another command, such as `mediation serve`: "
                    "stop that first, then it can be made anew.",
                )
            time.sleep(0.05)

    @staticmethod
    def _drop(connection: psycopg.Connection[Any], name: str) -> None:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _superuser(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True, connect_timeout=10)

    def _create_roles(self) -> None:
        with self._superuser() as connection:
            there = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
            for role in [role for role in ROLES if role not in there]:
                # Hashed here, so that no password stands in a statement that the server might log.
                hashed = connection.pgconn.encrypt_password(self.cluster.password(role).encode(), role.encode())
                with connection.transaction():  # a role half made would be taken for whole
                    for statement in role_statements(role, hashed.decode()):
                        connection.execute(statement.encode())

    # ── the process ──

    def _ensure(self) -> None:
        """See that the server runs, answers and has its roles. Only for who has the turn."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self.cluster.postmaster() is None:
                self._start()
            elif time.monotonic() > deadline:
                raise self._failed("没有应答", "does not answer")
            else:
                time.sleep(0.01)  # starting, recovering or stopping
        self._create_roles()

    def _start(self) -> None:
        if not (self.cluster.data / "PG_VERSION").exists():
            self._initialise()
        self._sweep()
        options = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self.cluster.socket_folder()}"',
            "unix_socket_permissions": "0700",
            "port": str(PORT),
            "cluster_name": self.cluster.name,
            "fsync": "on" if self.fsync else "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_error_verbosity": "terse",  # the detail of an error may hold a row's values
            **_sizes(),
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        log = self.cluster.log
        if log.exists() and log.stat().st_size > 1 << 20:
            log.replace(log.with_name(log.name + ".1"))
        with log.open("ab") as file:
            log.chmod(0o600)
            # The shell goes away at once, so the server is nobody's child: it outlives us and init buries it.
            detach = ["/bin/sh", "-c", '"$@" </dev/null >&2 & echo $!', "sh"]
            started = self._run(*detach, self._program("postgres"), "-D", str(self.cluster.data), *arguments, log=file)
        pid, deadline = int(started), time.monotonic() + _START_SECONDS
        while self.cluster.noted() != (pid, "ready"):
            if not self.cluster.is_ours(pid):
                time.sleep(0.2)  # the shell's child may not have become the server yet
                if not self.cluster.is_ours(pid):
                    raise self._failed("未能启动", "did not start")
            if time.monotonic() > deadline:
                raise self._failed("迟迟未能启动", "is not ready yet")
            time.sleep(0.005)

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there when whole: one half made is never mistaken for one."""
        draft, key = self.cluster.data.with_suffix(".new"), self.cluster.data.with_suffix(".key")
        shutil.rmtree(draft, ignore_errors=True)
        self.cluster.private_folder(draft)
        self.cluster.write_private(key, self.cluster.password(SUPERUSER), for_server=True)
        locale = ["--locale=C.UTF-8"]
        if self.programs.major >= _BUILTIN_LOCALE:
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        unsafe = [] if self.fsync else ["--no-sync"]
        options = ["--encoding=UTF8", "--auth=scram-sha-256", "--data-checksums", *locale, *unsafe]
        try:
            self._run(self._program("initdb"), "-D", str(draft), "-U", SUPERUSER, f"--pwfile={key}", *options)
        finally:
            key.unlink(missing_ok=True)
        (draft / "pg_hba.conf").write_text("local all all scram-sha-256\n")  # the socket only, with a password only
        draft.rename(self.cluster.data)

    def _sweep(self) -> None:
        """Remove what a killed server left: orphans, which hold its memory, then files naming a pid reused since."""
        if not (self.cluster.data / "postmaster.pid").exists():
            return
        deadline = time.monotonic() + _ORPHAN_SECONDS
        while orphans := list(self.cluster.orphans()):
            if time.monotonic() > deadline:  # they end by themselves when they next look up; a busy one does not
                for pid in orphans:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        for left in (self.cluster.data / "postmaster.pid", *self.cluster.socket_folder().glob(".s.PGSQL.*")):
            left.unlink(missing_ok=True)

    def _shut_down(self) -> None:
        """Fast shutdown: sessions end, all is on disk. One that hangs is stopped hard, and its log recovers it."""
        for how in (signal.SIGINT, signal.SIGQUIT):
            pid = self.cluster.postmaster()
            if pid is None:
                return
            with suppress(ProcessLookupError):
                os.kill(pid, how)
            if self.cluster.gone(pid, _STOP_SECONDS):
                return
        raise self._failed("未能停止", "did not stop")

    def _answers(self) -> bool:
        if not (self.cluster.socket_folder() / f".s.PGSQL.{PORT}").exists():
            return False
        try:
            self._superuser().close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise self._failed("的口令与保存的不符", "does not take the password kept for it") from error
            return False
        return True

    def _program(self, name: str) -> str:
        """A program's path; for root that of a copy that the server's user can run."""
        return (copied(self.programs, self.cluster.root) if os.geteuid() == 0 else self.programs).path(name)

    def _run(self, *words: str, log: IO[bytes] | None = None) -> str:
        """Run as the server's account, in a session of its own, and give what was printed."""
        try:
            return subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log or subprocess.PIPE,
                check=True,
                text=True,
                cwd="/",  # wherever we were called from, the server's user may not be allowed to stand
                env=clean_environment(),
                umask=0o077,
                start_new_session=True,  # Ctrl-C at our terminal is not meant for the server
                **self.cluster.account.privileges,
            ).stdout
        except subprocess.CalledProcessError as error:
            said = (error.stderr or "").strip()
            raise EmbeddedFailed(zh=f"{words[0]} 失败：{said}", en=f"{words[0]} failed: {said}") from error
        except OSError as error:
            raise EmbeddedFailed(zh=f"{words[0]} 无法运行：{error}", en=f"{words[0]} cannot be run: {error}") from error

    def _failed(self, zh: str, en: str) -> EmbeddedFailed:
        log, shown = self.cluster.log, ""
        with suppress(OSError):
            shown = "".join(f"\n  {line}" for line in log.read_text(errors="replace").splitlines()[-5:])
        return EmbeddedFailed(
            zh=f"内置 PostgreSQL {zh}。日志 {log} 末尾：{shown}",
            en=f"The embedded PostgreSQL {en}. The end of {log}:{shown}",
        )


def role_statements(role: str, password: str) -> list[str]:
    """The SQL that makes one of our roles, for a superuser; `password` is a hash or a placeholder."""
    plain = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
    made = f"CREATE ROLE {role} {plain} {ROLES[role]} PASSWORD '{password}'"
    if role == "mediation_app":  # as every session asks for by itself, but where a pooler lets none do so
        limits = [f"ALTER ROLE {role} SET {name} = '{value}'" for name, value in APP_LIMITS.items()]
        return [made, *limits, f"ALTER ROLE {role} SET search_path = public, jobs"]
    if role != "mediation_reader":
        return [made]
    # pg_dump needs to read whatever a later migration makes, and must never write.
    return [
        made,
        "GRANT pg_read_all_data TO mediation_reader",
        "ALTER ROLE mediation_reader SET default_transaction_read_only = on",
    ]


@contextmanager
def database_ready(settings: Settings, *need: Door, recreate: bool = False) -> Iterator[Urls]:
    """The database that `settings` mean, for as long as the block runs: given from outside, or the embedded one.

    The embedded server is started if it does not run, given its roles and its database (made anew with `recreate`),
    and stopped at the end by whoever leaves last. `need` names the doors that will be used, so must have been given; a
    door that was not is empty.

    Raises: BadSetting, PostgresMissing, EmbeddedFailed; DatabaseInUse, if it is to be made anew under somebody.
    """
    if not settings.embedded:
        if recreate:
            raise EmbeddedFailed(
                zh="只有内置数据库可以重建；已设置 MEDIATION_DATABASE_URL。",
                en="Only an embedded database is made anew; MEDIATION_DATABASE_URL is set.",
            )
        yield settings.given_urls(*need)
        return
    with Server(settings.data_dir).in_use() as server:
        server.create_database(settings.database, recreate=recreate)
        yield server.urls(settings.database)


def _sizes() -> dict[str, str]:
    """What the server may use of a machine's memory: a quarter is its own, as PostgreSQL's manual advises (§19.4.1).

    Checkpoints come by time and not by every gigabyte written, as each makes the next writes larger.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):  # "max", or no such file
        memory = min(memory, int(Path("/sys/fs/cgroup/memory.max").read_text("ascii")))
    return {
        "shared_buffers": f"{min(max(memory >> 22, 128), 8192)}MB",
        "effective_cache_size": f"{max(memory >> 21, 256)}MB",
        "random_page_cost": "1.1",  # no disk turns any more
        "max_connections": "250",  # a worker has some 24
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
    }
