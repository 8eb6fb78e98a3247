"""Plain values: who may see which, and the note of it, which is made before anything is shown."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from mediation.domain import access
from mediation.domain.errors import Malformed, NotFound, NotPermitted, Reason
from mediation.domain.facts import Case
from mediation.domain.vocabulary import Power, Sensitivity
from mediation.gateway.vault import COMPROMISE, ERASED, TEXT, UNDISPUTED, WORDS, Sealed
from mediation.service.perform import House
from mediation.store.append import Context, SealedRow, Seen

_MOST_NAMED = 100
_FAMILIES: Mapping[str, Sensitivity] = {
    "compromise": Sensitivity.COMPROMISE,
    "undisputed": Sensitivity.UNDISPUTED,
}
"""How sensitive a value is, by the first part of its name; all others are plain."""
_ROWS: Mapping[str, Sensitivity] = {
    WORDS: Sensitivity.PLAIN,
    UNDISPUTED: Sensitivity.UNDISPUTED,
    COMPROMISE: Sensitivity.COMPROMISE,
}
"""How sensitive a case's text is, by the name of its row; what has another name is shown to nobody."""
_NOT_YOURS: Mapping[Sensitivity, tuple[str, str, str]] = {
    Sensitivity.PLAIN: (
        "须以办理、督办或协助单位承办人的身份查看，结案后由保管单位承办人查看",
        "is for those who handle, supervise or assist the case, or keep it once it is closed",
        "",
    ),
    Sensitivity.UNDISPUTED: ("须以办理单位承办人的身份查看", "is for those who handle the case", "ONL-22"),
    Sensitivity.COMPROMISE: (
        "是为达成协议作出的陈述，限主持调解的单位承办人查看，审判、检察人员不得查看",
        "was said for the sake of agreement: it is for those who mediate, and no judge or prosecutor reads it",
        "CPI-107",
    ),
}


class Asker(NamedTuple):
    """Who asks, what they see of the case, and up to which sensitivities."""

    context: Context
    seen: Seen
    case: Case
    allowed: Collection[Sensitivity]


def asking(context: Context, case: Case, seen: Seen) -> Asker:
    """Who asks for plain values of a case that they see, up to which sensitivities the table of access lets them."""
    stands = access.standing(case, seen.actor, seen.orgs)
    allowed = access.permitted(Power.DISCLOSE, seen.actor, stands, fewer=access.restricted(case))
    return Asker(context, seen, case, allowed)


async def disclosed(house: House, asker: Asker, fields: Sequence[str], purpose: str) -> dict[str, str]:
    """The plain values asked for, once it is written down who sees them; one that is not to be had refuses the rest.

    Raises: NotPermitted, Malformed, NotFound.
    """
    _permit(asker, fields)
    case, seen = asker.case, asker.seen
    rows = await house.memory.sealed(asker.context, seen.actor, case.id)
    erased = {row.subject for row in rows if row.name == ERASED}
    readable = [row for row in rows if _of_row(row) in asker.allowed]
    plain = plain_values([(row, house.vault.open(case.id, Sealed(*row))) for row in readable])
    unknown = sorted(set(fields) - plain.keys())
    gone = [name for name in unknown if _subject(name) in erased]
    if len(gone) < len(unknown):
        known = [name for name in sorted(plain) if _sensitivity(name) in asker.allowed]
        raise Malformed(*_no_such([name for name in unknown if name not in gone], known))
    if gone:
        names = gone[:_MOST_NAMED]
        zh = f"{'、'.join(names)}：已随密钥销毁而删除，或从未登记"
        en = f"{', '.join(names)}: destroyed with the key, or never recorded"
        raise NotFound(Reason("erased", zh, en))
    await _note(house, asker, fields, purpose)
    return {name: plain[name] for name in fields}


