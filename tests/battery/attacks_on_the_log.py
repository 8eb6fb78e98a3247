"""The signed log under a foreign key, rolled back, forked and with a stale head: what is done, and what was touched first."""

from typing import Any

from tests.battery.attacks import Attack, access_edit, copied, cut_case, edit, inserted, without
from tests.battery.tampering import WITNESS, Scene, Touched, folded
from tests.battery.ways import Ways

from mediation.domain.notes import new_signer, sign

way: Ways[Attack] = Ways()


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


@way("roll back", special=True)
def the_whole_database(scene: Scene) -> Touched:
    return _set_back(scene)


@way("roll back", special=True)
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


@way("roll back", special=True)
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


@way("roll back", special=True)
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
