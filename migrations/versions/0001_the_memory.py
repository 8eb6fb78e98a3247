"""The memory: reference data, cases, the history that only grows, the vault, the outbox and the feed.

Revision ID: 0001_2026_11_23
"""

from importlib.resources import files

from alembic import op
from procrastinate.schema import SchemaManager

from mediation.domain.errors import MediationError

# Until that day it was altered in place: what an earlier form made is refused by name. Now it stands (test_tables.py).
revision = "0001_2026_11_23"
down_revision = None

FUNCTIONS = ("grants.sql", "grows.sql", "partitions.sql", "rls.sql", "hot.sql", "tallies.sql")
REFERENCE = """
CREATE TABLE divisions (
    code text PRIMARY KEY,
    name text NOT NULL,
    level text NOT NULL,
    parent text REFERENCES divisions DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE organisations (
    id uuid PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    name_en text NOT NULL DEFAULT '',
    kind text NOT NULL,
    tier text NOT NULL,
    division text NOT NULL REFERENCES divisions,
    speciality text NOT NULL DEFAULT '',
    superior uuid REFERENCES organisations DEFERRABLE INITIALLY DEFERRED,
    path uuid[] NOT NULL DEFAULT '{}',
    active boolean NOT NULL DEFAULT true
);
COMMENT ON COLUMN organisations.path IS 'superiors, nearest first';
CREATE INDEX organisations_path ON organisations USING gin (path);
CREATE TABLE people (
    id uuid PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    home uuid NOT NULL REFERENCES organisations
);
COMMENT ON COLUMN people.home IS 'the body that registered them, whose administrators may change the record';
CREATE TABLE memberships (
    person uuid NOT NULL REFERENCES people,
    org uuid NOT NULL REFERENCES organisations,
    roles text[] NOT NULL,
    PRIMARY KEY (person, org)
);
CREATE TABLE identities (
    issuer text NOT NULL,
    subject text NOT NULL,
    person uuid NOT NULL REFERENCES people,
    PRIMARY KEY (issuer, subject)
);
COMMENT ON TABLE identities IS 'by which tokens a person is known: of which provider, under which name there';
"""

