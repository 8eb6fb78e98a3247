"""Twelve kinds of tampering with a database, each in several ways: what is done, and what was touched first by it."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace
from tests.battery.tampering import WITNESS, Scene, Touched, folded, rechained

from mediation.domain.events import Event
from mediation.domain.notes import new_signer, sign
from mediation.domain.registering import LOG_ID

Attack = Callable[[Scene], Touched]

ATTACKS: dict[str, list[Attack]] = {}
EARLIER: set[Attack] = set()
"""Those that put an earlier database in the place of the county's."""

_TREE = ("log_epochs", "log_tiles", "log_checkpoints", "log_cosignatures")


def way(kind: str, *, earlier: bool = False) -> Callable[[Attack], Attack]:
    def take(attack: Attack) -> Attack:
        ATTACKS.setdefault(kind, []).append(attack)
        if earlier:
            EARLIER.add(attack)
        return attack

    return take


def any_event(scene: Scene, *, log: bool = True) -> tuple[str, int]:
    """A case, now and then the log of administration, and the index of one of its events."""
    case_id = LOG_ID if log and not scene.rng.randrange(6) else scene.case()
    return case_id, scene.rng.randrange(len(scene.histories[case_id]))


def edit(scene: Scene, *, log: bool = True) -> Event:
    """Edit an event, chain those behind it to it and set the case's row by what they fold to; the event as it was."""
    case_id, at = any_event(scene, log=log)
    told = scene.histories[case_id]
    was = told[at]
    scene.tell(case_id, rechained([*told[:at], scene.edited(told, at), *told[at + 1 :]]))
    return was


def put(scene: Scene, event: Event, data: bytes) -> None:
    scene.do("UPDATE events SET bytes = %s WHERE id = %s", data, event.event)


# ── edit ──


@way("edit")
def one_row(scene: Scene) -> Touched:
    case_id, at = any_event(scene)
    event = scene.histories[case_id][at]
    put(scene, event, scene.edited(scene.histories[case_id], at).canonical)
    return Touched(case_id, event.seq, scene.index(event) + 1, code="leaf_differs")


@way("edit")
def all_but_the_signatures(scene: Scene) -> Touched:
    index = scene.index(edit(scene))
    scene.regrow()
    return Touched(position=scene.window(index))


@way("edit")
def chain_and_row_and_spans(scene: Scene) -> Touched:
    was = edit(scene)
    with scene.true(*_TREE):
        scene.regrow()
    return Touched(was.case, was.seq, scene.index(was) + 1, code="leaf_differs")


@way("edit")
def all_but_roots_and_notes(scene: Scene) -> Touched:
    index = scene.index(edit(scene))
    with scene.true("log_checkpoints"):
        scene.regrow()
    return Touched(position=scene.window(index), code="wrong_root")


@way("edit")
def all_but_the_notes(scene: Scene) -> Touched:
    index = scene.index(edit(scene))
    scene.regrow()
    origin = scene.key("events").origin
    for size, note in scene.of.notes[origin].items():
        scene.put_note("events", size, note)
    return Touched(position=scene.window(index), code="wrong_checkpoint")


@way("edit")
def a_byte(scene: Scene) -> Touched:
    case_id, at = any_event(scene)
    event = scene.histories[case_id][at]
    data = bytearray(event.canonical)
    data[scene.rng.randrange(len(data))] ^= 1 << scene.rng.randrange(8)
    put(scene, event, bytes(data))
    return Touched(case_id, event.seq, scene.index(event) + 1, code="leaf_differs")


# ── delete ──


def without(scene: Scene) -> Event:
    """Take an event out of the middle of a case, such that the others still make a history."""
    for _ in range(300):
        case_id = scene.case()
        told = scene.histories[case_id]
        at = scene.rng.randrange(1, len(told) - 1)
        left = rechained([*told[:at], *told[at + 1 :]])
        if scene.folds(left):
            scene.tell(case_id, left)
            return told[at]
    raise AssertionError("every event is needed")


@way("delete")
def one_row_gone(scene: Scene) -> Touched:
    case_id, at = any_event(scene)
    event = scene.histories[case_id][at]
    scene.do("DELETE FROM events WHERE id = %s", event.event)
    return Touched(position=scene.index(event) + 1, code="feed_empty")


@way("delete")
def an_event_and_all_but_the_signatures(scene: Scene) -> Touched:
    index = scene.index(gone := without(scene))
    scene.order["events"].remove(gone.event)
    scene.regrow()
    return Touched(position=scene.window(index))


