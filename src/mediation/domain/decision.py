"""decide(): frozen facts and a command in, a Decision out; nothing else in the house decides."""

from collections.abc import Mapping
from datetime import date
from enum import Enum
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from pydantic import BaseModel

from mediation.domain import access, guards, machine
from mediation.domain import commands as c
from mediation.domain.draft import Draft
from mediation.domain.errors import ActionUnavailable, BrokenTrail, GuardRefused, Malformed, Reason
from mediation.domain.events import PARTS, Event, merge, project
from mediation.domain.facts import Actor, Agreement, Case, Handoff, Leg, Organisation
from mediation.domain.laws import Laws
from mediation.domain.linking import link_up_of
from mediation.domain.plausible import doubtful
from mediation.domain.process import LINK_UPS, NONE, Row, cite
from mediation.domain.reasons import TOO_LONG
from mediation.domain.steps import Step, fitting
from mediation.domain.vocabulary import Action, HandoffState, LegState, Mode, Moment, Outcome, Role, Standing

OPENS_LEG = frozenset({Action.FILE, Action.REOPEN, Action.RECEIVE})
BY_HANDOFF = frozenset({Action.RECEIVE, Action.RETURN, Action.RECALL, Action.REPORT})
BY_AGREEMENT = frozenset({Action.FULFIL, Action.BREACH, Action.VOID})

ENDS_AS: Mapping[Action, Outcome] = {
    Action.DECIDE: Outcome.DECIDED,
    Action.WITHDRAW: Outcome.WITHDRAWN,
    Action.REPORT: Outcome.REPORTED,
}


class Digests(NamedTuple):
    """What the vault sealed for this step: SD-JWT digests (RFC 9901 §4.2) per new party, and of the step's words."""

    parties: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class World(NamedTuple):
    """What a decision may know besides the case: the laws, bodies and people named, and what was looked up.

    `known`: for each party of the other case, in order, which party of this one it is, 0 for none.
    """

    laws: Laws
    orgs: Mapping[str, Organisation]
    digests: Digests = Digests()
    other: Case | None = None
    case_number: str = ""
    similar: tuple[str, ...] = ()
    people: Mapping[str, frozenset[str]] = {}
    known: tuple[int, ...] = ()


class Decision(NamedTuple):
    """A step that may be taken: who takes it, on what basis, and what it changes."""

    action: Action
    role: Role
    org: str
    actor: str
    at: str
    basis: tuple[str, ...]
    attrs: dict[str, Any]
    after: Case
    sealed: tuple[str, ...]

    def event(self, case: Case | None, *, event_id: str, case_id: str, request_id: str) -> Event:
        """The event, chained to the one before. Raises Malformed when it would exceed 8 KiB."""
        before = case or Case(id=case_id, head="0" * 64)
        made = Event(
            v=1,
            event=event_id,
            case=case_id,
            seq=before.version + 1,
            prev=before.head,
            action=self.action.value,
            from_=before.state.value,
            to=self.after.state.value,
            org=self.org,
            actor=self.actor,
            role=self.role.value,
            at=self.at,
            request=request_id,
            basis=self.basis,
            attrs=self.attrs,
            sd_alg="sha-256" if self.sealed else "",
            sd=tuple(sorted(self.sealed)),
        )
        try:
            made.canonical  # noqa: B018 - asks whether it can be written
        except BrokenTrail as found:
            raise Malformed(TOO_LONG) from found
        return made


def permit(case: Case | None, command: c.Command, actor: Actor, at: str, world: World) -> Step:
    """The step as it concerns this actor: which leg, hand-off and agreement, in which role.

    Raises NotPermitted when role or relation may not take it, Malformed when what it names is not there or not clear.
    """
    step, leg = concerning(case, command, actor, at, world)
    if step is None:
        raise access.refusal(Action(command.action), actor, leg)
    return step


