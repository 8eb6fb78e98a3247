"""What may become of an imagined dispute, and how often: the demo's histories, and others that go on to the end."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from random import Random
from typing import Any, NamedTuple

from mediation.domain.vocabulary import DecisionKind
from mediation.service.naiman import chronicle as c
from mediation.service.naiman import county, link_ups, mediations
from mediation.service.naiman.chronicle import CENTRE, COURT, Chronicle, Dispute
from mediation.service.naiman.histories import PATHS


class Plot(NamedTuple):
    """How a history goes; how often, against the others; and on what disputes of the demo it may be told.

    It is told up to `days` after its filing at most, whatever day it is; one of `lately` is only of disputes filed no
    more days ago than that, as it breaks off.
    """

    tell: Callable[[Chronicle], None]
    share: float
    like: str
    days: int = 400
    lately: int = 0


def village(story: Chronicle) -> None:
    """Settled and performed at the village, and closed; two in three filed away."""
    body = mediations.settle_at(story, sessions=1 + story.dispute["id"] % 2)
    mediations.perform_and_close(story, body)
    if story.dispute["id"] % 3:
        c.archive(story, body)


def violent(story: Chronicle) -> None:
    """Domestic violence: fewer people see it; settled and performed at the village."""
    body = mediations.intake(story, sensitive=["domestic_violence"])
    mediations.mediate(story, body)
    c.settle(story, body)
    c.report(story, body, "settled", "agreement")
    mediations.perform_and_close(story, body)


def failed(story: Chronicle) -> None:
    """Mediated without result; the parties are told where they may go, and the village closes it."""
    mediations.unsettled(story)
    story.wait(6)
    c.close(story, story.village, routes_told=True)


def withdrawn(story: Chronicle) -> None:
    """Taken back by those who asked, before mediation began or during it."""
    body = mediations.intake(story)
    story.wait(1)
    c.accept(story, body)
    if story.dispute["id"] % 2:
        c.start(story, body)
    reason = ("solved", "unwilling", "other")[story.dispute["id"] % 3]
    story.by(body, story.clerk(body), "withdraw", on_behalf_of=story.applicants, reason=reason, routes_told=True)


def returned(story: Chronicle) -> None:
    """Sent to the wrong village committee's superior first, which sends it back; then settled where it arose."""
    c.file(story, CENTRE)
    c.offer(story, CENTRE, COURT, "triage", "application")
    story.wait(2)
    story.by(COURT, "clerk", "return", handoff=story.handoffs, reason="not_competent")
    story.wait(1)
    c.hand_over(story, CENTRE, story.village, "triage", "application")
    story.owed = story.handoffs
    mediations.mediate(story, story.village)
    c.settle(story, story.village)
    c.report(story, story.village, "settled", "agreement")
    mediations.perform_and_close(story, story.village)


def at_township(story: Chronicle) -> None:
    """Without result in the village; settled and performed in the township."""
    mediations.at_township(story)
    _finished(story, story.township)


def at_county(story: Chronicle) -> None:
    """Without result in village and township; settled and performed at the county centre."""
    mediations.at_county(story)
    _finished(story, CENTRE)


def arbitrated(story: Chronicle) -> None:
    """Before the committee, then the commission, which closes what was settled there and performed."""
    link_ups.labour_arbitration(story)
    if story.agreements:
        story.wait(2)
        c.close(story, link_ups.LABOUR_COMMISSION)


def _finished(story: Chronicle, body: str) -> None:
    c.settle(story, body)
    c.report(story, body, "settled", "agreement")
    mediations.perform_and_close(story, body)


def sued(story: Chronicle) -> None:
    """Mediated without result; the applicants sue, and the court gives judgment."""
    mediations.unsettled(story)
    story.wait(2)
    c.hand_over(story, story.village, COURT, "suit", "application", on_behalf_of=story.applicants)
    story.wait(4)
    c.accept(story, COURT, number=f"{story.today.year}-NM0525-MC-{1000 + story.dispute['id']}")
    story.wait(45)
    link_ups.decide(story, COURT, DecisionKind.JUDGMENT, "经开庭审理，依法判决")


def tried(story: Chronicle) -> None:
    """Filed at the court; mediated there without result, and judged."""
    c.file(story, COURT, "registration identity complaint evidence")
    story.wait(4)
    c.accept(story, COURT, number=f"{story.today.year}-NM0525-MC-{1000 + story.dispute['id']}")
    story.wait(15)
    c.start(story, COURT)
    c.fail(story, COURT)
    story.wait(50)
    link_ups.decide(story, COURT, DecisionKind.JUDGMENT, "调解未成，及时判决")