@way("delete")
def a_case_and_all_but_the_signatures(scene: Scene) -> Touched:
    case_id = scene.case()
    gone = [event.event for event in scene.histories[case_id]]
    index = min(scene.order["events"].index(event) for event in gone)
    scene.forget(case_id)
    scene.order["events"] = [event for event in scene.order["events"] if event not in gone]
    scene.regrow()
    return Touched(position=scene.window(index))


@way("delete")
def an_event_with_its_place(scene: Scene) -> Touched:
    gone = without(scene)
    scene.do("DELETE FROM feed WHERE event = %s", gone.event)
    scene.do("DELETE FROM spans WHERE event = %s", gone.event)
    return Touched(position=scene.index(gone) + 1, code="feed_gap")


@way("delete")
def an_event_and_every_place_moved_up(scene: Scene) -> Touched:
    index = scene.index(gone := without(scene))
    scene.order["events"].remove(gone.event)
    with scene.true(*_TREE):
        scene.regrow()
    return Touched(position=index + 1, code="leaf_differs")


@way("delete")
def a_case_with_its_places(scene: Scene) -> Touched:
    case_id = scene.case()
    gone = [event.event for event in scene.histories[case_id]]
    index = min(scene.order["events"].index(event) for event in gone)
    scene.forget(case_id)
    for table in ("feed", "spans"):
        scene.do(f"DELETE FROM {table} WHERE event = ANY(%s::uuid[])", gone)  # noqa: S608  # ours
    return Touched(position=index + 1, code="feed_gap")


# ── reorder ──


def exchanged(scene: Scene) -> tuple[Event, Event]:
    """Let two neighbours of a case change places, such that they still make a history, in the log too; as they were."""
    for _ in range(300):
        case_id = scene.case()
        told = scene.histories[case_id]
        at = scene.rng.randrange(1, len(told) - 1)
        first, second = told[at], told[at + 1]
        swapped = replace(second, at=first.at), replace(first, at=second.at)
        made = rechained([*told[:at], *swapped, *told[at + 2 :]])
        if scene.folds(made):
            scene.tell(case_id, made)
            order = scene.order["events"]
            one, two = scene.index(first), scene.index(second)
            order[one], order[two] = order[two], order[one]
            return first, second
    raise AssertionError("no two events can change places")


def strangers(scene: Scene) -> tuple[int, int]:
    """The indexes of events of two cases, in ascending order."""
    one, two = (scene.index(scene.rng.choice(scene.histories[case])) for case in scene.two())
    return min(one, two), max(one, two)


@way("reorder")
def bytes_of_two_rows(scene: Scene) -> Touched:
    case_id = scene.case()
    first, second = sorted(scene.rng.sample(scene.histories[case_id], 2), key=lambda event: event.seq)
    put(scene, first, second.canonical)
    put(scene, second, first.canonical)
    return Touched(case_id, first.seq, scene.index(first) + 1, code="leaf_differs")


@way("reorder")
def two_events_and_all_but_the_signatures(scene: Scene) -> Touched:
    first, second = exchanged(scene)
    scene.regrow()
    return Touched(position=scene.window(min(scene.index(first), scene.index(second))))


@way("reorder")
def places_and_all_but_the_signatures(scene: Scene) -> Touched:
    one, two = _apart(scene)
    order = scene.order["events"]
    order[one], order[two] = order[two], order[one]
    scene.regrow()
    return Touched(position=scene.window(one))


def _apart(scene: Scene) -> tuple[int, int]:
    """Two neighbours in the log that are of different cases: no case is out of order when they change places."""
    order = scene.order["events"]
    case_of = {event.event: event.case for told in scene.histories.values() for event in told}
    one = scene.rng.choice([at for at in range(len(order) - 1) if case_of[order[at]] != case_of[order[at + 1]]])
    return one, one + 1


@way("reorder")
def two_places_of_a_case(scene: Scene) -> Touched:
    case_id = scene.case()
    first, second = sorted(scene.rng.sample(scene.histories[case_id], 2), key=lambda event: event.seq)
    _exchange_places(scene, scene.index(first), scene.index(second))
    return Touched(case_id, second.seq, scene.index(first) + 1, code="leaf_differs")


@way("reorder")
def two_places_of_two_cases(scene: Scene) -> Touched:
    one, two = strangers(scene)
    _exchange_places(scene, one, two)
    return Touched(position=one + 1, code="leaf_differs")


