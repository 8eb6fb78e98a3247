"""The shapes of answers: how facts and events are shown, and what the OpenAPI file says of them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from mediation.domain import vocabulary as v
from mediation.domain.clocks import Urgency, most_urgent, urgency
from mediation.domain.commands import STEP
from mediation.domain.events import PARTS, leaf_hash
from mediation.domain.facts import (
    Agreement,
    Case,
    Claim,
    Clock,
    Document,
    Fact,
    Handoff,
    Instant,
    Leg,
    Obligation,
    Organisation,
    Party,
)
from mediation.domain.laws import Laws
from mediation.domain.lines import Line
from mediation.domain.numbers import WARNINGS

REF = "#/components/schemas/{name}"
Schema = dict[str, Any]

LABELLED: dict[type[Fact], str] = {
    Case: "state",
    Party: "side",
    Claim: "what",
    Leg: "state",
    Handoff: "link_up",
    Agreement: "state",
    Obligation: "what",
    Clock: "state",
    Document: "kind",
    Organisation: "kind",
}
"""The word of each fact that its `label_zh` and `label_en` spell out; every other code is in the glossary."""

_NUMBERS_OF_OTHERS = frozenset(
    {
        "via",
        "leg",
        "agreement",
        "to_leg",
        "from_leg",
        "handoff",
        "complaint",
        "obligor",
        "represented_by",
        "successor_of",
        "absorbed_version",
    }
)
_PERSONAL = ("name", "id_number", "phone", "address")


class _Form(NamedTuple):
    """How facts of a kind are shown: the fields that are shown though empty, and those that are left out then."""

    kept: tuple[str, ...]
    of_kept: Callable[[Fact], tuple[Any, ...]]
    some: tuple[str, ...]
    of_some: Callable[[Fact], tuple[Any, ...]]
    labelled: Callable[[Fact], Any] | None


def _form(fact: type[Fact]) -> _Form:
    fields = msgspec.structs.fields(fact)
    empty = {field.name for field in fields if field.default == ""}
    empty |= {field.name for field in fields if field.default == 0 and field.name in _NUMBERS_OF_OTHERS}
    kept = tuple(field.name for field in fields if field.name not in empty)
    some = tuple(field.name for field in fields if field.name in empty)
    word = LABELLED.get(fact)
    return _Form(kept, _values(kept), some, _values(some), attrgetter(word) if word else None)


def _values(names: tuple[str, ...]) -> Callable[[Fact], tuple[Any, ...]]:
    """What takes the values of these fields."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda fact: tuple(getattr(fact, name) for name in names)


_SHOWN: tuple[type[Fact], ...] = (Case, Organisation, *PARTS.values())
_FORMS = {fact: _form(fact) for fact in _SHOWN}


def shown(fact: Fact) -> dict[str, Any]:
    """A fact as an answer shows it: what is absent is left out, nothing else is, and its word is spelt out."""
    kept, of_kept, some, of_some, labelled = _FORMS[type(fact)]
    out = dict(zip(kept, of_kept(fact), strict=True))
    out |= {name: value for name, value in zip(some, of_some(fact), strict=True) if value}
    if isinstance(fact, Case):
        for name in PARTS:
            out[name] = [shown(part) for part in out[name]]
    if labelled is not None and isinstance(word := labelled(fact), v.Word):
        out["label_zh"], out["label_en"] = word.zh, word.en
    return out


_ACTIONS: dict[str, v.Word] = {word.value: word for kind in (v.Action, v.LogEntry) for word in kind}


class Personal(NamedTuple):
    """What an answer shows of what is personal: masked values by a party's number; why fewer people see the case.

    `erased`: whose key was destroyed, by number; 0 is the case's own text.
    """

    values: Mapping[int, Mapping[str, str]]
    erased: Collection[int]
    sensitive: Collection[v.Sensitive]


def case_shown(
    case: Case, holder_name: str, filed_by: Organisation, personal: Personal, urgent: list[Urgency]
) -> dict[str, Any]:
    """A case with its earliest due day, its number as people cite it, and what is `personal` of its parties.

    `urgent` says how urgent its clocks are, in their order.
    """
    out = shown(case) | most_urgent(urgent)._asdict()
    for clock, found in zip(out["clocks"], urgent, strict=True):
        clock["overdue"] = found.overdue
    out["holder_name"] = holder_name
    out["number_zh"] = _cited(case.number, filed_by)
    if case.due_on:
        out["due_on"] = case.due_on
    for party in out["parties"]:
        party |= {name: value for name, value in personal.values.get(party["id"], {}).items() if name in _PERSONAL}
        party["erased"] = party["id"] in personal.erased
    out |= {"text_erased": 0 in personal.erased, "restricted": bool(personal.sensitive)}
    out["sensitive"] = sorted(personal.sensitive)
    return out


_COMMITTEES = {v.OrgKind.PEOPLE_COMMITTEE, v.OrgKind.INDUSTRY_COMMITTEE, v.OrgKind.ENTERPRISE_COMMITTEE}


