"""What tampering with a database is made of: histories told otherwise, and stored as if they had always been so."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace
from tests.battery.tampering import Scene, Touched, rechained

from mediation.domain.events import Event
from mediation.domain.registering import LOG_ID

Attack = Callable[[Scene], Touched]

TREE = ("log_epochs", "log_tiles", "log_checkpoints", "log_cosignatures")
"""All that is signed, or leads to it."""


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
