"""The log of administration: what each entry says, how it is chained, what the log folds to, and which roles clash."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, NamedTuple

import msgspec
from msgspec import Meta, Struct

from mediation.domain.access import ADMINISTRATORS, EVERYBODY
from mediation.domain.errors import BrokenTrail, Reason
from mediation.domain.events import LIMIT_BYTES, NO_HASH, Event, leaf_hash
from mediation.domain.facts import Instant, Organisation
from mediation.domain.vocabulary import LogEntry, Role

LOG_ID = "8d7e034d-2138-5a8b-809a-92db1fc0bc68"
"""The `case` of every entry: uuid5 of the registry's namespace and "administration"; rls.sql names it too."""

OPERATOR = "operator"
"""Who acts at the command line, and in which role: nobody of the registry, and for no body."""

VOUCHED = ADMINISTRATORS | {Role.AUDITOR}
"""Roles of people whose code, name and identities the operator alone loads: whoever signed in as one would be one."""

_STATE = "administration"
_ROWS_BYTES = LIMIT_BYTES - 1024  # what an entry says besides its rows is less than this

Id = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
_Upper = Annotated[str, Meta(pattern=r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?\Z")]
_Code = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{0,64}\Z")]
_Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Count = Annotated[int, Meta(ge=0)]
_Origin = Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,1000}\Z")]
_Roles = tuple[Role, ...]


class Attributes(Struct, frozen=True, forbid_unknown_fields=True):
    """What an entry says, by value: ids, codes, digests and counts; never a person's name."""

    ACTION: ClassVar[LogEntry]


class PutOrganisation(Attributes, frozen=True):
    """A body as it stands from now on. `name_sha256`: of its name, a line feed, and its English name."""

    ACTION = LogEntry.PUT_ORGANISATION
    id: Id
    code: _Code
    name_sha256: _Hash
    kind: _Code
    tier: _Code
    division: _Code
    speciality: _Code
    superior: _Upper
    active: bool


class PutPerson(Attributes, frozen=True):
    """A person of the staff: at which body registered, digests of the identities they have now; `changed` names fields.

    Their code and name are in no entry: what identifies a person is not written where nothing can be erased.
    """

    ACTION = LogEntry.PUT_PERSON
    id: Id
    home: Id
    identities: tuple[_Hash, ...]
    linked: _Count
    unlinked: _Count
    changed: tuple[_Code, ...]


class Grant(Attributes, frozen=True):
    """The roles a person holds at a body from now on, and those held before."""

    ACTION = LogEntry.GRANT
    person: Id
    org: Id
    roles: _Roles
    before: _Roles


class Revoke(Attributes, frozen=True):
    """A membership that ended, and the roles it gave."""

    ACTION = LogEntry.REVOKE
    person: Id
    org: Id
    before: _Roles


class DivisionRow(Struct, frozen=True, forbid_unknown_fields=True):
    """A division as a file had it. `name_sha256`: of its name and a line feed."""

    code: _Code
    level: _Code
    name_sha256: _Hash
    parent: _Code


class MemberRow(Struct, frozen=True, forbid_unknown_fields=True):
    """A person of the staff, the body that registered them, and the roles they hold at a body, as a file had it."""

    person: Id
    home: Id
    org: Id
    roles: _Roles


class IdentityRow(Struct, frozen=True, forbid_unknown_fields=True):
    """By which token a person is known: `identity_digest`."""

    identity: _Hash
    person: Id


class Import(Attributes, frozen=True):
    """A file that was loaded: its digest, how many lines it had, and the rows that came of it.

    A long file makes several entries of one digest: each says some of the rows.
    """

    sha256: _Hash
    lines: _Count
    rows: tuple[Struct, ...]


class ImportDivisions(Import, frozen=True):
    """Divisions from a file."""

    ACTION = LogEntry.IMPORT_DIVISIONS
    rows: tuple[DivisionRow, ...]


class ImportOrganisations(Import, frozen=True):
    """Bodies from a file, each as it stands from now on."""

    ACTION = LogEntry.IMPORT_ORGANISATIONS
    rows: tuple[PutOrganisation, ...]


class ImportPeople(Import, frozen=True):
    """People and memberships from a file."""

    ACTION = LogEntry.IMPORT_PEOPLE
    rows: tuple[MemberRow, ...]


class ImportIdentities(Import, frozen=True):
    """Identities from a file."""

    ACTION = LogEntry.IMPORT_IDENTITIES
    rows: tuple[IdentityRow, ...]


class Erase(Attributes, frozen=True):
    """The parties of a case whose keys were destroyed, by number; 0 is the case's own text. `ground` is a code."""

    ACTION = LogEntry.ERASE
    case: Id
    subjects: tuple[_Count, ...]
    ground: _Code = ""


class Recover(Attributes, frozen=True):
    """A signed log that had been set back began anew: what is left of it, what was signed and is lost, and the new one.

    `log` is "events" or "access"; sizes are in leaves, roots in hex.
    `position`: where in its feed the first leaf of the new log stands, beyond everything that was lost.
    """

    ACTION = LogEntry.RECOVER
    log: _Code
    origin: _Origin
    size: _Count
    root: _Hash
    lost_origin: _Origin
    lost_size: _Count
    lost_root: _Hash
    new_origin: _Origin
    position: _Count


ENTRIES: Mapping[LogEntry, type[Attributes]] = {
    kind.ACTION: kind
    for kind in (
        PutOrganisation,
        PutPerson,
        Grant,
        Revoke,
        ImportDivisions,
        ImportOrganisations,
        ImportPeople,
        ImportIdentities,
        Erase,
        Recover,
    )
}


class Hand(NamedTuple):
    """Whose hand writes an entry: a person's id (or OPERATOR), for which body ("" for none), in which role, and when.

    `request` is the id of the request.
    """

    actor: str
    org: str
    role: str
    at: Instant
    request: str


def entry(hand: Hand, said: Attributes, last: Event | None, event_id: str) -> Event:
    """The entry that follows `last`, and never at or before its instant; None: it is the first."""
    at = hand.at
    if last and at <= last.at:
        later = datetime.fromisoformat(last.at) + timedelta(microseconds=1)
        at = later.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return Event(
        event=event_id,
        case=LOG_ID,
        seq=last.seq + 1 if last else 1,
        prev=leaf_hash(last.canonical) if last else NO_HASH,
        action=said.ACTION.value,
        from_=_STATE if last else "new",
        to=_STATE,
        org=hand.org,
        actor=hand.actor,
        role=hand.role,
        at=at,
        request=hand.request,
        basis=(),
        attrs=msgspec.to_builtins(said),
        v=1,
    )


def imported(kind: type[Import], text: str, lines: int, rows: Iterable[Struct]) -> Iterator[Import]:
    """The entries that tell of a file and of all its rows: as many as it takes, and one where there are none."""
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    some: list[Struct] = []
    size = 0
    for row in rows:
        length = len(msgspec.json.encode(row)) + 1
        if size + length > _ROWS_BYTES:
            yield kind(sha256=sha256, lines=lines, rows=tuple(some))
            some, size = [], 0
        some.append(row)
        size += length
    yield kind(sha256=sha256, lines=lines, rows=tuple(some))


def put(body: Organisation, *, active: bool) -> PutOrganisation:
    """What an entry says of a body that stands so."""
    return PutOrganisation(
        id=body.id,
        code=body.code,
        name_sha256=name_digest(body.name, body.name_en),
        kind=body.kind.value,
        tier=body.tier.value,
        division=body.division,
        speciality=body.speciality,
        superior=body.superior,
        active=active,
    )


class Register:
    """The registry as the log says that it is: whatever was put into it, by the API or from a file, and not taken out.

    `people`: at which body each is registered; `identities`: their digests, by person.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.head = NO_HASH
        self.at = ""
        self.divisions: dict[str, DivisionRow] = {}
        self.organisations: dict[str, PutOrganisation] = {}
        self.people: dict[str, str] = {}
        self.memberships: dict[tuple[str, str], tuple[Role, ...]] = {}
        self.identities: dict[str, frozenset[str]] = {}

    def take(self, event: Event) -> None:
        """The next entry. Raises BrokenTrail when it does not follow, or says what no entry says."""
        expected = (LOG_ID, self.seq + 1, self.head, _STATE if self.seq else "new", _STATE, 1)
        if expected != (event.case, event.seq, event.prev, event.from_, event.to, event.v) or event.at < self.at:
            zh, en = f"管理日志第{event.seq}条不衔接", f"Entry {event.seq} of the log of administration does not follow"
            raise BrokenTrail(Reason("does_not_follow", zh, en))
        self._know(said(event))
        self.seq, self.head, self.at = event.seq, leaf_hash(event.canonical), event.at

    def _know(self, said: Attributes) -> None:
        match said:
            case PutOrganisation():
                self.organisations[said.id] = said
            case PutPerson():
                self.people[said.id] = said.home
                self.identities[said.id] = frozenset(said.identities)
            case Grant():
                self.memberships[said.person, said.org] = said.roles
            case Revoke():
                self.memberships.pop((said.person, said.org), None)
            case ImportDivisions():
                self.divisions |= {row.code: row for row in said.rows}
            case ImportOrganisations():
                self.organisations |= {row.id: row for row in said.rows}
            case ImportPeople():
                self.people |= {row.person: row.home for row in said.rows}
                self.memberships |= {(row.person, row.org): row.roles for row in said.rows}
            case ImportIdentities():
                for row in said.rows:
                    known = self.identities.get(row.person, frozenset())
                    self.identities[row.person] = known | {row.identity}


def said(event: Event) -> Attributes:
    """What an entry says. Raises BrokenTrail for what no entry says."""
    try:
        return msgspec.convert(event.attrs, ENTRIES[LogEntry(event.action)])
    except (ValueError, msgspec.ValidationError) as found:
        zh, en = f"管理日志第{event.seq}条内容不合规定", f"Entry {event.seq} says what no entry says: {found}"
        raise BrokenTrail(Reason("bad_entry", zh, en)) from found


def name_digest(name: str, name_en: str) -> str:
    """What an entry says of the names of a body, or of a division, which has one."""
    return hashlib.sha256(f"{name}\n{name_en}".encode()).hexdigest()


def identity_digest(issuer: str, subject: str) -> str:
    """What an entry says of an identity: the SHA-256 of its issuer, a line feed, and its subject."""
    return hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()


def clashes(roles: Collection[Role]) -> tuple[Reason, ...]:
    """Why one person cannot hold these roles, at however many bodies: every reason, and none where they can."""
    held = frozenset(roles)
    administers, acts = held & ADMINISTRATORS, held & EVERYBODY
    found = []
    if Role.CLOCK in held:
        zh, en = "“时钟”不能授予任何人", "`clock` is granted to nobody"
        found.append(Reason("clock_granted", zh, en))
    if len(administers) > 1:
        zh = f"三员分立：同一人不得兼任{_zh(administers)}"
        en = f"Three separate administrators: one person is not at once {_en(administers)}"
        found.append(Reason("administrators_separate", zh, en))
    if administers and held - ADMINISTRATORS:
        zh = f"管理员不得兼任其他角色（含在其他单位）：{_zh(held - ADMINISTRATORS)}"
        en = f"An administrator holds no other role, at whatever body: {_en(held - ADMINISTRATORS)}"
        found.append(Reason("administrator_apart", zh, en))
    if Role.AUDITOR in held and acts:
        zh = f"审计员不得办理案件（含在其他单位）：{_zh(acts)}"
        en = f"Who closes is not who audits: an auditor has no part in cases, at whatever body: {_en(acts)}"
        found.append(Reason("auditor_apart", zh, en))
    return tuple(found)


def vouched(held: Collection[Role], wanted: Collection[Role], *, identified: bool) -> tuple[Reason, ...]:
    """Why these roles cannot be given to who holds those: what they sign in by is the operator's to load.

    Else whoever registers people would sign in as whom they have made a security administrator of. `identified`: they
    have an identity already, and while they held no such role it was for a system administrator to say.
    """
    if not identified or VOUCHED.isdisjoint(wanted) or not VOUCHED.isdisjoint(held):
        return ()
    zh = "该人员已有登录标识：须先解除，授予后由运维人员导入（mediation import identities）"
    en = "They have an identity already: it is unlinked first, and loaded by the operator once the role is given"
    return (Reason("identity_before_role", zh, en),)


def _zh(roles: Collection[Role]) -> str:
    return "、".join(role.zh for role in sorted(roles))


def _en(roles: Collection[Role]) -> str:
    return ", ".join(sorted(role.value for role in roles))
