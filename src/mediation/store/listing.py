"""The statements that list cases: each is made once for its shape, and gives its page in one row, bodies and all."""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    false,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    text,
    true,
    tuple_,
    union,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.types import TypeEngine

from mediation.domain.facts import Case, Organisation
from mediation.domain.lines import Line
from mediation.store.calls import BODY, bodies
from mediation.store.sight import Viewer, Worded, stands, visible, worded
from mediation.store.tables import CASE_REFS, CASES, ORGANISATIONS, VAULT, VAULT_WORDS, WORKLISTS

NEAR = 250
"""So many of the newest cases are looked at one by one for a number, before its index is asked."""
OFTEN = 20
"""Where so many of them have it, the next ones are looked at one by one too."""
PACE = 800
"""Into the time of so many of the newest cases the index of words is looked first."""
MANY = 4
"""So many times the texts that are wanted are more than are looked at, of one time, to find the newest."""
AT_ONCE = 16
"""So many stretches of one length are looked into at once."""
EQUAL = ("track", "tier", "category", "risk")
"""What must be the same in a case, if it is asked for."""


_Shape = TypeVar("_Shape")


class Shape(NamedTuple):
    """What a statement is made by, its values apart.

    `everywhere`: of all cases, not of the list of a body. `dated`: narrowed by due day, though not in that order.
    `told`: nothing is sought, or numbers and references ("named"), or "words" too; `numbered`: it may be a number.
    """

    everywhere: bool
    by_state: bool
    by_due: bool
    dated: bool
    told: str
    numbered: bool


class Found(NamedTuple):
    """The lines of cases in their order, and the bodies that they name or named."""

    lines: list[Line]
    orgs: dict[str, Organisation]


def statement(made: Callable[[Viewer, _Shape], Worded], viewer: Viewer, shape: _Shape) -> Worded:
    """One of the statements below, in the shape asked for, for such a viewer; made at its first use."""
    key = made, stands(viewer), shape
    if key not in _TEXTS:
        _TEXTS[key] = made(viewer, shape)
    return _TEXTS[key]


def found_in(lines: str | None, orgs: str | None) -> Found:
    """What the row of a statement that lists lines says; None: nothing."""
    return Found(_LINES.decode(lines) if lines else [], bodies(orgs))


def cases_in(facts: str | None, orgs: str | None) -> tuple[list[Case], dict[str, Organisation]]:
    """What the row of a statement that lists whole cases says, as of `tray` and `known`."""
    return _CASES.decode(facts) if facts else [], bodies(orgs)


def walk(viewer: Viewer, shape: Shape) -> Worded:
    """The cases of a list in its order, beyond a key."""
    listed, conditions = _listed(shape), [*_conditions(viewer), *_told(viewer, shape)]
    found = _each(listed.where(*conditions) if shape.everywhere else listed, *conditions, by_due=shape.by_due)
    return _page(found, kept=not shape.dated)  # by which index is best, the days say


def _number(shape: Shape) -> Column[Any]:
    """What a list is in the order of."""
    return CASES.c.id if shape.everywhere else WORKLISTS.c.case_id


def _listed(shape: Shape) -> Select[Any]:
    """Ids and due days of a worklist, or of all cases, in order beyond a key."""
    table, number = CASES if shape.everywhere else WORKLISTS, _number(shape)
    query = select(number.label("id"), table.c.due_on)
    if not shape.everywhere:
        query = query.where(WORKLISTS.c.org == _of("body", _ID))
    if shape.by_state:
        query = query.where(table.c.state == _of("state"))
    if shape.by_due:
        beyond = tuple_(table.c.due_on, number) > tuple_(_of("day", _DAY), _of("number", _ID))
        query = query.where(table.c.due_on.is_not(None), beyond, table.c.due_on < _of("due_before", _DAY))
        return query.order_by(table.c.due_on, number)
    if shape.dated:
        query = query.where(table.c.due_on > _of("due_after", _DAY), table.c.due_on < _of("due_before", _DAY))
    return query.where(number < _of("before", _ID)).order_by(number.desc())