def _exchange_places(scene: Scene, one: int, two: int) -> None:
    for table in ("feed", "spans"):
        for at, to in ((one + 1, -1), (two + 1, one + 1), (-1, two + 1)):
            scene.db.execute(f"UPDATE {table} SET position = %s WHERE position = %s", (to, at))  # noqa: S608  # ours


@way("reorder")
def two_events_with_rows_and_spans(scene: Scene) -> Touched:
    first, second = exchanged(scene)
    with scene.true(*_TREE):
        scene.regrow()
    return Touched(position=min(scene.index(first), scene.index(second)) + 1, code="leaf_differs")


# ── insert ──


def another(scene: Scene, told: Sequence[Event], at: int) -> Event:
    """An event that could have stood before that of this index: one that changes nothing."""
    before = told[at - 1]
    return replace(
        before, event=scene.uuid(), request=scene.uuid(), action="note", from_=before.to, attrs={}, sd=(), sd_alg=""
    )


def inserted(scene: Scene, *, last: bool = False) -> Event:
    case_id = scene.case()
    told = scene.histories[case_id]
    at = len(told) if last else scene.rng.randrange(1, len(told))
    made = rechained([*told[:at], another(scene, told, at), *told[at:]])
    scene.tell(case_id, made)
    return made[at]


def copied(scene: Scene) -> list[Event]:
    """A case that never was, of what another says."""
    told = scene.histories[scene.case()]
    case_id, number = scene.uuid(), f"{told[0].attrs['case']['number'][:-6]}{scene.rng.randrange(10**6):06}"
    first = {**told[0].attrs, "case": {**told[0].attrs["case"], "number": number}}
    made = [replace(event, case=case_id, event=scene.uuid(), request=scene.uuid(), sd=(), sd_alg="") for event in told]
    made = rechained([replace(made[0], attrs=first), *made[1:]])
    scene.tell(case_id, made)
    return made


@way("insert")
def an_event_with_its_row(scene: Scene) -> Touched:
    event = inserted(scene, last=True)
    return Touched(event.case, event.seq, code="feed_lost")


@way("insert")
def an_event_in_the_middle_and_all_but_the_signatures(scene: Scene) -> Touched:
    event = inserted(scene)
    at = 1 + scene.index(scene.histories[event.case][event.seq - 2])
    scene.order["events"].insert(at, event.event)
    scene.regrow()
    return Touched(position=scene.window(at))


@way("insert")
def an_event_at_the_end_and_all_but_the_signatures(scene: Scene) -> Touched:
    scene.order["events"].append(inserted(scene, last=True).event)
    scene.regrow()
    return Touched(position=scene.window(len(scene.order["events"]) - 1))


@way("insert")
def a_case_and_all_of_it_but_the_signatures(scene: Scene) -> Touched:
    at = scene.rng.randrange(len(scene.order["events"]))
    scene.order["events"][at:at] = [event.event for event in copied(scene)]
    scene.regrow()
    return Touched(position=scene.window(at))


@way("insert")
def an_event_with_its_place_at_the_end(scene: Scene) -> Touched:
    event = inserted(scene, last=True)
    scene.order["events"].append(event.event)
    with scene.true(*_TREE):
        scene.regrow()
    return Touched(event.case, event.seq, len(scene.order["events"]), code="log_unsigned")


@way("insert")
def a_case_without_places(scene: Scene) -> Touched:
    return Touched(copied(scene)[0].case, 1, code="feed_lost")


# ── cut ──


def cut(scene: Scene, at: int) -> None:
    """Remove every event from this index of the log on, and set its cases back to what is left of them."""
    order = scene.order["events"]
    gone = set(order[at:])
    scene.order["events"] = order[:at]
    for case_id, told in list(scene.histories.items()):
        left = [event for event in told if event.event not in gone]
        if not left:
            scene.forget(case_id)
        elif len(left) < len(told):
            scene.tell(case_id, left)


def cut_case(scene: Scene) -> int:
    """Remove the last events of a case and set its row back; the index of the first that is gone."""
    case_id = scene.case()
    told = scene.histories[case_id]
    left = scene.rng.randrange(1, len(told))
    scene.tell(case_id, told[:left])
    gone = {event.event for event in told[left:]}
    index = min(scene.order["events"].index(event) for event in gone)
    scene.order["events"] = [event for event in scene.order["events"] if event not in gone]
    return index


