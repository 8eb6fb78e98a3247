"""The tree of the log: a proof holds for exactly its leaf, place, size and root, and every other program agrees."""

import os
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tlog_scales import tlog

from mediation.domain import events, merkle
from mediation.domain.errors import BadProof, MediationError
from mediation.domain.merkle import Frontier, fold, leaf_hash, node_hash, root

FULL = os.environ.get("MEDIATION_BATTERY") == "1"
MOST = 1000 if FULL else 130
TREES = settings(max_examples=40 if FULL else 8, deadline=None)
PROOFS = settings(max_examples=500 if FULL else 50, deadline=None)

# The tree that implementations of RFC 6962 share: eight leaves, and the root over the first n of them.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def tree(size: int) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(size)]


def by_the_book(leaf_hashes: list[bytes]) -> bytes:
    """RFC 6962 §2.1 as it is written: MTH(D[n]) = HASH(0x01 || MTH(D[0:k]) || MTH(D[k:n]))."""
    if len(leaf_hashes) < 2:
        return leaf_hashes[0] if leaf_hashes else sha256(b"").digest()
    split = 1
    while split * 2 < len(leaf_hashes):
        split *= 2
    return sha256(b"\x01" + by_the_book(leaf_hashes[:split]) + by_the_book(leaf_hashes[split:])).digest()


def turns(index: int, size: int) -> str:
    """The way from the root to a leaf: what tells two places apart to whoever has a proof and no size."""
    way = ""
    while size > 1:
        split = 1 << (size - 1).bit_length() - 1
        way += "R" if index >= split else "L"
        index, size = (index - split, size - split) if index >= split else (index, split)
    return way


def flipped(data: bytes, bit: int) -> bytes:
    return (int.from_bytes(data) ^ (1 << bit)).to_bytes(len(data))


def holds(check, *args) -> bool:
    try:
        check(*args)
    except BadProof:
        return False
    return True


def included(*args) -> bool:
    return holds(merkle.verify_inclusion, *args)


def consistent(*args) -> bool:
    return holds(merkle.verify_consistency, *args)


def test_the_known_tree_has_its_known_roots():
    assert [root(HASHES[:size]).hex() for size in range(9)] == ROOTS


