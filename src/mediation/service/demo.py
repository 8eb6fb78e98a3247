"""The demo: one dispute of the county, told step by step through the API, and its history read back and verified."""

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from io import BytesIO
from time import monotonic, sleep
from typing import Any, NamedTuple
from uuid import uuid4

from mediation.domain.calendar import SHANGHAI, WorkCalendar
from mediation.domain.errors import BrokenTrail, MediationError, Reason
from mediation.domain.events import NO_HASH, evolve, parse
from mediation.domain.facts import Case, Instant, Organisation
from mediation.domain.notes import parse_verifier_key
from mediation.gateway.client import Answer, Client
from mediation.service.findings import Trust
from mediation.service.lawbook import load_laws
from mediation.service.naiman import county
from mediation.service.naiman.county import person_code
from mediation.service.proofreading import verify_bundle
from mediation.service.registry import org_id, person_id

AUDITOR = f"{county.COUNTY}-audit_office-auditor-1"
CALLERS = (
    "150525103201-mediator-1",
    "150525103-chair-1",
    f"{county.COUNTY}-county_centre-coordinator-1",
    f"{county.COUNTY}-court-judge-1",
    AUDITOR,
)
"""People to try the API as: village mediator, township chair, county centre, judge, auditor."""

_MINUTES_APART = 7
_PLAN_DAYS = 25
_PAGE = 200
_LOGGED_S = 20.0


class StoryBroken(MediationError):
    """The API answered otherwise than the story goes."""

    code = "story_broken"


class Chapter(NamedTuple):
    """A heading of the story."""

    zh: str
    en: str


class Scene(NamedTuple):
    """A step as it was taken or refused: when, by whom, what is told of it, and what the API answered.

    `before` and `after` are states of the case, empty when refused; `reasons` say why it was refused.
    """

    at: datetime
    body: Organisation
    person: str
    role: str
    action: str
    zh: str
    en: str
    status: int
    before: str
    after: str
    basis: tuple[str, ...]
    reasons: tuple[Reason, ...]
    make_believe: bool
    repeated: bool


class Story:
    """Tells the story; afterwards `case_id` names its case."""

    def __init__(self, client: Client, ended_on: date) -> None:
        """`ended_on`: the day by which it is over; it begins four months earlier."""
        self._client = client
        self._calendar: WorkCalendar = load_laws().calendar
        while not self._calendar.is_working(ended_on):
            ended_on -= timedelta(days=1)
        self._told: dict[str, Any] = tomllib.loads((files("mediation") / "data/story.toml").read_text("utf-8"))
        self._opened_on = ended_on - timedelta(days=self._told["last_day"])
        self._names = {row["person_code"]: row["name"] for row in county.people()}
        self._steps = 0
        self.title, self.title_en = str(self._told["title"]), str(self._told["title_en"])
        self.case_id, self.version = "", 0

    def tell(self) -> Iterator[Chapter | Scene]:
        """Every chapter and scene, each after it has happened. Raises: StoryBroken, ApiUnreachable."""
        day = 0
        for chapter in self._told["chapters"]:
            yield Chapter(chapter["zh"], chapter["en"])
            for line in chapter["steps"]:
                day = line.get("day", day)
                self._steps += 1
                yield self._scene(line, day)

    def _scene(self, line: Mapping[str, Any], day: int) -> Scene:
        name, _, role = line["who"].partition(".")
        org = self._told["bodies"][name]
        code = person_code(org, role)
        at = self._moment(line.get("as_if", day))
        instant = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        answer = self._asked(line, self._command(line, day, org), person_id(code), instant)
        self._compare(line, answer)
        found = answer.body
        if answer.granted:
            self.case_id, self.version = found["case"], answer.version
        reasons = tuple(Reason(r["code"], r["zh"], r["en"], r.get("basis", "")) for r in found.get("reasons", ()))
        if not (answer.granted or reasons):
            reasons = (Reason(found["code"], found["title"], found["code"].replace("_", " ")),)
        return Scene(
            at, county.bodies()[org_id(org)], self._names[code], role, line["do"], line["zh"], line["en"],
            answer.status, found.get("from", ""), found.get("to", ""), tuple(found.get("basis", ())), reasons,
            make_believe="as_if" in line, repeated=bool(line.get("again")),
        )  # fmt: skip

    def _asked(self, line: Mapping[str, Any], body: dict[str, Any], person: str, at: Instant) -> Answer:
        key = uuid4().hex
        if not self.case_id:
            return self._client.file(person, body, at, key)
        case = (self.case_id, self.version - bool(line.get("stale")))
        answer = self._client.take(person, case, body, at, key)
        if line.get("again") and self._client.take(person, case, body, at, key) != answer:
            raise StoryBroken(
                zh="同一幂等键发送两次，答复不同", en="One key sent twice was answered in two ways"
            )  # fmt: skip
        return answer

    def _compare(self, line: Mapping[str, Any], answer: Answer) -> None:
        wanted = set(line.get("refused", "").split())
        said = {reason["code"] for reason in answer.body.get("reasons", ())} | {answer.body.get("code", "")}
        if answer.granted == bool(wanted) or not wanted <= said:
            got = f"{answer.status} {' '.join(sorted(said))}"
            raise StoryBroken(
                zh=f"“{line['zh']}”：接口答复 {got}，与故事不符",
                en=f"“{line['en']}”: the API answered {got}, which is not how the story goes",
            )

    def _moment(self, day: int) -> datetime:
        """A working day, nine o'clock and some minutes for every step before."""
        on = self._calendar.roll(self._opened_on + timedelta(days=day))
        return datetime.combine(on, time(9), SHANGHAI) + timedelta(minutes=_MINUTES_APART * self._steps)

    def _command(self, line: Mapping[str, Any], day: int, org: str) -> dict[str, Any]:
        """The JSON body of a step, its short forms spelt out."""
        body: dict[str, Any] = {"action": line["do"]}
        for name, value in line.get("with", {}).items():
            if name == "papers":
                body["documents"] = [self._paper(kind) for kind in value.split()]
            elif name in {"plan", "prepare"}:
                leader, handler = (person_id(person_code(org, role)) for role in value)
                due_on = self._on(day + _PLAN_DAYS)
                words = "先听各方说，再到地头看，按农技员的估产商量数额，最后商定水沟怎么恢复"
                body[name] = {"leader": leader, "handler": handler, "plan": words, "due_on": due_on}
            elif name == "obligations" and line["do"] == "settle":
                body[name] = [
                    {"obligor": by, "due_on": self._on(due), "what": what, "amount_fen": fen, "text": words}
                    for by, due, what, fen, words in value
                ]
            elif name == "to":
                body["to_org"] = org_id(self._told["bodies"][value])
            else:
                body[name] = value
        return body | (self._told["dispute"] if line["do"] == "file" else {})

    def _on(self, day: int) -> str:
        return (self._opened_on + timedelta(days=day)).isoformat()

    def _paper(self, kind: str) -> dict[str, str]:
        ref = f"papers/story/{self._steps:02}/{kind}"
        return {"kind": kind, "sha256": hashlib.sha256(ref.encode()).hexdigest(), "ref": ref}