@way("cut")
def the_last_of_a_case(scene: Scene) -> Touched:
    return Touched(position=cut_case(scene) + 1, code="feed_empty")


@way("cut")
def the_last_of_a_case_and_all_but_the_signatures(scene: Scene) -> Touched:
    index = cut_case(scene)
    scene.regrow()
    return Touched(position=scene.window(index))


@way("cut")
def the_end_of_the_log_to_what_was_once_signed(scene: Scene) -> Touched:
    sizes = scene.sizes()
    size = scene.rng.choice(sizes[2:-1])
    cut(scene, size)
    scene.regrow(sizes=[one for one in sizes if one <= size])
    return Touched(position=size + 1, code="log_rollback")


@way("cut")
def the_end_of_the_log_back_into_the_outbox(scene: Scene) -> Touched:
    sizes = scene.sizes()
    size = scene.rng.choice(sizes[:-1])
    order = scene.order["events"]
    late, scene.order["events"] = order[size:], order[:size]
    scene.regrow(sizes=[one for one in sizes if one <= size])
    after: dict[str, Any] = {}
    for told in scene.histories.values():
        if told[0].case != LOG_ID:
            after |= {event.event: case for event, case in zip(told, folded(told), strict=True)}
    for event in late:
        scene.wait("events", event, after.get(event))
    return Touched(position=size + 1, code="log_rollback")


@way("cut")
def the_end_of_the_log_with_its_rows(scene: Scene) -> Touched:
    at = len(scene.order["events"]) - scene.rng.randrange(1, 9)
    cut(scene, at)
    with scene.true(*_TREE):
        scene.regrow()
    return Touched(position=at + 1, code="log_cut")


@way("cut")
def the_end_of_the_access_log(scene: Scene) -> Touched:
    sizes = scene.sizes("access")
    size = scene.rng.choice(sizes[:-1])
    scene.do("DELETE FROM disclosures WHERE id = ANY(%s::bigint[])", scene.order["access"][size:])
    del scene.order["access"][size:]
    scene.regrow("access", sizes=[one for one in sizes if one <= size])
    return Touched(position=size + 1, code="log_rollback")


# ── swap ──


def retold(scene: Scene) -> int:
    """Tell of each of two cases what happened in the other, with their parties; the index of the first event."""
    one, two = scene.two()
    histories = scene.histories[one], scene.histories[two]
    for case_id in (one, two):
        scene.db.execute("DELETE FROM cases WHERE id = %s", (case_id,))
    for case_id, told in ((one, histories[1]), (two, histories[0])):
        scene.histories[case_id] = rechained([replace(event, case=case_id) for event in told])
    for case_id in (one, two):
        scene.db.execute("DELETE FROM events WHERE case_id = %s", (case_id,))
    for case_id in (one, two):
        scene.tell(case_id, scene.histories[case_id])
    _exchange_vaults(scene, one, two)
    return min(scene.index(event) for case_id in (one, two) for event in scene.histories[case_id])


def _exchange_vaults(scene: Scene, one: str, two: str) -> None:
    other = scene.uuid()
    for table in ("vault", "vault_keys", "erasures"):
        for was, to in ((one, other), (two, one), (other, two)):
            scene.db.execute(f"UPDATE {table} SET case_id = %s WHERE case_id = %s", (to, was))  # noqa: S608  # ours


@way("swap")
def the_rows_of_their_events(scene: Scene) -> Touched:
    one, two = scene.two()
    other = scene.uuid()
    for was, to in ((one, other), (two, one), (other, two)):
        scene.do("UPDATE events SET case_id = %s WHERE case_id = %s", to, was)
    return Touched(min(one, two), 1, code="misfiled")


@way("swap")
def two_histories_and_all_but_the_signatures(scene: Scene) -> Touched:
    index = retold(scene)
    scene.regrow()
    return Touched(position=scene.window(index))


@way("swap")
def two_histories_with_rows_and_spans(scene: Scene) -> Touched:
    index = retold(scene)
    with scene.true(*_TREE):
        scene.regrow()
    return Touched(position=index + 1, code="leaf_differs")


@way("swap")
def their_parties(scene: Scene) -> Touched:
    one, two = scene.two()
    _exchange_vaults(scene, one, two)
    return Touched(min(one, two))


@way("swap")
def one_event_of_each(scene: Scene) -> Touched:
    one, two = scene.two()
    seq = scene.rng.randrange(min(len(scene.histories[one]), len(scene.histories[two])))
    first, second = sorted((scene.histories[case][seq] for case in (one, two)), key=scene.index)
    put(scene, first, second.canonical)
    put(scene, second, first.canonical)
    return Touched(first.case, first.seq, scene.index(first) + 1, code="leaf_differs")


