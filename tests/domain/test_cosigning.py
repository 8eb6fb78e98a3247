"""What a witness answers, by tlog-witness: it cosigns what continues what it saw, and nothing else, whatever is sent."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediation.domain.checkpoints import Addition, Checkpoint
from mediation.domain.merkle import EMPTY, consistency_proof, leaf_hash, root
from mediation.domain.notes import SignatureKind, new_signer, open_note, sign
from mediation.domain.witnessing import Verdict, consider

LOG = new_signer("log.example/events", b"l" * 32)
NEWER = new_signer("log.example/events", b"n" * 32)
STRANGER = new_signer("log.example/other", b"s" * 32)
WITNESS = new_signer("court.example/witness", b"w" * 32, SignatureKind.COSIGNATURE)
LOGS = {LOG.name: [LOG.verifier, NEWER.verifier]}
LEAVES = [leaf_hash(b"%d" % number) for number in range(40)]
FORK = [*LEAVES[:5], *LEAVES[6:]]


def head(size: int, leaves: list[bytes] = LEAVES, signer=LOG) -> str:
    return sign(Checkpoint(LOG.name, size, root(leaves[:size])).text, signer)


def sent(old: int, size: int, leaves: list[bytes] = LEAVES) -> bytes:
    return Addition(old, tuple(consistency_proof(leaves[:size], old)), head(size, leaves)).text.encode()


def asked(body: bytes, size: int = 0, leaves: list[bytes] = LEAVES) -> Verdict:
    """What a witness answers that has cosigned the first `size` of these leaves."""
    return consider(body, LOGS, lambda origin: {LOG.name: (size, root(leaves[:size]) if size else b"")}[origin])


@pytest.mark.parametrize(("old", "size"), [(0, 0), (0, 1), (0, 40), (1, 2), (7, 7), (7, 40), (32, 33), (39, 40)])
def test_what_continues_what_it_saw_is_cosigned(old, size):
    verdict = asked(sent(old, size), old)
    assert verdict[:3] == (200, Checkpoint(LOG.name, size, root(LEAVES[:size])), old)
    cosigned = head(size) + WITNESS.line(verdict.checkpoint.text, 1)
    assert len(open_note(cosigned, [LOG.verifier, WITNESS.verifier]).signatures) == 2


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_witness_follows_a_log_step_by_step_and_never_a_fork(data):
    sizes = sorted(data.draw(st.lists(st.integers(0, 39), max_size=6)))
    seen = 0
    for size in sizes:
        assert asked(sent(seen, size), seen).status == 200
        seen = size
        if seen > 5:
            for other in range(seen, 39):
                assert asked(sent(seen, other, FORK), seen).status == 422


def test_a_log_that_is_not_known_is_not_found():
    body = Addition(0, (), sign(Checkpoint(STRANGER.name, 1, LEAVES[0]).text, STRANGER)).text.encode()
    assert asked(body) == Verdict(404)


def test_a_checkpoint_that_its_log_did_not_sign_is_forbidden():
    text = Checkpoint(LOG.name, 1, LEAVES[0]).text
    unsigned = Addition(0, (), sign(text, STRANGER)).text.encode()
    assert asked(unsigned) == Verdict(403)
    spoiled = Addition(0, (), sign(text, NEWER) + LOG.line("another text\n")).text.encode()
    assert asked(spoiled) == Verdict(403)  # one known key that signed wrongly


def test_every_key_of_a_log_is_known_and_others_are_passed_over():
    note = head(3, signer=NEWER) + STRANGER.line("whatever\n") + WITNESS.line("whatever\n", 1)
    verdict = asked(Addition(0, (), note).text.encode())
    assert verdict.status == 200
    assert [one.name for one in verdict.note.signatures] == [LOG.name]
    assert [one.name for one in verdict.note.others] == [STRANGER.name, WITNESS.name]


def test_an_old_size_beyond_the_checkpoint_is_a_bad_request():
    body = Addition(9, (), head(8)).text.encode()
    assert asked(body, 9).status == 400
    assert asked(body, 3).status == 400  # before it is compared with what was cosigned


@pytest.mark.parametrize(("old", "known"), [(0, 7), (6, 7), (8, 7), (1, 0)])
def test_another_size_than_was_cosigned_is_a_conflict_that_names_it(old, known):
    verdict = asked(sent(old, 9), known)
    assert (verdict.status, verdict.size) == (409, known)


@pytest.mark.parametrize(
    ("addition", "known"),
    [
        (Addition(7, (), head(9)), 7),  # no proof
        (Addition(7, (*consistency_proof(LEAVES[:9], 7), LEAVES[0]), head(9)), 7),  # too long
        (Addition(7, tuple(consistency_proof(LEAVES[:9], 6)), head(9)), 7),  # of another size
        (Addition(7, tuple(consistency_proof(LEAVES[:9], 7)[::-1]), head(9)), 7),
        (Addition(0, (LEAVES[0],), head(9)), 0),  # from nothing there is nothing to prove
        (Addition(9, (), head(9, FORK)), 9),  # the same size, another root
        (Addition(9, (LEAVES[0],), head(9)), 9),
        (Addition(0, (), sign(Checkpoint(LOG.name, 0, LEAVES[0]).text, LOG)), 0),  # empty, and yet a root
        (Addition(0, (LEAVES[0],), head(0)), 0),
    ],
)
def test_what_is_not_consistent_is_not_cosigned(addition, known):
    verdict = asked(addition.text.encode(), known)
    assert verdict.status == 422
    assert verdict.size == known


def test_the_empty_tree_has_the_root_of_nothing():
    assert asked(sent(0, 0)).checkpoint.root == EMPTY


def test_extension_lines_are_cosigned_as_they_stand():
    text = Checkpoint(LOG.name, 1, LEAVES[0], ("an extension",)).text
    verdict = asked(Addition(0, (), sign(text, LOG)).text.encode())
    assert verdict.status == 200
    assert verdict.checkpoint.text == verdict.note.text == text


HASH = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n\n",
        head(1).encode(),
        f"old 00\n\n{head(1)}".encode(),
        f"old 0\n{head(1)}".encode(),
        f"old 0\n\n\n{head(1)}".encode(),
        f"old 0 \n\n{head(1)}".encode(),
        f"old 0\r\n\r\n{head(1)}".encode(),
        f"old 0\n{HASH[:-2]}\n\n{head(1)}".encode(),
        ("old 0" + f"\n{HASH}" * 64 + f"\n\n{head(1)}").encode(),
        f"old 0\n\n{head(1)}".encode() + b"trailing",
        f"old 0\n\n{head(1)}".encode() + b"\xff\n",
        f"old 0\n\n{Checkpoint(LOG.name, 1, LEAVES[0]).text}".encode(),  # without a signature
        b"old 0\n\n" + sign("two\nlines\n", LOG).encode(),
        b"old 0\n\n" + sign(f"{LOG.name}\n01\n{HASH}\n", LOG).encode(),
        b"old 0\n\n" + sign(f"{LOG.name}\n1\n{HASH[:-2]}\n", LOG).encode(),
    ],
)
def test_what_is_malformed_is_a_bad_request(body):
    assert asked(body) == Verdict(400)


def test_every_changed_bit_of_a_request_is_refused():
    body = sent(7, 9)
    assert asked(body, 7).status == 200
    for at in range(len(body)):
        for bit in range(8):
            changed = bytes([*body[:at], body[at] ^ 1 << bit, *body[at + 1 :]])
            assert asked(changed, 7).status in {400, 403, 404, 409, 422}
