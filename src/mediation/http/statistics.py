"""The statistics of a body and those below it in a year: each rate as a count and what it is a count of."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from mediation.domain import access
from mediation.domain.calendar import day_of
from mediation.domain.errors import NotPermitted, Reason
from mediation.domain.tallying import ENDED, median
from mediation.domain.vocabulary import Category, Outcome, Power, Standing, Tallied
from mediation.http.contract import ACTING, ACTING_FOR, EVERY, LANGUAGE, answer, refusals
from mediation.http.dependencies import desk, json_answer, now, once, viewing
from mediation.http.schemas import Schema, ref, shown
from mediation.store import figures
from mediation.store.figures import Figures

routes = APIRouter(tags=["oversight"])

_TIMED = (Tallied.SETTLED, Tallied.ENDED)
_PLAIN = ("cases", "received", "accepted", "agreed", "failed", "fell_through", "late", "open")
_EXAMPLE = {
    **dict(zip(_PLAIN, (12, 20, 18, 13, 3, 1, 2, 4), strict=True)),
    "merged": 1,
    "overdue": 1,
    "settled": {"count": 12, "of": 16, "median_days": 9},
    "ended": {"count": 16, "median_days": 11},
    "outcomes": [
        {"outcome": "settled", "label_zh": "达成协议", "label_en": "settled", "count": 11},
        {"outcome": "handed_off", "label_zh": "已移交", "label_en": "handed off", "count": 4},
        {"outcome": "reported", "label_zh": "已反馈", "label_en": "reported", "count": 1},
    ],
}


class Asked(BaseModel):
    """Of which body, and which year."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    year: Annotated[
        int | None, Field(ge=2000, le=2999, description="年度，按上海时间；缺省为今年 a year in Shanghai; or this one")
    ] = None
    org: Annotated[
        UUID | None, Field(description="何单位及其下属；缺省为本单位 a body and those below it; or one's own")
    ] = None


@routes.get(
    "/v1/statistics",
    operation_id="show_statistics",
    responses={
        200: answer("一年的统计 a year in figures", ref("Statistics")),
        **refusals(*EVERY, *ACTING, "not_found"),
    },
    openapi_extra={"parameters": [ACTING_FOR, LANGUAGE]},
)
async def show_statistics(request: Request, wanted: Annotated[Asked, InQuery()]) -> Response:
    """单位及其下属一年的收案、受理、结案、用时与超期，分单位、分类型。A year of a body and those below."""
    once(request)
    viewer = await viewing(request)
    if not access.permitted(Power.STATISTICS, viewer.actor, frozenset({Standing.SUBTREE, Standing.AUDIT})):
        held = access.roles_held(viewer.actor)
        raise NotPermitted(
            Reason(
                "no_part_in_cases",
                f"您在本单位的角色（{held[0]}）不能{Power.STATISTICS.zh}",
                f"Your roles here ({held[1]}) do not let you {Power.STATISTICS.en}",
            )
        )
    at = now(request)
    year = wanted.year or day_of(at).year
    org = str(wanted.org or viewer.org.id)
    found = await figures.statistics(desk(request).house.memory, viewer, org, year, at)
    body = {
        "year": year,
        "at": at,
        "organisation": shown(found.body),
        "total": _figures(found.total),
        "organisations": [{"organisation": shown(one), "figures": _figures(some)} for one, some in found.branches],
        "types": [{"category": one, **_labels(Category(one)), "figures": _figures(some)} for one, some in found.types],
    }
    return json_answer(msgspec.json.encode(body))


def _labels(word: Category | Outcome) -> dict[str, str]:
    return {"label_zh": word.zh, "label_en": word.en}


def _figures(found: Figures) -> dict[str, Any]:
    counts = found.counts
    settled, ended = ({"count": counts[what], "median_days": median(found.days.get(what, ()))} for what in _TIMED)
    return {
        **{name: counts[name] for name in _PLAIN},
        "merged": counts[f"{ENDED}{Outcome.MERGED}"],
        "overdue": found.overdue,
        "settled": settled | {"of": counts[Tallied.ENDED]},
        "ended": ended,
        "outcomes": [
            {"outcome": word.value, **_labels(word), "count": many}
            for word in Outcome
            if word is not Outcome.MERGED and (many := counts[f"{ENDED}{word}"])
        ],
    }


def _object(properties: Mapping[str, Any]) -> Schema:
    return {"type": "object", "properties": dict(properties), "required": list(properties)}


def _list(zh: str, en: str, **properties: Any) -> Schema:  # noqa: ANN401  # schemas
    return {"type": "array", "description": f"{zh} {en}", "items": _object(properties)}


def _count(zh: str, en: str) -> Schema:
    return {"type": "integer", "minimum": 0, "description": f"{zh} {en}"}


_DAYS: Schema = {
    "type": ["integer", "null"],
    "minimum": 0,
    "description": "自登记起日历日的中位数；没有则为 null median calendar days since it was opened; null of none",
}
_TIME: Schema = {"count": _count("个数", "how many"), "median_days": _DAYS}
_WORDS: Schema = {"label_zh": {"type": "string"}, "label_en": {"type": "string"}}
SCHEMAS: dict[str, Schema] = {
    "Statistics": _object(
        {
            "year": {"type": "integer"},
            "at": {"type": "string", "format": "date-time", "description": "未结、超期的时刻 of what is overdue"},
            "organisation": ref("Organisation"),
            "total": ref("Figures"),
            "organisations": _list(
                "本单位自身，及每个直接下级连同其下属；没有下级则为空",
                "the body itself and each right below with all below that; empty where none is",
                organisation=ref("Organisation"),
                figures=ref("Figures"),
            ),
            "types": _list(
                "有数的类型", "those of which there is any", category=ref("Category"), **_WORDS, figures=ref("Figures")
            ),
        }
    ),
    "Figures": _object(
        {
            **{name: _count(Tallied(name).zh, Tallied(name).en) for name in _PLAIN},
            "merged": _count("并案，不计入收案与结束", "legs merged away, among neither received nor ended"),
            "overdue": _count("现有超期未结案件", "open cases that are overdue now"),
            "settled": _object(_TIME | {"of": _count("已结束的程序段", "of so many legs that ended")}),
            "ended": _object(_TIME),
            "outcomes": _list(
                "各种结果，合计为结束数",
                "each outcome there was",
                outcome=ref("Outcome"),
                **_WORDS,
                count=_TIME["count"],
            ),
        }
    )
    | {"example": _EXAMPLE},
}
