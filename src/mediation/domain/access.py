"""Who may take which step: the letters of the table, the roles behind them, and each letter's relation to the leg."""

from collections.abc import Mapping
from typing import NamedTuple

from mediation.domain.errors import NotPermitted, Reason
from mediation.domain.facts import Actor, Case, Handoff, Leg, Organisation
from mediation.domain.process import ROWS
from mediation.domain.vocabulary import Action, Letter, Role

C, M, H, J, U, A = (
    Letter.CLERK,
    Letter.MEDIATOR,
    Letter.HEAD,
    Letter.DECIDER,
    Letter.SUPERIOR,
    Letter.ARCHIVIST,
)

ROLE_LETTERS: Mapping[Role, frozenset[Letter]] = {
    Role.CLERK: frozenset({C}),
    Role.GRID_WORKER: frozenset({C}),
    Role.COORDINATOR: frozenset({C, U}),
    Role.MEDIATOR: frozenset({M}),
    Role.CHAIR: frozenset({H, U}),
    Role.JUDGE: frozenset({J, M}),
    Role.OFFICER: frozenset({J, M, C}),
    Role.PROSECUTOR: frozenset({J, M, C}),
    Role.ARBITRATOR: frozenset({J, M, C}),
    Role.LEADER: frozenset({U}),
    Role.SUPERVISOR: frozenset({U}),
    Role.ARCHIVIST: frozenset({A}),
    Role.SYSTEM: frozenset({C}),
    Role.CLOCK: frozenset({Letter.CLOCK}),
}
"""Roles that act in cases; every other role acts on none."""

WHO: Mapping[Action, tuple[Letter, ...]] = {row.action: row.who for row in ROWS}


class Relation(NamedTuple):
    """Where the actor's body stands to the leg and hand-off a step is about."""

    holder: bool
    receiver: bool
    sender: bool
    superior: bool
    named: bool


def relation(
    case: Case | None, leg: Leg | None, handoff: Handoff | None, actor: Actor, orgs: Mapping[str, Organisation]
) -> Relation:
    """The actor's relation; with no leg yet, whoever opens one is its holder."""
    org = leg.org if leg else actor.org
    body = orgs.get(org)
    sending = bool(handoff and handoff.from_org == actor.org)
    above = bool(body and actor.org in body.path)
    return Relation(
        holder=org == actor.org,
        receiver=bool(handoff and handoff.to_org == actor.org),
        sender=sending,
        superior=above,
        named=case is not None and (actor.org in case.named or above),
    )


def capacity(
    action: Action, actor: Actor, leg: Leg | None, stands: Relation, *, on_behalf_of: bool
) -> tuple[Role, Letter] | None:
    """The first role and letter under which the actor may take this step, or None."""
    for letter in WHO[action]:
        for role in actor.roles:
            if _may(action, letter, role, actor, leg, stands, on_behalf_of=on_behalf_of):
                return role, letter
    return None


def _may(  # noqa: PLR0911 - one return per letter is the plainest table
    action: Action, letter: Letter, role: Role, actor: Actor, leg: Leg | None, stands: Relation, *, on_behalf_of: bool
) -> bool:
    letters = ROLE_LETTERS.get(role, frozenset())
    acts = bool(letters & {C, M, H, J})
    match letter:
        case Letter.CLOCK:
            return letter in letters
        case Letter.PARTY:
            return (
                on_behalf_of
                and acts
                and (stands.holder or (stands.named and action in {Action.COMPLAIN, Action.REOPEN}))
            )
        case Letter.MEDIATOR:
            return letter in letters and stands.holder and _assigned(role, actor, leg)
        case Letter.SUPERIOR:
            listed = role in {Role.LEADER, Role.SUPERVISOR}
            return letter in letters and (stands.superior or (listed and stands.holder))
        case Letter.RECEIVER:
            return acts and stands.receiver
        case Letter.SENDER:
            return acts and stands.sender
        case Letter.ARCHIVIST:
            return letter in letters and stands.named
        case Letter.ANY:
            return bool(letters) and (stands.holder or stands.named)
        case _:
            return letter in letters and stands.holder


def _assigned(role: Role, actor: Actor, leg: Leg | None) -> bool:
    """A mediator replaced is out; where mediators are assigned, only they act (人民调解法 19)."""
    if leg is None or role is not Role.MEDIATOR:
        return True
    return actor.person not in leg.replaced and (not leg.mediators or actor.person in leg.mediators)


def refusal(action: Action, actor: Actor, leg: Leg | None) -> NotPermitted:
    """The refusal, naming who may take the step."""
    zh = "、".join(letter.zh for letter in WHO[action])
    en = ", ".join(letter.en for letter in WHO[action])
    held = "、".join(role.zh for role in actor.roles) or "无", ", ".join(actor.roles) or "none"
    party = Letter.PARTY in WHO[action]
    hints = (
        [("；代当事人登记的，请填 on_behalf_of", "; to record it for a party, name it in `on_behalf_of`")]
        if party
        else []
    )
    if leg and M in WHO[action] and Role.MEDIATOR in actor.roles and not _assigned(Role.MEDIATOR, actor, leg):
        hints.append(("；本程序段已指派其他调解员", "; another mediator is assigned to this leg"))
    if leg and leg.org != actor.org:
        hints.append(("；该程序段由其他单位承办", "; the leg is at another body"))
    return NotPermitted(
        Reason(
            "not_permitted",
            f"“{action.zh}”由{zh}办理；您在本单位的角色是{held[0]}{''.join(hint[0] for hint in hints)}",
            f"“{action.en}” is taken by: {en}; your roles here: {held[1]}{''.join(hint[1] for hint in hints)}",
            needs="on_behalf_of" if party else "",
        )
    )
