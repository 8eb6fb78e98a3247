"""The audit event: its canonical bytes, the chain of hashes, and `evolve`, the one fold of a history.

An event says what changed, by value: `attrs` lists, for every part of the case that moved, its number and its new
facts. The fold merges them and knows no rule, so a history means the same under every later version of the law.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import msgspec

from mediation.domain import merkle
from mediation.domain.errors import BrokenTrail, Reason
from mediation.domain.facts import (
    Agreement,
    Case,
    Claim,
    Clock,
    Complaint,
    Document,
    Fact,
    Handoff,
    Leg,
    Listing,
    Obligation,
    Party,
    Reference,
)
from mediation.domain.vocabulary import CaseState

NO_HASH = "0" * 64
LIMIT_BYTES = 8192

PARTS: dict[str, type[Fact]] = {
    "parties": Party,
    "claims": Claim,
    "legs": Leg,
    "handoffs": Handoff,
    "agreements": Agreement,
    "obligations": Obligation,
    "clocks": Clock,
    "documents": Document,
    "complaints": Complaint,
    "listings": Listing,
    "refs": Reference,
}
HEADER = frozenset(
    {
        "number",
        "category",
        "division",
        "channel",
        "occurred_on",
        "request_on",
        "filed_by",
        "risk",
        "leader",
        "archived",
        "final",
        "circumstances",
        "sensitive",
        "reconciled",
        "merged_into",
        "successor_of",
        "absorbed",
        "absorbed_version",
        "statement",
    }
)


class Event(
    msgspec.Struct,
    frozen=True,
    dict=True,
    rename={"from_": "from", "sd_alg": "_sd_alg", "sd": "_sd"},
    omit_defaults=True,
):
    """One step taken (design.md §6). `v` is always written, though it has a default."""

    event: str
    case: str
    seq: int
    prev: str
    action: str
    from_: str
    to: str
    org: str
    actor: str
    role: str
    at: str
    request: str
    basis: tuple[str, ...]
    attrs: dict[str, Any]
    v: int
    sd_alg: str = ""
    sd: tuple[str, ...] = ()

    @cached_property
    def canonical(self) -> bytes:
        """RFC 8785 bytes, made once. Raises BrokenTrail when they are not ASCII or exceed 8 KiB.

        A C encoder that sorts keys writes them: for what an event may hold (ASCII codes, integers, booleans, lists and
        objects of these) it writes the bytes that `rfc8785` writes, which a property test says.
        """
        return _encoded(self)


def leaf_hash(data: bytes) -> str:
    """RFC 6962 §2.1 leaf hash, SHA-256(0x00 ‖ data), in lower-case hex."""
    return merkle.leaf_hash(data).hex()


def parse(data: bytes) -> Event:
    """The event of these canonical bytes; BrokenTrail if they are not an event or not canonical."""
    try:
        event = msgspec.json.decode(data, type=Event)
    except (msgspec.MsgspecError, UnicodeDecodeError) as found:
        raise BrokenTrail(Reason("not_an_event", "不是有效的事件", f"Not an event: {found}")) from found
    if _encoded(event) != data:
        raise BrokenTrail(Reason("not_canonical", "事件字节不符合RFC 8785", "The bytes are not canonical (RFC 8785)"))
    event.__dict__["canonical"] = data  # as the property would, without its lock: this is done for every event verified
    return event


def _encoded(event: Event) -> bytes:
    data = _CANONICAL.encode(event)
    if len(data) > LIMIT_BYTES or not data.isascii():
        zh, en = f"事件须为ASCII且不超过{LIMIT_BYTES}字节", f"An event is ASCII and at most {LIMIT_BYTES} bytes"
        raise BrokenTrail(Reason("event_too_long", zh, en))
    return data


def merge(case: Case, changes: Mapping[str, Any]) -> Case:
    """The case with these changes: header facts under `case`, and parts by their number (pure, no rule)."""
    changed: dict[str, Any] = {}
    for name, patches in changes.items():
        if patches and name in PARTS:
            changed[name] = _merge_parts(getattr(case, name), patches, PARTS[name])
    header = changes.get("case")
    if header:
        unknown = header.keys() - HEADER
        if unknown:
            raise BrokenTrail(Reason("unknown_facts", "事件含未知字段", f"Unknown facts {sorted(unknown)}"))
        types = Case.__annotations__
        changed |= {
            name: value if type(value) is types[name] else msgspec.convert(value, types[name])
            for name, value in header.items()
        }
    return msgspec.structs.replace(case, **changed)


def _merge_parts(parts: tuple[Fact, ...], patches: Iterable[Mapping[str, Any]], kind: type[Fact]) -> tuple[Fact, ...]:
    merged: list[Fact] = list(parts)
    for patch in patches:
        number = patch["id"]
        if 1 <= number <= len(merged):
            merged[number - 1] = msgspec.convert({**msgspec.to_builtins(merged[number - 1]), **patch}, kind)
        elif number == len(merged) + 1:
            merged.append(msgspec.convert(patch, kind))
        else:
            raise BrokenTrail(Reason("part_out_of_order", "编号不连续", f"{kind.__name__} {number} out of order"))
    return tuple(merged)


def project(case: Case) -> Case:
    """State, tier, track and holder as its legs say (process.md §2)."""
    leg = case.leading
    if case.archived:
        state = CaseState.ARCHIVED
    elif leg is None:
        state = CaseState.CLOSED
    elif any(h.from_leg == leg.id and h.holds and h.state == "offered" for h in case.handoffs):
        state = CaseState.IN_TRANSIT
    else:
        state = CaseState(leg.state.value)
    last = leg or next((leg for leg in reversed(case.legs) if not leg.beside), case.legs[-1])
    return msgspec.structs.replace(case, state=state, tier=last.tier.value, track=last.track.value, holder=last.org)


def evolve(case: Case | None, event: Event) -> Case:
    """The one fold: the case as it stands after this event.

    Raises BrokenTrail when the event does not follow: wrong case, number, previous hash, time or state.
    """
    if event.v != 1:
        raise BrokenTrail(Reason("unknown_version", "未知的事件版本", f"Unknown event version {event.v}"))
    before = case or Case(id=event.case, head=NO_HASH)
    expected = (before.id, before.version + 1, before.head, before.state.value)
    if expected != (event.case, event.seq, event.prev, event.from_) or event.at < before.at:
        raise BrokenTrail(
            Reason(
                "does_not_follow", f"第{event.seq}号事件不衔接", f"Event {event.seq} does not follow {before.version}"
            )
        )
    after = project(merge(before, event.attrs))
    if after.state != event.to:
        raise BrokenTrail(
            Reason(
                "wrong_state", f"第{event.seq}号事件的状态不符", f"Event {event.seq} says {event.to}, not {after.state}"
            )
        )
    return msgspec.structs.replace(after, version=event.seq, head=leaf_hash(event.canonical), at=event.at)


def dump(case: Case) -> bytes:
    """The stored document of a case: JSON of its facts, defaults left out."""
    return msgspec.json.encode(case)


def load(document: bytes | str) -> Case:
    """The case of a stored document."""
    return _CASE.decode(document)


_CASE = msgspec.json.Decoder(Case)
_CANONICAL = msgspec.json.Encoder(order="sorted")
