"""Where each case belongs in the worklists, worked out from the cases and the superiors alone."""

from typing import Any

import psycopg
from tests.whole import whole

from mediation.settings import Urls

_CASES = """
SELECT id::text, orgs::text[], state, due_on, inbound::text[], outbound::text[] FROM cases
"""
_LISTED = "SELECT org::text, case_id::text, state, due_on, inbound, outbound FROM worklists"
_SUPERIORS = "SELECT id::text, superior::text FROM organisations"


def listed(urls: Urls) -> set[tuple[Any, ...]]:
    """The rows of the worklists: body, case, state, day it is due, live hand-off to this body, and from it."""
    with psycopg.connect(whole(urls)) as everything:
        return set(everything.execute(_LISTED))


def referred(urls: Urls) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """By which references cases are found, and what the cases themselves say: (reference, case)."""
    with psycopg.connect(whole(urls)) as everything:
        found = everything.execute("SELECT ref, case_id::text FROM case_refs").fetchall()
        said = everything.execute("SELECT unnest(refs), id::text FROM cases").fetchall()
    return set(found), set(said)


def belonging(urls: Urls) -> set[tuple[Any, ...]]:
    """The rows that there should be: each case at every body it names, and at all above those."""
    with psycopg.connect(whole(urls)) as everything:
        superior = dict(everything.execute(_SUPERIORS).fetchall())
        cases = everything.execute(_CASES).fetchall()
    rows = set()
    for case, orgs, state, due_on, inbound, outbound in cases:
        for named in orgs:
            body: str | None = named
            while body:
                rows.add((body, case, state, due_on, body in inbound, body in outbound))
                body = superior[body]
    return rows
