"""Checkpoints and the proofs that carry them: only the log's own signature makes one, and others read the same."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tlog_scales import tlog

from mediation.domain.checkpoints import (
    Addition,
    Checkpoint,
    Proof,
    open_checkpoint,
    parse_addition,
    parse_checkpoint,
    parse_proof,
)
from mediation.domain.errors import BadNote, BadProof
from mediation.domain.merkle import consistency_proof, inclusion_proof, leaf_hash, root
from mediation.domain.notes import SignatureKind, new_signer, sign

LOG = new_signer("log.example/events", b"l" * 32)
NEWER = new_signer("log.example/events", b"n" * 32)
OTHER = new_signer("log.example/access", b"a" * 32)
WITNESS = new_signer("court.example/witness", b"w" * 32, SignatureKind.COSIGNATURE)
LEAVES = [leaf_hash(b"%d" % number) for number in range(13)]
HEAD = Checkpoint("log.example/events", 13, root(LEAVES))
NOTE = sign(HEAD.text, LOG)
PROOF = Proof(5, tuple(inclusion_proof(LEAVES, 5)), NOTE)
KEYS = [LOG.verifier, WITNESS.verifier]
HASH = base64.b64encode(bytes(32)).decode()


@settings(max_examples=50, deadline=None)
@given(
    st.text(st.characters(min_codepoint=33, blacklist_categories=("Cs",)), min_size=1, max_size=40),
    st.integers(0, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(st.text(st.characters(min_codepoint=32, blacklist_categories=("Cs",)), min_size=1), max_size=3),
)
def test_a_checkpoint_is_read_as_it_was_written(origin, size, whole, extensions):
    head = Checkpoint(origin, size, whole, tuple(extensions))
    assert parse_checkpoint(head.text) == head


def test_the_specification_s_own_checkpoint_is_read():
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    head = parse_checkpoint(text)
    assert head[:2] == ("example.com/behind-the-sofa", 20852163)
    assert head.text == text


def test_another_program_reads_the_same_checkpoint():
    theirs = tlog.Checkpoint.from_text(NOTE)
    assert (theirs.origin, theirs.size, theirs.root_hash) == HEAD[:3]
    assert theirs.serialize_body() == HEAD.text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "log\n",
        "log\n1\n",
        f"\n1\n{HASH}\n",
        f"log\n1\n{HASH}",  # no last newline
        f"log\n1\n{HASH}\n\n",
        f"log\n1\n{HASH}\n\nextension\n",
        f"log\n1\n{HASH}\nextension",
        f"log\n\n{HASH}\n",
        f"log\n01\n{HASH}\n",
        f"log\n00\n{HASH}\n",
        f"log\n-1\n{HASH}\n",
        f"log\n+1\n{HASH}\n",
        f"log\n 1\n{HASH}\n",
        f"log\n1_0\n{HASH}\n",
        f"log\n٣\n{HASH}\n",
        f"log\n１\n{HASH}\n",  # full width
        f"log\n0x1\n{HASH}\n",
        f"log\n{2**63}\n{HASH}\n",
        f"log\n1{'0' * 5000}\n{HASH}\n",
        f"log\n1\n{HASH[:-1]}\n",
        f"log\n1\n{HASH} \n",
        f"log\n1\n{HASH[:-2]}B=\n",  # stray bits
        f"log\n1\n{base64.b64encode(bytes(31)).decode()}\n",
        f"log\n1\n{base64.b64encode(bytes(33)).decode()}\n",
        f"log\n1\n{bytes(32).hex()}\n",
        f"log\r\n1\r\n{HASH}\r\n",
        f"log\x00\n1\n{HASH}\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text):
    with pytest.raises(BadNote):
        parse_checkpoint(text)


def test_a_checkpoint_needs_its_own_log_s_signature():
    cosigned = NOTE + WITNESS.line(HEAD.text, 1)
    head, note = open_checkpoint(cosigned, KEYS, "log.example/events")
    assert head == HEAD
    assert [one.name for one in note.signatures] == [LOG.name, WITNESS.name]
    with pytest.raises(BadNote, match="itself"):
        open_checkpoint(cosigned, [WITNESS.verifier])
    with pytest.raises(BadNote, match="itself"):
        open_checkpoint(sign(HEAD.text, OTHER), [LOG.verifier, OTHER.verifier])


def test_a_cosigner_of_the_log_s_name_is_not_the_log():
    twin = new_signer("log.example/events", b"t" * 32, SignatureKind.COSIGNATURE)
    with pytest.raises(BadNote, match="itself"):
        open_checkpoint(f"{HEAD.text}\n{twin.line(HEAD.text, 1)}", [twin.verifier, LOG.verifier])


def test_a_checkpoint_of_another_log_is_refused_where_one_is_named():
    with pytest.raises(BadNote, match="another log"):
        open_checkpoint(NOTE, KEYS, "log.example/access")


def test_one_of_several_keys_of_a_log_is_enough():
    assert open_checkpoint(sign(HEAD.text, NEWER), [LOG.verifier, NEWER.verifier])[0] == HEAD
    with pytest.raises(BadNote):
        open_checkpoint(sign(HEAD.text, NEWER), [LOG.verifier])


def test_extension_lines_are_signed_and_kept():
    head = HEAD._replace(extensions=("a line", "another"))
    opened, note = open_checkpoint(sign(head.text, LOG), KEYS)
    assert opened == head
    assert note.text == opened.text


@pytest.mark.parametrize("extra", [b"", b"case 1", bytes(1000)])
@pytest.mark.parametrize("index", range(13))
def test_a_proof_verifies_after_it_was_written_and_read(index, extra):
    proof = Proof(index, tuple(inclusion_proof(LEAVES, index)), NOTE, extra)
    read = parse_proof(proof.text)
    assert read == proof
    assert read.verify(LEAVES[index], KEYS, "log.example/events") == HEAD
    theirs = tlog.InclusionProof(read.index, HEAD.size, list(read.hashes))
    theirs.check(LEAVES[index], tlog.Checkpoint.from_text(read.note).root_hash)


def test_the_proof_file_is_that_of_the_specification():
    lines = Proof(5, (bytes(32),), NOTE, b"x").text.split("\n")
    assert lines[:5] == ["c2sp.org/tlog-proof@v1", "extra eA==", "index 5", HASH, ""]
    assert "\n".join(lines[5:]) == NOTE


def test_every_changed_byte_of_a_proof_is_refused():
    whole = PROOF.text.encode()
    for at in range(len(whole)):
        changed = bytes([*whole[:at], whole[at] ^ 1 << at % 7, *whole[at + 1 :]])
        with pytest.raises((BadNote, BadProof)):
            parse_proof(changed.decode(errors="surrogateescape")).verify(LEAVES[5], KEYS)


def test_a_proof_is_for_its_leaf_only():
    with pytest.raises(BadProof):
        PROOF.verify(LEAVES[4], KEYS)
    with pytest.raises(BadNote):
        PROOF.verify(LEAVES[5], [OTHER.verifier])
    with pytest.raises(BadNote):
        PROOF.verify(LEAVES[5], KEYS, "log.example/access")


@pytest.mark.parametrize(
    "text",
    [
        "",
        NOTE,
        PROOF.text.replace("@v1", "@v2"),
        PROOF.text.replace("index 5", "index 05"),
        PROOF.text.replace("index 5", "index -5"),
        PROOF.text.replace("index 5", "index 5 "),
        PROOF.text.replace("index 5", "Index 5"),
        PROOF.text.replace("index 5\n", ""),
        PROOF.text.replace("index 5", "extra eA==\nextra eA==\nindex 5"),
        PROOF.text.replace("index 5", "extra \nindex 5"),
        PROOF.text.replace("index 5", "extra eA\nindex 5"),
        PROOF.text.replace("index 5", "index 5\nextra eA=="),
        PROOF.text.replace("index 5", f"index 5\n{HASH[:-4]}"),
        PROOF.text.replace("index 5", "index 5" + f"\n{HASH}" * 64),
        PROOF.text.split("\n\n", 1)[0],
        "c2sp.org/tlog-proof@v1\n\n" + NOTE,
        " " + PROOF.text,
        PROOF.text.replace("\n", "\r\n"),
    ],
)
def test_a_malformed_proof_is_refused(text):
    with pytest.raises(BadProof) as refused:
        parse_proof(text)
    assert all(reason.zh and reason.en for reason in refused.value.reasons)


def test_what_is_sent_to_a_witness_is_read_as_it_was_written():
    for old in range(14):
        sent = Addition(old, tuple(consistency_proof(LEAVES, old)), NOTE)
        assert parse_addition(sent.text.encode()) == sent
    assert Addition(0, (), NOTE).text == f"old 0\n\n{NOTE}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        NOTE.encode(),
        b"old 1",
        f"old 1\n{NOTE}".encode(),
        f"old 01\n\n{NOTE}".encode(),
        f"old -1\n\n{NOTE}".encode(),
        f"old\n\n{NOTE}".encode(),
        f"new 1\n\n{NOTE}".encode(),
        f"old 1\nold 1\n\n{NOTE}".encode(),
        f"old {2**63}\n\n{NOTE}".encode(),
        ("old 1" + f"\n{HASH}" * 64 + f"\n\n{NOTE}").encode(),
        f"old 1\n{HASH[:-1]}\n\n{NOTE}".encode(),
        f"old 1\n{HASH}\n\n{NOTE}".encode("utf-16"),
        b"old 1\n\n\xff\xfe",
    ],
)
def test_what_no_log_would_send_is_refused(body):
    with pytest.raises(BadNote):
        parse_addition(body)


def test_sixty_three_hashes_are_read():
    assert len(parse_addition(("old 1" + f"\n{HASH}" * 63 + f"\n\n{NOTE}").encode()).hashes) == 63
