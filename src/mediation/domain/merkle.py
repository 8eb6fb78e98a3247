"""The Merkle tree of the log: roots, proofs and their verification (RFC 6962 §2.1); a hash is 32 bytes of SHA-256."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from mediation.domain.errors import BadProof, Reason

HASH_BYTES = 32
MOST_LEAVES = 2**63 - 1
EMPTY = sha256(b"").digest()
"""The root of a tree without leaves."""

Node = tuple[int, int]
"""(level, index): the complete subtree of 2**level leaves that begins at leaf index * 2**level."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf: SHA-256(0x00 ‖ data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes; of none of them, the hash of nothing."""
    level = list(leaf_hashes)
    if not level:
        return EMPTY
    while len(level) > 1:
        # A node without a sibling moves up as it is: so the left side is always the largest power of two.
        odd = [level.pop()] if len(level) % 2 else []
        level = [sha256(b"\x01" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=True)] + odd
    return level[0]


def fold(hashes: Sequence[bytes]) -> bytes:
    """One hash of the complete subtrees that stand side by side, largest first; of none of them, the empty root."""
    if not hashes:
        return EMPTY
    *rest, folded = hashes
    for left in reversed(rest):
        folded = sha256(b"\x01" + left + folded).digest()
    return folded


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes beside the way from leaf `index` to the root, lowest first (RFC 6962 §2.1.1)."""
    return _gathered(leaf_hashes, inclusion_nodes(index, len(leaf_hashes)))


def consistency_proof(leaf_hashes: Sequence[bytes], size1: int) -> list[bytes]:
    """The proof that the tree of the first `size1` leaves is the beginning of this one (RFC 6962 §2.1.2)."""
    return _gathered(leaf_hashes, consistency_nodes(size1, len(leaf_hashes)))


def root_nodes(size: int) -> list[Node]:
    """The complete subtrees that make the root of a tree of `size` leaves, largest first."""
    _within(0 <= size <= MOST_LEAVES, f"size {size}")
    return _covering(0, size)


def inclusion_nodes(index: int, size: int) -> list[list[Node]]:
    """For each hash of the inclusion proof of a leaf, the complete subtrees that `fold` makes it of."""
    _within(0 <= index < size <= MOST_LEAVES, f"leaf {index} of {size}")
    nodes = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _left_side(end - start)
        if index < middle:
            nodes.append(_covering(middle, end))
            end = middle
        else:
            nodes.append(_covering(start, middle))
            start = middle
    return nodes[::-1]


def consistency_nodes(size1: int, size2: int) -> list[list[Node]]:
    """For each hash of the consistency proof of two sizes, the complete subtrees that `fold` makes it of.

    Empty for equal sizes, and from the empty tree, which is the beginning of every tree.
    """
    _within(0 <= size1 <= size2 <= MOST_LEAVES, f"{size1} to {size2}")
    nodes: list[list[Node]] = []
    if size1 == 0:
        return nodes
    start, end = 0, size2
    while end != size1:
        middle = start + _left_side(end - start)
        if size1 <= middle:
            nodes.append(_covering(middle, end))
            end = middle
        else:
            nodes.append(_covering(start, middle))
            start = middle
    if start:  # otherwise the last subtree is the whole first tree, whose root the verifier has
        nodes.append(_covering(start, end))
    return nodes[::-1]


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf stands at `index` in the tree of `size` leaves with this root (RFC 9162 §2.1.3.2).

    `size` and `root` are those of one signed checkpoint: a proof alone does not tie them together.
    Raises BadProof, also when an argument is malformed.
    """
    _within(0 <= index < size <= MOST_LEAVES, f"leaf {index} of {size}")
    _hashes([leaf_hash, root, *proof])
    _, folded = _climb(index, size - 1, leaf_hash, proof)
    if folded != root:
        raise _wrong("not_included", f"第{index}号叶不在该根之下", f"Leaf {index} is not under this root")


def verify_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """Check that the tree of `size1` leaves is the beginning of that of `size2` (RFC 9162 §2.1.4.2).

    The empty tree has the empty root and is the beginning of every tree; the proof from it is empty, as is that of a
    tree to itself. Raises BadProof, also when an argument is malformed.
    """
    _within(0 <= size1 <= size2 <= MOST_LEAVES, f"{size1} to {size2}")
    _hashes([root1, root2, *proof])
    if size1 == 0 and root1 != EMPTY:
        raise _wrong("not_empty", "空树的根不符", "This is not the root of the empty tree")
    if size1 in {0, size2}:
        if proof:
            raise _wrong("proof_length", "证明过长", "The proof is too long")
        if size1 == size2 and root1 != root2:
            raise _wrong("forked", f"同一大小{size1}有两个根", f"Two roots for one size {size1}")
        return
    path = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)
    if not path:
        raise _wrong("proof_length", "证明过短", "The proof is too short")
    whole = _trailing_ones(size1 - 1)
    first, second = _climb(size1 - 1 >> whole, size2 - 1 >> whole, path[0], path[1:])
    if (first, second) != (root1, root2):
        raise _wrong("forked", f"大小{size1}的树不是大小{size2}的开头", f"Size {size1} is not the beginning of {size2}")


class Frontier:
    """The right edge of a growing tree: the root of any number of leaves in the memory of one path."""

    __slots__ = ("_edge", "size")

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def append(self, leaf_hash: bytes) -> None:
        edge, size = self._edge, self.size
        self.size = size + 1
        while size & 1:
            leaf_hash = sha256(b"\x01" + edge.pop() + leaf_hash).digest()
            size >>= 1
        edge.append(leaf_hash)

    def root(self) -> bytes:
        return fold(self._edge)


def _climb(at: int, last: int, start: bytes, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """From node `at` of a row that ends at `last` up to both roots: of the tree that ends at it, and of the whole."""
    first = second = start
    for beside in path:
        if last == 0:
            raise _wrong("proof_length", "证明过长", "The proof is too long")
        if at & 1 or at == last:
            first = sha256(b"\x01" + beside + first).digest()
            second = sha256(b"\x01" + beside + second).digest()
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            second = sha256(b"\x01" + second + beside).digest()
        at >>= 1
        last >>= 1
    if last:
        raise _wrong("proof_length", "证明过短", "The proof is too short")
    return first, second


def _trailing_ones(number: int) -> int:
    return (~number & number + 1).bit_length() - 1


def _left_side(size: int) -> int:
    """The largest power of two below a size of at least 2 (RFC 6962 §2.1: k)."""
    return 1 << (size - 1).bit_length() - 1


def _covering(start: int, end: int) -> list[Node]:
    """The complete subtrees of leaves [start, end), largest first; `start` is where such a part of the tree begins."""
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append((level, start >> level))
        start += 1 << level
    return nodes


def _gathered(leaf_hashes: Sequence[bytes], proof: Iterable[Iterable[Node]]) -> list[bytes]:
    return [fold([root(leaf_hashes[at << level : (at + 1) << level]) for level, at in nodes]) for nodes in proof]


def _within(holds: bool, what: str) -> None:  # noqa: FBT001  # a condition, as in assert
    if not holds:
        raise _wrong("out_of_range", f"序号或大小超出范围：{what}", f"Out of range: {what}")


def _hashes(hashes: Iterable[bytes]) -> None:
    if any(len(one) != HASH_BYTES for one in hashes):
        raise _wrong("not_a_hash", "哈希须为32字节", "A hash is 32 bytes")


def _wrong(code: str, zh: str, en: str) -> BadProof:
    return BadProof(Reason(code, zh, en))
