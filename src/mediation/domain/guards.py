"""Every guard of the table by its number, and every effect by its action: where each rule is written down."""

from collections.abc import Callable, Iterator

from mediation.domain import acceptance, linking, mediating, merging, recording, settling
from mediation.domain.acceptance import case_closed, competent, mediable, no_rival, not_final, reasoned
from mediation.domain.closing import all_answered, file_complete, finished, report_meets, risk_low, routes_told
from mediation.domain.confirming import confirmable
from mediation.domain.draft import Draft
from mediation.domain.errors import Reason
from mediation.domain.linking import fits, not_by_handoff, not_held, one_tier, returnable, still_live
from mediation.domain.mediating import (
    cause_removed,
    consent,
    extendable,
    ground_listed,
    no_recusal,
    notice_given,
    prepared,
    undisputed_signed,
)
from mediation.domain.merging import mergeable
from mediation.domain.plausible import plausible
from mediation.domain.process import ROWS
from mediation.domain.recording import complaint_open, countable, liftable, not_listed, party_change_complete, urged
from mediation.domain.settling import (
    agreement_complete,
    breach_shown,
    can_fall,
    decision_fits,
    performance_proved,
    withdrawal_permitted,
)
from mediation.domain.steps import Step
from mediation.domain.vocabulary import Action, LegState

Reasons = Iterator[Reason]


CHECKS: dict[str, Callable[[Step], Reasons]] = {
    # G12 (R3) stands before every action: `refusals` asks it itself
    "G1": competent,
    "G2": mediable,
    "G3": no_rival,
    "G4": consent,
    "G5": notice_given,
    "G6": prepared,
    "G7": no_recusal,
    "G8": agreement_complete,
    "G9": confirmable,
    "G10": fits,
    "G11": one_tier,
    "G13": all_answered,
    "G14": risk_low,
    "G15": routes_told,
    "G16": reasoned,
    "G17": file_complete,
    "G18": not_final,
    "G19": ground_listed,
    "G20": report_meets,
    "G21": not_by_handoff,
    "G22": mergeable,
    "G23": case_closed,
    "G24": undisputed_signed,
    "G25": cause_removed,
    "G26": extendable,
    "G27": decision_fits,
    "G28": withdrawal_permitted,
    "G29": finished,
    "G30": performance_proved,
    "G31": breach_shown,
    "G32": can_fall,
    "G33": returnable,
    "G34": still_live,
    "G35": party_change_complete,
    "G36": not_listed,
    "G37": liftable,
    "G38": complaint_open,
    "G39": urged,
    "G40": countable,
}
EFFECTS: dict[Action, Callable[[Draft], None]] = {
    **acceptance.EFFECTS,
    **merging.EFFECTS,
    **mediating.EFFECTS,
    **settling.EFFECTS,
    **linking.EFFECTS,
    **recording.EFFECTS,
}

_GUARDS_OF = {row.action: row.guards for row in ROWS}


def held(step: Step, action: Action) -> tuple[Reason, ...]:
    """G12 (R3), asked before every action."""
    return tuple(reason._replace(guard="G12") for reason in not_held(step, action))


def refusals(step: Step, action: Action) -> tuple[Reason, ...]:
    """Every reason why this step may not be taken now: all guards are asked, none stops the others."""
    found = [*held(step, action), *plausible(step)]
    names = list(_GUARDS_OF[action])
    on_the_spot = action is Action.SETTLE and step.leg is not None and step.leg.state is LegState.FILED
    if on_the_spot:
        names += ["G1", "G2", "G3"]
    for name in names:
        if name in CHECKS:
            found += [reason._replace(guard=name) for reason in CHECKS[name](step)]
    return tuple(dict.fromkeys(found))
