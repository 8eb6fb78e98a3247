"""A county whose database falls into the hands of its superuser, who has everything but the keys and works thoroughly."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
from msgspec.structs import replace
from tests.conftest import copy_of
from tests.whole import keys_of, whole

from mediation.domain.commands import STEP
from mediation.domain.errors import MediationError
from mediation.domain.events import NO_HASH, Event, dump, evolve, leaf_hash, load, parse
from mediation.domain.facts import Case
from mediation.domain.notes import SignatureKind, Signer, new_signer
from mediation.domain.registering import LOG_ID, Hand
from mediation.domain.vocabulary import ErasureGround
from mediation.gateway.embedded import Server
from mediation.gateway.ledger import Ledger
from mediation.gateway.logkeys import LogKey, LogKeys
from mediation.gateway.vault import Vault
from mediation.service import integrate
from mediation.service.erasing import erase
from mediation.service.findings import Trust
from mediation.service.lawbook import load_laws
from mediation.service.perform import Context, House, Request, perform
from mediation.service.seed import seed
from mediation.service.verification import Report, verify_database
from mediation.settings import Urls
from mediation.store import database
from mediation.store.append import Memory
from mediation.store.columns import columns_of

VAULT = Vault(b"k" * 32)
WITNESS = new_signer("court.example/witness", b"w" * 32, SignatureKind.COSIGNATURE)
STAGES = 3
"""How often the county's logs were signed to the end: the database as it stood at each but the last is kept."""

_DISPUTES = 10
_BATCH = 40  # so that there are many checkpoints
_FEEDS = {"events": ("feed", "event", "outbox"), "access": ("access_feed", "disclosure", "access_outbox")}


class Touched(NamedTuple):
    """What was touched first, as far as it can be known: what a report has to name, empty where it cannot."""

    case_id: str = ""
    seq: int = 0
    position: int = 0
    access: int = 0
    code: str = ""

    def named_by(self, report: Report) -> bool:
        """Whether one failure of the report names all of it."""
        return any(
            all(not wanted or wanted == told for wanted, told in zip(self, found, strict=True))
            for found in ((one.case_id, one.seq, one.position, one.access, one.reason.code) for one in report.failures)
        )


# ── the county ──


class County(NamedTuple):
    """The county as it stands, its keys, the database at earlier times, and every checkpoint that was ever signed."""

    urls: Urls
    name: str
    keys: LogKeys
    earlier: tuple[str, ...]
    notes: dict[str, dict[int, str]]

    def trust(self, *kept: str) -> Trust:
        """The keys of both logs and of the witness, and these checkpoints."""
        return Trust((*self.keys.events.verifiers, *self.keys.access.verifiers, WITNESS.verifier), kept)

    @property
    def heads(self) -> tuple[str, ...]:
        """What the machine that signs remembers outside the database."""
        return self.keys.events.remembered(), self.keys.access.remembered()


@contextmanager
def county(server: Server, urls: Urls, folder: Path) -> Iterator[County]:
    """A seeded county of several signed stages, with a witness's cosignature and a log of who was shown what."""
    name = str(psycopg.conninfo.conninfo_to_dict(urls.app)["dbname"])
    earlier = tuple(f"{name}_{stage}" for stage in range(STAGES - 1))
    keys = keys_of(urls)
    batch, integrate.BATCH = integrate.BATCH, _BATCH
    try:
        asyncio.run(seed(urls, VAULT, disputes=_DISPUTES, until=date(2026, 11, 21)))
        for stage in range(STAGES):
            asyncio.run(_stage(urls, folder))
            asyncio.run(integrate.integrate_once(urls.log, keys))
            if stage < len(earlier):
                server.create_database(earlier[stage], template=name)
        with psycopg.connect(whole(urls), autocommit=True) as everything:
            notes: dict[str, dict[int, str]] = {}
            for origin, size, note in everything.execute(
                "SELECT origin, size, note FROM log_checkpoints ORDER BY 1, 2"
            ):
                notes.setdefault(origin, {})[size] = note
            for origin, signed in notes.items():
                size, note = max(signed.items())
                line = WITNESS.line(note.partition("\n\n")[0] + "\n", 1_790_000_000)
                put = "INSERT INTO log_cosignatures (origin, size, name, line) VALUES (%s, %s, %s, %s)"
                everything.execute(put, (origin, size, WITNESS.name, line))
        yield County(urls, name, keys, earlier, notes)
    finally:
        integrate.BATCH = batch
        for left in earlier:
            server.drop_database(left)


