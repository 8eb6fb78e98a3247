"""What an actor may do now: every action open to its role, the fields it needs, and for the rest why not."""

from functools import lru_cache
from typing import Any, NamedTuple

from mediation.domain import commands as c
from mediation.domain import guards, machine
from mediation.domain.decision import OPENS_LEG, World, concerning, ready
from mediation.domain.errors import ActionUnavailable, Malformed, Reason
from mediation.domain.facts import Actor, Case, Leg
from mediation.domain.vocabulary import Action, Letter


class Offer(NamedTuple):
    """What the actor may ask for now: available or not, why not, and the fields it takes.

    `required` are the fields without which it would be refused: those of the command, and those a guard asks for.
    """

    action: Action
    leg: int
    available: bool
    reasons: tuple[Reason, ...]
    required: tuple[str, ...]
    optional: tuple[str, ...]


def offers(case: Case, actor: Actor, at: str, world: World) -> list[Offer]:
    """Every action this actor may take in its role, and for each whether it is available now or why not."""
    own = [leg for leg in case.legs if leg.org == actor.org]
    mine = [leg for leg in own if leg.open]
    fallback = mine[-1:] or own[-1:] or [case.leading or case.legs[-1]]
    found = []
    for action in Action:
        if action is Action.FILE:
            continue
        fitting = [leg for leg in mine if machine.knows(action, leg.state.value)]
        for leg in [None] if action in OPENS_LEG else fitting or fallback:
            offer = _offer(case, action, leg, actor, at, world)
            if offer:
                found.append(offer)
    return found


class _Form(NamedTuple):
    """The blank command of an action, with the fields it must and may have."""

    command: c.Command
    required: tuple[str, ...]
    optional: tuple[str, ...]


def _form(action: Action) -> _Form:
    model = c.COMMANDS[action.value]
    fields = model.model_fields
    blank: dict[str, Any] = {name: None for name, field in fields.items() if field.is_required()}
    command = model.model_construct(**blank | {"action": action.value, "on_behalf_of": [1]})
    known = {"action", "leg", "claims", "on_behalf_of", "documents", "text"}
    required = tuple(name for name in blank if name not in known)
    return _Form(command, required, tuple(name for name in fields if name not in required and name != "action"))


_FORMS = {action: _form(action) for action in Action}


@lru_cache(maxsize=1024)
def _blank(action: Action, leg: int) -> c.Command:
    """The blank command of an action in a leg, 0 for none. Nobody changes it: it is frozen."""
    blank = _FORMS[action].command
    return blank.model_copy(update={"leg": leg}) if leg else blank


def _offer(case: Case, action: Action, leg: Leg | None, actor: Actor, at: str, world: World) -> Offer | None:
    _, required, optional = _FORMS[action]
    reasons: tuple[Reason, ...] = ()
    step = None
    try:
        step, _ = concerning(case, _blank(action, leg.id if leg else 0), actor, at, world)
        if step is None:
            return None
        ready(step, action)
        reasons = guards.held(step, action) if required else guards.refusals(step, action)
    except (ActionUnavailable, Malformed) as refused:
        reasons = refused.reasons
    for_party = ("on_behalf_of",) if step and step.letter is Letter.PARTY else ()
    needed = dict.fromkeys((*for_party, *required, *(reason.needs for reason in reasons if reason.needs)))
    blocking = tuple(reason for reason in reasons if not reason.needs)
    return Offer(action, leg.id if leg else 0, not blocking, blocking, tuple(needed), optional)
