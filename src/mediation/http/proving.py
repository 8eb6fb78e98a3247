"""What a court is handed with each hand-off to it: the event that offered it, and the proof that the log holds it."""

from collections.abc import Iterable
from typing import Any

from fastapi import Request

from mediation.domain.facts import Handoff
from mediation.domain.vocabulary import OrgKind
from mediation.http.dependencies import desk
from mediation.http.schemas import Schema
from mediation.store.logbook import Logbook
from mediation.store.sight import Viewer, reading

COURTS = frozenset({OrgKind.COURT})
MOST_PROVEN = 2000
"""Proofs that a process remembers, of some 2 kB each."""

Numbered = tuple[str, int]
"""A hand-off: the id of its case, and its number there."""


def proven_to(viewer: Viewer, handoff: Handoff) -> bool:
    """Whether this reader is the court to which the hand-off was made."""
    return viewer.org.kind in COURTS and handoff.to_org == viewer.org.id


async def evidence(
    request: Request, viewer: Viewer, shown: Iterable[tuple[str, Handoff]]
) -> dict[Numbered, dict[str, Any]]:
    """The evidence of those of these hand-offs, each with its case's id, that were made to the reader's court.

    The cases must be the reader's to see. Until a published checkpoint holds the event there is none but `pending`.
    What was proven once stays so: courts read a case again and again.
    """
    known = desk(request).proven
    moments = {(case, each.id): (case, each.offered_at) for case, each in shown if proven_to(viewer, each)}
    unknown = [moment for moment in moments.values() if moment not in known]
    if unknown:
        async with reading(desk(request).engine, viewer) as connection:
            book = Logbook(connection, quorum=desk(request).settings.published_by)
            logged = await book.logged(unknown)
            proofs = await book.proofs_of(found.position for found in logged.values())
        for moment, offered in logged.items():
            if offered.position in proofs:
                told = {"event": offered.event, "bytes": offered.data.decode("ascii")}
                known[moment] = {"pending": False, **told, "proof": proofs[offered.position].text}
    made = {numbered: known.get(moment, {"pending": True}) for numbered, moment in moments.items()}
    while len(known) > MOST_PROVEN:
        del known[next(iter(known))]
    return made


EVIDENCE: Schema = {
    "type": "object",
    "description": "移送的证据，只给受移送的法院 what a court is handed with it, to be verified without this service",
    "properties": {
        "pending": {"type": "boolean", "description": "稍后即有 in a moment it will be there"},
        "event": {"type": "string", "format": "uuid", "description": "移送的事件 the event that offered it"},
        "bytes": {"type": "string", "description": "事件的规范字节 its canonical bytes, which are hashed"},
        "proof": {"type": "string", "description": "日志证明 its tlog-proof"},
    },
    "required": ["pending"],
}
