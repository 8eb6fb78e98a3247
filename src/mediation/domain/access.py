"""Who may do what: one table of capacities for steps, one of permits for all else; whatever stands in neither is refused."""

from collections.abc import Mapping
from typing import NamedTuple

from mediation.domain.errors import NotPermitted, Reason
from mediation.domain.facts import Actor, Case, Handoff, Leg, Organisation
from mediation.domain.process import ROWS
from mediation.domain.vocabulary import (
    Action,
    Category,
    HandoffState,
    Letter,
    Mode,
    OrgKind,
    Power,
    Role,
    Sensitive,
    Sensitivity,
    Standing,
)

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

EVERYBODY = frozenset(ROLE_LETTERS) - {Role.CLOCK}
"""Roles with a part in cases."""
ACTING = frozenset(role for role, letters in ROLE_LETTERS.items() if letters & {C, M, H, J})
ABOVE = frozenset(role for role, letters in ROLE_LETTERS.items() if U in letters)
WIDE = EVERYBODY - {Role.MEDIATOR}
"""Roles with a part in every case of their body; a mediator's part in a restricted case is being assigned to it."""
_MEDIATING = ACTING - {Role.JUDGE, Role.PROSECUTOR, Role.SYSTEM}

ADMINISTRATORS = frozenset({Role.SYSTEM_ADMIN, Role.AUDIT_ADMIN, Role.SECURITY_ADMIN})
"""三员分立: nobody is two of these, or one of these and anything else."""


class Capacity(NamedTuple):
    """In which roles, and from which standing to the step's own leg and hand-off, a letter of the table is filled.

    `actions` narrows it to some of the letter's actions; None is all of them.
    """

    letter: Letter
    roles: frozenset[Role]
    standings: frozenset[Standing]
    actions: frozenset[Action] | None = None


class Permit(NamedTuple):
    """A power that these roles have from these standings, up to a sensitivity.

    `restricted`: also in a case that fewer may see. For what is no case, the standing is to the body it is about.
    """

    power: Power
    sensitivity: Sensitivity
    roles: frozenset[Role]
    standings: frozenset[Standing]
    restricted: bool = True


S = Standing
_HERE = frozenset({S.HOLDER})


def _with(letter: Letter) -> frozenset[Role]:
    return frozenset(role for role, letters in ROLE_LETTERS.items() if letter in letters)


CAPACITIES: tuple[Capacity, ...] = (
    Capacity(Letter.CLERK, _with(C), _HERE),
    Capacity(Letter.MEDIATOR, frozenset({Role.MEDIATOR}), frozenset({S.ASSIGNED})),
    Capacity(Letter.MEDIATOR, _with(M) - {Role.MEDIATOR}, _HERE),
    Capacity(Letter.HEAD, _with(H), _HERE),
    Capacity(Letter.DECIDER, _with(J), _HERE),
    Capacity(Letter.SUPERIOR, _with(U), frozenset({S.SUBTREE})),
    Capacity(Letter.SUPERIOR, frozenset({Role.LEADER, Role.SUPERVISOR}), _HERE),
    Capacity(Letter.RECEIVER, ACTING, frozenset({S.REFERRED})),
    Capacity(Letter.SENDER, ACTING, frozenset({S.SENDER})),
    Capacity(Letter.ARCHIVIST, _with(A), frozenset({S.NAMED, S.SUBTREE})),
    Capacity(Letter.PARTY, ACTING, _HERE),
    Capacity(Letter.PARTY, ACTING, frozenset({S.NAMED, S.SUBTREE}), frozenset({Action.COMPLAIN, Action.REOPEN})),
    Capacity(Letter.ANY, EVERYBODY, frozenset({S.HOLDER, S.NAMED, S.SUBTREE})),
    Capacity(Letter.CLOCK, frozenset({Role.CLOCK}), frozenset(Standing)),
)
"""A party has no login: P is filled by who acts here and names it in `on_behalf_of`."""

