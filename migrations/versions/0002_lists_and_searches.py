"""What lists show of a case stands in its row, so that no list reads whole cases; a search by words is one call.

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
ALTER TABLE cases NO FORCE ROW LEVEL SECURITY
"""  # without force its owner sees all of them
_EVERY = text("SELECT id::text, facts::text FROM cases")
_WRITTEN = text("""
UPDATE cases SET line = told.line
FROM unnest(cast(:ids AS uuid[]), cast(:lines AS json[])) AS told (id, line) WHERE cases.id = told.id
""")


def upgrade() -> None:
    database = op.get_bind()
    database.exec_driver_sql(_ADDED)
    every = database.execute(_EVERY, execution_options={"stream_results": True})
    for rows in every.partitions(_AT_ONCE):
        lines = [msgspec.json.encode(line_of(load(facts))).decode() for _, facts in rows]
        database.execute(_WRITTEN, {"ids": [case_id for case_id, _ in rows], "lines": lines})
    database.exec_driver_sql("ALTER TABLE cases FORCE ROW LEVEL SECURITY")
    for name in ("rls.sql", "hot.sql", "search.sql"):
        database.exec_driver_sql(files("mediation.store").joinpath(name).read_text("utf-8").replace("%", "%%"))


def downgrade() -> None:
    """On the way to nothing: its functions are of today."""
    op.execute("DROP FUNCTION filed_ms, stretches_of; ALTER TABLE cases DROP COLUMN line")