def verified(lines: bytes) -> Case:
    """The case that the published bytes of a history make, after checking chain and fold. Raises: BrokenTrail.

    The chain is computed from the bytes alone, as a stranger would: each event names the SHA-256 of the one before,
    with a zero byte in front (RFC 6962).
    """
    case: Case | None = None
    before = NO_HASH
    for number, data in enumerate(lines.splitlines(), 1):
        event = json.loads(data)
        if (event["seq"], event["prev"]) != (number, before):
            raise BrokenTrail(Reason("chain", f"第{number}号事件断链", f"The chain breaks at event {number}"))
        before = hashlib.sha256(b"\x00" + data).hexdigest()
        case = evolve(case, parse(data))
    if case is None or case.head != before:
        raise BrokenTrail(Reason("chain", "历史为空或折叠不符", "The history is empty, or folds otherwise"))
    return case


def proven(client: Client, auditor: str, case_id: str) -> tuple[int, int]:
    """Verify the bundle of a case as a stranger would: the leaves of the signed tree, and the events of the case.

    Raises: BrokenTrail.
    """
    keys = client.get(auditor, "/v1/log/vkey").data.decode().split()
    path, deadline = f"/v1/cases/{case_id}/bundle", monotonic() + _LOGGED_S
    while not (bundle := client.get(auditor, path)).granted and monotonic() < deadline:
        sleep(0.1)  # the last step has not its place in the log yet
    read = verify_bundle(BytesIO(bundle.data), Trust(tuple(map(parse_verifier_key, keys))))
    if not read.sound:
        raise BrokenTrail(*(failure.reason for failure in read.failures))
    return read.size, read.entries


class Census(NamedTuple):
    """How many cases there are in each state on each tier, and of each category, as the auditor sees them."""

    states: Counter[tuple[str, str]]
    categories: Counter[str]


def census(client: Client) -> Census:
    """Count the worklist of the auditor, page by page."""
    found = Census(Counter(), Counter())
    cursor: dict[str, str | int] = {}
    while True:
        page = client.get(person_id(AUDITOR), "/v1/cases", limit=_PAGE, **cursor).body
        found.states.update((case["state"], case["tier"]) for case in page["items"])
        found.categories.update(case["category"] for case in page["items"])
        if not page.get("next"):
            return found
        cursor = {"cursor": page["next"]}