def concerning(
    case: Case | None, command: c.Command, actor: Actor, at: str, world: World
) -> tuple[Step | None, Leg | None]:
    """As `permit`, but None where it raises NotPermitted; and the leg."""
    action = Action(command.action)
    facts = case or Case(id="")
    handoff = _handoff(facts, action, command, actor)
    agreement = _agreement(facts, action, command)
    leg = _leg(facts, action, command, actor, handoff, agreement)
    for number in command.claims or ():
        _known("claim", "诉求", number, len(facts.claims) if case else 10**4)
    for number in command.on_behalf_of:
        _known("party", "当事人", number, len(facts.parties) if case else 10**4)
    stands = access.step_standing(case, leg, handoff, actor, world.orgs)
    if action is Action.REOPEN and getattr(command, "org", None):
        org = world.orgs.get(str(getattr(command, "org", "")))
        if org is None:
            raise Malformed(Reason("no_such_body", "承办单位不存在", "There is no such body"))
        chosen = access.step_standing(case, Leg(0, org.id), handoff, actor, world.orgs)
        stands = (stands - {Standing.HOLDER, Standing.SUBTREE}) | (chosen & {Standing.HOLDER, Standing.SUBTREE})
    found = access.capacity(action, actor, stands, on_behalf_of=bool(command.on_behalf_of))
    if found is None:
        return None, leg
    role, letter = found
    return Step(
        facts, leg, handoff, agreement, command, actor, role, letter, at, world.laws, world.orgs, world.other,
        world.case_number, world.people,
    ), leg  # fmt: skip


def decide(case: Case | None, command: c.Command, actor: Actor, at: str, world: World) -> Decision:
    """What this step changes, or why it may not be taken.

    Raises NotPermitted, Malformed, ActionUnavailable or GuardRefused; pure.
    """
    step = permit(case, command, actor, at, world)
    return settle_on(step, world)


def settle_on(step: Step, world: World) -> Decision:
    """The second half of `decide`, on a step already permitted."""
    action = Action(step.command.action)
    state = ready(step, action)
    reasons = guards.refusals(step, action)
    if reasons:
        raise GuardRefused(*reasons)
    draft = Draft(step)
    draft.notes |= _codes(step.command)
    if step.leg:
        draft.notes["leg"] = step.leg.id
    for document in step.command.documents:
        draft.add(
            "documents",
            kind=document.kind,
            sha256=document.sha256,
            ref=document.ref,
            leg=step.leg.id if step.leg else 0,
        )
    if world.known:
        draft.notes["parties_as"] = list(world.known)
    guards.EFFECTS[action](draft)
    row = machine.step(action, state, _situation(draft, step))
    _move(draft, step, row)
    if world.similar:
        draft.notes["similar"] = list(world.similar)
    if doubts := doubtful(step.command, len(step.case.parties)):
        draft.notes["warnings"] = doubts
    attrs = msgspec.json.decode(msgspec.json.encode(draft.attrs()))
    basis = (*(cite(article) for article in _articles(step, draft, row)), *dict.fromkeys(draft.basis))
    after = project(merge(step.case, attrs))
    sealed = (*world.digests.parties, *world.digests.others)
    org = "" if step.role is Role.CLOCK else step.actor.org
    return Decision(action, step.role, org, step.actor.person, step.at, basis, attrs, after, sealed)


def named_orgs(command: c.Command) -> tuple[str, ...]:
    """Ids of the bodies a command names."""
    said = vars(command)
    one = (said.get("to_org"), said.get("org"), said.get("proposed_org"))
    owed = [o.obligor_org for o in said.get("obligations") or () if isinstance(o, c.ObligationIn)]
    return tuple(dict.fromkeys(str(org) for org in (*one, *said.get("with_orgs", ()), *owed) if org))


