"""Masks: how personal values are shown to whoever has no need of the plain ones."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

_BETWEEN = frozenset("·•・‧. ")
"""Signs between the parts of a name: they stay, so that it can be seen how the name is built."""

_MOBILE = re.compile(r"(\+86|0086|86)?(1[0-9]{10})")
_LANDLINE = re.compile(r"(0(?:10|2[0-9]|[3-9][0-9]{2}))([0-9]{7,})")
# Ends of a value are shown only from these lengths on: of a shorter one they would tell too much.
_LONG_NUMBER, _SOME_NUMBER, _SOME_PHONE = 15, 6, 7
_REGION = re.compile(r"(?:(?![家住户在])[\u3400-\u9fff])+(?:省|市|区|县|旗|镇|乡|街道|村)")
_MOST_REGION = 6
_TOLD_LENGTH = 8


def masked(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """An opened value of the vault as an answer shows it.

    The fields of a `party_<n>` are masked; whatever else was said is told by its length alone.
    """
    if not name.startswith("party_"):
        return {part: _told(words) for part, words in value.items()}
    masks = _OF_BODIES if value.get("kind") == "legal" else _OF_PEOPLE
    return {field: masks[field](text) if field in masks else text for field, text in value.items()}


def mask_name(name: str) -> str:
    """张三 → 张*, 买买提·吐尔逊 → 买**·***, John Smith → J*** *****: one letter; of a single letter nothing."""
    text = unicodedata.normalize("NFKC", name)
    if text.isalpha() and len(text) > 1:  # most names: no sign stands between their letters
        return text[0] + "*" * (len(text) - 1)
    letters = [at for at, sign in enumerate(text) if sign not in _BETWEEN]
    if len(letters) < 2:  # noqa: PLR2004 - one letter is the whole name
        return "*" * len(text)
    return "".join(sign if at == letters[0] or sign in _BETWEEN else "*" for at, sign in enumerate(text))


def mask_body(name: str) -> str:
    """A body's last four characters, or a third of a shorter name: many begin with the name of who owns them."""
    text = unicodedata.normalize("NFKC", name)
    return _middle(text, 0, min(4, len(text) // 3))


def mask_number(number: str) -> str:
    """330102199001011234 → 330***********1234, and so for 15 digits; G1234567 → G******7; under six nothing."""
    text = _compact(number)
    if len(text) >= _LONG_NUMBER:
        return _middle(text, 3, 4)
    return _middle(text, 1, 1) if len(text) >= _SOME_NUMBER else _middle(text, 0, 0)


def mask_phone(number: str) -> str:
    """13812341234 → 138****1234, +86 138-1234-1234 → +86 138****1234, 0475-4212345 → 0475-*****45.

    Of any other number its last two digits, and of one shorter than seven nothing.
    """
    text = _compact(number)
    if mobile := _MOBILE.fullmatch(text):
        return f"{mobile[1] or ''} {_middle(mobile[2], 3, 4)}".lstrip()
    if landline := _LANDLINE.fullmatch(text):
        return f"{landline[1]}-{_middle(landline[2], 0, 2)}"
    return _middle(text, 0, 2 if len(text) >= _SOME_PHONE else 0)


def mask_address(address: str) -> str:
    """The region that an address begins with, of at most six characters and half of it, and no length; else nothing.

    People write names and numbers there too: what ends in no word for a region, or says that somebody lives there, is
    none.
    """
    text = unicodedata.normalize("NFKC", address)
    region = _REGION.match(text[: min(_MOST_REGION, len(text) // 2)])
    return f"{region[0] if region else ''}***"


def _compact(number: str) -> str:
    """A number without what people write between its digits, full-width forms evened; itself where nothing is left."""
    if number.isascii() and number.isalnum():  # as most are written
        return number
    even = unicodedata.normalize("NFKC", number)
    left = (c for c in even if not c.isspace() and c != "." and unicodedata.category(c) not in {"Pd", "Ps", "Pe", "Cf"})
    return "".join(left) or number


def _middle(text: str, head: int, tail: int) -> str:
    if len(text) <= head + tail:
        return "*" * len(text)
    return text[:head] + "*" * (len(text) - head - tail) + text[len(text) - tail :]


def _told(words: object) -> object:
    if isinstance(words, dict):
        return {part: _told(text) for part, text in words.items()}
    return "*" * min(len(str(words)), _TOLD_LENGTH)


_OF_PEOPLE: Mapping[str, Callable[[str], str]] = {
    "name": mask_name,
    "id_number": mask_number,
    "phone": mask_phone,
    "address": mask_address,
}
_OF_BODIES = {**_OF_PEOPLE, "name": mask_body}