async def _stage(urls: Urls, folder: Path) -> None:
    """Whoever acted last in a case looks into it and, if it is open, adds to it; something is erased of one closed."""
    with psycopg.connect(whole(urls)) as everything:
        rows = everything.execute(
            "SELECT c.facts::text, e.bytes FROM cases c "
            "JOIN events e ON e.case_id = c.id WHERE convert_from(e.bytes, 'UTF8') NOT LIKE '%\"actor\":\"clock\"%' "
            "ORDER BY c.id, e.seq DESC"
        ).fetchall()
    last: dict[str, tuple[Case, Event]] = {}
    for facts, data in rows:
        case = load(facts)
        last.setdefault(case.id, (case, parse(data)))
    pool = await database.hot_pool(urls.app, 2, pooled=urls.pooled)
    engine = database.engine(urls.app, pooled=urls.pooled)
    house = House(Memory(pool), load_laws(), VAULT)
    try:
        for case, event in last.values():
            context = Context(event.actor, event.org, str(uuid4()))
            with suppress(MediationError):
                seen = await house.memory.read_case(context, case.id)
                sealed = VAULT.seal_purpose(context.request, case.id, "复核")
                await house.memory.disclose(context, seen.actor, "disclosure", case.id, "", ["parties.1.phone"], sealed)
                asked = Request(context, _now(), "", b"", case.version)
                note = {"action": "note", "kind": "fact", "text": "走访"}
                await perform(house, asked, case.id, STEP.validate_python(note))
        for case, event in last.values():
            hand = Hand(event.actor, event.org, event.role, _now(), str(uuid4()))
            with suppress(MediationError):
                if await erase(engine, Ledger(folder / "erasures"), hand, case, 1, ErasureGround.RETENTION_ENDED):
                    break
    finally:
        await engine.dispose()
        await pool.close()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# ── the attacker ──