def _each(
    listed: Select[Any], *conditions: ColumnElement[bool], by_due: bool = False, whole: bool = False
) -> Select[Any]:
    """The cases that are listed, `whole` or by their lines, in that order, of which the conditions hold.

    Each is looked at by itself, the next only if it is wanted: the OFFSETs keep the planner, who thinks that hardly any
    case is seen, from reading all cases first.
    """
    ids = listed.offset(_NONE).subquery()
    case = _told_of(whole=whole).where(CASES.c.id == ids.c.id, *conditions).offset(_NONE).lateral()
    order = (ids.c.due_on, ids.c.id) if by_due else (ids.c.id.desc(),)
    return select(case).select_from(ids.join(case, true())).order_by(*order)


def _page(found: Select[Any], *, kept: bool = True) -> Worded:
    return worded(_shown(_limited(found)), kept=kept)


def _conditions(viewer: Viewer) -> list[ColumnElement[bool]]:
    """What a case itself must be, seen first of all; a value of NULL is no condition."""
    holder, overdue, division = _of("holder", _ID), _of("overdue"), _of("division")
    late = func.coalesce(CASES.c.late_at <= _of("at", CASES.c.late_at.type), false())
    return [
        visible(viewer),
        *(or_(_of(name).is_(None), CASES.c[name] == _of(name)) for name in EQUAL),
        or_(holder.is_(None), CASES.c.open_orgs.contains(array([holder]))),
        or_(overdue.is_(None), late == cast(overdue, Boolean)),
        or_(division.is_(None), func.starts_with(CASES.c.division, division)),
    ]


def _of(name: str, kind: TypeEngine[Any] | None = None) -> ColumnElement[Any]:
    """A value of a statement, by name."""
    return bindparam(name, type_=kind or Text())


def _fixed(number: int) -> ColumnElement[Any]:
    """A number of a statement that is the same at each use."""
    return literal_column(str(number))


def near(viewer: Viewer, shape: Shape) -> Worded:
    """Of the newest cases those whose number or reference it is; and the last id looked at, or none where they end."""
    near = _listed(shape).limit(_fixed(NEAR))
    return worded(_shown(_limited(_each(near, *_conditions(viewer), or_(*_named()))), _nth(near, NEAR)))


def named(viewer: Viewer, shape: Shape) -> Worded:
    """The cases before an id whose number or reference it is, by the indexes of these, the newest first."""

    def before(number: Column[Any], found: ColumnElement[bool]) -> Select[Any]:
        """Said so that no index serves it: the planner would take that of the ids, whatever lies before them."""
        return select(number.label("id")).where(found, (number < _of("before", _ID)).is_(true()))

    some = [before(CASE_REFS.c.case_id, _referred())]
    if shape.numbered:
        some.append(before(CASES.c.id, _numbered()))
    ids = select(union(*some).subquery().c.id)
    return _page(_each(_here(ids, shape), *_state(shape), *_conditions(viewer), or_(*_named())))


def pace(_: Viewer, shape: Shape) -> Worded:
    """Of the newest cases the first id and the last, where there are so many; the oldest; and whose reference it is."""
    newest, number = _listed(shape).limit(_fixed(PACE)), _number(shape)
    oldest = _listed(shape._replace(by_state=False, dated=False)).order_by(None).order_by(number)
    referred = select(CASE_REFS.c.case_id).where(_referred(), (CASE_REFS.c.case_id < _of("before", _ID)).is_(true()))
    ids = cast(func.array(referred.scalar_subquery()), Text)
    return worded(select(_nth(newest, 1), _nth(newest, PACE), _first(oldest), ids))


