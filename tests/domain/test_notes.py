"""Signed notes: the specification's own verifies, what we sign others open, and nothing malformed is let through."""

import base64
import re
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from tlog_scales import signing, tlog

from mediation.domain.errors import BadNote
from mediation.domain.notes import (
    MOST_BYTES,
    SignatureKind,
    Signer,
    Verifier,
    new_signer,
    open_note,
    parse_signer_key,
    parse_verifier_key,
    sign,
    split_note,
)

# Of C2SP signed-note, "Example".
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""
LOG = new_signer("log.example/events", bytes(range(32)))
OTHER = new_signer("log.example/events", bytes(32))
WITNESS = new_signer("court.example/witness", b"w" * 32, SignatureKind.COSIGNATURE)
TEXT = "log.example/events\n8\nXcnaecCmllmprVWctwHe2aue2COqL0lgz+Nw7/RgQyg=\n"
AT = 1_790_000_000
NAMES = st.text(min_size=1, max_size=40).filter(lambda name: re.fullmatch(r"[^\x00-\x20+\s\ud800-\udfff]+", name))


def key(name: str, kind: int, data: bytes, key_id: str = "") -> str:
    right = sha256(name.encode() + b"\n" + bytes([kind]) + data).hexdigest()[:8]
    return f"{name}+{key_id or right}+{base64.b64encode(bytes([kind]) + data).decode()}"


def test_the_specification_s_own_note_verifies():
    note = open_note(NOTE, [parse_verifier_key(VKEY)])
    assert note.text == "This is an example message.\n"
    assert [one.line for one in note.signatures] == [NOTE.split("\n", 2)[2]]
    assert note.others == ()
    assert parse_verifier_key(VKEY).text == VKEY


def test_every_changed_byte_of_the_specification_s_note_is_refused():
    verifier, whole = parse_verifier_key(VKEY), NOTE.encode()
    for at in range(len(whole)):
        for bit in range(8):
            changed = bytes([*whole[:at], whole[at] ^ 1 << bit, *whole[at + 1 :]])
            with pytest.raises(BadNote):
                open_note(changed, [verifier])


@settings(max_examples=50, deadline=None)
@given(
    NAMES,
    st.binary(min_size=32, max_size=32),
    st.text(max_size=200).filter(lambda t: not re.search("[\x00-\x1f\ud800-\udfff]", t)),
)
def test_what_is_signed_is_opened_again(name, seed, line):
    signer = new_signer(name, seed)
    cosigner = new_signer(name, seed, SignatureKind.COSIGNATURE)
    text = f"{line}\n\n{line}\n"
    note = sign(text, signer) + cosigner.line(text, AT)
    opened = open_note(note.encode(), [signer.verifier, cosigner.verifier])
    assert opened.text == text
    assert [one.key_id for one in opened.signatures] == [signer.verifier.key_id, cosigner.verifier.key_id]
    assert parse_signer_key(signer.text) == signer
    assert parse_verifier_key(cosigner.verifier.text) == cosigner.verifier


def test_others_verify_what_we_sign():
    checkpoint = tlog.Checkpoint.from_text(sign(TEXT, LOG) + WITNESS.line(TEXT, AT))
    for ours in (LOG, WITNESS):
        theirs = signing.Vkey.from_string(ours.verifier.text)
        assert theirs.serialize() == ours.verifier.text
        checkpoint.verify(theirs)
    assert checkpoint.serialize() == sign(TEXT, LOG) + WITNESS.line(TEXT, AT)


def test_we_verify_what_others_sign():
    theirs = signing.PlainEd25519Signer("log.example/events", bytes(range(32)))
    quantum = signing.MLDSA44CosignatureSigner("witness.example/pq", b"q" * 32)
    root = base64.b64decode(TEXT.split("\n")[2])
    made = tlog.Checkpoint.make_signed("log.example/events", 8, root, [theirs, quantum])
    opened = open_note(made.serialize(), [parse_verifier_key(theirs.vkey.serialize())])
    assert opened.text == TEXT
    assert [one.name for one in opened.signatures] == ["log.example/events"]
    assert [one.name for one in opened.others] == ["witness.example/pq"]  # of a kind not known here: ignored


def test_a_cosignature_covers_its_time():
    line = WITNESS.line(TEXT, AT)
    (signature,) = open_note(f"{TEXT}\n{line}", [WITNESS.verifier]).signatures
    assert int.from_bytes(signature.signature[:8]) == AT
    message = f"cosignature/v1\ntime {AT}\n{TEXT}".encode()
    Ed25519PrivateKey.from_private_bytes(b"w" * 32).public_key().verify(signature.signature[8:], message)
    later = (AT + 1).to_bytes(8) + signature.signature[8:]
    assert not WITNESS.verifier.verify(TEXT, later)
    assert WITNESS.verifier.verify(TEXT, signature.signature)


@pytest.mark.parametrize("at", [0, -1, 2**63])
def test_a_cosignature_needs_a_time_that_there_is(at):
    with pytest.raises(BadNote):
        WITNESS.line(TEXT, at)