class Scene:
    """A copy of the county's database and who may do everything in it; `kept`: what the verifier has from elsewhere."""

    def __init__(self, of: County, urls: Urls, rng: random.Random, folder: Path) -> None:
        self.of, self.urls, self.rng, self.folder = of, urls, rng, folder
        self.kept: tuple[str, ...] = of.heads
        self.db = psycopg.connect(whole(urls), autocommit=True)
        self.db.execute("SET session_replication_role = replica")
        self.histories: dict[str, list[Event]] = {}
        for (data,) in self.db.execute("SELECT bytes FROM events ORDER BY case_id, seq"):
            event = parse(data)
            self.histories.setdefault(event.case, []).append(event)
        self.order: dict[str, list[Any]] = {
            log: [str(row[0]) for row in self.db.execute(f"SELECT {named} FROM {feed} ORDER BY position")]  # noqa: S608  # ours
            for log, (feed, named, _) in _FEEDS.items()
        }

    def verify(self) -> Report:
        return asyncio.run(verify_database(self.urls.reader, trust=self.of.trust(*self.kept), vault=VAULT))

    def do(self, query: str, *said: Any) -> int:
        """A statement that must have changed something."""
        changed = self.db.execute(query, said).rowcount  # type: ignore[arg-type]  # written in the tests alone
        assert changed, query
        return changed

    # ── what there is ──

    def key(self, log: str) -> LogKey:
        return self.of.keys.events if log == "events" else self.of.keys.access

    def sizes(self, log: str = "events") -> list[int]:
        """The sizes that were signed, ascending."""
        origin = self.key(log).origin
        rows = self.db.execute("SELECT size FROM log_checkpoints WHERE origin = %s ORDER BY size", (origin,))
        return [size for (size,) in rows]

    def window(self, index: int, log: str = "events") -> int:
        """The first place that no checkpoint covers which the leaf at this index is not in; the newest is remade."""
        return 1 + max([0, *(size for size in self.sizes_signed(log)[:-1] if size <= index)])

    def sizes_signed(self, log: str) -> list[int]:
        return sorted(self.of.notes[self.key(log).origin])

    def case(self, least: int = 3) -> str:
        """A case of so many events at least."""
        return self.rng.choice([case for case, told in self.histories.items() if len(told) >= least and case != LOG_ID])

    def two(self, least: int = 3) -> tuple[str, str]:
        first = self.case(least)
        return first, self.rng.choice([case for case in self.histories if case not in (first, LOG_ID)])

    def index(self, event: Event) -> int:
        return self.order["events"].index(event.event)

    def uuid(self) -> str:
        return str(UUID(bytes=self.rng.randbytes(16), version=4))

    # ── histories told otherwise ──

    def edited(self, told: Sequence[Event], at: int) -> Event:
        """The event at this index with something else in it, such that the history still folds."""
        for _ in range(200):
            changed = self._changed(told, at)
            if changed != told[at] and self.folds(rechained([*told[:at], changed, *told[at + 1 :]])):
                return changed
        raise AssertionError("nothing in this event can be changed")

    def _changed(self, told: Sequence[Event], at: int) -> Event:
        event, others = told[at], self.histories[self.case()]
        other = self.rng.choice(others)
        match self.rng.randrange(6):
            case 0:
                return replace(event, actor=other.actor)
            case 1:
                return replace(event, org=other.org)
            case 2:
                return replace(event, role=other.role)
            case 3:
                return replace(event, basis=other.basis)
            case 4:
                return replace(event, at=event.at[:-2] + f"{self.rng.randrange(10)}Z")
            case _:
                return replace(event, request=self.uuid())

    def folds(self, told: Sequence[Event]) -> bool:
        if told[0].case == LOG_ID:
            return True
        try:
            return bool(folded(told)[-1].holder)
        except (MediationError, LookupError, ValueError):
            return False

    def tell(self, case_id: str, told: Sequence[Event]) -> None:
        """Store this history in the place of another, and the row of the case that it makes."""
        self.db.execute("DELETE FROM events WHERE case_id = %s", (case_id,))
        for event in told:
            put = "INSERT INTO events (id, case_id, seq, bytes) VALUES (%s, %s, %s, %s)"
            self.db.execute(put, (event.event, case_id, event.seq, event.canonical))
        self.histories[case_id] = list(told)
        if case_id != LOG_ID:
            self.db.execute("DELETE FROM cases WHERE id = %s", (case_id,))
            if told:
                self._put(folded(told)[-1], told[0].at)

    def forget(self, case_id: str) -> None:
        """Remove a case with all that is of it, but for its places in the log."""
        for table in ("vault", "vault_keys", "vault_words", "erasures"):
            self.db.execute(f"DELETE FROM {table} WHERE case_id = %s", (case_id,))  # noqa: S608  # ours
        self.tell(case_id, [])
        del self.histories[case_id]

    def _put(self, case: Case, filed_at: str) -> None:
        values = columns_of(case)._asdict() | {
            "id": case.id,
            "number": case.number,
            "version": case.version,
            "filed_at": filed_at,
            "facts": dump(case).decode(),
        }
        marks = ", ".join(
            f"%({name})s::{'text' if name == 'refs' else 'uuid'}[]" if isinstance(value, list) else f"%({name})s"
            for name, value in values.items()
        )
        self.db.execute(f"INSERT INTO cases ({', '.join(values)}) VALUES ({marks})", values)  # noqa: S608  # ours

    # ── trees grown anew ──

    def regrow(self, log: str = "events", by: Signer | None = None, sizes: Sequence[int] | None = None) -> None:
        """Grow the tree of a log anew out of `order`, with its spans, tiles, roots and notes, signed `by` a key.

        Without a key every note says what it should, over the signatures of the one that it replaces; one that says
        what it said stays whole.
        """
        order, old = self.order[log], self.sizes(log)
        wanted = sizes or sorted({min(size, len(order)) for size in old[:-1]} | {len(order)})
        origin = self.key(log).origin
        self.uproot(log)
        signer = by or new_signer(origin, self.rng.randbytes(32))
        forged = LogKey(signer, (), self.folder / f"{self.uuid()}.key")
        forged.path.write_text(f"{signer.text}\n", encoding="ascii")
        keys = self.of.keys._replace(**{log: forged})
        asyncio.run(self._grow(log, order, wanted, keys))
        if not by:
            self.sign_as_before(log)

    async def _grow(self, log: str, order: Sequence[Any], sizes: Sequence[int], keys: LogKeys) -> None:
        after = {}
        for told in self.histories.values():
            if told[0].case != LOG_ID:
                after |= {event.event: case for event, case in zip(told, folded(told), strict=True)}
        done = 0
        for size in sizes:
            for one in order[done:size]:
                self.wait(log, one, after.get(one))
            done = size
            await integrate.integrate_once(self.urls.log, keys)

    def wait(self, log: str, one: Any, after: Case | None = None) -> None:
        """Put an event, or an entry of the access log, into its outbox."""
        if log == "access":
            self.db.execute("INSERT INTO access_outbox (disclosure) VALUES (%s)", (one,))
            return
        row = columns_of(after) if after else None
        self.db.execute(
            "INSERT INTO outbox (event, case_id, holder, open_orgs, category, division, late_at) "
            "VALUES (%s, %s, %s, %s::uuid[], %s, %s, %s)",
            (
                one,
                after.id if after else LOG_ID,
                *((row.holder, row.open_orgs, row.category, row.division, row.late_at) if row else [None] * 5),
            ),
        )

    def uproot(self, log: str) -> None:
        """Remove a log's tree with everything that is made of it."""
        feed, _, outbox = _FEEDS[log]
        for table in (feed, outbox, *(["spans"] if log == "events" else [])):
            self.db.execute(f"DELETE FROM {table}")  # noqa: S608  # ours
        for table in ("log_epochs", "log_tiles", "log_checkpoints", "log_cosignatures"):
            self.db.execute(f"DELETE FROM {table} WHERE origin = %s", (self.key(log).origin,))  # noqa: S608  # ours

    def sign_as_before(self, log: str) -> None:
        """Put the signatures that there were under the notes: all that can be done without the key."""
        origin = self.key(log).origin
        true = self.of.notes[origin]
        rows = self.db.execute("SELECT size, note FROM log_checkpoints WHERE origin = %s", (origin,)).fetchall()
        for size, note in rows:
            text, before = note.partition("\n\n")[0], true.get(size, true[max(true)])
            self.put_note(log, size, text + "\n\n" + before.partition("\n\n")[2])

    def put_note(self, log: str, size: int, note: str) -> None:
        self.do(
            "UPDATE log_checkpoints SET note = %s WHERE origin = %s AND size = %s", note, self.key(log).origin, size
        )

    @contextmanager
    def true(self, *tables: str) -> Iterator[None]:
        """Whatever is done to these tables within is undone behind it."""
        held = {table: self.db.execute(f"SELECT * FROM {table}").fetchall() for table in tables}  # noqa: S608  # ours
        yield
        for table, rows in held.items():
            self.db.execute(f"DELETE FROM {table}")  # noqa: S608  # ours
            for row in rows:
                self.db.execute(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(row))})", row)  # noqa: S608  # ours


@contextmanager
def scene(server: Server, of: County, rng: random.Random, folder: Path, earlier: str = "") -> Iterator[Scene]:
    """The county's database, or an earlier one in its place, for one attacker."""
    with copy_of(server, earlier or of.name) as urls:
        made = Scene(of, urls, rng, folder)
        try:
            yield made
        finally:
            made.db.close()


def rechained(told: Sequence[Event]) -> list[Event]:
    """The same events, each numbered and chained to the one before it."""
    made: list[Event] = []
    prev = NO_HASH
    for seq, event in enumerate(told, 1):
        made.append(replace(event, seq=seq, prev=prev))
        prev = leaf_hash(made[-1].canonical)
    return made


def folded(told: Sequence[Event]) -> list[Case]:
    """The case after each event. Raises what the fold raises."""
    cases: list[Case] = []
    for event in told:
        cases.append(evolve(cases[-1] if cases else None, event))
    return cases