PERMITS: tuple[Permit, ...] = (
    # Reading: a body reads on when its part is over, masked; those above read; a restricted case has fewer readers.
    Permit(Power.READ, Sensitivity.MASKED, EVERYBODY, frozenset({S.NAMED, S.SUBTREE}), restricted=False),
    Permit(Power.READ, Sensitivity.MASKED, WIDE, frozenset({S.NAMED})),
    Permit(Power.READ, Sensitivity.MASKED, frozenset({Role.MEDIATOR}), frozenset({S.ASSIGNED})),
    Permit(Power.READ, Sensitivity.MASKED, ABOVE, frozenset({S.SUBTREE})),
    Permit(Power.READ, Sensitivity.MASKED, EVERYBODY | {Role.CLOCK}, frozenset({S.SHOWN})),
    Permit(Power.READ, Sensitivity.MASKED, frozenset({Role.AUDITOR}), frozenset({S.AUDIT}), restricted=False),
    Permit(Power.READ, Sensitivity.CODES, frozenset({Role.AUDITOR}), frozenset({S.AUDIT})),
    # Plain values: whoever handles the case, and says what for. What was said for the sake of agreement stays with
    # those who mediate: it is not evidence, and no judge reads it (民事诉讼法解释 107); undisputed facts are (在线规则 22).
    Permit(Power.DISCLOSE, Sensitivity.PLAIN, ACTING - {Role.MEDIATOR}, frozenset({S.HOLDER, S.RECEIVED})),
    Permit(Power.DISCLOSE, Sensitivity.PLAIN, frozenset({Role.MEDIATOR}), frozenset({S.HANDLING, S.ASSISTING})),
    Permit(Power.DISCLOSE, Sensitivity.PLAIN, ABOVE, frozenset({S.SUPERVISING})),
    # Whoever closed it visits the parties afterwards (回访) and watches performance.
    Permit(Power.DISCLOSE, Sensitivity.PLAIN, ACTING - {Role.MEDIATOR}, frozenset({S.KEEPER})),
    # A case code is given by who handles the case: its people pass to the case that absorbs it (并入), and nowhere else.
    Permit(Power.DISCLOSE, Sensitivity.PLAIN, ACTING, frozenset({S.SHOWN})),
    Permit(Power.DISCLOSE, Sensitivity.UNDISPUTED, ACTING - {Role.MEDIATOR}, frozenset({S.HOLDER, S.RECEIVED})),
    Permit(Power.DISCLOSE, Sensitivity.UNDISPUTED, frozenset({Role.MEDIATOR}), frozenset({S.HANDLING})),
    Permit(Power.DISCLOSE, Sensitivity.COMPROMISE, _MEDIATING - {Role.MEDIATOR}, frozenset({S.MEDIATES})),
    Permit(Power.DISCLOSE, Sensitivity.COMPROMISE, frozenset({Role.MEDIATOR}), frozenset({S.HANDLING})),
    Permit(Power.SEARCH, Sensitivity.MASKED, ACTING | ABOVE, frozenset({S.NAMED, S.SUBTREE})),
    Permit(Power.STATISTICS, Sensitivity.CODES, EVERYBODY, frozenset({S.SUBTREE})),
    Permit(Power.STATISTICS, Sensitivity.CODES, frozenset({Role.AUDITOR}), frozenset({S.AUDIT})),
    Permit(Power.ERASE, Sensitivity.PLAIN, frozenset({Role.CHAIR, Role.ARCHIVIST}), frozenset({S.KEEPER})),
    # The registry and the logs: three administrators, each with a part that the others do not have.
    Permit(Power.PUT_ORGANISATION, Sensitivity.CODES, frozenset({Role.SYSTEM_ADMIN}), frozenset({S.SUBTREE})),
    Permit(Power.PUT_PERSON, Sensitivity.CODES, frozenset({Role.SYSTEM_ADMIN}), frozenset({S.SUBTREE})),
    Permit(Power.GRANT, Sensitivity.CODES, frozenset({Role.SECURITY_ADMIN}), frozenset({S.SUBTREE})),
    Permit(Power.READ_ADMINISTRATION, Sensitivity.CODES, frozenset({Role.AUDIT_ADMIN}), frozenset({S.SUBTREE})),
    Permit(Power.READ_ACCESS, Sensitivity.CODES, frozenset({Role.AUDIT_ADMIN}), frozenset({S.SUBTREE})),
    Permit(Power.READ_ACCESS, Sensitivity.CODES, frozenset({Role.AUDITOR}), frozenset({S.AUDIT})),
    Permit(
        Power.READ_ATTEMPTS,
        Sensitivity.CODES,
        frozenset({Role.AUDIT_ADMIN, Role.SECURITY_ADMIN}),
        frozenset({S.SUBTREE}),
    ),
    # An entry of the log may be of any case: so whoever follows it has jurisdiction over every body there is.
    Permit(Power.FOLLOW, Sensitivity.CODES, frozenset({Role.AUDITOR}), frozenset({S.AUDIT})),
)