def ready(step: Step, action: Action) -> str:
    """The state the step starts from. Raises ActionUnavailable when the case or leg does not admit it."""
    case = step.case
    if case.archived:
        raise ActionUnavailable(
            Reason(
                "archived",
                "案件已归档，不再办理；新情况请以引用本案的后续案件登记",
                "Archived is final; file a successor case that names this one",
            )
        )
    closed = case.version > 0 and not any(leg.open for leg in case.legs)
    if action is Action.FILE and closed:
        raise ActionUnavailable(Reason("closed", "案件已结，须“恢复”", "The case is closed: reopen it"))
    if action is Action.REOPEN and not closed:
        raise ActionUnavailable(
            Reason("not_closed", "案件未结，不需恢复", "The case is not closed: it needs no reopening")
        )
    if action in BY_AGREEMENT and step.agreement is None:
        raise ActionUnavailable(Reason("no_agreement", "本案没有协议", "There is no agreement in this case"))
    if action is Action.ARCHIVE and not closed:
        raise ActionUnavailable(Reason("not_closed", "案件未结，不能归档", "The case is not closed"))
    opens = action in OPENS_LEG or step.leg is None
    state = NONE if opens or step.leg is None else step.leg.state.value
    if not machine.knows(action, state):
        raise machine.unavailable(action, state)
    if action is Action.RECEIVE and step.handoff and step.handoff.state is not HandoffState.OFFERED:
        zh = f"第{step.handoff.id}号移交处于“{step.handoff.state.zh}”"
        raise ActionUnavailable(Reason("not_offered", zh, f"Hand-off {step.handoff.id} is {step.handoff.state}"))
    return state


def _articles(step: Step, draft: Draft, row: Row) -> tuple[str, ...]:
    """The row's articles that speak of this step: those of the link-up it uses, else of the leg's procedure."""
    link_up = link_up_of(step.command) or (step.handoff.link_up if step.handoff else None)
    if link_up:
        return LINK_UPS[link_up].basis
    number = draft.notes.get("leg")
    procedure = draft.procedure(draft.leg(number)) if number else None
    if procedure and row.action.value in procedure.articles:
        return tuple(procedure.articles[row.action.value].split())
    return fitting(procedure, *row.basis) if procedure else row.basis


def _situation(draft: Draft, step: Step) -> dict[str, bool]:
    """The conditions of the table, as they stand after the step's effects."""
    leg = draft.leg(step.leg.id) if step.leg else None
    claims_left = bool(leg and draft.case.open_claims(leg))
    entrusted = step.handoff is not None and step.handoff.mode is Mode.WAITS
    return {
        "decides": bool(leg and leg.decides),
        "started": bool(leg and leg.started),
        "claims_left": claims_left and not (isinstance(step.command, c.Report) and entrusted),
        "unfinished": bool(leg and draft.case.unfinished(leg.id)),
        "enforceable": bool(step.agreement and step.agreement.enforceable_by),
        "interim": bool(vars(step.command).get("interim")),
        "opens": bool(draft.notes.get("leg")),
    }


def _move(draft: Draft, step: Step, row: Row) -> None:
    """Move the leg where the row says, and let it end properly."""
    if step.leg is None or row.target == row.source:
        return
    leg = draft.leg(step.leg.id)
    if leg.state.value != row.target:
        if row.target == LegState.ENDED.value:
            outcome = ENDS_AS.get(row.action, Outcome.INFORMED)
            if row.action is Action.CLOSE and row.source == LegState.SETTLED.value:
                outcome = Outcome.SETTLED
            if leg.open:
                draft.end(leg.id, outcome)
        else:
            draft.put("legs", leg.id, state=LegState(row.target))
            if row.target == LegState.SETTLED.value:
                draft.happens(Moment.CONCLUDED, leg=leg.id)
                draft.report_due(leg.id)
    draft.notes["leg_to"] = row.target


