"""What a refusal looks like from outside: RFC 9457 problems in the caller's language; status codes are chosen here."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec
from starlette.responses import Response

from mediation.domain.errors import (
    BrokenTrail,
    Conflict,
    GuardRefused,
    KeyReused,
    Malformed,
    MediationError,
    NotFound,
    NotPermitted,
    Reason,
    Refused,
    StaleVersion,
)
from mediation.store.database import DatabaseUnreachable

Lang = Literal["zh", "en"]

VARY = "Authorization, Accept-Language, Acting-For"
MOST_REASONS = 20
UNAUTHENTICATED = 401

STATUS: dict[type[MediationError], int] = {
    MediationError: 500,
    NotFound: 404,
    NotPermitted: 403,
    Malformed: 422,
    KeyReused: 422,
    Refused: 409,
    GuardRefused: 409,
    Conflict: 409,
    StaleVersion: 412,
    BrokenTrail: 500,
    DatabaseUnreachable: 503,
}
"""The nearest class of an error's own line decides; a test walks the tree."""


class Kind(NamedTuple):
    """A kind of refusal: its status, its title in both languages, and what the caller can do about it."""

    status: int
    zh: str
    en: str
    help_zh: str
    help_en: str


COUNTER: dict[str, Kind] = {
    "not_recognised": Kind(
        401, "未认证", "Not authenticated",
        "请在 Authorization 头中携带有效的 Bearer 令牌。", "Send a valid token as `Authorization: Bearer …`.",
    ),
    "insufficient_scope": Kind(
        403, "令牌的范围不含此操作", "The token's scope does not include this",
        "令牌以 scope 限定了用途；请以含 mediation:read（读）或 mediation:write（写）的令牌重试。",
        "The token is narrowed by its scope; take one with `mediation:read` to read, `mediation:write` to write.",
    ),
    "second_factor_required": Kind(
        403, "须双因素认证", "A second factor is required",
        "管理权限和不可撤销的操作须以两种因素登录：请在身份提供方再次验证后以新令牌重试。",
        "To administer, and for what cannot be undone, sign in with a second factor and take a new token.",
    ),
    "too_many_requests": Kind(
        429, "请求过于频繁", "Too many requests",
        "请等待 Retry-After 所示秒数后重试。", "Wait as many seconds as Retry-After says.",
    ),
    "too_large": Kind(
        413, "请求体过大", "Body too large",
        "请求体不得超过 1 MiB；文件本身不经本接口传送，只登记其 SHA-256 与存放位置。",
        "A body may have 1 MiB; files do not travel here, only their SHA-256 and where they are stored.",
    ),
    "unsupported_media_type": Kind(
        415, "不支持的内容类型", "Unsupported media type",
        "请以 application/json（UTF-8，不压缩）发送。", "Send application/json, UTF-8, not compressed.",
    ),
    "undecodable": Kind(
        400, "请求体不是有效的 JSON", "The body is not JSON",
        "请检查 JSON 语法与 UTF-8 编码。", "Check the JSON syntax and that it is UTF-8.",
    ),
    "precondition_required": Kind(
        428, "须带 If-Match", "If-Match is required",
        "先读取案件，把 ETag 原样放入 If-Match。", "Read the case first and send its ETag as If-Match.",
    ),
    "bad_if_match": Kind(
        400, "If-Match 无效", "If-Match is not usable",
        'If-Match 须为一个强标签，如 "7"；不接受 *、弱标签和列表。',
        'If-Match must be one strong tag such as "7"; neither *, nor weak tags, nor lists.',
    ),
    "bad_idempotency_key": Kind(
        400, "缺少幂等键或格式不符", "Idempotency-Key is missing or malformed",
        "每次办理生成一个新的 Idempotency-Key：8 至 64 位字母、数字、_ 或 -；重试时沿用。",
        "Make a new Idempotency-Key for every step: 8 to 64 of A-Z a-z 0-9 _ -; repeat it when you retry.",
    ),
    "bad_acting_for": Kind(
        400, "Acting-For 无效", "Acting-For is not usable",
        "Acting-For 须为所在单位的 UUID。", "Acting-For is the UUID of an organisation you belong to.",
    ),
    "organisation_required": Kind(
        400, "须指明代表哪个单位", "Say for which organisation you act",
        "您在多个单位任职，请以 Acting-For 头指明。", "You belong to several organisations: name one in Acting-For.",
    ),
    "bad_sandbox_at": Kind(
        400, "X-Sandbox-At 无效或未启用", "X-Sandbox-At is not usable here",
        "仅当服务在本机回环地址上以 MEDIATION_SANDBOX_CLOCK 启动时，才可用该头指定时刻（RFC 3339）。",
        "Only a service on loopback started with MEDIATION_SANDBOX_CLOCK takes an instant (RFC 3339) in this header.",
    ),
    "method_not_allowed": Kind(
        405, "不支持该方法", "Method not allowed",
        "Allow 头列出可用的方法。", "The Allow header lists the methods there are.",
    ),
    "not_yet_logged": Kind(
        409, "尚未写入签名日志", "Not in the signed log yet",
        "该事件几秒内写入签名日志并随检查点公布：请稍后重试；若一直如此，是见证方未应答或日志停止了签名，请联系运行者。",
        (
            "In a few seconds the event is in the signed log and under a published checkpoint: ask again then. If it "
            "is not, witnesses do not answer or nothing is signed: tell the operator."
        ),
    ),
    "unavailable": Kind(
        503, "服务暂不可用", "Temporarily unavailable",
        "数据库暂时无法连接，请等待 Retry-After 所示秒数后以相同的幂等键重试。",
        "The database cannot be reached; retry after Retry-After seconds with the same Idempotency-Key.",
    ),
    "bad_ledger": Kind(
        503, "删除台账不可用", "The ledger of erasures cannot be used",
        "没有删除台账就不删除任何内容，本次未删除。请等待 Retry-After 所示秒数后重试；"
        "仍不行的，请把 X-Request-Id 告知管理员。",
        "Without its ledger nothing is erased, nor was it now. Retry after Retry-After seconds; if it lasts, tell the "
        "operator the X-Request-Id.",
    ),
    "internal": Kind(
        500, "内部错误", "Internal error",
        "这是本服务的缺陷，请把 X-Request-Id 告知管理员。",
        "A fault of ours: please tell the operator the X-Request-Id.",
    ),
}  # fmt: skip
"""Refusals of the counter itself, before any case is looked at."""