@pytest.mark.parametrize(
    ("index", "size", "proof"),
    [
        (0, 1, []),
        (
            0,
            8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        (
            1,
            5,
            [
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ],
)
def test_the_known_proofs_of_inclusion(index, size, proof):
    assert [one.hex() for one in merkle.inclusion_proof(HASHES[:size], index)] == proof


@pytest.mark.parametrize(
    ("size1", "size2", "proof"),
    [
        (1, 1, []),
        (
            1,
            8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ],
)
def test_the_known_proofs_of_consistency(size1, size2, proof):
    assert [one.hex() for one in merkle.consistency_proof(HASHES[:size2], size1)] == proof


def test_leaf_and_node_are_hashed_apart():
    left, right = HASHES[:2]
    assert node_hash(left, right) == sha256(b"\x01" + left + right).digest() != leaf_hash(left + right)


def test_the_leaf_hash_of_an_event_is_that_of_the_log():
    assert bytes.fromhex(events.leaf_hash(b'{"v":1}')) == leaf_hash(b'{"v":1}')


@TREES
@given(st.integers(0, MOST))
def test_the_root_is_that_of_the_book_and_of_a_stream(size):
    leaves = tree(size)
    stream = Frontier()
    for leaf in leaves:
        stream.append(leaf)
    assert root(leaves) == by_the_book(leaves) == stream.root()
    assert stream.size == size


def test_a_stream_knows_the_root_after_every_leaf():
    stream, leaves = Frontier(), tree(70)
    for size, leaf in enumerate(leaves):
        assert stream.root() == by_the_book(leaves[:size])
        stream.append(leaf)


@TREES
@given(st.integers(1, MOST))
def test_every_proof_of_inclusion_of_a_tree_holds_here_and_elsewhere(size):
    leaves = tree(size)
    whole = root(leaves)
    for index, leaf in enumerate(leaves):
        proof = merkle.inclusion_proof(leaves, index)
        merkle.verify_inclusion(leaf, index, size, proof, whole)
        tlog.InclusionProof(index, size, proof).check(leaf, whole)


@TREES
@given(st.integers(0, MOST))
def test_every_proof_of_consistency_of_a_tree_holds_here_and_elsewhere(size):
    leaves = tree(size)
    whole = root(leaves)
    for before in range(size + 1):
        proof = merkle.consistency_proof(leaves, before)
        merkle.verify_consistency(before, size, proof, root(leaves[:before]), whole)
        tlog.ConsistencyProof(before, size, proof).check(root(leaves[:before]), whole)


@PROOFS
@given(st.data())
def test_every_changed_bit_of_a_proof_of_inclusion_is_refused(data):
    size = data.draw(st.integers(1, MOST))
    index = data.draw(st.integers(0, size - 1))
    leaves = tree(size)
    leaf, proof, whole = leaves[index], merkle.inclusion_proof(leaves, index), root(leaves)
    assert included(leaf, index, size, proof, whole)
    for bit in range(256):
        assert not included(flipped(leaf, bit), index, size, proof, whole)
        assert not included(leaf, index, size, proof, flipped(whole, bit))
        for at, one in enumerate(proof):
            assert not included(leaf, index, size, [*proof[:at], flipped(one, bit), *proof[at + 1 :]], whole)
    for bit in range(64):
        assert not included(leaf, index ^ 1 << bit, size, proof, whole)
        # The size is bound to the root by the checkpoint; by the proof, as far as it changes the way to the leaf.
        other = size ^ 1 << bit
        same_way = index < other < 2**63 and turns(index, other) == turns(index, size)
        assert included(leaf, index, other, proof, whole) == same_way


@PROOFS
@given(st.data())
def test_every_changed_bit_of_a_proof_of_consistency_is_refused(data):
    size = data.draw(st.integers(2, MOST))
    before = data.draw(st.integers(1, size - 1))
    leaves = tree(size)
    proof, first, whole = merkle.consistency_proof(leaves, before), root(leaves[:before]), root(leaves)
    assert consistent(before, size, proof, first, whole)
    for bit in range(256):
        assert not consistent(before, size, proof, flipped(first, bit), whole)
        assert not consistent(before, size, proof, first, flipped(whole, bit))
        for at, one in enumerate(proof):
            assert not consistent(before, size, [*proof[:at], flipped(one, bit), *proof[at + 1 :]], first, whole)
    for bit in range(64):
        assert not consistent(before ^ 1 << bit, size, proof, first, whole)
        # As above: only the checkpoint can tell two larger trees apart whose hashes are joined in the same way.
        other = size ^ 1 << bit
        same_way = before <= other < 2**63 and joined(before, other) == joined(before, size)
        assert consistent(before, other, proof, first, whole) == same_way


def joined(before: int, size: int) -> list[bool]:
    """For each hash of a proof of consistency, whether it stands left of what is being proved."""
    return [min(start << level for level, start in nodes) < before for nodes in merkle.consistency_nodes(before, size)]


@PROOFS
@given(st.data())
def test_a_proof_cut_drawn_out_or_in_another_order_is_refused(data):
    size = data.draw(st.integers(2, MOST))
    index = data.draw(st.integers(0, size - 1))
    before = data.draw(st.integers(1, size - 1))
    leaves = tree(size)
    whole, first = root(leaves), root(leaves[:before])
    proof = merkle.inclusion_proof(leaves, index)
    steps = merkle.consistency_proof(leaves, before)
    for wrong in (
        [],
        proof[1:],
        proof[:-1],
        [*proof, whole],
        [whole, *proof],
        *([proof[::-1]] if len(proof) > 1 else []),
    ):
        assert not included(leaves[index], index, size, wrong, whole)
    for wrong in (
        [],
        steps[1:],
        steps[:-1],
        [*steps, whole],
        [whole, *steps],
        *([steps[::-1]] if len(steps) > 1 else []),
    ):
        assert not consistent(before, size, wrong, first, whole)


def test_the_empty_tree_is_the_beginning_of_every_tree_and_of_nothing_else():
    whole = root(HASHES)
    merkle.verify_consistency(0, 8, [], merkle.EMPTY, whole)
    assert not consistent(0, 8, [], whole, whole)
    assert not consistent(0, 8, [whole], merkle.EMPTY, whole)
    assert not consistent(0, 0, [], merkle.EMPTY, whole)
    assert not consistent(0, 0, [], whole, whole)
    merkle.verify_consistency(0, 0, [], merkle.EMPTY, merkle.EMPTY)


def test_a_root_made_up_for_a_longer_proof_is_refused():
    assert not included(HASHES[0], 0, 1, [HASHES[1]], node_hash(HASHES[0], HASHES[1]))
    assert not included(HASHES[0], 0, 1, [HASHES[1]], node_hash(HASHES[1], HASHES[0]))
    first, second = node_hash(HASHES[2], HASHES[0]), node_hash(HASHES[2], node_hash(HASHES[0], HASHES[1]))
    assert not consistent(1, 2, [HASHES[1], HASHES[2]], HASHES[0], second)
    assert not consistent(1, 2, [HASHES[1], HASHES[2]], first, second)


def test_two_roots_of_one_size_are_never_consistent():
    merkle.verify_consistency(8, 8, [], root(HASHES), root(HASHES))
    assert not consistent(8, 8, [], root(HASHES), root(HASHES[::-1]))
    assert not consistent(8, 8, HASHES[:1], root(HASHES), root(HASHES))


@pytest.mark.parametrize(
    "ask",
    [
        lambda: merkle.inclusion_proof(HASHES, 8),
        lambda: merkle.inclusion_proof(HASHES, -1),
        lambda: merkle.inclusion_proof([], 0),
        lambda: merkle.consistency_proof(HASHES, 9),
        lambda: merkle.consistency_proof(HASHES, -1),
        lambda: merkle.root_nodes(-1),
        lambda: merkle.root_nodes(2**63),
        lambda: merkle.verify_inclusion(HASHES[0], 0, 0, [], ROOTS_BYTES[0]),
        lambda: merkle.verify_inclusion(HASHES[0], -1, 1, [], ROOTS_BYTES[1]),
        lambda: merkle.verify_inclusion(HASHES[0], 0, 2**63, [], ROOTS_BYTES[1]),
        lambda: merkle.verify_inclusion(HASHES[0][1:], 0, 1, [], HASHES[0][1:]),
        lambda: merkle.verify_inclusion(HASHES[0], 0, 2, [HASHES[1] + b"\0"], ROOTS_BYTES[2]),
        lambda: merkle.verify_inclusion(HASHES[0], 0, 1, [], ROOTS_BYTES[1] + b"\0"),
        lambda: merkle.verify_consistency(2, 1, [], ROOTS_BYTES[2], ROOTS_BYTES[1]),
        lambda: merkle.verify_consistency(-1, 1, [], ROOTS_BYTES[0], ROOTS_BYTES[1]),
        lambda: merkle.verify_consistency(1, 2, [b""], ROOTS_BYTES[1], ROOTS_BYTES[2]),
        lambda: merkle.verify_consistency(1, 1, [], HASHES[0][1:], HASHES[0][1:]),
    ],
)
def test_what_is_malformed_or_out_of_range_is_refused_in_both_languages(ask):
    with pytest.raises(MediationError) as refused:
        ask()
    assert isinstance(refused.value, BadProof)
    assert all(reason.zh and reason.en for reason in refused.value.reasons)


ROOTS_BYTES = [bytes.fromhex(one) for one in ROOTS]


@PROOFS
@given(st.data())
def test_every_hash_of_a_proof_is_made_of_complete_subtrees(data):
    size = data.draw(st.integers(1, MOST))
    index = data.draw(st.integers(0, size - 1))
    before = data.draw(st.integers(0, size))
    leaves = tree(size)

    def made(nodes):
        assert all((at + 1) << level <= size for level, at in nodes)
        return fold([by_the_book(leaves[at << level : (at + 1) << level]) for level, at in nodes])

    assert made(merkle.root_nodes(size)) == by_the_book(leaves)
    assert [made(nodes) for nodes in merkle.inclusion_nodes(index, size)] == merkle.inclusion_proof(leaves, index)
    assert [made(nodes) for nodes in merkle.consistency_nodes(before, size)] == merkle.consistency_proof(leaves, before)


def test_a_proof_in_the_largest_tree_is_short_and_found_at_once():
    size = 2**63 - 1
    assert len(merkle.inclusion_nodes(0, size)) == 63
    assert len(merkle.consistency_nodes(size - 1, size)) <= 63
    assert len(merkle.root_nodes(size)) == 63
    assert merkle.root_nodes(0) == []
    assert fold([]) == root([])