def holding(viewer: Viewer, shape: Shape) -> Worded:
    """A batch of the newest cases seen that hold the words (search.sql), and of those named: what is in the list of it.

    And how many hold the words, down to which id, and how long a time to look into next.
    """
    body = cast(null(), _ID) if shape.everywhere else _of("body", _ID)
    where = (_of("grams", _GRAMS), body, _of("before", _ID), _of("oldest", _ID))
    limits = (_of("ms", BigInteger()), _of("batch", Integer()), _fixed(MANY), _fixed(AT_ONCE))
    columns: list[Column[Any]] = [Column("ids", ARRAY(_ID)), Column("reached", _ID), Column("ms", BigInteger)]
    held = select(func.cases_holding(*where, *limits).table_valued(*columns)).cte("held")
    named = select(func.unnest(_of("named", ARRAY(_ID))).label("id")).subquery()
    between = and_(named.c.id >= held.c.reached, named.c.id < _of("before", _ID))
    ids = union(select(func.unnest(held.c.ids).label("id")), select(named.c.id).where(between)).subquery()
    told = or_(*_named(), _may_be_told(viewer))
    page = _limited(_each(_here(select(ids.c.id), shape), *_state(shape), *_conditions(viewer), told))
    more = (func.cardinality(held.c.ids), cast(held.c.reached, Text), held.c.ms)
    return worded(_shown(page, *(select(one).scalar_subquery() for one in more)))


def _here(ids: Select[Any], shape: Shape) -> Select[Any]:
    """Those of these ids that are in the list, the newest first."""
    number = ids.selected_columns.id
    if not shape.everywhere:
        here = select(WORKLISTS.c.org).where(WORKLISTS.c.org == _of("body", _ID), WORKLISTS.c.case_id == number)
        ids = ids.where(here.exists())
    return ids.order_by(number.desc())


def _nth(some: Select[Any], place: int) -> ColumnElement[Any]:
    """The id at a place of some, the newest of which is the first."""
    id_ = some.subquery("seen").c.id
    return _first(select(id_).order_by(id_.desc()).offset(_fixed(place - 1)))


def _first(ids: Select[Any]) -> ColumnElement[Any]:
    return cast(ids.with_only_columns(ids.selected_columns.id).limit(_fixed(1)).scalar_subquery(), Text)


def _referred() -> ColumnElement[bool]:
    return CASE_REFS.c.ref == _of("q")


def _numbered() -> ColumnElement[bool]:
    """A number that begins so, as comparisons: behind row-level security an index serves no LIKE."""
    return and_(CASES.c.number >= _of("q"), CASES.c.number < _of("q_end"))