def _cited(number: str, filed_by: Organisation) -> str:
    """A case number as people cite it: （2026）新镇人民调解委员会人调字第12号."""
    _, year, serial = number.rsplit("-", 2)
    return f"（{year}）{filed_by.name}{'人调字' if filed_by.kind in _COMMITTEES else ''}第{int(serial)}号"


LINE = (
    *("id", "number", "version", "state", "label_zh", "label_en", "tier", "track", "holder", "holder_name", "category"),
    *("division", "channel", "risk", "request_on", "due_on", "at"),
)
"""What a worklist shows of a case."""


def case_line(line: Line, orgs: Mapping[str, Organisation], laws: Laws, at: Instant) -> dict[str, Any]:
    """A case in a worklist, as urgent as it is at an instant."""
    state, holder = line.state, orgs[line.holder].name
    values = (
        *(line.id, line.number, line.version, state, state.zh, state.en, line.tier, line.track, line.holder, holder),
        *(line.category, line.division, line.channel, line.risk, line.request_on, line.due_on, line.at),
    )
    told: dict[str, Any] = {name: value for name, value in zip(LINE, values, strict=True) if value}
    told["overdue"], told["due_soon"] = urgency(line.clocks, laws, orgs, at)
    return told


class _Named(msgspec.Struct):
    action: str
    attrs: dict[str, Any]


_NAMED = msgspec.json.Decoder(_Named)


def event_shown(data: bytes, position: int | None = None) -> msgspec.Raw:
    """An event as JSON: its canonical bytes, and behind them its leaf hash, label, warnings, and position in the feed.

    Of the bytes alone (and the position), so that an answer given again is the same to the byte.
    """
    named = _NAMED.decode(data)
    word = _ACTIONS[named.action]
    more: dict[str, Any] = {"hash": leaf_hash(data), "label_zh": word.zh, "label_en": word.en}
    if warnings := _warnings(named.attrs):
        more["warnings"] = warnings
    if position is not None:
        more["position"] = position
    return msgspec.Raw(data[:-1] + b"," + msgspec.json.encode(more)[1:])


