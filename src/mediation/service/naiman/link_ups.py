"""Histories at courts, police, procuratorate, agencies, commissions and petition offices, and what they hand on."""

from datetime import timedelta

from mediation.domain.vocabulary import DecisionKind
from mediation.service.naiman import chronicle as c
from mediation.service.naiman.chronicle import (
    COURT,
    MARKET,
    PETITIONS,
    TRAFFIC_POLICE,
    Chronicle,
)
from mediation.service.naiman.county import COUNTY
from mediation.service.naiman.mediations import (
    MEDICAL_ASSOCIATION,
    MEDICAL_COMMITTEE,
    appraisal,
    dues,
    intake,
    mediate,
    past_due,
    perform_and_close,
    perform_when_due,
    settle_at,
    unsettled,
)
from mediation.service.registry import org_id

CONSUMERS = f"{COUNTY}-consumer_association-01"
PROCURATORATE = f"{COUNTY}-procuratorate-01"
LABOUR_COMMITTEE = f"{COUNTY}-industry_committee-04"
LABOUR_COMMISSION = f"{COUNTY}-arbitration_commission-01"
TRAFFIC_COMMITTEE = f"{COUNTY}-industry_committee-02"
CITY_PETITIONS = "1505-petition_office-01"
PROVINCE_PETITIONS = "15-petition_office-01"

_TRIBUNALS = {f"{COUNTY}101": f"{COUNTY}101-court-01"}
_OVERDUE_TRIAL_DAYS = 170


def court_of(story: Chronicle) -> str:
    """The tribunal of the township where there is one, else the county court."""
    return _TRIBUNALS.get(story.dispute["division"][:9], COURT)


def decide(story: Chronicle, body: str, decision: DecisionKind, text: str, **fields: object) -> None:
    """作出决定, with its document."""
    story.by(body, story.hand(body), "decide", "decision_document", decision=decision.value, text=text, **fields)


# --- courts -----------------------------------------------------------------------------------------------------------


def _docketed(story: Chronicle) -> str:
    court = court_of(story)
    c.file(story, court, "registration identity complaint evidence")
    story.wait(4)
    c.accept(story, court, number=f"{story.today.year}-NM0525-MC-{1000 + story.dispute['id']}")
    return court


def court_trial(story: Chronicle) -> None:
    """Docketed; mediated before the hearing without result; being tried, in extended time where that is long."""
    court = _docketed(story)
    story.wait(15)
    c.start(story, court)
    c.fail(story, court)
    if story.until - story.today > timedelta(days=_OVERDUE_TRIAL_DAYS - 30):
        story.wait_until(story.until - timedelta(days=30))
        trial = 2  # the first clock is that of docketing
        told = "案情复杂，经院长批准延长审限"
        story.by(court, "chair", "extend", clock=trial, by=3, approved=True, text=told)


def court_entrusted(story: Chronicle) -> None:
    """Docketed, and entrusted with the parties' consent to the township's committee, where it is being mediated."""
    court = _docketed(story)
    story.wait_until(story.until - timedelta(days=12))
    papers = "entrustment_letter evidence"
    c.hand_over(story, court, story.township, "court_entrust", papers, consents=story.parties)
    mediate(story, story.township)


def suit_offered(story: Chronicle) -> None:
    """Mediated without result; the applicants sue, and the court has not yet received it."""
    unsettled(story)
    story.wait_until_lately(2)
    c.offer(story, story.village, court_of(story), "suit", "application", on_behalf_of=story.applicants)


def _settled_for_court(story: Chronicle) -> tuple[str, str]:
    """Settled; the committee, and the court that may confirm it."""
    committee = MEDICAL_COMMITTEE if story.dispute["category"] == "medical" else story.village
    committee = settle_at(story, committee)
    story.wait(3)
    return committee, court_of(story)


def _offer_confirmation(story: Chronicle, committee: str, court: str) -> None:
    asked = {"on_behalf_of": story.concerned, "agreement": story.agreements, "reason": "effect"}
    c.offer(story, committee, court, "confirmation", "agreement hosting_proof", **asked)


def confirmation_offered(story: Chronicle) -> None:
    """Settled; both sides ask for confirmation, and the court has not yet received it."""
    committee, court = _settled_for_court(story)
    story.wait_until_lately(1)
    _offer_confirmation(story, committee, court)


def _confirming(story: Chronicle) -> tuple[str, str]:
    """Settled, and both sides have asked the court to confirm; the court has taken it."""
    committee, court = _settled_for_court(story)
    _offer_confirmation(story, committee, court)
    story.wait(1)
    c.receive(story, court)
    story.wait(2)
    c.accept(story, court)
    return committee, court


def confirmation_pending(story: Chronicle) -> None:
    """Settled; confirmation is before the court."""
    _confirming(story)


def _confirm(story: Chronicle) -> tuple[str, str]:
    committee, court = _confirming(story)
    story.wait(6)
    decide(story, court, DecisionKind.CONFIRMED, "经审查，调解协议合法有效，裁定确认")
    return committee, court