# ── what the facts of a case say of people ──


def sensitive(case: Case) -> frozenset[Sensitive]:
    """Why fewer people see this case; empty for an ordinary one."""
    found = {Sensitive(word) for word in case.sensitive}
    if any(party.minor for party in case.present):
        found.add(Sensitive.MINOR)
    if case.category is Category.MEDICAL:
        found.add(Sensitive.MEDICAL)
    return frozenset(found)


def restricted(case: Case) -> bool:
    """Whether fewer people see this case."""
    return bool(sensitive(case))


def assigned(case: Case) -> frozenset[str]:
    """The people who are or were its mediators and were not replaced."""
    return frozenset(person for leg in case.legs for person in leg.mediators)


def recused(case: Case) -> frozenset[str]:
    """The people who were replaced in it: it is out of their sight."""
    return frozenset(person for leg in case.legs for person in leg.replaced) - assigned(case)


def closers(case: Case) -> frozenset[str]:
    """The people who closed a leg of it: who closes does not audit."""
    return frozenset(leg.closed_by for leg in case.legs if leg.closed_by)


# ── standing ──


def standing(case: Case, actor: Actor, orgs: Mapping[str, Organisation], *, shown: bool = False) -> frozenset[Standing]:
    """Where the actor and the actor's body stand to a case as a whole; empty for a stranger, or who is recused.

    `orgs` must hold the actor's body and the bodies the case names; `shown`: the case code was.
    """
    if actor.person in recused(case):
        return frozenset()
    org = actor.org
    mine = [leg for leg in case.legs if leg.open and leg.org == org]
    live = [handoff for handoff in case.handoffs if handoff.live]
    offered = [handoff for handoff in live if handoff.to_org == org]
    received = [handoff for handoff in offered if handoff.received_at]
    people, named = assigned(case), case.named
    office = orgs.get(org)
    audits = office.division if office and office.kind is OrgKind.AUDIT_OFFICE else ""
    where = [case.division, *(orgs[body].division for body in named if body in orgs)]
    found = {
        S.HOLDER: bool(mine),
        S.MEDIATES: any(not leg.decides for leg in mine),
        S.ASSIGNED: org in named and (actor.person in people or not people),
        S.HANDLING: any(_assigned(actor, leg) for leg in mine),
        S.REFERRED: bool(offered),
        S.RECEIVED: bool(received),
        S.ASSISTING: any(h.mode is Mode.BESIDE and not h.to_leg for h in received),
        S.SENDER: any(handoff.from_org == org for handoff in live),
        S.SUPERVISING: case.leader == actor.person or any(x.org == org and not x.lifted for x in case.listings),
        S.KEEPER: case.holder == org,
        S.NAMED: org in named,
        S.SUBTREE: any(org in orgs[body].path for body in named if body in orgs),
        S.AUDIT: bool(audits) and actor.person not in closers(case) and any(d.startswith(audits) for d in where),
        S.SHOWN: shown,
    }
    return frozenset(word for word, true in found.items() if true)


def permitted(
    power: Power, actor: Actor, stands: frozenset[Standing], *, fewer: bool = False
) -> frozenset[Sensitivity]:
    """Up to which sensitivities the actor has a power from these standings; none: refused. `fewer`: a restricted case."""
    roles = actor.roles
    return frozenset(
        permit.sensitivity
        for permit in _PERMITS[power]
        if (permit.restricted or not fewer)
        and not permit.roles.isdisjoint(roles)
        and not permit.standings.isdisjoint(stands)
    )