# No foreign key leads into `cases` or `events`: each row there is written by one statement that has just changed the
# case, and the key's own trigger would lock that row a second time in every step.
HISTORY = """
CREATE TABLE case_numbers (
    org uuid NOT NULL REFERENCES organisations,
    year integer NOT NULL,
    last integer NOT NULL,
    PRIMARY KEY (org, year)
);
CREATE TABLE cases (
    id uuid PRIMARY KEY,
    number text COLLATE "C" NOT NULL UNIQUE,
    version integer NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'new',
    tier text NOT NULL DEFAULT '',
    track text NOT NULL DEFAULT '',
    holder uuid,
    category text NOT NULL DEFAULT '',
    division text NOT NULL DEFAULT '',
    risk text NOT NULL DEFAULT '',
    due_on date,
    wake_at timestamptz,
    late_at timestamptz,
    filed_at timestamptz NOT NULL,
    orgs uuid[] NOT NULL DEFAULT '{}',
    past_orgs uuid[] NOT NULL DEFAULT '{}',
    open_orgs uuid[] NOT NULL DEFAULT '{}',
    inbound uuid[] NOT NULL DEFAULT '{}',
    outbound uuid[] NOT NULL DEFAULT '{}',
    refs text[] NOT NULL DEFAULT '{}',
    restricted boolean NOT NULL DEFAULT false,
    assigned uuid[] NOT NULL DEFAULT '{}',
    recused uuid[] NOT NULL DEFAULT '{}',
    closers uuid[] NOT NULL DEFAULT '{}',
    facts json NOT NULL DEFAULT '{}'
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
COMMENT ON TABLE cases IS 'facts: the folded history, kept as written; every other column is there to be searched by';
COMMENT ON COLUMN cases.wake_at IS 'when a clock of the case next wants attention';
COMMENT ON COLUMN cases.late_at IS 'from when it is overdue, if nothing is done';
COMMENT ON COLUMN cases.orgs IS 'bodies that may read the case';
COMMENT ON COLUMN cases.past_orgs IS 'bodies its history names and that may not read it: a returned offer';
COMMENT ON COLUMN cases.open_orgs IS 'bodies with an open leg';
COMMENT ON COLUMN cases.inbound IS 'bodies with a live hand-off to them';
COMMENT ON COLUMN cases.outbound IS 'bodies with a live hand-off from them';
COMMENT ON COLUMN cases.restricted IS 'a minor, medical facts or domestic violence: fewer see it';
COMMENT ON COLUMN cases.assigned IS 'its mediators';
COMMENT ON COLUMN cases.recused IS 'people who were replaced in it: they are out of it';
COMMENT ON COLUMN cases.closers IS 'people who closed a leg of it: they do not audit it';
CREATE INDEX cases_division ON cases (division, id);
CREATE INDEX cases_due_on ON cases (due_on, id) WHERE due_on IS NOT NULL;
CREATE INDEX cases_late_at ON cases (late_at, id) WHERE late_at IS NOT NULL;
CREATE INDEX cases_wake_at ON cases (wake_at, id) WHERE wake_at IS NOT NULL;
CREATE TABLE worklists (
    org uuid NOT NULL,
    case_id uuid NOT NULL,
    state text NOT NULL,
    due_on date,
    inbound boolean NOT NULL, outbound boolean NOT NULL,
    holder uuid NOT NULL, category text NOT NULL, late_at timestamptz,
    PRIMARY KEY (org, case_id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
COMMENT ON TABLE worklists IS 'where a case is listed: at each body it names and all above them';
CREATE INDEX worklists_state ON worklists (org, state, case_id);
CREATE INDEX worklists_due ON worklists (org, due_on, case_id) WHERE due_on IS NOT NULL;
CREATE INDEX worklists_state_due ON worklists (org, state, due_on, case_id) WHERE due_on IS NOT NULL;
COMMENT ON COLUMN worklists.inbound IS 'a live hand-off to this very body; outbound: from it';
CREATE INDEX worklists_late ON worklists (org, late_at) INCLUDE (holder, category, case_id)
    WHERE late_at IS NOT NULL AND state NOT IN ('closed', 'archived');
CREATE INDEX worklists_inbound ON worklists (org, case_id) WHERE inbound;
CREATE INDEX worklists_outbound ON worklists (org, case_id) WHERE outbound;
CREATE TABLE case_refs (
    ref text NOT NULL,
    case_id uuid NOT NULL,
    PRIMARY KEY (ref, case_id)
);
COMMENT ON TABLE case_refs IS 'by which numbers of other systems a case may be found';
CREATE TABLE tallies (
    org uuid NOT NULL,
    year integer NOT NULL,
    category text NOT NULL,
    what text NOT NULL,
    count bigint NOT NULL,
    days integer[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (org, year, category, what)
) WITH (fillfactor = 50);
COMMENT ON TABLE tallies IS 'what happened at each body and all below it in a year: made of the events, and to be made anew from them';
COMMENT ON COLUMN tallies.days IS 'how many took 0 days, 1 day, 2 days …';
CREATE TABLE events (
    id uuid NOT NULL,
    case_id uuid NOT NULL,
    seq integer NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (case_id, seq)
) PARTITION BY HASH (case_id);
CREATE INDEX events_id ON events (id);
ALTER TABLE events ALTER COLUMN bytes SET STORAGE MAIN;
CREATE TABLE event_keys (
    caller uuid NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    event uuid NOT NULL,
    case_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key, created_at)
) PARTITION BY RANGE (created_at);
COMMENT ON COLUMN event_keys.caller IS 'a person, or the nil UUID for the clock';
CREATE SEQUENCE outbox_id_seq;
CREATE TABLE outbox (
    id bigint NOT NULL DEFAULT nextval('outbox_id_seq'),
    at timestamptz NOT NULL DEFAULT now(),
    event uuid NOT NULL,
    case_id uuid NOT NULL,
    holder uuid,
    open_orgs uuid[],
    category text,
    division text,
    late_at timestamptz,
    tallies json,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
ALTER SEQUENCE outbox_id_seq OWNED BY outbox.id;
COMMENT ON TABLE outbox IS 'events that wait for their place, and how the case of each stood after it';
CREATE TABLE feed (
    position bigint PRIMARY KEY,
    event uuid NOT NULL UNIQUE
);
CREATE TABLE vault_keys (
    case_id uuid NOT NULL,
    subject integer NOT NULL,
    wrapped bytea NOT NULL,
    PRIMARY KEY (case_id, subject)
);
CREATE TABLE vault (
    case_id uuid NOT NULL,
    subject integer NOT NULL,
    digest text NOT NULL,
    name text NOT NULL,
    sealed bytea NOT NULL,
    blind bytea,
    blind_id bytea,
    place bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (case_id, digest),
    FOREIGN KEY (case_id, subject) REFERENCES vault_keys ON DELETE CASCADE
);
COMMENT ON COLUMN vault.subject IS 'the party whose words these are, 0 for the text of the case';
COMMENT ON TABLE vault IS 'sealed values; nothing is sealed under a key that is gone, and all goes with its key';
COMMENT ON COLUMN vault.place IS 'in which order they were sealed';
COMMENT ON COLUMN vault.blind IS 'keyed hash of name and identity number';
COMMENT ON COLUMN vault.blind_id IS 'keyed hash of the identity number alone';
CREATE INDEX vault_blind ON vault (blind) WHERE blind IS NOT NULL;
CREATE INDEX vault_blind_id ON vault (blind_id, case_id, subject) WHERE blind_id IS NOT NULL;
CREATE TABLE vault_words (
    case_id uuid NOT NULL,
    digest text NOT NULL, subject integer NOT NULL,
    grams bigint[] NOT NULL, lists uuid[] NOT NULL,
    stretches text[] NOT NULL GENERATED ALWAYS AS
        (ARRAY['', left(case_id::text, 4), left(case_id::text, 5), left(case_id::text, 6), left(case_id::text, 7)]) STORED,
    PRIMARY KEY (case_id, digest)
);
COMMENT ON COLUMN vault_words.grams IS 'keyed hashes of the pairs of adjacent characters in the facts';
COMMENT ON COLUMN vault_words.lists IS 'the bodies in whose lists its case is or was';
COMMENT ON COLUMN vault_words.stretches IS 'all time, and the 7 weeks, 3 days, 5 hours and 17 minutes of its filing: so its id begins';
CREATE INDEX vault_words_grams ON vault_words USING gin (grams, lists, stretches) WITH (gin_pending_list_limit = 512);
CREATE TABLE vault_marks (
    mark bytea PRIMARY KEY,
    noted_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE vault_marks IS 'by which keys the vault was ever sealed: hashes that tell nothing of them';
CREATE TABLE erasures (
    case_id uuid NOT NULL,
    subject integer NOT NULL,
    event uuid NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (case_id, subject, event)
);
COMMENT ON TABLE erasures IS 'whose key was destroyed, by which event of the administration log';
CREATE TABLE recounts (
    digest text PRIMARY KEY,
    done_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE recounts IS 'the sets of laws under which every provisional day has been counted anew';
CREATE SEQUENCE disclosures_id_seq;
CREATE TABLE disclosures (
    id bigint NOT NULL DEFAULT nextval('disclosures_id_seq'),
    at timestamptz NOT NULL DEFAULT now(),
    person uuid NOT NULL,
    org uuid NOT NULL,
    request uuid NOT NULL,
    kind text NOT NULL,
    case_id uuid,
    purpose text NOT NULL,
    fields text[] NOT NULL,
    sealed bytea,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
ALTER SEQUENCE disclosures_id_seq OWNED BY disclosures.id;
COMMENT ON TABLE disclosures IS 'the access log: who was shown what is personal, written before it was shown';
COMMENT ON COLUMN disclosures.purpose IS 'a code; empty where words are sealed';
COMMENT ON COLUMN disclosures.sealed IS 'the purpose in words, under a key of the log: no erasure of the case takes it';
CREATE INDEX disclosures_at ON disclosures (at);
CREATE TABLE access_outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    disclosure bigint NOT NULL
);
CREATE TABLE access_feed (
    position bigint PRIMARY KEY,
    disclosure bigint NOT NULL UNIQUE
);
CREATE SEQUENCE attempts_id_seq;
CREATE TABLE attempts (
    id bigint NOT NULL DEFAULT nextval('attempts_id_seq'),
    at timestamptz NOT NULL DEFAULT now(),
    request uuid NOT NULL,
    person uuid,
    org uuid,
    client bytea,
    method text NOT NULL,
    route text NOT NULL,
    case_id uuid,
    action text NOT NULL DEFAULT '',
    status integer NOT NULL,
    code text NOT NULL,
    reasons text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
ALTER SEQUENCE attempts_id_seq OWNED BY attempts.id;
COMMENT ON TABLE attempts IS 'what was refused: to whom, what, and why';
COMMENT ON COLUMN attempts.client IS 'keyed hash of the address or of an unknown identity';
CREATE INDEX attempts_at ON attempts (at);
CREATE TABLE law_sets (
    digest text PRIMARY KEY,
    files json NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE law_sets IS 'every set of rule packs and notices that was used, whole: events name its digest';
"""

