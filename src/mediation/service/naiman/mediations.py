"""Histories at committees: how a dispute comes to one, and everything from filing to archiving, up the ladder too."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from mediation.service.naiman import chronicle as c
from mediation.service.naiman.chronicle import AGENCIES, CENTRE, COURT, PETITIONS, Chronicle, Line
from mediation.service.naiman.county import COUNTY
from mediation.service.registry import org_id

MEDICAL_COMMITTEE = f"{COUNTY}-industry_committee-01"
GOVERNMENT = f"{COUNTY}-government-01"
MEDICAL_ASSOCIATION = "1505-expert_body-01"


# --- how a dispute comes to a committee -------------------------------------------------------------------------------


def intake(story: Chronicle, committee: str = "", **fields: Any) -> str:  # noqa: ANN401  # fields of `file`
    """登记 where it came in; a dispute that came to another counter is handed to the committee of its village."""
    committee = committee or story.village
    counter, link_up, papers, with_ = {
        "hotline": (CENTRE, "triage", "application", {}),
        "court": (COURT, "triage", "application", {}),
        "petition": (PETITIONS, "triage", "application", {}),
        "agency": (AGENCIES.get(story.dispute["category"], CENTRE), "triage", "application", {}),
        "police_110": (story.station, "police_civil", "intake_record", {"consents": story.parties}),
    }.get(story.dispute["channel"], (committee, "", "", {}))
    c.file(story, counter, **fields)
    if counter != committee:
        c.hand_over(story, counter, committee, link_up, papers, **with_)
        story.owed = story.handoffs
    return committee


def mediate(story: Chronicle, body: str, sessions: int = 1) -> None:
    """Accepted, prepared, and mediated in so many sessions."""
    story.wait(1)
    c.accept(story, body)
    c.start(story, body, sessions=sessions)


def settle_at(story: Chronicle, committee: str = "", sessions: int = 1) -> str:
    """Filed, mediated and settled at a committee; whoever is owed a report has it."""
    committee = intake(story, committee)
    mediate(story, committee, sessions)
    c.settle(story, committee)
    c.report(story, committee, "settled", "agreement")
    return committee


def perform_when_due(story: Chronicle, body: str, days: Iterable[int], *, ahead: int = 3) -> None:
    """What is due so many days after signing is performed the day before, but `ahead` days before now at the latest."""
    for due in sorted(set(days)):
        day = story.signed_on + timedelta(days=max(due - 1, 0))
        story.wait_until(min(day, story.until - timedelta(days=ahead)))
        numbers = [n for n, owed in enumerate(story.dispute["obligations"], 1) if owed["days"] == due]
        c.perform(story, body, numbers)


def dues(story: Chronicle) -> list[int]:
    """The days after signing on which something is due, earliest first."""
    return sorted({owed["days"] for owed in story.dispute["obligations"]})


def past_due(story: Chronicle, margin: int = 10) -> list[int]:
    """The days after signing on which something was due that have come by now."""
    return [due for due in dues(story) if story.signed_on + timedelta(days=due + margin) <= story.until]


def perform_and_close(story: Chronicle, body: str) -> None:
    """Performed, early where there was not the time to wait, and closed."""
    perform_when_due(story, body, dues(story), ahead=40)
    story.wait(2)
    c.close(story, body)


# --- at committees ----------------------------------------------------------------------------------------------------


def filed(story: Chronicle) -> None:
    """On record at the committee; not yet taken."""
    intake(story)


def declined(story: Chronicle) -> None:
    """Not taken: the note says why, and the parties were told where to go."""
    body = PETITIONS if story.dispute["channel"] == "petition" else story.village
    c.file(story, body)
    story.wait(2)
    ground = "reserved" if story.dispute["category"] == "housing_homestead" else "other_forum"
    story.by(body, story.clerk(body), "decline", ground=ground, routes_told=True, text=story.note)


def accepted(story: Chronicle) -> None:
    """Taken, and prepared."""
    committee = intake(story)
    story.wait(1)
    c.accept(story, committee)
    story.by(committee, "chair", "prepare", plan=story.plan(committee))


def mediating(story: Chronicle) -> None:
    """Being mediated at the committee of the village."""
    mediate(story, intake(story), 1 + story.dispute["id"] % 2)


def suspended(story: Chronicle) -> None:
    """Mediation stands still, as the note says."""
    medical = story.dispute["category"] == "medical"
    committee = intake(story, MEDICAL_COMMITTEE if medical else story.village)
    mediate(story, committee)
    cause = next((cause for word, cause in (("鉴定", "appraisal"), ("死亡", "succession")) if word in story.note), "")
    story.by(committee, "mediator", "suspend", cause=cause or "force_majeure", text=story.note)
    if medical:
        appraisal(story, committee)


def appraisal(story: Chronicle, committee: str) -> None:
    """An opinion is asked of the medical association."""
    c.offer(story, committee, MEDICAL_ASSOCIATION, "appraisal", "evidence", consents=story.parties, reason="expertise")
    story.wait(2)
    c.receive(story, MEDICAL_ASSOCIATION, opens=False)


def settled(story: Chronicle) -> None:
    """Settled; performed where that has long been due, and then only closing is left."""
    committee = settle_at(story, sessions=1 + story.dispute["id"] % 2)
    if len(past_due(story, 30)) == len(dues(story)):
        perform_when_due(story, committee, dues(story))


def partly_performed(story: Chronicle) -> None:
    """Settled, and some of what was promised is done."""
    committee = settle_at(story)
    perform_when_due(story, committee, (past_due(story) or dues(story))[: len(dues(story)) - 1])


def breached(story: Chronicle) -> None:
    """Settled, urged, and not performed: the claims are open again."""
    committee = settle_at(story)
    story.wait_until(story.signed_on + timedelta(days=dues(story)[0] + 3))
    story.by(committee, story.clerk(committee), "note", kind="visit", text="上门督促履行协议")
    story.wait(5, at_least=1)
    story.by(committee, story.clerk(committee), "breach", agreement=story.agreements, urged=True, text=story.note)


def unsettled(story: Chronicle) -> None:
    """Mediated without result; the next body is not chosen yet."""
    committee = intake(story)
    mediate(story, committee, 2)
    c.fail(story, committee)
    c.report(story, committee, "failed", "end_report")


def closed_performed(story: Chronicle) -> None:
    """Settled, performed and closed."""
    perform_and_close(story, settle_at(story, sessions=1 + story.dispute["id"] % 2))


def archived(story: Chronicle) -> None:
    """Settled, performed, closed, visited and archived."""
    committee = settle_at(story, sessions=2)
    perform_and_close(story, committee)
    c.archive(story, committee)


def on_the_spot(story: Chronicle) -> None:
    """Settled by word of mouth where it arose, and closed; every other one archived."""
    body = story.village
    c.file(story, body, "registration identity", occurred_on=story.today.isoformat())
    story.agreements += 1
    story.by(
        body, "mediator", "settle", "oral_register", form="oral", obligations=story.obligations(),
        signed_by=story.parties, mediator_signed=True, notice_given=True, consents=story.concerned,
    )  # fmt: skip
    perform_and_close(story, body)
    if story.dispute["id"] % 2:
        c.archive(story, body)


def merged(first: Chronicle, second: Chronicle) -> list[Line]:
    """The same dispute filed a second time at the township; the case that was there first absorbs it."""
    committee, counter = first.village, first.township
    mediate(first, intake(first))
    c.file(second, counter)
    second.wait_until(max(first.today, second.today))
    c.hand_over(second, counter, committee, "triage", "application")
    c.accept(second, committee)
    first.wait_until(second.today + timedelta(days=1))
    known = {party.get("id_number", party["name"]) for party in first.dispute["parties"]}
    joining = [party for party in second.dispute["parties"] if party.get("id_number", party["name"]) not in known]
    pair = {"case": f"@case:{second.dispute['id']}", "version": f"@version:{second.dispute['id']}"}
    first.by(committee, first.clerk(committee), "absorb", **pair, text="与后案人、事、地相同，并案办理")
    if joining:
        coming = [len(first.parties) + n for n, _ in enumerate(joining, 1)]
        first.parties, first.concerned = [*first.parties, *coming], [*first.concerned, *coming]
        given = {"consent": "given", "on_behalf_of": coming}
        first.by(committee, "mediator", "record_consent", "consent_paper", **given)
    second.wait_until(first.today + timedelta(days=1))
    second.by(committee, second.clerk(committee), "merge", into=f"@case:{first.dispute['id']}")
    first.wait_until(second.today + timedelta(days=1))
    c.settle(first, committee)
    second.wait_until(first.today + timedelta(days=1))
    second.by(committee, second.clerk(committee), "report", "agreement", handoff=1, code="settled")
    perform_and_close(first, committee)
    return sorted((*first.lines, *second.lines), key=lambda line: line.at)


def reopened(story: Chronicle) -> None:
    """Settled, performed and closed; then a new fact, and mediation anew."""
    committee = settle_at(story)
    perform_and_close(story, committee)
    story.wait(40)
    story.legs += 1
    story.by(committee, story.clerk(committee), "reopen", cause="new_fact", text=story.note)
    mediate(story, committee)


# --- up the ladder ----------------------------------------------------------------------------------------------------


def go_up(story: Chronicle, sender: str, receiver: str) -> None:
    """Mediated without result, escalated one tier, and mediated there."""
    c.fail(story, sender)
    story.wait(2)
    c.hand_over(story, sender, receiver, "escalate", "minutes", reason="not_settled")
    mediate(story, receiver)


def escalated(story: Chronicle) -> None:
    """Mediated without result, and on the way to the township."""
    committee = intake(story)
    mediate(story, committee)
    c.fail(story, committee)
    c.offer(story, committee, story.township, "escalate", "minutes", reason="not_settled")


def at_township(story: Chronicle) -> None:
    """Mediated without result in the village; being mediated by the township."""
    committee = intake(story)
    mediate(story, committee)
    go_up(story, committee, story.township)


def at_county(story: Chronicle) -> None:
    """Without result in the township too; being mediated at the county centre."""
    at_township(story)
    go_up(story, story.township, CENTRE)


def supervised(story: Chronicle) -> None:
    """Being mediated by the township under supervision of the county; settled in some cases."""
    at_township(story)
    above = {"leg": story.host}
    story.by(CENTRE, "supervisor", "supervise", **above, text="涉及户数多，挂牌督办")
    story.by(GOVERNMENT, "leader", "take_charge", **above)
    story.wait(15)
    story.by(CENTRE, "supervisor", "urge", **above)
    if story.dispute["id"] % 2:
        c.settle(story, story.township)
        c.report(story, story.township, "settled", "agreement")


def joint(story: Chronicle) -> None:
    """Mediated by the township together with the agency in charge and the township government."""
    township = intake(story, story.township)
    story.wait(1)
    c.accept(story, township)
    partners = (AGENCIES.get(story.dispute["category"], CENTRE), f"{story.township[:9]}-government-01")
    asked = []
    for partner in partners:
        c.offer(story, township, partner, "joint", "minutes", reason="expertise")
        story.wait(1)
        c.receive(story, partner, opens=False)
        asked.append((story.handoffs, partner))
    c.start(story, township)
    story.by(
        township, "mediator", "convene", "minutes", held_on=story.today.isoformat(),
        with_orgs=[org_id(partner) for partner in partners], text="主管部门、镇政府与各方同场调解",
    )  # fmt: skip
    c.settle(story, township)
    c.report(story, township, "settled", "agreement")
    for number, partner in asked:
        story.by(partner, story.clerk(partner), "report", "opinion", handoff=number, code="opinion")
    if len(past_due(story, 5)) == len(dues(story)):
        perform_and_close(story, township)


def danger(story: Chronicle) -> None:
    """Risk found in the midst of mediation: the police are warned; once settled, the risk is graded down."""
    committee = intake(story)
    mediate(story, committee)
    c.offer(story, committee, story.station, "alert", "risk_report", reason="danger", urgent=True, text=story.note)
    story.by(committee, "mediator", "grade_risk", risk=story.dispute["risk"])
    c.receive(story, story.station, opens=False)
    told = "民警已到场处置，不构成案件，落实专人稳控"
    story.by(story.station, "clerk", "report", handoff=story.handoffs, code="receipt", text=told)
    if story.until - story.today > timedelta(days=60):
        c.settle(story, committee)
        c.report(story, committee, "settled", "agreement")
        perform_when_due(story, committee, dues(story))
        story.by(CENTRE, "supervisor", "grade_risk", leg=story.host, risk="blue", text="矛盾已化解，风险下调")
        c.close(story, committee)