def confirmed(story: Chronicle) -> None:
    """Confirmed; performed as far as it has come due, and closed if that is all."""
    committee, _ = _confirm(story)
    come = past_due(story)
    if len(come) == len(dues(story)):
        perform_and_close(story, committee)
    else:
        perform_when_due(story, committee, come)


def enforcement(story: Chronicle) -> None:
    """Confirmed and not performed: the creditor has applied, and the court enforces."""
    committee, court = _confirm(story)
    story.wait_until(story.signed_on + timedelta(days=dues(story)[0] + 4))
    told = {"agreement": story.agreements, "text": story.note}
    story.by(committee, story.clerk(committee), "breach", urged=True, **told)
    story.wait(5)
    papers = "enforceable_document"
    creditor = [story.dispute["obligations"][0]["obligee"]]
    c.hand_over(story, committee, court, "enforcement", papers, on_behalf_of=creditor, agreement=story.agreements)
    story.wait(3)
    c.accept(story, court)


# --- police and procuratorate -----------------------------------------------------------------------------------------


def _at_authority(story: Chronicle, body: str) -> None:
    c.file(story, body, "registration identity evidence")
    story.wait(1)
    c.accept(story, body)


def police_case(story: Chronicle) -> None:
    """治安案件: entrusted to the committee; or settled by the police; or punished, the money left to the courts."""
    station = story.station
    _at_authority(story, station)
    story.wait(2)
    which = story.dispute["id"] % 3
    if which == 0:
        papers = "transfer_letter injury_data"
        agreed = {"consents": story.parties, "violation": True, "reason": "party_choice"}
        c.hand_over(story, station, story.township, "police_case", papers, **agreed)
        story.owed = story.handoffs
        mediate(story, story.township)
        c.settle(story, story.township)
        perform_when_due(story, story.township, dues(story), ahead=40)
        c.report(story, story.township, "performed", "performance_proof joint_application")
        decide(story, station, DecisionKind.NO_PENALTY, "双方达成协议并已履行，依法不予处罚")
    elif which == 1:
        given = {"consent": "given", "on_behalf_of": story.concerned}
        story.by(station, "officer", "record_consent", "consent_paper", **given)
        c.settle(story, station)
        perform_when_due(story, station, dues(story), ahead=40)
        decide(story, station, DecisionKind.NO_PENALTY, "经公安机关调解达成协议并已履行，不予处罚")
    else:
        c.start(story, station)
        c.fail(story, station)
        story.wait(7)
        public = [n for n, claim in enumerate(story.dispute["claims"], 1) if claim["kind"] == "public"]
        decide(story, station, DecisionKind.PENALTY, "调解不成，依法予以处罚", claims=public)
        told = {"routes_told": True, "text": "已告知当事人可就民事赔偿向人民法院起诉"}
        left = {"on_behalf_of": story.applicants, "reason": "suit", "permitted": True}
        story.by(station, "officer", "withdraw", **left, **told)


def procuratorate(story: Chronicle) -> None:
    """检调对接: reconciled through the committee; performed, or guaranteed where it takes long; then decided."""
    _at_authority(story, PROCURATORATE)
    story.wait(2)
    agreed = {"consents": story.parties, "reason": "party_choice"}
    c.hand_over(story, PROCURATORATE, story.township, "prosecution", "entrustment_letter", **agreed)
    story.owed = story.handoffs
    mediate(story, story.township)
    c.settle(story, story.township)
    come = past_due(story)
    perform_when_due(story, story.township, come)
    if len(come) == len(dues(story)):
        c.report(story, story.township, "performed", "performance_proof forgiveness_letter")
    else:
        c.report(story, story.township, "guaranteed", "agreement forgiveness_letter", guaranteed=True)
    story.wait(3)
    decide(story, PROCURATORATE, DecisionKind.NOT_PROSECUTED, "双方自愿和解，犯罪嫌疑人认罪悔罪，决定不起诉")


# --- petitions --------------------------------------------------------------------------------------------------------


def petition(story: Chronicle) -> None:
    """访调对接: entrusted; settled, or decided by an opinion that some ask to have reviewed and reviewed again."""
    _at_authority(story, PETITIONS)
    story.wait(3)
    c.hand_over(story, PETITIONS, story.township, "petition", "transfer_letter", consents=story.parties)
    story.owed = story.handoffs
    mediate(story, story.township, 2)
    reviews = {126: [CITY_PETITIONS], 172: [CITY_PETITIONS, PROVINCE_PETITIONS]}.get(story.dispute["id"], [])
    if reviews:
        c.fail(story, story.township)
        c.report(story, story.township, "failed", "end_report")
    else:
        c.settle(story, story.township)
        c.report(story, story.township, "settled", "agreement")
    story.wait(5)
    decide(story, PETITIONS, DecisionKind.OPINION, "依照政策和查明的事实作出处理意见")
    if not reviews:
        perform_and_close(story, story.township)
    asker = PETITIONS
    for number, reviewer in enumerate(reviews):
        story.wait(15)
        story.legs += 1
        asked = {"cause": "review", "on_behalf_of": story.applicants, "org": org_id(reviewer)}
        story.by(asker, "clerk", "reopen", **asked, text="对处理意见不服，请求复查（复核）")
        story.wait(3)
        c.accept(story, reviewer)
        if number + 1 < len(reviews) or reviewer == PROVINCE_PETITIONS:
            story.wait(12)
            last = reviewer == PROVINCE_PETITIONS or None
            decide(story, reviewer, DecisionKind.REVIEW_UPHELD, "原处理意见事实清楚、依据充分，予以维持", final=last)
        asker = reviewer