# The signed logs: of all events, and of who was shown what. A tile is one row that grows until it is full.
LOGS = """
CREATE TABLE log_epochs (
    origin text PRIMARY KEY,
    log text NOT NULL CHECK (log IN ('events', 'access')),
    first_position bigint NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (log, first_position)
);
COMMENT ON TABLE log_epochs IS 'a tree of its own each: its first leaf stands at first_position of its feed';
CREATE TABLE log_tiles (
    origin text NOT NULL,
    level smallint NOT NULL,
    idx bigint NOT NULL,
    hashes bytea NOT NULL CHECK (length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0),
    PRIMARY KEY (origin, level, idx)
);
ALTER TABLE log_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;
CREATE TABLE log_checkpoints (
    origin text NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (origin, size)
);
COMMENT ON TABLE log_checkpoints IS 'what was signed: a size has one root';
CREATE TABLE log_cosignatures (
    origin text NOT NULL,
    size bigint NOT NULL,
    name text NOT NULL,
    line text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (origin, size, name)
);
CREATE TABLE spans (
    position bigint PRIMARY KEY,
    event uuid NOT NULL,
    case_id uuid NOT NULL,
    seq integer NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz,
    action text NOT NULL, org uuid, actor text NOT NULL, role text NOT NULL, basis text[] NOT NULL, before text NOT NULL,
    state text NOT NULL, holder uuid, open_orgs uuid[] NOT NULL, category text NOT NULL, division text NOT NULL,
    late_at timestamptz,
    was_late boolean NOT NULL,
    UNIQUE (case_id, seq)
) WITH (fillfactor = 80);
COMMENT ON TABLE spans IS 'how a case stood from one event to the next: made of the events, and to be made anew from them';
COMMENT ON COLUMN spans.was_late IS 'the case was overdue when this was done';
CREATE INDEX spans_since ON spans USING brin (since) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX spans_org ON spans (org, since);
CREATE INDEX spans_action ON spans (action, since);
"""

