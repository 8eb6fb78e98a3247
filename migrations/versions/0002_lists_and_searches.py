"""Lists read a line of each case, a search by words is one call, and all categories are counted together too.

Revision ID: 0002_2026_11_23
"""

from importlib.resources import files

import msgspec
from alembic import op
from sqlalchemy import text

from mediation.domain.events import load
from mediation.domain.lines import line_of

revision = "0002_2026_11_23"
down_revision = "0001_2026_11_23"

_AT_ONCE = 1000
_ADDED = """
ALTER TABLE cases ADD COLUMN line json NOT NULL DEFAULT '[]';
COMMENT ON COLUMN cases.line IS 'what lists show of it (domain/lines.py)';
COMMENT ON TABLE cases IS 'facts: the folded history, kept as written; every other column is there to be listed or searched by';
COMMENT ON COLUMN tallies.category IS 'or all of them: the empty one';
ALTER TABLE cases NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tallies NO FORCE ROW LEVEL SECURITY
"""  # without force their owner sees all of them
_COUNTED = """
INSERT INTO tallies (org, year, category, what, count, days)
SELECT t.org, t.year, '', t.what, sum(t.count), coalesce((
    SELECT array_agg(s.many::integer ORDER BY s.place)
    FROM (SELECT u.place, sum(u.many) AS many FROM tallies o, unnest(o.days) WITH ORDINALITY AS u (many, place)
          WHERE o.org = t.org AND o.year = t.year AND o.what = t.what GROUP BY u.place) AS s), '{}')
FROM tallies t GROUP BY t.org, t.year, t.what;
ALTER TABLE cases FORCE ROW LEVEL SECURITY;
ALTER TABLE tallies FORCE ROW LEVEL SECURITY
"""
_EVERY = text("SELECT id::text, facts::text FROM cases")
_WRITTEN = text("""
UPDATE cases SET line = told.line
FROM unnest(cast(:ids AS uuid[]), cast(:lines AS json[])) AS told (id, line) WHERE cases.id = told.id
""")


def upgrade() -> None:
    """The lines are as today's domain says: whoever changes what a line holds writes them all anew, in a later one."""
    database = op.get_bind()
    database.exec_driver_sql(_ADDED)
    every = database.execute(_EVERY, execution_options={"stream_results": True})
    for rows in every.partitions(_AT_ONCE):
        lines = [msgspec.json.encode(line_of(load(facts))).decode() for _, facts in rows]
        database.execute(_WRITTEN, {"ids": [case_id for case_id, _ in rows], "lines": lines})
    database.exec_driver_sql(_COUNTED)
    for name in ("rls.sql", "hot.sql", "search.sql", "tallies.sql"):
        database.exec_driver_sql(files("mediation.store").joinpath(name).read_text("utf-8").replace("%", "%%"))


def downgrade() -> None:
    """On the way to nothing: its functions are of today."""
    op.execute("""
        DROP FUNCTION filed_ms, stretches_of;
        ALTER TABLE cases DROP COLUMN line;
        ALTER TABLE tallies NO FORCE ROW LEVEL SECURITY;
        DELETE FROM tallies WHERE category = '';
        ALTER TABLE tallies FORCE ROW LEVEL SECURITY
    """)