def _holding(case_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """All the grams are words of one text of that case."""
    words = select(VAULT_WORDS.c.case_id).where(
        VAULT_WORDS.c.case_id == case_id, VAULT_WORDS.c.grams.contains(_of("grams", _GRAMS))
    )
    return words.correlate_except(VAULT_WORDS).offset(_NONE).exists()


def _state(shape: Shape) -> list[ColumnElement[bool]]:
    """The conditions that a worklist holds itself, on the case."""
    wanted = [CASES.c.state == _of("state")] if shape.by_state else []
    if shape.dated:
        wanted += [CASES.c.due_on > _of("due_after", _DAY), CASES.c.due_on < _of("due_before", _DAY)]
    return wanted


def _told(viewer: Viewer, shape: Shape) -> list[ColumnElement[bool]]:
    """`q` as a condition on one case that is looked at."""
    if not shape.told:
        return []
    words = [and_(_may_be_told(viewer), _holding(CASES.c.id))] if shape.told == "words" else []
    return [or_(*_named(), *words)]


def _named() -> list[ColumnElement[bool]]:
    return [_numbered(), CASES.c.refs.contains(array([cast(_of("q"), Text)]))]


def _may_be_told(viewer: Viewer) -> ColumnElement[bool]:
    """Where a viewer cannot guess, word by word, what they are not shown.

    So not where they read codes alone, and of the cases that fewer may see those alone that their own body handles.
    """
    here = array([_of("viewer_org", _ID)])
    handled = or_(CASES.c.open_orgs.contains(here), CASES.c.inbound.contains(here))
    told = or_(CASES.c.restricted.is_(False), handled)
    return and_(told, visible(viewer, in_codes=False)) if viewer.audits else told


def tray(viewer: Viewer, shape: tuple[bool, bool]) -> Worded:
    """The cases of the tray of the viewer's body up to an id, the newest first: (incoming, live ones alone)."""
    incoming, live = shape
    org = _of("viewer_org", _ID)
    listed = select(WORKLISTS.c.case_id.label("id")).where(
        WORKLISTS.c.org == org, WORKLISTS.c.case_id <= _of("through", _ID)
    )
    if live:
        listed = listed.where(WORKLISTS.c.inbound if incoming else WORKLISTS.c.outbound)
    listed = listed.order_by(WORKLISTS.c.case_id.desc())
    return _page(_each(listed, visible(viewer), CASES.c.orgs.contains(array([org])), whole=True))


def known(viewer: Viewer, _: None) -> Worded:
    """The cases in which somebody is a party, before an id, the newest first; and as which parties.

    In the order of the index, so that of a body that is a party to thousands no more are looked at than are shown.
    """
    there, other = _of("blind_id", LargeBinary()), VAULT.alias("other")
    again = select(other.c.subject).where(other.c.case_id == VAULT.c.case_id, other.c.blind_id == there)
    listed = (
        select(VAULT.c.case_id.label("id"))
        .where(VAULT.c.blind_id == there, VAULT.c.case_id < _of("before", _ID))
        .where(not_(again.where(other.c.subject < VAULT.c.subject).exists()))
        .order_by(VAULT.c.case_id.desc())
        .offset(_NONE)
        .subquery()
    )
    seen = _told_of(whole=True).where(CASES.c.id == listed.c.id, visible(viewer, in_codes=False))
    case = seen.offset(_NONE).lateral()
    page = _limited(select(case).select_from(listed.join(case, true())).order_by(listed.c.id.desc()))
    parties = select(VAULT.c.subject).where(VAULT.c.case_id == page.c.id, VAULT.c.blind_id == there)
    return worded(_shown(page, func.json_agg(func.array(parties.order_by(VAULT.c.subject).scalar_subquery()))))


def _told_of(*, whole: bool) -> Select[Any]:
    """What a statement takes of each case."""
    told = CASES.c.facts if whole else CASES.c.line
    return select(told.label("told"), *(CASES.c[name] for name in ("id", "orgs", "past_orgs", "holder")))


def _limited(found: Select[Any]) -> CTE:
    return found.limit(_of("wanted", Integer())).cte("page")


def _shown(page: CTE, *more: ColumnElement[Any]) -> Select[Any]:
    """What is told of the cases of a page in its order, and the bodies they name or named: both JSON, in one row."""
    named = func.unnest(
        page.c.orgs.concat(page.c.past_orgs).concat(func.array_append(text("'{}'::uuid[]"), page.c.holder))
    )
    ids = func.array(select(named.label("id")).distinct().scalar_subquery())
    orgs = select(cast(func.json_agg(literal_column(BODY)), Text)).select_from(_O).where(_O.c.id == func.any(ids))
    # A third of the price of json_agg, which makes every text anew.
    told = (
        literal_column("'['")
        .concat(func.string_agg(cast(page.c.told, Text), literal_column("','")))
        .concat(literal_column("']'"))
    )
    return select(told, orgs.scalar_subquery(), *more).select_from(page)


_ID, _DAY, _GRAMS = CASES.c.id.type, CASES.c.due_on.type, VAULT_WORDS.c.grams.type
_NONE = _fixed(0)
_O = ORGANISATIONS.alias("o")
_LINES, _CASES = msgspec.json.Decoder(list[Line]), msgspec.json.Decoder(list[Case])
_TEXTS: dict[Hashable, Worded] = {}