# The queue of the workers (procrastinate), as its package makes it, in a schema of its own.
JOBS = f"""
CREATE SCHEMA jobs;
SET LOCAL search_path TO jobs;
{SchemaManager.get_schema()}
SET LOCAL search_path TO public;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA jobs FROM PUBLIC;
GRANT USAGE ON SCHEMA jobs TO mediation_app, mediation_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA jobs TO mediation_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA jobs TO mediation_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA jobs TO mediation_app;
GRANT SELECT ON ALL TABLES IN SCHEMA jobs TO mediation_reader;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA jobs TO mediation_reader;
"""


class HistoryKept(MediationError):
    """A downgrade would drop events."""

    code = "history_kept"
    zh = "数据库中已有事件，拒绝降级：历史不可删除"
    en = "The database holds events; a downgrade would drop them, and is refused"


def upgrade() -> None:
    for statements in (REFERENCE, HISTORY, LOGS, JOBS):
        op.get_bind().exec_driver_sql(statements.replace("%", "%%"))
    for name in FUNCTIONS:
        op.get_bind().exec_driver_sql(files("mediation.store").joinpath(name).read_text("utf-8").replace("%", "%%"))


def downgrade() -> None:
    op.execute("ALTER TABLE events NO FORCE ROW LEVEL SECURITY")  # else its owner sees none of them
    if op.get_bind().exec_driver_sql("SELECT EXISTS (SELECT FROM events)").scalar():
        raise HistoryKept
    op.execute("""
        DROP SCHEMA jobs CASCADE;
        DROP FUNCTION readable, read_case, write_step, open_case, prepare_filing, numbered_case, sealed_rows, sealed_values,
            disclose, cases_holding, waking_cases, counting_cases, awake_cases, relist, and_above, case_events, make_partitions,
            forget_keys, furnish_part, add_tallies, move_tallies, statistics;
        DROP TABLE worklists, case_refs, tallies, spans, log_cosignatures, log_checkpoints, log_tiles, log_epochs, access_feed,
            access_outbox, law_sets, attempts, disclosures, recounts, erasures, vault_marks, vault_words, vault_keys, vault,
            feed, outbox, event_keys, events, cases, case_numbers, identities, memberships, people, organisations, divisions;
        DROP FUNCTION refuse_change, refuse_other_hashes, follows, enter, bodies_below, bodies_audited, sees;
    """)
