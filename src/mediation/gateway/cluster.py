"""Where a PostgreSQL cluster lives: its folders, secrets, locks and socket, and which processes are its own."""

import fcntl
import hashlib
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from mediation.gateway.programs import Account, server_account

PORT = 5432  # only names the socket: the server listens on no network
_SOCKET_BYTES = 107  # of a unix socket's path, Linux


class Postmaster(NamedTuple):
    """What `postmaster.pid` says: a pid, whoever has that number now, and how far the server has come."""

    pid: int
    status: str


class Cluster:
    """The cluster of one major version under `root`: `pg18`, and beside it all that is named after it."""

    def __init__(self, root: Path, major: int) -> None:
        """Make the folders; those that are there keep their modes. Raises: OSError."""
        self.root = root.resolve()
        self.data = self.root / f"pg{major}"
        self.log = self.data.with_suffix(".log")
        self.account: Account = server_account(self.data)
        # Shown in the title of every process of this server: so its orphans are known from anybody else's.
        self.name = "mediation-" + hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
        self._secrets = self.data.with_suffix(".secrets")
        with suppress(FileExistsError):  # also made by another command at this very moment
            self.root.mkdir(parents=True)
            self.root.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self._secrets.mkdir(mode=0o700, exist_ok=True)

    # ── files ──

    def password(self, role: str) -> str:
        """The password of `role`, made up when first asked for; in a file that only its owner may read."""
        path = self._secrets / role
        if not path.exists():
            self.write_private(path, secrets.token_urlsafe(32))
        return path.read_text()

    def private_folder(self, path: Path) -> None:
        """Make a folder that only the server's account may enter."""
        path.mkdir(mode=0o700, exist_ok=True)
        self.account.owns(path)

    def write_private(self, path: Path, text: str, *, for_server: bool = False) -> None:
        """Write a file (0600) whole or not at all."""
        draft = path.with_name(path.name + ".draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if for_server:
            self.account.owns(draft)
        draft.replace(path)

    def socket_folder(self) -> Path:
        """`pg18.run`, or a short private folder where that path is too long for a socket, or libpq would split it."""
        own = self.data.with_suffix(".run")
        long = len(os.fsencode(own / f".s.PGSQL.{PORT}")) > _SOCKET_BYTES
        if not long and not set(str(own)) & set(',"\\'):
            if not own.exists():
                self.private_folder(own)
            return own
        note = self.data.with_suffix(".socket")  # kept, so that a server started again is found at the same address
        if note.exists():
            noted = Path(note.read_text())
            with suppress(FileNotFoundError):
                seen = noted.lstat()
                if stat.S_ISDIR(seen.st_mode) and seen.st_uid == self.account.uid and not seen.st_mode & 0o077:
                    return noted
        base = next(place for place in ("/run", "/tmp") if os.access(place, os.W_OK))  # noqa: S108  # mkdtemp makes it new
        made = Path(tempfile.mkdtemp(prefix="mediation-", dir=base))
        self.account.owns(made)
        self.write_private(note, str(made))
        return made

    # ── locks ──

    @contextmanager
    def users(self) -> Iterator[IO[bytes]]:
        """The file that each command holds a shared lock on while it uses the server; not locked yet."""
        with os.fdopen(os.open(self.data.with_suffix(".users"), os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            yield file

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One at a time starts or stops the server."""
        with os.fdopen(os.open(self.data.with_suffix(".turn"), os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @staticmethod
    def nobody_uses(users: IO[bytes]) -> bool:
        """Whether no other command holds the server; a lock of `users` itself is given up."""
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(users, fcntl.LOCK_UN)
        return True

    # ── processes ──

    def noted(self) -> Postmaster | None:
        """What `postmaster.pid` says, true or stale."""
        with suppress(FileNotFoundError, ValueError, IndexError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return Postmaster(int(lines[0]), lines[7].strip() if len(lines) > 7 else "")  # noqa: PLR2004  # its last line
        return None

    def postmaster(self) -> int | None:
        """The pid of this cluster's server, if it lives."""
        noted = self.noted()
        return noted.pid if noted and self.is_ours(noted.pid) else None

    def is_ours(self, pid: int) -> bool:
        """Whether `pid` is this cluster's server, and not a stranger (or a zombie) who has its number now.

        By its command line, which anyone may read; `exe` and `cwd` are closed to root in many containers.
        """
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return Path(os.fsdecode(words[0])).name == "postgres" and os.fsencode(self.data) in words

    def orphans(self) -> Iterator[int]:
        """Processes of this cluster that go by the title of a server's child."""
        title = f"postgres: {self.name}:".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (entry / "cmdline").read_bytes().startswith(title):
                    yield int(entry.name)

    def gone(self, pid: int, seconds: float) -> bool:
        """Wait until `pid` is no longer this cluster's server; False if it still is after `seconds`."""
        deadline = time.monotonic() + seconds
        while self.is_ours(pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True