def _warnings(attrs: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if similar := attrs.get("similar"):
        zh = "30日内同一区划有相同当事人的纠纷"
        en = "A dispute of the same parties in this division within 30 days"
        found.append({"code": "likely_duplicate", "zh": zh, "en": en, "cases": similar})
    for doubt in attrs.get("warnings", ()):
        said = WARNINGS[doubt["code"]]
        found.append({"code": said.code, "zh": said.zh, "en": said.en, "party": doubt["party"]})
    return found


def page(items: Sequence[Any], following: str | None) -> bytes:
    """A page of a list: its items and the cursor of the next page, null at the end."""
    return msgspec.json.encode({"items": items, "next": following})


# ── what the OpenAPI file says ──


def _string(description: str = "", **more: Any) -> Schema:  # noqa: ANN401  # JSON schema keywords
    return {"type": "string", **({"description": description} if description else {}), **more}


def _object(properties: Schema, *, optional: Iterable[str] = (), **more: Any) -> Schema:  # noqa: ANN401  any keyword of JSON Schema
    required = [name for name in properties if name not in set(optional)]
    return {"type": "object", "properties": properties, "required": required, **more}


def ref(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": REF.format(name=name)}


def paged(item: str) -> Schema:
    """The schema of a page of these."""
    cursor = {"type": ["string", "null"], "description": "下一页游标 cursor of the next page, null at the end"}
    return _object({"items": {"type": "array", "items": ref(item)}, "next": cursor})


def _also(schema: Schema, properties: Schema) -> Schema:
    """An object that always has these properties too."""
    whole = schema["properties"] | properties
    return schema | {"properties": whole, "required": [*schema["required"], *properties]}


def _said(description: str) -> Schema:
    return {"type": "boolean", "description": description}


_LABELS = {"label_zh": _string("中文名称"), "label_en": _string("English label")}


def _fact_schema(fact: type[Fact], generated: Schema) -> Schema:
    properties = {name: _plain(name, schema) for name, schema in generated["properties"].items()}
    optional = set(_FORMS[fact].some)
    if fact in LABELLED:
        properties |= _LABELS
    return _object(properties, optional=optional, title=fact.__name__, description=generated.get("description", ""))


def _plain(name: str, schema: Schema) -> Schema:
    """A generated property without its default (an answer leaves nothing to be guessed), days and instants marked."""
    kept = {key: value for key, value in schema.items() if key != "default"}
    if kept.get("type") == "string" and (name.endswith("_on") or name in {"on", "due_on"}):
        return kept | {"format": "date"}
    if kept.get("type") == "string" and (name.endswith("_at") or name == "at"):
        return kept | {"format": "date-time"}
    return kept


def _word_schema(word: type[v.Word]) -> Schema:
    codes = " · ".join(f"`{member.value}` {member.zh}" for member in word)
    return {"type": "string", "enum": [member.value for member in word], "title": word.__name__, "description": codes}


_REASON = _object(
    {
        "code": _string("稳定代码 stable code"),
        "detail": _string("所选语言的说明 the sentence in the language asked for"),
        "zh": _string(),
        "en": _string(),
        "basis": _string("法律依据 legal basis"),
    },
    optional=("basis",),
    description="理由 why something is refused",
)
_CAUSE = _object({"code": _string(), "zh": _string(), "en": _string(), "basis": _string()})
_PROBLEM = _object(
    {
        "type": _string("说明页 a page of these docs", format="uri-reference"),
        "title": _string(),
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": _string("稳定代码 stable code"),
        "detail": _string(),
        "reasons": {"type": "array", "items": ref("Reason")},
    },
    optional=("detail", "reasons"),
    description="RFC 9457 问题说明 a refusal",
)
_EVENT = _object(
    {
        "v": {"type": "integer"},
        "event": _string(format="uuid"),
        "case": _string(format="uuid"),
        "seq": {"type": "integer", "minimum": 1},
        "prev": _string("上一事件的叶哈希 leaf hash of the event before, or 64 zeros", pattern="^[0-9a-f]{64}$"),
        "action": ref("Action"),
        "from": ref("CaseState"),
        "to": ref("CaseState"),
        "org": _string("代表单位 for whom the actor acts"),
        "actor": _string("办理人 the person's id, or `clock`"),
        "role": _string(),
        "at": _string(format="date-time"),
        "request": _string("X-Request-Id of the step"),
        "basis": {"type": "array", "items": _string("`<rule id>@<valid from>`")},
        "attrs": {"type": "object", "additionalProperties": True, "description": "变更内容 what moved, by value"},
        "_sd_alg": _string(),
        "_sd": {
            "type": "array",
            "items": _string(),
            "description": "个人信息摘要 digests of what the vault keeps (RFC 9901)",
        },
        "hash": _string("叶哈希 leaf hash: SHA-256(0x00 ‖ canonical bytes)", pattern="^[0-9a-f]{64}$"),
        "position": {"type": "integer", "description": "总流位置 position in the feed, once it has one"},
        "warnings": {"type": "array", "items": ref("Warning")},
        **_LABELS,
    },
    optional=("_sd_alg", "_sd", "position", "warnings"),
    description="事件 one step taken; the answer to a step, and an item of a history",
)
_WARNING = _object(
    {
        "code": _string(),
        "zh": _string(),
        "en": _string(),
        "cases": {"type": "array", "items": _string(format="uuid")},
        "party": {"type": "integer", "description": "当事人编号 the party it is about"},
    },
    optional=("cases", "party"),
    description="提示 something to look at; the step was taken",
)


def components(extra: Mapping[str, Schema]) -> dict[str, Schema]:
    """Every schema of the OpenAPI file: commands, facts, words, events and problems, and those of the routes."""
    _, generated = msgspec.json.schema_components(list(_FORMS), ref_template=REF)
    out: dict[str, Schema] = {}
    for model in (STEP.json_schema(ref_template="#/components/schemas/{model}"),):
        out |= model["$defs"]
        out["Step"] = {key: value for key, value in model.items() if key != "$defs"}
    for fact in _FORMS:
        out[fact.__name__] = _fact_schema(fact, generated[fact.__name__])
    masked = {name: _string("遮蔽显示 shown masked") for name in _PERSONAL}
    out["Party"]["properties"] |= masked
    out["Party"] = _also(out["Party"], {"erased": _said("个人信息已删除 what was personal has been destroyed")})
    out["Case"]["properties"]["due_on"] = _string("最早到期日 earliest due day of a running clock", format="date")
    out["Handoff"]["properties"]["evidence"] = ref("Evidence")
    urgency: Schema = {
        "overdue": {"type": "boolean", "description": "已逾期 a running clock has run out when it is asked"},
        "due_soon": {"type": "boolean", "description": "临期 it is to be reminded of, or three days are left at most"},
    }
    out["Clock"] = _also(out["Clock"], {"overdue": urgency["overdue"]})
    out["Case"] = _also(
        out["Case"],
        urgency
        | {
            "restricted": _said("限制查阅 fewer people see it"),
            "text_erased": _said("案情文字已删除 what was said has been destroyed"),
        },
    )
    out["Case"]["properties"]["holder_name"] = _string("承办单位名称 name of the holder")
    out["Case"]["properties"]["number_zh"] = _string("案号的通行写法 the number as people cite it")
    out["Case"]["properties"]["case_code"] = _string("案件码 opens a further leg elsewhere; shown to who handles it")
    line = {name: out["Case"]["properties"][name] for name in LINE}
    optional = set(LINE) - {"id", "version", "state", "label_zh", "label_en"}
    out["CaseLine"] = _also(_object(line, optional=optional), urgency)
    out |= {word.__name__: _word_schema(word) for word in v.Word.__subclasses__() if word.__members__}
    out |= {"Reason": _REASON, "Cause": _CAUSE, "Problem": _PROBLEM, "Event": _EVENT, "Warning": _WARNING, **extra}
    return dict(sorted(out.items()))