def entrusted(story: Chronicle) -> None:
    """诉调对接: docketed, entrusted to the township, settled there, confirmed by the court, performed and closed."""
    c.file(story, COURT, "registration identity complaint evidence")
    story.wait(4)
    c.accept(story, COURT, number=f"{story.today.year}-NM0525-MC-{1000 + story.dispute['id']}")
    story.wait(2)
    suit, body = story.legs, story.township
    c.hand_over(story, COURT, body, "court_entrust", "entrustment_letter evidence", consents=story.parties)
    story.owed = story.handoffs
    mediations.mediate(story, body)
    c.settle(story, body)
    c.report(story, body, "settled", "agreement")
    story.wait(1)
    left = {"on_behalf_of": story.applicants, "reason": "solved", "permitted": True, "leg": suit}
    story.by(COURT, "judge", "withdraw", **left, text="准许撤诉")
    story.wait(1)
    asked = {"on_behalf_of": story.concerned, "agreement": story.agreements, "reason": "effect"}
    c.hand_over(story, body, COURT, "confirmation", "agreement hosting_proof", **asked)
    story.wait(2)
    c.accept(story, COURT)
    story.wait(6)
    link_ups.decide(story, COURT, DecisionKind.CONFIRMED, "经审查，调解协议合法有效，裁定确认")
    mediations.perform_and_close(story, body)


def supervised(story: Chronicle) -> None:
    """Taken to the township, listed and urged by the county; settled, performed and closed."""
    mediations.at_township(story)
    above = {"leg": story.host}
    story.by(CENTRE, "supervisor", "supervise", **above, text="涉及户数多，挂牌督办")
    story.wait(10)
    story.by(CENTRE, "supervisor", "urge", **above)
    _finished(story, story.township)


def _like(*paths: str) -> str:
    return " ".join(paths)


_SETTLING = _like("closed_performed", "archived", "settled", "settled_partly_performed", "at_township", "at_county")
_DEMO: Mapping[str, tuple[float, int, int]] = {
    # share, days, lately
    "on_the_spot": (30, 400, 0),
    "declined": (4, 400, 0),
    "confirmed": (2, 400, 0),
    "joint": (1.2, 400, 0),
    "danger": (0.7, 400, 0),
    "police_case": (2, 400, 0),
    "procuratorate": (0.4, 400, 0),
    "petition": (1.2, 400, 0),
    "medical": (1.2, 400, 0),
    "traffic": (5, 400, 0),
    "consumer": (2.5, 400, 0),
    "reopened": (0.2, 400, 0),
    "enforcement": (0.4, 400, 0),
    "court_trial": (0.6, 200, 0),
    "breached": (0.4, 400, 0),
    "suspended": (0.15, 90, 0),
    "settled_partly_performed": (0.3, 400, 0),
    "court_entrusted": (0.4, 40, 60),
    "suit_offered": (0.5, 30, 35),
    "escalated_in_transit": (0.5, 60, 35),
    "confirmation_offered": (0.5, 30, 35),
    "confirmation_pending": (0.4, 60, 35),
    "unsettled": (0.5, 60, 45),
    "settled": (0.5, 60, 90),
    "filed": (0.3, 60, 10),
    "accepted": (0.3, 60, 25),
    "mediating": (0.6, 60, 40),
}
_REST = {126, 152, 172}  # disputes whose number means something to their path


@cache
def plots() -> Mapping[str, Plot]:
    """Every plot by its name."""
    own = {
        "village": Plot(village, 33, _SETTLING),
        "violent": Plot(violent, 0.5, "closed_performed archived confirmed settled reopened"),
        "failed": Plot(failed, 5, f"{_SETTLING} unsettled"),
        "withdrawn": Plot(withdrawn, 3, _SETTLING),
        "returned": Plot(returned, 0.8, _SETTLING),
        "settled_at_township": Plot(at_township, 4, _SETTLING),
        "settled_at_county": Plot(at_county, 1.5, _SETTLING),
        "supervised_to_the_end": Plot(supervised, 0.5, _SETTLING),
        "sued": Plot(sued, 1.8, f"{_SETTLING} unsettled suit_offered"),
        "tried": Plot(tried, 1.2, "court_trial"),
        "entrusted": Plot(entrusted, 1.5, "court_entrusted"),
        "arbitrated": Plot(arbitrated, 1.6, "labour_arbitration"),
    }
    demo = {name: Plot(PATHS[name].tell, share, name, days, lately) for name, (share, days, lately) in _DEMO.items()}
    return own | demo


def disputes_like(plot: str) -> Sequence[Dispute]:
    """The disputes of the demo that such a history may be told of."""
    paths = plots()[plot].like.split()
    found = [one for one in county.disputes() if one["path"] in paths and one["id"] not in _REST]
    if plot == "violent":
        return [one for one in found if one["category"] == "marriage_family"]
    if plot == "medical":
        return [one for one in found if "鉴定" not in one["facts"]]
    return found


def more_parties(dispute: dict[str, Any], chance: Random) -> None:
    """Let more people have the dispute, up to ten in all: neighbours who ask the same, or are asked the same."""
    wanted = 2
    while wanted < _MOST_PARTIES and chance.random() < _ONE_MORE:
        wanted += 1
    parties, claims = dispute["parties"], dispute["claims"]
    while len(parties) < wanted:
        joins = "against" if chance.random() < _RESPONDENT else "by"
        side = "respondent" if joins == "against" else "applicant"
        parties.append({"kind": "natural", "side": side})
        for claim in claims:
            if claim["kind"] == "civil" and claim[joins]:
                claim[joins].append(len(parties))


_MOST_PARTIES, _ONE_MORE, _RESPONDENT = 10, 0.4, 0.4
