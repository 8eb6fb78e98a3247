"""The teller of the stories: reads a table of them, makes each step's command, and compares what came of it."""

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.stories.cast import BODIES

from mediation.domain.events import Event
from mediation.domain.facts import Agreement, Case, Clock, Handoff, Leg
from mediation.domain.vocabulary import ClockState

SHANGHAI = ZoneInfo("Asia/Shanghai")
OPENED_ON = date(2026, 3, 2)
SHA256 = hashlib.sha256(b"a paper of the file").hexdigest()
DATES = {"occurred_on", "request_on", "effective_on", "held_on", "follow_up_on", "on", "answer_by", "report_by"}
OF_THE_PAGE = {
    *("PM-MED", "SFQR-APP", "SFQR-ACC", "SFQR-DEC", "SFQR-ENF", "CT-REG", "CT-TRIAL", "TY-WP", "TY-WT-P"),
    *("ZA-CASE", "ZA-1", "ZA-2", "XFANG-REG", "XFANG-END", "XFANG-FC", "XFANG-FH", "LD-MED", "LD-ARB-ACC", "LD-ARB"),
    *("MED-PM", "MED-AD-ACC", "DL-MED", "XF-ACC", "XF-MED", "XS-REVIEW", "performance", "tracking"),
}
"""The clocks that the page of walks names; those it does not (first contact, sessions in court) run beside."""
SWEEP = "sweep"
"""What the clock does in a story of the procedures: all that its rules ask for at that instant, by itself."""
GOING = {ClockState.RUNNING, ClockState.STANDING}


@dataclass(frozen=True)
class Step:
    """A line of a table; of states the one before and the one after, empty where none is expected.

    `cites` must stand in the basis of the refusal. `due`: the day (of an hour rule the minute) by the rule version of a
    running clock. `took`: the steps that a sweep of the clock takes. `whole`: no clock starts but those named.
    """

    number: int
    case: str
    day: int
    who: str
    action: str
    leg: int
    leg_states: tuple[str, str]
    case_states: tuple[str, str]
    refused: str
    cites: str
    clocks: tuple[str, ...]
    due: Mapping[str, str]
    took: tuple[str, ...]
    moves: tuple[str, ...]
    fields: Mapping[str, Any]
    whole: bool

    def __str__(self) -> str:
        return f"step {self.number} ({self.who}: {self.action})"


@dataclass(frozen=True)
class Walk:
    """A story: its steps in order, and the state each of its cases ends in.

    One of the procedures names the version it is `about` (a regional one with its division) and what it `shows`.
    """

    number: int
    title: str
    about: str
    shows: str
    division: str
    category: str
    opened_on: date
    claims: tuple[Mapping[str, Any], ...]
    ends: Mapping[str, str]
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return f"{self.about} {self.shows}" if self.about else f"walk {self.number}"

    def instant(self, step: Step) -> str:
        """When the step is taken: nine o'clock of its day in Shanghai and a minute for every step before."""
        morning = datetime.combine(self.opened_on, time(9), SHANGHAI)
        at = morning + timedelta(days=step.day, minutes=step.number)
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Scene:
    """What a command may name: ids of the cast, the cases of the story so far, their codes."""

    ident: Callable[[str], str]
    cases: dict[str, Case] = field(default_factory=dict)
    code: Callable[[Case], str] = lambda case: case.id

    def resolve(self, value: object) -> object:
        """`@name` → what it names; lists within."""
        if isinstance(value, list):
            return [self.resolve(one) for one in value]
        if not isinstance(value, str) or not value.startswith("@"):
            return value
        name, _, which = value[1:].partition(":")
        if name == "case":
            return self.cases[which].id
        if name == "version":
            return self.cases[which].version
        if name == "code":
            return self.code(self.cases[which])
        return self.ident(name)


def _states(text: str) -> tuple[str, str]:
    before, _, after = text.partition("→")
    return before, after or before


def _step(number: int, line: Mapping[str, Any], day: int, *, whole: bool) -> Step:
    leg, _, states = line.get("leg", "").partition(" ")
    return Step(
        number=number,
        case=line.get("in", ""),
        day=day,
        who=line["who"],
        action=line["do"],
        leg=int(leg or 0),
        leg_states=_states(states),
        case_states=_states(line["case"]),
        refused=line.get("refused", ""),
        cites=line.get("cites", ""),
        clocks=tuple(line.get("clocks", "").split()),
        due=line.get("due", {}),
        took=tuple(line.get("took", "").split()),
        moves=tuple(move for move in line.get("moves", "").split(", ") if move),
        fields=line.get("with", {}),
        whole=whole,
    )


