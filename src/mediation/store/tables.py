"""The tables as SQLAlchemy reads them; the migrations make them, and a test compares the two."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON
from sqlalchemy.types import TypeEngine

METADATA = MetaData()
_ID = Uuid(as_uuid=False)
_IDS = ARRAY(_ID)
_MOMENT = DateTime(timezone=True)
_NOW = text("now()")
_EMPTY = text("'{}'")


def _column(name: str, kind: type[TypeEngine[Any]] | TypeEngine[Any], default: str | None = None) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=None if default is None else text(default))


def _serial(table: str) -> Column[Any]:
    """A number from the sequence of a table in parts: below PostgreSQL 17 no identity column may be in one."""
    return Column(
        "id", BigInteger, primary_key=True, autoincrement=False, server_default=text(f"nextval('{table}_id_seq')")
    )


DIVISIONS = Table(
    "divisions",
    METADATA,
    Column("code", Text, primary_key=True),
    _column("name", Text),
    _column("level", Text),
    Column("parent", Text, ForeignKey("divisions.code", deferrable=True, initially="DEFERRED")),
)
ORGANISATIONS = Table(
    "organisations",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("code", Text, nullable=False, unique=True),
    _column("name", Text),
    _column("name_en", Text, "''"),
    _column("kind", Text),
    _column("tier", Text),
    Column("division", Text, ForeignKey("divisions.code"), nullable=False),
    _column("speciality", Text, "''"),
    Column("superior", _ID, ForeignKey("organisations.id", deferrable=True, initially="DEFERRED")),
    _column("path", _IDS, "'{}'"),
    _column("active", Boolean, "true"),
    Index("organisations_path", "path", postgresql_using="gin"),
)
PEOPLE = Table(
    "people",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("code", Text, nullable=False, unique=True),
    _column("name", Text),
    Column("home", _ID, ForeignKey("organisations.id"), nullable=False),
)
MEMBERSHIPS = Table(
    "memberships",
    METADATA,
    Column("person", _ID, ForeignKey("people.id"), primary_key=True),
    Column("org", _ID, ForeignKey("organisations.id"), primary_key=True),
    _column("roles", ARRAY(Text)),
)
IDENTITIES = Table(
    "identities",
    METADATA,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("person", _ID, ForeignKey("people.id"), nullable=False),
)
CASE_NUMBERS = Table(
    "case_numbers",
    METADATA,
    Column("org", _ID, ForeignKey("organisations.id"), primary_key=True),
    Column("year", Integer, primary_key=True, autoincrement=False),
    _column("last", Integer),
)
CASES = Table(
    "cases",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("number", Text(collation="C"), nullable=False, unique=True),
    _column("version", Integer, "0"),
    _column("state", Text, "'new'"),
    _column("tier", Text, "''"),
    _column("track", Text, "''"),
    Column("holder", _ID),
    _column("category", Text, "''"),
    _column("division", Text, "''"),
    _column("risk", Text, "''"),
    Column("due_on", Date),
    Column("wake_at", _MOMENT),
    Column("late_at", _MOMENT),
    _column("filed_at", _MOMENT),
    _column("orgs", _IDS, "'{}'"),
    _column("past_orgs", _IDS, "'{}'"),
    _column("open_orgs", _IDS, "'{}'"),
    _column("inbound", _IDS, "'{}'"),
    _column("outbound", _IDS, "'{}'"),
    _column("refs", ARRAY(Text), "'{}'"),
    _column("restricted", Boolean, "false"),
    _column("assigned", _IDS, "'{}'"),
    _column("recused", _IDS, "'{}'"),
    _column("closers", _IDS, "'{}'"),
    _column("facts", JSON, "'{}'"),
    _column("line", JSON, "'[]'"),
    Index("cases_division", "division", "id"),
    Index("cases_due_on", "due_on", "id", postgresql_where=text("due_on IS NOT NULL")),
    Index("cases_late_at", "late_at", "id", postgresql_where=text("late_at IS NOT NULL")),
    Index("cases_wake_at", "wake_at", "id", postgresql_where=text("wake_at IS NOT NULL")),
)
WORKLISTS = Table(
    "worklists",
    METADATA,
    Column("org", _ID, primary_key=True),
    Column("case_id", _ID, primary_key=True),
    _column("state", Text),
    Column("due_on", Date),
    _column("inbound", Boolean),
    _column("outbound", Boolean),
    _column("holder", _ID),
    _column("category", Text),
    Column("late_at", _MOMENT),
    Index(
        "worklists_late",
        *("org", "late_at"),
        postgresql_include=["holder", "category", "case_id"],
        postgresql_where=text("late_at IS NOT NULL AND state NOT IN ('closed', 'archived')"),
    ),
    Index("worklists_inbound", "org", "case_id", postgresql_where=text("inbound")),
    Index("worklists_outbound", "org", "case_id", postgresql_where=text("outbound")),
    Index("worklists_state", "org", "state", "case_id"),
    Index("worklists_due", "org", "due_on", "case_id", postgresql_where=text("due_on IS NOT NULL")),
    Index("worklists_state_due", "org", "state", "due_on", "case_id", postgresql_where=text("due_on IS NOT NULL")),
)
CASE_REFS = Table(
    "case_refs",
    METADATA,
    Column("ref", Text, primary_key=True),
    Column("case_id", _ID, primary_key=True),
)
TALLIES = Table(
    "tallies",
    METADATA,
    Column("org", _ID, primary_key=True),
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("category", Text, primary_key=True),
    Column("what", Text, primary_key=True),
    _column("count", BigInteger),
    _column("days", ARRAY(Integer), "'{}'"),
)
EVENTS = Table(
    "events",
    METADATA,
    _column("id", _ID),
    Column("case_id", _ID, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _column("bytes", LargeBinary),
    Index("events_id", "id"),
    postgresql_partition_by="HASH (case_id)",
)
EVENT_KEYS = Table(
    "event_keys",
    METADATA,
    Column("caller", _ID, primary_key=True),
    Column("key", Text, primary_key=True),
    _column("fingerprint", LargeBinary),
    _column("event", _ID),
    _column("case_id", _ID),
    Column("created_at", _MOMENT, primary_key=True, server_default=_NOW),
    postgresql_partition_by="RANGE (created_at)",
)
OUTBOX = Table(
    "outbox",
    METADATA,
    _serial("outbox"),
    Column("at", _MOMENT, primary_key=True, server_default=_NOW),
    _column("event", _ID),
    _column("case_id", _ID),
    Column("holder", _ID),
    Column("open_orgs", _IDS),
    Column("category", Text),
    Column("division", Text),
    Column("late_at", _MOMENT),
    Column("tallies", JSON),
    postgresql_partition_by="RANGE (at)",
)
FEED = Table(
    "feed",
    METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("event", _ID, nullable=False, unique=True),
)
VAULT = Table(
    "vault",
    METADATA,
    Column("case_id", _ID, primary_key=True),
    _column("subject", Integer),
    Column("digest", Text, primary_key=True),
    _column("name", Text),
    _column("sealed", LargeBinary),
    Column("blind", LargeBinary),
    Column("blind_id", LargeBinary),
    Column("place", BigInteger, Identity(always=True), nullable=False),
    ForeignKeyConstraint(["case_id", "subject"], ["vault_keys.case_id", "vault_keys.subject"], ondelete="CASCADE"),
    Index("vault_blind", "blind", postgresql_where=text("blind IS NOT NULL")),
    Index("vault_blind_id", "blind_id", "case_id", "subject", postgresql_where=text("blind_id IS NOT NULL")),
)
_STRETCHES = ", ".join(f'"left"(case_id::text, {digits})' for digits in (4, 5, 6, 7))
VAULT_WORDS = Table(
    "vault_words",
    METADATA,
    Column("case_id", _ID, primary_key=True),
    Column("digest", Text, primary_key=True),
    _column("subject", Integer),
    _column("grams", ARRAY(BigInteger)),
    _column("lists", ARRAY(_ID)),
    Column("stretches", ARRAY(Text), Computed(f"ARRAY[''::text, {_STRETCHES}]"), nullable=False),
    Index(
        "vault_words_grams",
        *("grams", "lists", "stretches"),
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 512},
    ),
)
VAULT_MARKS = Table(
    "vault_marks",
    METADATA,
    Column("mark", LargeBinary, primary_key=True),
    Column("noted_at", _MOMENT, nullable=False, server_default=_NOW),
)
VAULT_KEYS = Table(
    "vault_keys",
    METADATA,
    Column("case_id", _ID, primary_key=True),
    Column("subject", Integer, primary_key=True, autoincrement=False),
    _column("wrapped", LargeBinary),
)
ERASURES = Table(
    "erasures",
    METADATA,
    Column("case_id", _ID, primary_key=True),
    Column("subject", Integer, primary_key=True, autoincrement=False),
    Column("event", _ID, primary_key=True),
    _column("at", _MOMENT),
)
DISCLOSURES = Table(
    "disclosures",
    METADATA,
    _serial("disclosures"),
    Column("at", _MOMENT, primary_key=True, server_default=_NOW),
    _column("person", _ID),
    _column("org", _ID),
    _column("request", _ID),
    _column("kind", Text),
    Column("case_id", _ID),
    _column("purpose", Text),
    _column("fields", ARRAY(Text)),
    Column("sealed", LargeBinary),
    Index("disclosures_at", "at"),
    postgresql_partition_by="RANGE (at)",
)
ACCESS_OUTBOX = Table(
    "access_outbox",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _column("disclosure", BigInteger),
)
ACCESS_FEED = Table(
    "access_feed",
    METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("disclosure", BigInteger, nullable=False, unique=True),
)
LOG_EPOCHS = Table(
    "log_epochs",
    METADATA,
    Column("origin", Text, primary_key=True),
    _column("log", Text),
    _column("first_position", BigInteger),
    Column("begun_at", _MOMENT, nullable=False, server_default=_NOW),
    UniqueConstraint("log", "first_position"),
)
LOG_TILES = Table(
    "log_tiles",
    METADATA,
    Column("origin", Text, primary_key=True),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    _column("hashes", LargeBinary),
)
LOG_CHECKPOINTS = Table(
    "log_checkpoints",
    METADATA,
    Column("origin", Text, primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    _column("root", LargeBinary),
    _column("note", Text),
    Column("at", _MOMENT, nullable=False, server_default=_NOW),
)
LOG_COSIGNATURES = Table(
    "log_cosignatures",
    METADATA,
    Column("origin", Text, primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    _column("line", Text),
    Column("at", _MOMENT, nullable=False, server_default=_NOW),
)
SPANS = Table(
    "spans",
    METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    _column("event", _ID),
    _column("case_id", _ID),
    _column("seq", Integer),
    _column("since", _MOMENT),
    Column("until", _MOMENT),
    _column("action", Text),
    Column("org", _ID),
    _column("actor", Text),
    _column("role", Text),
    _column("basis", ARRAY(Text)),
    _column("before", Text),
    _column("state", Text),
    Column("holder", _ID),
    _column("open_orgs", _IDS),
    _column("category", Text),
    _column("division", Text),
    Column("late_at", _MOMENT),
    _column("was_late", Boolean),
    UniqueConstraint("case_id", "seq"),
    Index(
        "spans_since", "since", postgresql_using="brin", postgresql_with={"pages_per_range": 32, "autosummarize": "on"}
    ),
    Index("spans_org", "org", "since"),
    Index("spans_action", "action", "since"),
)
ATTEMPTS = Table(
    "attempts",
    METADATA,
    _serial("attempts"),
    Column("at", _MOMENT, primary_key=True, server_default=_NOW),
    _column("request", _ID),
    Column("person", _ID),
    Column("org", _ID),
    Column("client", LargeBinary),
    _column("method", Text),
    _column("route", Text),
    Column("case_id", _ID),
    _column("action", Text, "''"),
    _column("status", Integer),
    _column("code", Text),
    _column("reasons", ARRAY(Text), "'{}'"),
    Index("attempts_at", "at"),
    postgresql_partition_by="RANGE (at)",
)
LAW_SETS = Table(
    "law_sets",
    METADATA,
    Column("digest", Text, primary_key=True),
    _column("files", JSON),
    Column("noted_at", _MOMENT, nullable=False, server_default=_NOW),
)
RECOUNTS = Table(
    "recounts",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("done_at", _MOMENT, nullable=False, server_default=_NOW),
)