def test_a_cosignature_of_time_zero_is_refused_though_its_signature_is_right():
    message = f"cosignature/v1\ntime 0\n{TEXT}".encode()
    signed = bytes(8) + Ed25519PrivateKey.from_private_bytes(b"w" * 32).sign(message)
    assert not WITNESS.verifier.verify(TEXT, signed)


def test_a_signature_is_of_one_kind_and_not_the_other():
    as_log = new_signer("court.example/witness", b"w" * 32)
    plain, cosigned = split_note(sign(TEXT, as_log) + WITNESS.line(TEXT, AT))[1]
    assert not WITNESS.verifier.verify(TEXT, plain.signature)
    assert not as_log.verifier.verify(TEXT, cosigned.signature)
    assert plain.key_id != cosigned.key_id


def test_a_seed_is_in_no_representation():
    assert "seed" not in repr(LOG)
    assert repr(bytes(range(32)))[2:-1] not in repr(LOG)
    for broken in ("PRIVATE+KEY+a+00000000+AX", LOG.text[:-4], LOG.text.replace("+", "-", 3)):
        with pytest.raises(BadNote) as refused:
            parse_signer_key(broken)
        assert LOG.text[-20:] not in str(refused.value)


def test_a_secret_key_is_written_as_go_writes_it():
    verifier = LOG.verifier
    assert (
        LOG.text
        == f"PRIVATE+KEY+log.example/events+{verifier.key_id.hex()}+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
    )


def test_one_known_key_that_signed_wrongly_spoils_the_note():
    forged = WITNESS.line(TEXT, AT) + LOG.line("another text\n")
    with pytest.raises(BadNote) as refused:
        open_note(f"{TEXT}\n{forged}", [WITNESS.verifier, LOG.verifier])
    assert refused.value.reasons[0].code == "bad_signature"
    assert open_note(f"{TEXT}\n{forged}", [WITNESS.verifier]).text == TEXT  # a key not known cannot spoil it


def test_a_name_or_an_id_alone_is_not_a_known_key():
    named = Verifier(OTHER.name, OTHER.verifier.key_id, SignatureKind.ED25519, OTHER.verifier.public)
    renamed = Verifier("elsewhere", LOG.verifier.key_id, SignatureKind.ED25519, LOG.verifier.public)
    with pytest.raises(BadNote) as refused:
        open_note(sign(TEXT, LOG), [named, renamed])
    assert refused.value.reasons[0].code == "unsigned"


def test_two_signatures_of_one_key_count_once_and_both_must_hold():
    twice = sign(TEXT, LOG) + WITNESS.line(TEXT, AT) + WITNESS.line(TEXT, AT + 60)
    opened = open_note(twice, [LOG.verifier, WITNESS.verifier])
    assert [one.name for one in opened.signatures] == [LOG.name, WITNESS.name]
    with pytest.raises(BadNote):
        open_note(twice + WITNESS.line("something else\n", AT), [LOG.verifier, WITNESS.verifier])


def test_keys_that_cannot_be_told_apart_are_refused():
    twin = Verifier(LOG.name, LOG.verifier.key_id, SignatureKind.ED25519, OTHER.verifier.public)
    with pytest.raises(BadNote):
        open_note(sign(TEXT, LOG), [LOG.verifier, twin])


def test_sixty_four_signatures_are_read_and_no_more():
    line = "— witness.example AAAAAAA=\n"
    note = sign(TEXT, LOG)
    assert len(open_note(note + line * 63, [LOG.verifier]).others) == 63
    with pytest.raises(BadNote):
        open_note(note + line * 64, [LOG.verifier])