HELP: dict[str, tuple[str, str]] = {
    "not_found": (
        "不存在，或者不在您可见的范围内；两者的答复完全相同。",
        "It does not exist, or is not yours to see: both answer alike.",
    ),
    "not_permitted": (
        "您看得到该案，但不能办理这一步。GET …/actions 列出您可办理的事项。",
        "You may read the case but not take this step. GET …/actions lists what you may do.",
    ),
    "malformed": (
        "reasons 逐项说明哪个字段有误。未知字段一律拒绝。",
        "`reasons` names each field that is wrong. Unknown fields are refused.",
    ),
    "key_reused": (
        "同一 Idempotency-Key 只能用于同一请求；新的办理请用新的键。",
        "One Idempotency-Key is for one request; take a new key for a new step.",
    ),
    "refused": ("reasons 列明依据的规则。", "`reasons` cites the rules."),
    "action_unavailable": (
        "该案当前状态下没有这一步。GET …/actions 列出现在能办理的事项，GET /v1/process 是完整流程。",
        "There is no such step from this state. GET …/actions lists what can be done now, GET /v1/process all.",
    ),
    "guard_refused": (
        "reasons 列出未满足的每一项条件及其法律依据。",
        "`reasons` lists every condition that is not met, with its legal basis.",
    ),
    "conflict": ("他人已先行办理，请重新读取案件。", "Somebody else was first: read the case again."),
    "stale_version": (
        "案件在您读取之后已有新的办理记录。请重新读取并以新的 ETag 重试。",
        "The case has moved on since you read it. Read it again and retry with its new ETag.",
    ),
    "key_in_flight": (
        "相同幂等键的请求正在处理，请稍后以相同的键重试。",
        "A request with the same key is being answered: retry shortly with the same key.",
    ),
}