def load(name: str) -> tuple[Walk, ...]:
    """Every story of a table."""
    (told,) = tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8")).values()
    return tuple(_walk(number, one) for number, one in enumerate(told, 1))


def _walk(number: int, told: Mapping[str, Any]) -> Walk:
    about, steps, day = told.get("about", ""), [], 0
    for line_number, line in enumerate(told["steps"], 1):
        day = line.get("day", day)
        steps.append(_step(line_number, line, day, whole=bool(about)))
    return Walk(
        number=told.get("number", number),
        title=told["title"],
        about=about,
        shows=told.get("shows", ""),
        division=told.get("division", "150525100201"),
        category=told["category"],
        opened_on=date.fromisoformat(told["opened_on"]) if "opened_on" in told else OPENED_ON,
        claims=tuple(told.get("claims", [{"what": "money", "amount_fen": 30_000}])),
        ends=told["ends"] if isinstance(told["ends"], dict) else {"": told["ends"]},
        steps=tuple(steps),
    )


WALKS = load("walks.toml")
PROCEDURES = load("procedures.toml")


def people_of(walks: Iterable[Walk]) -> set[str]:
    """Everybody who acts in these stories or is named there, by the names of the cast."""
    steps = [step for walk in walks for step in walk.steps]
    named = {name for step in steps for name in re.findall(r"'@(\w+)'", str(step.fields))}
    return ({step.who for step in steps} | named) - {"clock", "case", "code", "version"} - BODIES.keys()


def command(walk: Walk, step: Step, scene: Scene) -> dict[str, Any]:
    """The JSON body of a step."""
    body: dict[str, Any] = {"action": step.action}

    def day(offset: int) -> str:
        return (walk.opened_on + timedelta(days=offset)).isoformat()

    for name, value in step.fields.items():
        if name == "papers":
            body["documents"] = [
                {"kind": kind, "sha256": SHA256, "ref": f"file/{step.number}/{kind}"} for kind in value.split()
            ]
        elif name in {"prepare", "plan"}:
            leader, handler = scene.resolve(value)
            plan = "先听双方意见，再实地查看，最后面谈"
            body[name] = {"leader": leader, "handler": handler, "plan": plan, "due_on": day(step.day + 30)}
        elif name == "obligations" and step.action == "settle":
            body[name] = [_obligation(scene.resolve(obligor), day(due)) for obligor, due in value]
        elif value == "@code":
            body[name] = scene.code(scene.cases[step.case])
        else:
            body[name] = day(value) if name in DATES and isinstance(value, int) else scene.resolve(value)
    if step.action == "file" and "case_code" not in body:
        body |= _dispute(walk)
    return body


def _obligation(obligor: object, due_on: str) -> dict[str, Any]:
    owed_by = {"obligor": obligor} if isinstance(obligor, int) else {"obligor_org": obligor}
    return {**owed_by, "what": "money", "amount_fen": 30_000, "due_on": due_on, "text": "按期给付三百元"}


def _dispute(walk: Walk) -> dict[str, Any]:
    parties = [
        {"name": "张巴图", "side": "applicant", "id_number": "150599198001010015", "phone": "13800000001"},
        {"name": "李其其格", "side": "respondent", "id_number": "150599198202020025", "address": "光明村二组"},
    ]
    claims = [{"by": [1], "against": [2], "text": "要求赔偿"} | claim for claim in walk.claims]
    return {
        "category": walk.category,
        "division": walk.division,
        "parties": parties,
        "claim": claims,
        "text": "双方因故发生纠纷，申请调解",
    }


def refusal_differences(step: Step, reasons: Iterable[tuple[str, str]]) -> list[str]:
    """Where a refusal, for these codes with their bases, is other than the table says."""
    found = [(code, basis) for code, basis in reasons]
    if any(code == step.refused and step.cites in basis for code, basis in found):
        return []
    expected = f"a refusal by {step.refused} ({step.cites})" if step.refused else "it to be taken"
    return [f"{step}: expected {expected}, got {found}"]


def sweep_differences(step: Step, events: Iterable[Event]) -> list[str]:
    """Where what a sweep of the clock took is other than the table says."""
    if step.action != SWEEP:
        return []
    took = tuple(event.action if event.actor == "clock" else f"{event.action} by {event.actor}" for event in events)
    return [] if took == step.took else [f"{step}: expected it to take {step.took}, got {took}"]


