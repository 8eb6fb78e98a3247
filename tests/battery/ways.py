"""The twelve kinds of tampering, and the ways in which each is done."""

from collections.abc import Callable
from typing import Generic, TypeVar

Done = TypeVar("Done", bound=Callable[..., object])

KINDS = (
    "edit",
    "delete",
    "reorder",
    "insert",
    "cut",
    "swap",
    "foreign key",
    "roll back",
    "fork",
    "digest",
    "disclosure",
    "stale checkpoint",
)


class Ways(Generic[Done]):
    """Ways by their kind; `special`: those that need another database, or another case, than the rest."""

    def __init__(self) -> None:
        self.of: dict[str, list[Done]] = {}
        self.special: set[Done] = set()

    def __call__(self, kind: str, *, special: bool = False) -> Callable[[Done], Done]:
        def take(done: Done) -> Done:
            self.of.setdefault(kind, []).append(done)
            if special:
                self.special.add(done)
            return done

        return take

    def __or__(self, others: "Ways[Done]") -> "Ways[Done]":
        both: Ways[Done] = Ways()
        both.of = self.of | others.of
        both.special = self.special | others.special
        return both