_PERMITS = {power: tuple(permit for permit in PERMITS if permit.power is power) for power in Power}


def over(actor: Actor, body: Organisation) -> frozenset[Standing]:
    """Where the actor stands to a body: above it, or a member of it, both of which are its own subtree."""
    return frozenset({S.SUBTREE}) if actor.org == body.id or actor.org in body.path else frozenset()


def needs_second_factor(power: Power, actor: Actor) -> bool:
    """Whether one factor of authentication is too little: for whoever administers, and for what cannot be undone."""
    return power is Power.ERASE or not ADMINISTRATORS.isdisjoint(actor.roles)


# ── steps ──


def step_standing(
    case: Case | None, leg: Leg | None, handoff: Handoff | None, actor: Actor, orgs: Mapping[str, Organisation]
) -> frozenset[Standing]:
    """Where the actor stands to the leg and hand-off a step is about; with no leg yet, whoever opens one is its holder.

    The clock stands everywhere.
    """
    if Role.CLOCK in actor.roles:
        return frozenset(Standing)
    org = leg.org if leg else actor.org
    body = orgs.get(org)
    found = set()
    if org == actor.org:
        found.add(S.HOLDER)
        if _assigned(actor, leg):
            found.add(S.ASSIGNED)
    if handoff is not None and handoff.to_org == actor.org:
        found.add(S.REFERRED)
    if handoff is not None and handoff.from_org == actor.org:
        found.add(S.SENDER)
    if case is not None and _names(case, actor.org):
        found.add(S.NAMED)
    if body is not None and actor.org in body.path:
        found.add(S.SUBTREE)
    return frozenset(found)


def capacity(
    action: Action, actor: Actor, stands: frozenset[Standing], *, on_behalf_of: bool
) -> tuple[Role, Letter] | None:
    """The first role and letter under which the actor may take this step, or None."""
    for letter in WHO[action]:
        if letter is Letter.PARTY and not on_behalf_of:
            continue
        for role in actor.roles:
            for row in _CAPACITIES[letter]:
                if role in row.roles and stands & row.standings and (row.actions is None or action in row.actions):
                    return role, letter
    return None


_CAPACITIES = {letter: tuple(row for row in CAPACITIES if row.letter is letter) for letter in Letter}


def _names(case: Case, org: str) -> bool:
    """Whether a body is one of `case.named`."""
    if any(leg.org == org and leg.outcome != "returned" for leg in case.legs):
        return True
    own = (handoff for handoff in case.handoffs if handoff.to_org == org)
    return any(
        handoff.state is not HandoffState.RETURNED
        and (handoff.state is not HandoffState.RECALLED or handoff.received_at)
        for handoff in own
    )


def _assigned(actor: Actor, leg: Leg | None) -> bool:
    """A mediator replaced is out; where mediators are assigned, only they act (人民调解法 19)."""
    if leg is None:
        return True
    return actor.person not in leg.replaced and (not leg.mediators or actor.person in leg.mediators)


def roles_held(actor: Actor) -> tuple[str, str]:
    """The actor's roles at their own body, as a refusal names them in Chinese and English."""
    return "、".join(role.zh for role in actor.roles) or "无", ", ".join(actor.roles) or "none"


def refusal(action: Action, actor: Actor, leg: Leg | None) -> NotPermitted:
    """The refusal, naming who may take the step."""
    zh = "、".join(letter.zh for letter in WHO[action])
    en = ", ".join(letter.en for letter in WHO[action])
    held = roles_held(actor)
    party = Letter.PARTY in WHO[action]
    hints = (
        [("；代当事人登记的，请填 on_behalf_of", "; to record it for a party, name it in `on_behalf_of`")]
        if party
        else []
    )
    if leg and M in WHO[action] and Role.MEDIATOR in actor.roles and not _assigned(actor, leg):
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
