"""Events of a database edited, deleted, reordered and inserted: what is done, and what was touched first by it."""

from msgspec.structs import replace
from tests.battery.attacks import TREE, Attack, any_event, copied, edit, inserted, put, without
from tests.battery.tampering import Scene, Touched, rechained
from tests.battery.ways import Ways

from mediation.domain.events import Event

way: Ways[Attack] = Ways()


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
    with scene.true(*TREE):
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
    with scene.true(*TREE):
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
    with scene.true(*TREE):
        scene.regrow()
    return Touched(position=min(scene.index(first), scene.index(second)) + 1, code="leaf_differs")


# ── insert ──


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
    with scene.true(*TREE):
        scene.regrow()
    return Touched(event.case, event.seq, len(scene.order["events"]), code="log_unsigned")


@way("insert")
def a_case_without_places(scene: Scene) -> Touched:
    return Touched(copied(scene)[0].case, 1, code="feed_lost")
