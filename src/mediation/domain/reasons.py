"""How a refusal is worded: a code, a sentence in Chinese and English, and the articles it rests on."""

from mediation.domain.errors import Reason
from mediation.domain.process import cite_zh

TOO_LONG = Reason(
    "event_too_long",
    "一步所记内容过多（一个事件最多8192字节）；请分几步登记，其余当事人用“当事人变更”加入",
    "Too much for one step (an event holds 8192 bytes): take several; more parties join by change_parties",
)


def why(code: str, zh: str, en: str, *basis: str, needs: str = "") -> Reason:
    """A reason citing its articles; `needs`: the command's field that would answer it."""
    return Reason(code, zh, en, "；".join(cite_zh(article) for article in basis), needs=needs)


def numbers(found: tuple[int, ...] | list[int] | set[int]) -> str:
    """Numbers as a person reads them: 1、2."""
    return "、".join(str(number) for number in sorted(found))
