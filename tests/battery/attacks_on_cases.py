"""Cases cut and swapped, what is sealed of them changed, and who read it: what is done, and what was touched first."""

from typing import Any

from msgspec.structs import replace
from tests.battery.attacks import TREE, Attack, access_edit, cut_case, put
from tests.battery.tampering import Scene, Touched, folded, rechained
from tests.battery.ways import Ways

from mediation.domain.events import Event
from mediation.domain.registering import LOG_ID

way: Ways[Attack] = Ways()


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
    with scene.true(*TREE):
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
    with scene.true(*TREE):
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


# ── digest ──


def sealing(scene: Scene) -> Event:
    """An event that has a digest."""
    return scene.rng.choice([e for told in scene.histories.values() for e in told if e.sd and e.case != LOG_ID])


def forged(scene: Scene, event: Event) -> tuple[Event, str, str]:
    """The event with another digest in the place of one of its own; and the two."""
    other = scene.rng.choice([e for told in scene.histories.values() for e in told if e.sd and e.case != event.case])
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
    with scene.true(*TREE):
        scene.regrow()
    return Touched(event.case, event.seq, scene.index(event) + 1, code="leaf_differs")


@way("digest")
def taken_away(scene: Scene) -> Touched:
    event = sealing(scene)
    left = tuple(sorted(set(event.sd) - {scene.rng.choice(event.sd)}))
    put(scene, event, replace(event, sd=left, sd_alg="sha-256" if left else "").canonical)
    return Touched(event.case, event.seq, scene.index(event) + 1, code="leaf_differs")


# ── disclosure ──


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
    with scene.true(*TREE):
        scene.regrow("access")
    return Touched(position=one + 1, access=int(order[one]), code="leaf_differs")
