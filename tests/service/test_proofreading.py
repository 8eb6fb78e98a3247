"""What an auditor brings is held against a bundle, and a file that is no bundle is refused before it is unpacked.

That every alteration of a bundle is told, by us and by its own script, is shown in test_bundle_alterations.py.
"""

import zipfile
from io import BytesIO

import pytest
from tests.service.parcels import made as made  # noqa: PLC0414  # a fixture, given on

from mediation.domain.bundling import event_path
from mediation.domain.checkpoints import Checkpoint
from mediation.domain.errors import BadNote
from mediation.domain.notes import SignatureKind, new_signer, sign
from mediation.service import proofreading
from mediation.service.findings import Trust
from mediation.service.proofreading import NotABundle, keys_inside, verify_bundle

WITNESS = new_signer("court.example", b"w" * 32, SignatureKind.COSIGNATURE)


def zipped(data: bytes, change=None, extra=()) -> BytesIO:
    """The bundle with files changed and others behind them."""
    sink = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(name, content) if change else content)
        for name, content in extra:
            new.writestr(name, content)
    return sink


def read(made, data: bytes | BytesIO, *kept: str, witnesses=()):
    trust = Trust((*made["key"].verifiers, *witnesses), kept)
    return verify_bundle(data if isinstance(data, BytesIO) else BytesIO(data), trust)


def of_size(made, size: int, root: bytes) -> str:
    return sign(Checkpoint(made["key"].origin, size, root).text, made["key"].signer)


def test_a_bundle_is_whole(made):
    heard: list[tuple[int, int]] = []
    reading = verify_bundle(
        BytesIO(made["case"]), Trust(made["key"].verifiers), lambda done, total: heard.append((done, total))
    )
    assert (reading.failures, reading.entries, reading.cases) == ((), 7, 1)
    assert reading.disclosures > 0
    assert heard == [(seq, 7) for seq in range(1, 8)]
    assert keys_inside(BytesIO(made["case"])) == made["key"].vkeys


def test_a_bundle_is_held_against_a_checkpoint_that_was_kept(made):
    published = made["dossier"].published
    size, root = published.size, published.root
    assert read(made, made["case"], of_size(made, size, root)).sound
    codes = {
        (size, b"r" * 32): "log_fork",
        (size + 1, b"r" * 32): "stale_checkpoint",
    }
    for (other, of), code in codes.items():
        reading = read(made, made["case"], of_size(made, other, of))
        assert [failure.reason.code for failure in reading.failures] == [code]
    reading = read(made, made["case"], of_size(made, size - 1, root))
    assert (reading.sound, reading.unproven) == (True, (size - 1,))


def test_an_older_bundle_is_stale_to_whoever_kept_the_newer_checkpoint(made):
    assert read(made, made["earlier"]).sound
    reading = read(made, made["earlier"], made["dossier"].published.note)
    assert [failure.reason.code for failure in reading.failures] == ["stale_checkpoint"]


def test_a_kept_checkpoint_of_another_log_or_of_a_stranger_says_nothing_of_this_one(made):
    stranger = new_signer("other.example", b"s" * 32)
    note = sign(Checkpoint("other.example", 3, b"r" * 32).text, stranger)
    with pytest.raises(BadNote):
        read(made, made["case"], note)
    trust = Trust((*made["key"].verifiers, stranger.verifier), (note,))
    reading = verify_bundle(BytesIO(made["case"]), trust)
    assert [failure.reason.code for failure in reading.failures] == ["foreign_log"]


def test_a_witness_that_is_trusted_must_have_cosigned(made):
    reading = read(made, made["case"], witnesses=(WITNESS.verifier,))
    assert [failure.reason.code for failure in reading.failures] == ["not_cosigned"]

    def cosigned(name: str, data: bytes) -> bytes:
        if name == "checkpoint":
            return data + WITNESS.line(data.decode().partition("\n\n")[0] + "\n", 1_900_000_000).encode()
        return data

    reading = read(made, zipped(made["case"], cosigned), witnesses=(WITNESS.verifier,))
    assert (reading.failures, reading.witnesses) == ((), ("court.example",))


def test_a_foreign_key_of_the_same_name_verifies_nothing(made):
    foreign = new_signer(made["key"].origin, b"f" * 32)
    reading = verify_bundle(BytesIO(made["case"]), Trust((foreign.verifier,)))
    assert [failure.reason.code for failure in reading.failures] == ["bad_checkpoint"]


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x05\x06" + b"\0" * 10])
def test_what_is_no_zip_is_no_bundle(made, data: bytes):
    with pytest.raises(NotABundle):
        read(made, BytesIO(data))


def test_a_name_that_is_there_twice_makes_no_bundle(made):
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = zipped(made["case"], extra=[(event_path(2), b"{}")])
    with pytest.raises(NotABundle, match="twice"):
        read(made, twice)


def test_a_bundle_that_unpacks_to_too_much_is_not_unpacked(made, monkeypatch: pytest.MonkeyPatch):
    bomb = zipped(made["case"], extra=[("disclosures/0099.txt", b"A" * 3_000_000)])
    assert len(bomb.getvalue()) < 100_000
    monkeypatch.setattr(proofreading, "MOST_BUNDLE_BYTES", 1_000_000)
    with pytest.raises(NotABundle, match="larger"):
        read(made, bomb)
    monkeypatch.setattr(proofreading, "MOST_FILES", 10)
    with pytest.raises(NotABundle, match="larger"):
        read(made, made["case"])


def test_a_file_longer_than_it_may_be_is_not_read_to_its_end(made):
    def longer(name: str, data: bytes) -> bytes:
        return data + b" " * 9_000_000 if name == event_path(1) else data

    (failure, *_) = read(made, zipped(made["case"], longer)).failures
    assert (failure.seq, failure.case_id) == (1, made["dossier"].case_id)


def test_a_zip_that_lies_about_a_file_is_told(made):
    data = bytearray(made["case"])
    at = data.find(made["dossier"].events[3])
    data[at + 5] ^= 1  # its checksum no longer fits
    (failure, *_) = read(made, bytes(data)).failures
    assert failure.seq == 4


def test_a_file_among_the_events_that_is_none_is_named(made):
    reading = read(made, zipped(made["case"], extra=[("events/notes.txt", b"hello")]))
    assert [(failure.reason.code, "notes.txt" in failure.reason.en) for failure in reading.failures] == [
        ("extra_file", True)
    ]