# --- labour, medical, traffic, consumers ------------------------------------------------------------------------------


def labour_arbitration(story: Chronicle) -> None:
    """The committee's fifteen days run out, or it fails; the commission mediates again, awards, or is at it."""
    committee = intake(story, LABOUR_COMMITTEE)
    filed_on = story.today
    mediate(story, committee)
    if "十五天" in story.dispute["facts"]:
        story.wait_until(filed_on + timedelta(days=19))
        story.by_clock(committee, "fail", ground="period_over", leg=story.host)
        story.wait(1, at_least=1)
    else:
        c.fail(story, committee)
    c.hand_over(story, committee, LABOUR_COMMISSION, "arbitration", "application", on_behalf_of=story.applicants)
    story.wait(2)
    c.accept(story, LABOUR_COMMISSION)
    if story.until - story.today < timedelta(days=30):
        return
    if story.dispute["id"] % 2:
        story.wait(30)
        decide(story, LABOUR_COMMISSION, DecisionKind.AWARD, "裁决用人单位支付所欠款项")
        c.report(story, LABOUR_COMMISSION, "other_forum", "decision_document")
    else:
        c.start(story, LABOUR_COMMISSION)
        c.settle(story, LABOUR_COMMISSION, form="mediation_document")
        c.report(story, LABOUR_COMMISSION, "settled", "agreement")
        perform_when_due(story, LABOUR_COMMISSION, past_due(story))


def medical(story: Chronicle) -> None:
    """医调委: with the association's opinion where it is disputed; confirmed, performed and closed, or still on."""
    which = story.dispute["id"]
    if which == 152:  # noqa: PLR2004  # the clinic's doctor is gone: the parents wanted more than a promise
        confirmed(story)
        return
    committee = intake(story, MEDICAL_COMMITTEE)
    mediate(story, committee)
    if "鉴定" in story.dispute["facts"]:
        story.by(committee, "mediator", "suspend", cause="appraisal", text="双方共同委托医学会鉴定")
        appraisal(story, committee)
        story.wait(20)
        story.by(MEDICAL_ASSOCIATION, "clerk", "report", "opinion", handoff=story.handoffs, code="opinion")
        story.by(committee, "mediator", "resume", cause_removed=True)
        return
    c.settle(story, committee)
    c.report(story, committee, "settled", "agreement")
    if len(past_due(story)) == len(dues(story)):
        perform_and_close(story, committee)
    else:
        perform_when_due(story, committee, past_due(story))


def traffic(story: Chronicle) -> None:
    """At the committee, or at the traffic police, to whom all parties go where the committee did not settle it."""
    which = story.dispute["id"] % 3
    if story.dispute["channel"] == "police_110":
        body = TRAFFIC_POLICE
        c.file(story, body)
        mediate(story, body)
    else:
        body = intake(story, TRAFFIC_COMMITTEE)
        mediate(story, body)
        if which == 2:  # noqa: PLR2004  # one in three
            c.fail(story, body)
            asked = {"consents": story.parties, "on_behalf_of": story.parties, "reason": "not_settled"}
            c.hand_over(story, body, TRAFFIC_POLICE, "agency", "end_report consent_paper", **asked)
            body = TRAFFIC_POLICE
            mediate(story, body)
    if story.until - story.today < timedelta(days=30):
        return
    c.settle(story, body)
    c.report(story, body, "settled", "agreement")
    if len(past_due(story)) == len(dues(story)):
        perform_and_close(story, body)
    else:
        perform_when_due(story, body, past_due(story))


def consumer(story: Chronicle) -> None:
    """消费投诉: mediated by the regulator itself, or entrusted to the consumers' association."""
    c.file(story, MARKET)
    story.wait(2)
    c.accept(story, MARKET)
    body = MARKET
    entrusted = story.dispute["id"] % 2 == 0
    if entrusted:
        body = CONSUMERS
        agreed = {"consents": story.parties, "agency_agrees": True}
        c.hand_over(story, MARKET, body, "agency_entrust", "entrustment_letter", **agreed)
        story.owed = story.handoffs
        story.wait(1)
        c.accept(story, body)
    c.start(story, body)
    if story.until - story.today < timedelta(days=15):
        return
    c.settle(story, body)
    c.report(story, body, "settled", "agreement")
    if entrusted:
        story.by(MARKET, "officer", "withdraw", on_behalf_of=story.applicants, reason="solved", leg=1)
    if len(past_due(story)) == len(dues(story)):
        perform_and_close(story, body)