@way("swap")
def their_numbers(scene: Scene) -> Touched:
    one, two = scene.two()
    names = [scene.histories[case][0].attrs["case"]["number"] for case in (one, two)]
    for case, number in ((one, "x"), (two, names[0]), (one, names[1])):
        scene.do("UPDATE cases SET number = %s WHERE id = %s", number, case)
    return Touched(min(one, two), code="wrong_columns")


# ── foreign key ──


def foreign(scene: Scene, log: str = "events", name: str = "") -> Any:
    return new_signer(name or scene.key(log).origin, scene.rng.randbytes(32))


@way("foreign key")
def every_checkpoint(scene: Scene) -> Touched:
    scene.regrow(by=foreign(scene))
    return Touched(position=1, code="bad_checkpoint")


@way("foreign key")
def an_edit_and_whatever_is_behind_it(scene: Scene) -> Touched:
    index = scene.index(edit(scene))
    scene.regrow(by=foreign(scene))
    for size, note in scene.of.notes[scene.key("events").origin].items():
        if size <= index:
            scene.put_note("events", size, note)
    return Touched(position=scene.window(index), code="bad_checkpoint")


@way("foreign key")
def the_access_log(scene: Scene) -> Touched:
    access_edit(scene)
    scene.regrow("access", by=foreign(scene, "access"))
    return Touched(position=1, code="bad_checkpoint")


@way("foreign key")
def one_checkpoint(scene: Scene) -> Touched:
    size = scene.rng.choice(scene.sizes())
    text = scene.of.notes[scene.key("events").origin][size].partition("\n\n")[0] + "\n"
    scene.put_note("events", size, sign(text, foreign(scene)))
    return Touched(position=scene.window(size - 1), code="bad_checkpoint")


@way("foreign key")
def under_another_name(scene: Scene) -> Touched:
    edit(scene)
    scene.regrow(by=foreign(scene, name="other.example/log"))
    return Touched(code="log_key_unknown")


@way("foreign key")
def beside_the_true_one(scene: Scene) -> Touched:
    index = scene.index(edit(scene))
    scene.regrow()
    origin = scene.key("events").origin
    signer = foreign(scene)
    for size, note in scene.db.execute(
        "SELECT size, note FROM log_checkpoints WHERE origin = %s", (origin,)
    ).fetchall():
        scene.put_note("events", size, note + signer.line(note.partition("\n\n")[0] + "\n"))
    return Touched(position=scene.window(index), code="bad_checkpoint")


# ── roll back ──


def _set_back(scene: Scene, log: str = "events") -> Touched:
    return Touched(position=scene.sizes(log)[-1] + 1, code="log_rollback")


@way("roll back", earlier=True)
def the_whole_database(scene: Scene) -> Touched:
    return _set_back(scene)


@way("roll back", earlier=True)
def the_whole_database_before_a_witness(scene: Scene) -> Touched:
    known = scene.of.notes[scene.key("events").origin]
    later = [note for size, note in known.items() if size > scene.sizes()[-1]]
    note = scene.rng.choice(later)
    scene.kept = (cosigned(note),)
    return _set_back(scene)


def cosigned(note: str) -> str:
    """The note as a witness has kept it."""
    return note + WITNESS.line(note.partition("\n\n")[0] + "\n", 1_790_000_001)


@way("roll back")
def the_access_log_alone(scene: Scene) -> Touched:
    sizes = scene.sizes("access")
    size = sizes[-2]
    scene.kept = (scene.of.keys.access.remembered(),)
    scene.do("DELETE FROM disclosures WHERE id = ANY(%s::bigint[])", scene.order["access"][size:])
    del scene.order["access"][size:]
    scene.regrow("access", sizes=sizes[:-1])
    return _set_back(scene, "access")


@way("roll back", earlier=True)
def and_went_on_otherwise(scene: Scene) -> Touched:
    touched = _set_back(scene)
    event = inserted(scene, last=True)
    scene.wait("events", event.event, folded(scene.histories[event.case])[-1])
    return touched


@way("roll back")
def a_case_with_its_places_and_row(scene: Scene) -> Touched:
    index = cut_case(scene)
    kept = scene.order["events"]
    for table in ("feed", "spans"):
        scene.do(f"DELETE FROM {table} WHERE NOT event = ANY(%s::uuid[])", kept)  # noqa: S608  # ours
    last = index + 1 == len(kept) + 1
    return Touched(position=index + 1, code="log_cut" if last else "")


