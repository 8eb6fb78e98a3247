"""How a refusal is worded: a code, a sentence in Chinese and English, and the articles it rests on."""

from mediation.domain.errors import Reason
from mediation.domain.process import cite_zh


def why(code: str, zh: str, en: str, *basis: str, needs: str = "") -> Reason:
    """A reason citing its articles; `needs`: the command's field that would answer it."""
    return Reason(code, zh, en, "；".join(cite_zh(article) for article in basis), needs=needs)


def numbers(found: tuple[int, ...] | list[int] | set[int]) -> str:
    """Numbers as a person reads them: 1、2."""
    return "、".join(str(number) for number in sorted(found))