@pytest.mark.parametrize("letter", ["x", "调"])
def test_a_note_of_more_than_a_mebibyte_is_refused(letter):
    longest = sign(letter * ((MOST_BYTES - 400) // len(letter.encode())) + "\n", LOG)
    assert open_note(longest, [LOG.verifier]).others == ()
    long = sign(letter * (MOST_BYTES // len(letter.encode())) + "\n", LOG)
    for note in (long, long.encode()):
        with pytest.raises(BadNote):
            open_note(note, [LOG.verifier])


SIGNATURE = LOG.line(TEXT)
CODED = SIGNATURE.split(" ")[2].rstrip("\n")


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        "\n\n",
        TEXT,
        f"{TEXT}\n",
        f"{TEXT}{SIGNATURE}",  # no blank line
        f"{TEXT}\n{SIGNATURE[:-1]}",  # no last newline
        f"{TEXT}\n{SIGNATURE}\n",
        f"{TEXT}\n{SIGNATURE}trailing\n",
        f"{TEXT}\n {SIGNATURE}",
        f"{TEXT}\n{SIGNATURE.replace('—', '-')}",
        f"{TEXT}\n{SIGNATURE.replace('— ', '—')}",
        f"{TEXT}\n{SIGNATURE.removeprefix('— ')}",
        f"{TEXT}\n{SIGNATURE}— witness.example {base64.b64encode(bytes(4)).decode()}\n",
        f"{TEXT}\n{SIGNATURE.replace(LOG.name, '')}",
        f"{TEXT}\n{SIGNATURE.replace(LOG.name, 'a+b')}",
        f"{TEXT}\n{SIGNATURE.replace(LOG.name, 'a b')}",
        f"{TEXT}\n" + SIGNATURE.replace(LOG.name, "a\u3000b"),
        f"{TEXT}\n{SIGNATURE.replace(LOG.name + ' ', LOG.name + '  ')}",
        f"{TEXT}\n— {LOG.name} \n",
        f"{TEXT}\n— {LOG.name}\n",
        f"{TEXT}\n— {LOG.name} {base64.b64encode(LOG.verifier.key_id).decode()}\n",  # an id and no signature
        f"{TEXT}\n— {LOG.name} {CODED.rstrip('=')}\n",
        f"{TEXT}\n— {LOG.name} {CODED}=\n",
        f"{TEXT}\n— {LOG.name} {CODED[:10]}\u00e9{CODED[10:]}\n",
        f"{TEXT}\n— {LOG.name} {CODED[:8]}*{CODED[8:]}\n",
        f"{TEXT}\n— {LOG.name} {base64.b64encode(base64.b64decode(CODED) + b'0').decode()}\n",
        f"{TEXT}\n— {LOG.name} {base64.b64encode(base64.b64decode(CODED)[:-1]).decode()}\n",
        f"{TEXT}\n{SIGNATURE}".replace("\n", "\r\n"),
        f"a\tb\n\n{LOG.line(TEXT)}",
        f"a\x00b\n\n{LOG.line(TEXT)}",
        f"a\ud800b\n\n{LOG.line(TEXT)}",
        f"{TEXT}\n{SIGNATURE}".encode("gb18030"),
        f"{TEXT}\n{SIGNATURE}".encode()[:-1] + b"\xff\n",
    ],
)
def test_a_malformed_note_is_refused(note):
    with pytest.raises(BadNote) as refused:
        open_note(note, [LOG.verifier])
    assert all(reason.zh and reason.en for reason in refused.value.reasons)


def test_stray_bits_behind_a_base64_text_are_refused():
    coded = "AAAAAAB="  # as AAAAAAA=, but for a bit that no byte takes up
    with pytest.raises(BadNote):
        open_note(f"{sign(TEXT, LOG)}— witness.example {coded}\n", [LOG.verifier])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "a+b",
        "name+00000000+",
        VKEY[:-4],
        VKEY + "=",
        VKEY + "\n",
        " " + VKEY,
        VKEY.replace("530d903a", "530D903A"),
        VKEY.replace("530d903a", "530d903b"),
        VKEY.replace("example.com/foo", ""),
        VKEY.replace("example.com/foo", "example.com/bar"),
        VKEY.replace("example.com", "example com"),
        key("log", 1, bytes(31)),
        key("log", 1, bytes(33)),
        key("log", 1, b""),
        key("log", 4, bytes(1312)),
        key("log", 2, bytes(32)),  # ECDSA
        key("log", 6, bytes(1312)),  # ML-DSA-44
        key("log", 255, bytes(32)),
        key("log", 1, bytes(32), "00000000"),
        key("log", 1, bytes(32)).replace("+AQ", "+\u00c1Q"),
        "a\ud800+00000000+AQ==",
    ],
)
def test_a_malformed_key_is_refused(text):
    with pytest.raises(BadNote):
        parse_verifier_key(text)
    with pytest.raises(BadNote):
        parse_signer_key(f"PRIVATE+KEY+{text}")


def test_a_public_key_is_no_secret_key():
    with pytest.raises(BadNote):
        parse_signer_key(VKEY)
    with pytest.raises(BadNote):
        parse_verifier_key(LOG.text)
    with pytest.raises(BadNote):
        parse_signer_key(f"PRIVATE+KEY+{VKEY}")  # the id is not that of this seed


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("", bytes(32)),
        ("a b", bytes(32)),
        ("a+b", bytes(32)),
        ("a\nb", bytes(32)),
        ("a", bytes(31)),
        ("a", bytes(33)),
        ("\ud800", bytes(32)),
    ],
)
def test_a_signer_that_could_not_be_named_is_not_made(name, seed):
    with pytest.raises(BadNote):
        new_signer(name, seed)


@pytest.mark.parametrize("text", ["", "no newline", "a\tb\n", "\ud800\n"])
def test_what_is_no_note_s_text_is_not_signed(text):
    with pytest.raises(BadNote):
        sign(text, LOG)


def test_a_cosigner_signs_no_note_of_its_own():
    with pytest.raises(BadNote):
        sign(TEXT, WITNESS)


def test_a_public_key_that_is_no_point_verifies_nothing():
    nowhere = Verifier("log", b"0000", SignatureKind.ED25519, b"\xff" * 32)
    assert not nowhere.verify(TEXT, bytes(64))
    assert not LOG.verifier.verify(TEXT, b"")
    assert isinstance(LOG, Signer)