@way("roll back", earlier=True)
def and_everything_since_waits(scene: Scene) -> Touched:
    """What happened since is forged, not yet signed: the log alone looks as if it were only slow."""
    touched = _set_back(scene)
    for event in copied(scene):
        scene.wait("events", event.event, folded(scene.histories[event.case])[event.seq - 1])
    return touched


# ── fork ──


def known(scene: Scene, log: str = "events") -> tuple[str, ...]:
    """Every checkpoint, as an auditor who followed the log has kept them."""
    return tuple(scene.of.notes[scene.key(log).origin].values())


def behind(scene: Scene, index: int, log: str = "events") -> int:
    """The first place behind the last checkpoint that an auditor has kept and that the leaf of this index is not in."""
    return 1 + max([0, *(size for size in scene.sizes_signed(log) if size <= index)])


@way("fork")
def an_edit(scene: Scene) -> Touched:
    edit(scene)
    scene.regrow(by=scene.key("events").signer)
    return Touched(position=1, code="log_fork")


@way("fork")
def an_edit_before_an_auditor(scene: Scene) -> Touched:
    index = scene.index(edit(scene))
    scene.kept = known(scene)
    scene.regrow(by=scene.key("events").signer)
    return Touched(position=behind(scene, index), code="log_fork")


@way("fork")
def an_event_more_before_a_witness(scene: Scene) -> Touched:
    event = inserted(scene)
    at = 1 + scene.index(scene.histories[event.case][event.seq - 2])
    scene.order["events"].insert(at, event.event)
    scene.kept = (
        cosigned(scene.rng.choice([n for s, n in scene.of.notes[scene.key("events").origin].items() if s > at])),
    )
    scene.regrow(by=scene.key("events").signer)
    return Touched(position=1, code="log_fork")


@way("fork")
def an_access_less(scene: Scene) -> Touched:
    index = scene.rng.randrange(len(scene.order["access"]))
    gone = scene.order["access"].pop(index)
    scene.do("DELETE FROM disclosures WHERE id = %s", gone)
    scene.kept = known(scene, "access")
    scene.regrow("access", by=scene.key("access").signer)
    code = "log_rollback" if behind(scene, index, "access") > scene.sizes_signed("access")[-2] else "log_fork"
    at = len(scene.order["access"]) + 1 if code == "log_rollback" else behind(scene, index, "access")
    return Touched(position=at, code=code)


@way("fork")
def an_event_less(scene: Scene) -> Touched:
    gone = without(scene)
    scene.order["events"].remove(gone.event)
    scene.regrow(by=scene.key("events").signer)
    return Touched(position=len(scene.order["events"]) + 1, code="log_rollback")


@way("fork")
def a_case_more(scene: Scene) -> Touched:
    at = scene.rng.randrange(len(scene.order["events"]))
    scene.order["events"][at:at] = [event.event for event in copied(scene)]
    scene.kept = known(scene)
    scene.regrow(by=scene.key("events").signer)
    return Touched(position=behind(scene, at), code="log_fork")


# ── digest ──


def sealing(scene: Scene) -> Event:
    """An event that has a digest."""
    return scene.rng.choice([e for told in scene.histories.values() for e in told if e.sd and e.case != LOG_ID])


def forged(scene: Scene, event: Event) -> tuple[Event, str, str]:
    """The event with another digest in the place of one of its own; and the two."""
    other = scene.rng.choice([e for told in scene.histories.values() for e in told if e.sd and e != event])
    was, now = scene.rng.choice(event.sd), scene.rng.choice(other.sd)
    return replace(event, sd=tuple(sorted({*event.sd, now} - {was}))), was, now


def forge(scene: Scene) -> Event:
    """Put a foreign digest into an event and the vault, and set the chain and the row; the event as it was."""
    event = sealing(scene)
    made, was, now = forged(scene, event)
    told = scene.histories[event.case]
    scene.tell(event.case, rechained([*told[: event.seq - 1], made, *told[event.seq :]]))
    scene.db.execute("DELETE FROM vault WHERE case_id = %s AND digest = %s", (event.case, now))
    scene.db.execute("UPDATE vault SET digest = %s WHERE case_id = %s AND digest = %s", (now, event.case, was))
    return event