def differences(step: Step, before: Case | None, after: Case) -> list[str]:
    """Where a step that was taken came out other than the table says."""
    found = _state_differences(step, before, after)
    found += [f"{step}: expected {move}, got {now}" for move in step.moves if (now := _moved(move, after)) != move]
    return found + _clock_differences(step, before, after)


def _state_differences(step: Step, before: Case | None, after: Case) -> list[str]:
    pairs = [("case", step.case_states, (before.state.value if before else "new", after.state.value))]
    if step.leg:
        was, is_ = (_leg_state(case, step.leg) for case in (before, after))
        pairs.append((f"leg {step.leg}", step.leg_states, (was, is_)))
    return [
        f"{step}: {what} expected {'→'.join(expected)}, got {'→'.join(got)}"
        for what, expected, got in pairs
        if expected != got
    ]


def _leg_state(case: Case | None, number: int) -> str:
    if case is None or number > len(case.legs):
        return "new"
    return case.leg(number).state.value


def _moved(move: str, case: Case) -> str:
    """The move as the case now has it, worded as the table words it."""
    name, *words = move.split()
    parts: dict[str, Callable[[int], Leg | Handoff | Agreement]] = {
        "L": case.leg,
        "H": case.handoff,
        "A": case.agreement,
    }
    try:
        part = parts[name[0]](int(name[1:]))
    except LookupError:
        return f"no {name}"
    if words[0] == "at" and isinstance(part, Agreement):
        return f"{name} at L{part.leg}"
    if words[0] == "enforceable" and isinstance(part, Agreement):
        return f"{name} {'enforceable' if part.enforceable_by else 'not enforceable'}"
    outcome = f" {part.outcome}" if isinstance(part, Leg) and len(words) > 1 else ""
    return f"{name} {part.state.value}{outcome}"


def _clock_differences(step: Step, before: Case | None, after: Case) -> list[str]:
    changes = clock_changes(before, after)
    told = {change for change in changes | set(step.clocks) if step.whole or change[1:] in OF_THE_PAGE}
    expected = told & set(step.clocks)
    assert step.whole or len(expected) == len(step.clocks), f"{step}: no such clock among {step.clocks}"
    missing = sorted(change for change in expected - changes if f"↻{change[1:]}" not in changes)
    unasked = sorted(change for change in told - expected if change[0] == "▶")
    found = [f"{step}: expected {change}" for change in missing] + [
        f"{step}: unexpected {change}" for change in unasked
    ]
    running = due_days(after)
    late = {version: due for version, due in step.due.items() if running.get(version) != due}
    return found + [f"{step}: {version} is due {running.get(version)}, expected {due}" for version, due in late.items()]


def due_days(case: Case) -> dict[str, str]:
    """By rule version (or what is owed) when each running clock is due: the day, of an hour rule the minute."""
    return {
        clock.rule or clock.owed: f"{datetime.fromisoformat(clock.due_at).astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
        if clock.due_at
        else clock.due_on
        for clock in case.clocks
        if clock.state is ClockState.RUNNING
    }


def clock_name(clock: Clock) -> str:
    """A clock as the page calls it: by its rule, in whichever version, or by what is owed on a day that was set."""
    return clock.rule.partition("@")[0].removesuffix("-OLD").removesuffix("-NEW") or clock.owed


def clock_changes(before: Case | None, after: Case) -> set[str]:
    """`▶RULE` started, `⏹RULE` stopped, `‖RULE` stands still, `▷RULE` runs on, `↻RULE` counts from a later day.

    The clock of an answer to a hand-off belongs to its offer, which the page tells of.
    """
    was = {clock.id: clock.state for clock in before.clocks} if before else {}
    went_on = {(clock.leg, clock_name(clock)) for clock in before.clocks if clock.state in GOING} if before else set()
    changes = set()
    for clock in after.clocks:
        old, rule = was.get(clock.id), clock_name(clock)
        if old == clock.state or clock.owed == "answer":
            continue
        if old is None and clock.state in GOING and (clock.leg, rule) in went_on:
            changes.add(f"↻{rule}")
            continue
        if clock.state not in GOING:
            changes.add(f"⏹{rule}")
        elif clock.state is ClockState.STANDING:
            changes.add(f"‖{rule}")
        else:
            changes.add(f"▷{rule}" if old is ClockState.STANDING else f"▶{rule}")
    return changes
