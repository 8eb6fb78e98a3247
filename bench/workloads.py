"""The workloads as data: which calls each makes, from which deck of rows, which answers are right, and why it is so.

A call is what `load.py` sends: text with holes that a row of its deck fills. Another service is measured by the same
harness with other calls. Two kinds of step are measured. `note`, a plain one, has one guard to ask and changes nothing
but the end of the history. `convene`, a session of mediation, is the one that mediators take most often, can be taken
again and again, and rests on the most facts: who consented (G4), whose recusal (G7), no hand-off (G12), which mediator
is assigned, which clocks run on, and what the contact with the parties means to them.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

_AUTH = {"Authorization": "Bearer {{token}}"}
_JSON = _AUTH | {"Content-Type": "application/json"}
_KEYED = _JSON | {"Idempotency-Key": "{{key}}"}


class Workload(NamedTuple):
    """Calls with their weights; `clients` where it has so many and no others; `streams` where lines are counted."""

    name: str
    zh: str
    en: str
    calls: tuple[Mapping[str, Any], ...]
    clients: int | None = None
    streams: bool = False

    @property
    def decks(self) -> frozenset[str]:
        return frozenset(call["deck"] for call in self.calls)

    @property
    def writes(self) -> bool:
        """Whether a statement of it names a version or a new case, so that it cannot be sent twice as it is."""
        return any(call.get("moves") or call["deck"] == "filings" for call in self.calls)


def _get(deck: str, path: str, *, accept: str = "application/json", **more: object) -> dict[str, Any]:
    return {
        "method": "GET", "deck": deck, "path": path, "headers": _AUTH | {"Accept": accept}, "right": [200], **more,
    }  # fmt: skip


def _step(deck: str, body: str) -> dict[str, Any]:
    headers = _KEYED | {"If-Match": '"{{version}}"'}
    return {
        "method": "POST", "deck": deck, "path": "/v1/cases/{{case}}/events", "headers": headers, "body": body,
        "right": [201], "moves": True,
    }  # fmt: skip


_FILE = {
    "method": "POST", "deck": "filings", "path": "/v1/cases", "headers": _KEYED, "body": "{{body}}", "right": [201],
}  # fmt: skip
_NOTE = _step("open", '{"action":"note","kind":"fact"}')
_CONVENE = _step("mediating", '{"action":"convene"}')
_READ = _get("cases", "/v1/cases/{{case}}")
_LIST = "/v1/cases?state={{state}}&sort=due&limit={{limit}}"
_SEARCH = "/v1/cases?q={{word}}&limit=50"
_LOOKUP = {
    "method": "POST", "deck": "people", "path": "/v1/persons/search", "headers": _JSON, "right": [200],
    "body": '{"id_number":"{{number}}","purpose":"duplicate"}',
}  # fmt: skip
_FEED = _get("feed", "/v1/events?after={{after}}", accept="application/x-ndjson", streams=True)

WORKLOADS = {
    one.name: one
    for one in (
        Workload("file", "登记", "file a dispute", (_FILE,)),
        Workload("step", "记录一步", "a plain step (note)", (_NOTE,)),
        Workload("convene", "组织调解", "a guarded step (convene)", (_CONVENE,)),
        Workload("read", "读案", "read a case", (_READ,)),
        Workload("history", "案件历史", "history of ten events", (_get("tens", "/v1/cases/{{case}}/events"),)),
        Workload("actions", "可办事项", "what may be done", (_get("cases", "/v1/cases/{{case}}/actions"),)),
        Workload("worklist", "工作清单", "worklist, first page", (_get("lists", _LIST),)),
        Workload("deep", "深页", "worklist, a deep page", (_get("deep", _LIST + "&cursor={{cursor}}"),)),
        Workload("search", "案情检索", "search in Chinese", (_get("words", _SEARCH),)),
        Workload("common", "常用词检索", "search that fills a page", (_get("common", _SEARCH),)),
        Workload("lookup", "按证号查人", "look up a person", (_LOOKUP,)),
        Workload("statistics", "年度统计", "statistics of a year", (_get("years", "/v1/statistics?year={{year}}"),)),
        Workload("feed", "总流", "the auditors' feed", (_FEED,), clients=1, streams=True),
        Workload(
            "mixed",
            "混合",
            "70 % read, 20 % step, 10 % file",
            (_READ | {"weight": 70}, _NOTE | {"weight": 20}, _FILE | {"weight": 10}),
        ),
    )
}


def plan(workload: Workload, decks: Mapping[str, list[dict[str, Any]]], **how: object) -> dict[str, Any]:
    """A plan for `load.py`: `how` names url, clients, warm_s, seconds and what else there may be."""
    return {**how, "calls": list(workload.calls), "decks": {name: decks[name] for name in workload.decks}}