@way("digest")
def of_one_event(scene: Scene) -> Touched:
    event = sealing(scene)
    put(scene, event, forged(scene, event)[0].canonical)
    return Touched(event.case, event.seq, scene.index(event) + 1, code="leaf_differs")


@way("digest")
def and_all_but_the_signatures(scene: Scene) -> Touched:
    index = scene.index(forge(scene))
    scene.regrow()
    return Touched(position=scene.window(index))


@way("digest")
def of_the_vault(scene: Scene) -> Touched:
    event = sealing(scene)
    _, was, now = forged(scene, event)
    found = scene.db.execute(
        "UPDATE vault SET digest = %s WHERE case_id = %s AND digest = %s", (now, event.case, was)
    ).rowcount
    if not found:  # of somebody who was erased: another one then
        return of_the_vault(scene)
    return Touched(event.case)


@way("digest")
def with_vault_and_chain(scene: Scene) -> Touched:
    event = forge(scene)
    with scene.true(*_TREE):
        scene.regrow()
    return Touched(event.case, event.seq, scene.index(event) + 1, code="leaf_differs")


@way("digest")
def taken_away(scene: Scene) -> Touched:
    event = sealing(scene)
    left = tuple(sorted(set(event.sd) - {scene.rng.choice(event.sd)}))
    put(scene, event, replace(event, sd=left, sd_alg="sha-256" if left else "").canonical)
    return Touched(event.case, event.seq, scene.index(event) + 1, code="leaf_differs")


# ── disclosure ──


def access_edit(scene: Scene) -> int:
    """Let an entry of the access log say something else; its index."""
    index = scene.rng.randrange(len(scene.order["access"]))
    change = scene.rng.choice(
        [
            "person = (SELECT id FROM people p WHERE p.id <> person ORDER BY id LIMIT 1)",
            "org = (SELECT id FROM organisations o WHERE o.id <> org ORDER BY id LIMIT 1)",
            "at = at - interval '1 day'",
            "request = gen_random_uuid()",
            "kind = 'search'",
            "case_id = NULL",
            "purpose = 'audit'",
            "fields = '{parties.2.phone}'",
            "sealed = set_byte(sealed, 20, 255 - get_byte(sealed, 20))",
        ]
    )
    scene.do(f"UPDATE disclosures SET {change} WHERE id = %s", scene.order["access"][index])  # noqa: S608  # ours
    return index


def sealed_rows(scene: Scene, count: int) -> list[tuple[str, str, int]]:
    rows = scene.db.execute("SELECT case_id::text, digest, subject FROM vault ORDER BY place").fetchall()
    return scene.rng.sample(rows, count)


@way("disclosure")
def what_is_sealed(scene: Scene) -> Touched:
    ((case_id, digest, _),) = sealed_rows(scene, 1)
    flip = "set_byte(sealed, length(sealed) - 1 - %s, 255 - get_byte(sealed, length(sealed) - 1 - %s))"
    at = scene.rng.randrange(60)
    scene.do(f"UPDATE vault SET sealed = {flip} WHERE case_id = %s AND digest = %s", at, at, case_id, digest)  # noqa: S608  # ours
    return Touched(case_id, code="wrong_seal")


@way("disclosure")
def who_read_what(scene: Scene) -> Touched:
    index = access_edit(scene)
    return Touched(position=index + 1, access=int(scene.order["access"][index]), code="leaf_differs")


@way("disclosure")
def that_it_was_read(scene: Scene) -> Touched:
    index = scene.rng.randrange(len(scene.order["access"]))
    scene.do("DELETE FROM disclosures WHERE id = %s", scene.order["access"][index])
    return Touched(position=index + 1, access=int(scene.order["access"][index]), code="feed_empty")


@way("disclosure")
def that_it_was_read_and_all_but_the_signatures(scene: Scene) -> Touched:
    index = scene.rng.randrange(len(scene.order["access"]))
    scene.do("DELETE FROM disclosures WHERE id = %s", scene.order["access"].pop(index))
    scene.regrow("access")
    return Touched(position=scene.window(index, "access"))


@way("disclosure")
def who_read_what_and_all_but_the_signatures(scene: Scene) -> Touched:
    index = access_edit(scene)
    scene.regrow("access")
    return Touched(position=scene.window(index, "access"))