class TurnedAway(MediationError):
    """Refused at the counter: `code` is one of COUNTER."""

    def __init__(self, code: str, *, zh: str = "", en: str = "", headers: Mapping[str, str] | None = None) -> None:
        kind = COUNTER[code]
        self.code = code
        self.headers = dict(headers or {})
        super().__init__(zh=zh or kind.help_zh, en=en or kind.help_en)


def beyond_scope(needs: str) -> TurnedAway:
    """Refuse a token that is narrowed by its scope to less than this (RFC 6750 §3.1), and name what it lacks."""
    return TurnedAway(
        "insufficient_scope",
        zh=f"令牌以 scope 限定了用途，其中须含 {needs}。",
        en=f"The token is narrowed by its scope, which must include `{needs}`.",
        headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
    )


def family(root: type[MediationError] = MediationError) -> Iterator[type[MediationError]]:
    """Every class of the tree, the root first."""
    yield root
    for child in root.__subclasses__():
        yield from family(child)


def status_of(error: MediationError) -> int:
    """The status of an error: the nearest entry of its line in STATUS; the counter's own are in COUNTER."""
    if error.code in COUNTER:
        return COUNTER[error.code].status
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def titles(code: str) -> tuple[str, str]:
    """The title of a code in Chinese and English."""
    if code in COUNTER:
        return COUNTER[code].zh, COUNTER[code].en
    kind = next((kind for kind in family() if kind.code == code), MediationError)
    return kind.zh, kind.en


@lru_cache(maxsize=256)
def language(accept: str) -> Lang:
    """`zh` or `en`, whichever an Accept-Language header prefers (RFC 9110 §12.5.4); `zh` when it says neither."""
    best: tuple[float, Lang] = (0.0, "zh")
    for part in accept.split(","):
        tag, _, parameter = part.strip().partition(";")
        name = tag.strip().lower().split("-")[0]
        try:
            quality = float(parameter.strip().removeprefix("q=")) if parameter.strip() else 1.0
        except ValueError:
            continue
        if name in {"zh", "*"} and quality > best[0]:
            best = (quality, "zh")
        elif name == "en" and quality > best[0]:
            best = (quality, "en")
    return best[1]