async def disclosed_whole(house: House, asker: Asker, purpose: str) -> list[str]:
    """All that this reader may see, as disclosures (RFC 9901 §4.2), once it is written down who sees it.

    A party's own disclosure comes before those of its fields. Raises: NotPermitted, NotFound.
    """
    _permit(asker, ())
    case = asker.case
    rows = await house.memory.sealed(asker.context, asker.seen.actor, case.id)
    readable = [row for row in rows if _of_row(row) in asker.allowed]
    plain = plain_values([(row, house.vault.open(case.id, Sealed(*row))) for row in readable])
    await _note(house, asker, list(plain), purpose)
    return [one for row in readable for one in house.vault.disclosures(case.id, Sealed(*row))]


async def _note(house: House, asker: Asker, fields: Sequence[str], purpose: str) -> None:
    sealed = house.vault.seal_purpose(asker.context.request, asker.case.id, purpose)
    await house.memory.disclose(asker.context, asker.seen.actor, "disclosure", asker.case.id, "", fields, sealed)


def _permit(asker: Asker, fields: Sequence[str]) -> None:
    """Raises NotPermitted, naming every field that this reader may not see, whether there is such a one or not."""
    if not asker.allowed:
        held = access.roles_held(asker.seen.actor)
        zh = (
            f"明文限办理、督办或协助该案的人员查看，结案后限保管单位承办人；您在本单位的角色是{held[0]}，"
            "以此角色目前不能查看本案明文"
        )
        en = (
            "Plain values are for the staff who handle, supervise or assist the case, or keep it once it is "
            f"closed; your roles here: {held[1]}, which do not do so now"
        )
        raise NotPermitted(Reason("not_handling", zh, en))
    reasons = []
    for sensitivity, (zh, en, basis) in _NOT_YOURS.items():
        names = [name for name in dict.fromkeys(fields) if _sensitivity(name) is sensitivity]
        if names and sensitivity not in asker.allowed:
            reasons.append(Reason("not_yours_to_see", f"{'、'.join(names)}：{zh}", f"{', '.join(names)} {en}", basis))
    if reasons:
        raise NotPermitted(*reasons)


def _sensitivity(name: str) -> Sensitivity:
    return _FAMILIES.get(name.partition(".")[0], Sensitivity.PLAIN)


def _of_row(row: SealedRow) -> Sensitivity | None:
    if row.name == ERASED:
        return None
    return _ROWS.get(row.name) if row.subject == TEXT else Sensitivity.PLAIN


def _subject(name: str) -> int:
    """Under whose key a value of this name is sealed, or was."""
    family, _, rest = name.partition(".")
    number = rest.partition(".")[0]
    return int(number) if family == "parties" and number.isdecimal() else TEXT


def _no_such(unknown: Sequence[str], known: Sequence[str]) -> list[Reason]:
    """Each unknown name by itself, the names there are behind the first."""
    more = len(known) > _MOST_NAMED
    zh = "、".join(known[:_MOST_NAMED]) + ("等" if more else "")
    en = ", ".join(known[:_MOST_NAMED]) + (" and more" if more else "")
    first, *rest = unknown
    return [
        Reason("no_such_field", f"没有 {first}；您可看的有：{zh}", f"There is no {first}; there are: {en}"),
        *(Reason("no_such_field", f"没有 {name}", f"There is no {name}") for name in rest),
    ]


def plain_values(opened: Sequence[tuple[SealedRow, dict[str, Any]]]) -> dict[str, str]:
    """Plain values by name, such as `parties.1.phone` and `claims.1.text`; `texts.1` … as they were sealed."""
    out: dict[str, str] = {}
    counted = {"texts": 0, "plans": 0, COMPROMISE: 0, UNDISPUTED: 0}

    def count(family: str, text: str) -> None:
        counted[family] += 1
        out[f"{family}.{counted[family]}"] = text

    for row, value in opened:
        if row.subject != TEXT:
            out |= {f"parties.{row.subject}.{name}": text for name, text in value.items() if name != "kind"}
            continue
        for part, suffix in (("claims", "text"), ("obligations", "text"), ("documents", "name")):
            out |= {f"{part}.{number}.{suffix}": text for number, text in value.get(part, {}).items()}
        if "text" in value:
            count("texts" if row.name == WORDS else row.name, value["text"])
        if "plan" in value:
            count("plans", value["plan"])
    return out