@way("disclosure")
def what_is_sealed_of_two(scene: Scene) -> Touched:
    rows = sealed_rows(scene, 2)
    held = [
        scene.db.execute("SELECT sealed FROM vault WHERE case_id = %s AND digest = %s", row[:2]).fetchone()
        for row in rows
    ]
    for (case_id, digest, _), other in zip(rows, reversed(held), strict=True):
        scene.do("UPDATE vault SET sealed = %s WHERE case_id = %s AND digest = %s", other[0], case_id, digest)
    return Touched(min(row[0] for row in rows), code="wrong_seal")


@way("disclosure")
def the_key_that_opens_it(scene: Scene) -> Touched:
    ((case_id, _, subject),) = sealed_rows(scene, 1)
    new = scene.rng.randbytes(scene.rng.choice((60, 4, 0)))
    scene.do("UPDATE vault_keys SET wrapped = %s WHERE case_id = %s AND subject = %s", new, case_id, subject)
    return Touched(case_id, code="wrong_seal")


@way("disclosure")
def a_value_as_if_it_were_erased(scene: Scene) -> Touched:
    ((case_id, _, subject),) = sealed_rows(scene, 1)
    for table in ("vault", "vault_keys"):
        scene.do(f"DELETE FROM {table} WHERE case_id = %s AND subject = %s", case_id, subject)  # noqa: S608  # ours
    note = "INSERT INTO erasures (case_id, subject, event, at) VALUES (%s, %s, %s, now())"
    scene.do(note, case_id, subject, scene.histories[LOG_ID][-1].event)
    return Touched(LOG_ID, code="wrong_erasures")


@way("disclosure")
def a_reading_that_never_was(scene: Scene) -> Touched:
    columns = "person, org, request, kind, case_id, purpose, fields, sealed"
    (number,) = scene.db.execute(
        f"INSERT INTO disclosures ({columns}) SELECT {columns} FROM disclosures WHERE id = %s RETURNING id",  # noqa: S608  # ours
        (scene.rng.choice(scene.order["access"]),),
    ).fetchone()
    return Touched(access=number, code="access_lost")


@way("disclosure")
def when_it_was_read(scene: Scene) -> Touched:
    order = scene.order["access"]
    one = scene.rng.randrange(len(order) - 1)
    order[one], order[one + 1] = order[one + 1], order[one]
    with scene.true(*_TREE):
        scene.regrow("access")
    return Touched(position=one + 1, access=int(order[one]), code="leaf_differs")


# ── stale checkpoint ──


@way("stale checkpoint")
def in_the_place_of_the_newest(scene: Scene) -> Touched:
    *older, newest = scene.sizes()
    scene.put_note("events", newest, scene.of.notes[scene.key("events").origin][scene.rng.choice(older)])
    return Touched(position=older[-1] + 1, code="wrong_checkpoint")


@way("stale checkpoint")
def as_if_it_were_the_newest(scene: Scene) -> Touched:
    log = scene.rng.choice(("events", "access"))
    size = scene.rng.choice(scene.sizes(log)[:-1])
    scene.do("DELETE FROM log_checkpoints WHERE origin = %s AND size > %s", scene.key(log).origin, size)
    return Touched(position=size + 1, code="log_unsigned")


@way("stale checkpoint")
def with_its_root(scene: Scene) -> Touched:
    *older, newest = scene.sizes()
    size, origin = scene.rng.choice(older), scene.key("events").origin
    scene.do(
        "UPDATE log_checkpoints SET (root, note) = (SELECT root, note FROM log_checkpoints WHERE origin = %s AND size = %s) "
        "WHERE origin = %s AND size = %s",
        *(origin, size, origin, newest),
    )
    return Touched(position=older[-1] + 1, code="wrong_root")


@way("stale checkpoint")
def its_signature_under_the_newest(scene: Scene) -> Touched:
    log = scene.rng.choice(("events", "access"))
    *older, newest = scene.sizes(log)
    true = scene.of.notes[scene.key(log).origin]
    text, line = true[newest].partition("\n\n")[0], true[scene.rng.choice(older)].partition("\n\n")[2]
    scene.put_note(log, newest, f"{text}\n\n{line}")
    return Touched(position=older[-1] + 1, code="bad_checkpoint")


@way("stale checkpoint")
def with_tiles_and_places(scene: Scene) -> Touched:
    *older, _ = sizes = scene.sizes("access")
    size = scene.rng.choice(older)
    late, scene.order["access"] = scene.order["access"][size:], scene.order["access"][:size]
    scene.regrow("access", sizes=[one for one in sizes if one <= size])
    for one in late:
        scene.wait("access", one)
    return Touched(position=size + 1, code="log_rollback")