def _codes(command: c.Command) -> dict[str, Any]:
    """The codes, numbers, ids and days of a command, as the event names them; words and people stay out."""
    kept: dict[str, Any] = {}
    said = vars(command)
    for name, there, default in _named(type(command)):
        value = said[name]
        if value == default or value in (None, []):
            continue
        plain = _plain(value)
        if plain is not None:
            kept[there] = plain
    return kept


@cache
def _named(kind: type[c.Command]) -> tuple[tuple[str, str, object], ...]:
    """The fields of a command that an event may name: each with its name there and its default."""
    return tuple(
        (name, f"of_{name}" if name in PARTS or name == "case" else name, field.get_default())
        for name, field in kind.model_fields.items()
        if name not in {"action", "leg", "text", "documents", "case_code"}
    )


def _plain(value: object) -> object:
    if isinstance(value, list):
        plain = [_plain(each) for each in value]
        return plain if all(each is not None for each in plain) else None
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, BaseModel):
        return None
    return value


def _known(code: str, zh: str, number: int, count: int) -> None:
    if not 1 <= number <= count:
        raise Malformed(Reason(f"no_such_{code}", f"{zh}{number}不存在", f"There is no {code} {number}"))


def _handoff(case: Case, action: Action, command: c.Command, actor: Actor) -> Handoff | None:
    number = vars(command).get("handoff")
    if action not in BY_HANDOFF and not (action is Action.URGE and number):
        return None
    if number is not None:
        _known("handoff", "移交", number, len(case.handoffs))
        return case.handoff(number)
    mine = [h for h in case.handoffs if h.to_org == actor.org and h.live]
    if len(mine) == 1:
        return mine[0]
    choices = [str(h.id) for h in mine]
    raise Malformed(
        Reason(
            "handoff_unclear",
            f"请指明移交编号：{'、'.join(choices) or '无待办移交'}",
            f"Name the hand-off: {', '.join(choices) or 'none awaits you'}",
        )
    )


def _agreement(case: Case, action: Action, command: c.Command) -> Agreement | None:
    number = vars(command).get("agreement") or vars(command).get("adopts")
    if number:
        _known("agreement", "协议", number, len(case.agreements))
        return case.agreement(number)
    if action in BY_AGREEMENT or action is Action.REFER:
        alive = [a for a in case.agreements if a.unfinished] or list(case.agreements[-1:])
        if len(alive) > 1 and action in BY_AGREEMENT:
            choices = [str(a.id) for a in alive]
            raise Malformed(
                Reason(
                    "agreement_unclear",
                    f"请指明协议编号：{'、'.join(choices)}",
                    f"Name the agreement: {', '.join(choices)}",
                )
            )
        return alive[-1] if alive else None
    return None


def _leg(
    case: Case, action: Action, command: c.Command, actor: Actor, handoff: Handoff | None, agreement: Agreement | None
) -> Leg | None:
    if action in OPENS_LEG:
        return None
    if action is Action.RECALL and handoff:
        return case.leg(handoff.from_leg)
    if handoff and action in BY_HANDOFF:
        return case.leg(handoff.to_leg) if handoff.to_leg else None
    if command.leg is not None:
        _known("leg", "程序段", command.leg, len(case.legs))
        return case.leg(command.leg)
    if action in BY_AGREEMENT and agreement and case.leg(agreement.leg).org == actor.org:
        return case.leg(agreement.leg)
    mine = [leg for leg in case.legs if leg.org == actor.org]
    live = [leg for leg in mine if leg.open]
    fitting = [leg for leg in live if machine.knows(action, leg.state.value)]
    if len(fitting) > 1:
        choices = "、".join(f"{leg.id}（{leg.state.zh}）" for leg in fitting)
        names = ", ".join(f"{leg.id} ({leg.state})" for leg in fitting)
        raise Malformed(Reason("leg_unclear", f"请指明程序段：{choices}", f"Name the leg: {names}"))
    for chosen in (fitting, live, mine):
        if chosen:
            return chosen[-1]
    return case.leading or (case.legs[-1] if case.legs else None)