def problem(
    code: str,
    status: int,
    lang: Lang,
    *,
    detail: str = "",
    reasons: Sequence[Reason] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An `application/problem+json` answer. Pure, so that equal refusals are equal bytes."""
    zh, en = titles(code)
    body: dict[str, Any] = {
        "type": f"/problems/{code}",
        "title": zh if lang == "zh" else en,
        "status": status,
        "code": code,
    }
    if detail:
        body["detail"] = detail
    if reasons:
        body["reasons"] = [_reason(reason, lang) for reason in reasons[:MOST_REASONS]]
    shown = {
        "Cache-Control": "no-store",
        "Vary": VARY,
        "Content-Language": "zh-CN" if lang == "zh" else "en",
        **(headers or {}),
    }
    return Response(msgspec.json.encode(body), status, shown, media_type="application/problem+json")


def _reason(reason: Reason, lang: Lang) -> dict[str, str]:
    shown = {"code": reason.code, "detail": reason.zh if lang == "zh" else reason.en, "zh": reason.zh, "en": reason.en}
    return shown | ({"basis": reason.basis} if reason.basis else {})


def refusal(error: MediationError, lang: Lang) -> Response:
    """The answer to an error of the tree. A stranger is told nothing, nor is anybody what was our fault."""
    status = status_of(error)
    if status >= STATUS[MediationError] and error.code not in COUNTER:
        return problem(
            "internal",
            status,
            lang,
            detail=COUNTER["internal"].help_zh if lang == "zh" else COUNTER["internal"].help_en,
        )
    headers = error.headers if isinstance(error, TurnedAway) else {}
    if status == UNAUTHENTICATED:
        return problem(error.code, status, lang, headers={"WWW-Authenticate": "Bearer"})
    return problem(error.code, status, lang, detail=error.message(lang), reasons=error.reasons, headers=headers)


_FAULTS_ZH = {
    "missing": "缺少必填项",
    "extra_forbidden": "未知字段",
    "enum": "不是允许的取值，须为：{expected}",
    "literal_error": "不是允许的取值，须为：{expected}",
    "union_tag_invalid": "未知的 action，须为：{expected_tags}",
    "union_tag_not_found": "缺少 action",
    "string_type": "须为字符串",
    "string_too_short": "过短或为空，至少 {min_length} 个字符",
    "string_too_long": "过长，不得超过 {max_length} 个字符",
    "string_pattern_mismatch": "格式不符，须匹配 {pattern}",
    "int_type": "须为整数",
    "int_parsing": "须为整数",
    "int_from_float": "须为整数",
    "greater_than_equal": "不得小于 {ge}",
    "less_than_equal": "不得大于 {le}",
    "bool_type": "须为 true 或 false",
    "bool_parsing": "须为 true 或 false",
    "date_from_datetime_parsing": "须为日期（YYYY-MM-DD）",
    "date_parsing": "须为日期（YYYY-MM-DD）",
    "date_type": "须为日期（YYYY-MM-DD）",
    "datetime_parsing": "须为带时区的时刻（RFC 3339）",
    "datetime_from_date_parsing": "须为带时区的时刻（RFC 3339）",
    "datetime_object_invalid": "须为带时区的时刻（RFC 3339）",
    "datetime_type": "须为带时区的时刻（RFC 3339）",
    "timezone_aware": "须带时区（RFC 3339）",
    "uuid_parsing": "须为 UUID",
    "uuid_type": "须为 UUID",
    "list_type": "须为数组",
    "too_long": "不得超过 {max_length} 项",
    "too_short": "至少 {min_length} 项",
    "model_type": "须为对象",
    "model_attributes_type": "须为对象",
    "dict_type": "须为对象",
}
_QUOTED = re.compile(r"'([^']*)'")
_TWO_LANGUAGES = re.compile(r"(?P<zh>.*[\u4e00-\u9fff][^a-z]*?)\s+(?P<en>[a-z].*)", re.DOTALL)


def faults(errors: Iterable[Mapping[str, Any]]) -> Malformed:
    """A validation's errors as one Malformed: a reason per field, naming where and what, never repeating the value."""
    reasons = []
    for fault in errors:
        where = ".".join(str(step) for step in fault["loc"])
        zh, en = _said(fault)
        prefix = f"{where}: " if where else ""
        reasons.append(Reason(fault["type"], f"{prefix}{zh}", f"{prefix}{en}"))
    return Malformed(*reasons)


def _said(fault: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong, in Chinese and English: both name what is allowed."""
    en = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return _parted(en)
    allowed = {
        name: "、".join(_QUOTED.findall(value)) if name.startswith("expected") else value
        for name, value in fault.get("ctx", {}).items()
    }
    if fault["type"] == "union_tag_invalid":  # Pydantic's own sentence repeats what was sent
        en = f"Unknown action; it is one of {fault['ctx']['expected_tags']}"
    return _FAULTS_ZH.get(fault["type"], "内容不符合要求").format_map(allowed), en


def _parted(said: str) -> tuple[str, str]:
    """`中文 english` of our own commands as two sentences; a list behind a colon belongs to both."""
    found = _TWO_LANGUAGES.fullmatch(said)
    if not found:
        return said, said
    named = found["en"].partition(": ")[2]
    return found["zh"] + (f"：{named}" if named else ""), found["en"]
