"""THE TABLE: one row per legal step of a leg, and one per link-up (process.md §4, §5).

A computed target is written as several rows with disjoint conditions, so that for every action, state and situation at
most one row holds. `basis` names articles as `<text>-<article>`; `TEXTS` says what the texts are and how far to trust
what is cited from them. Speeches and opinions (Q) have no articles: their number is that of the mechanism in the source.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mediation.domain.vocabulary import (
    Action,
    DocumentKind,
    LegState,
    Letter,
    LinkUp,
    Mode,
    OrgKind,
    Silence,
)

NONE = "none"
"""No leg yet: the state from which `file`, `receive` and `reopen` open one."""


class LegalText(NamedTuple):
    """A text of law or policy: titles, the day from which it is cited, and its evidence label (domain.md)."""

    zh: str
    en: str
    in_force: str
    label: str


TEXTS: dict[str, LegalText] = {
    "PML": LegalText("人民调解法", "People's Mediation Law", "2011-01-01", "P"),
    "PMR": LegalText("人民调解工作若干规定(司法部令第75号)", "MOJ Order 75 on people's mediation", "2002-11-01", "S"),
    "PMO": LegalText("人民调解委员会组织条例", "Regulations on people's mediation committees", "1989-06-17", "P"),
    "LIM": LegalText("诉讼时效规定", "SPC provisions on limitation", "2021-01-01", "P"),
    "CPL": LegalText("民事诉讼法(2023)", "Civil Procedure Law (2023)", "2024-01-01", "P"),
    "CPI": LegalText("民事诉讼法解释(2022)", "SPC interpretation of the Civil Procedure Law", "2022-04-10", "P"),
    "REG": LegalText("登记立案规定", "SPC provisions on case registration", "2015-05-01", "P"),
    "CFR": LegalText("人民调解协议司法确认规定(2011)", "SPC provisions on judicial confirmation", "2011-03-30", "P"),
    "INV": LegalText("特邀调解规定", "SPC provisions on invited mediation", "2016-07-01", "P"),
    "ONL": LegalText("在线调解规则", "SPC rules of online mediation", "2022-01-01", "P"),
    "OPN": LegalText("关于严格规范民事案件立案与调解工作的意见", "SPC opinion printed 2024-12-27", "2025-01-01", "S"),
    "GAX": LegalText("公安机关办理行政案件程序规定", "Public-security administrative procedure", "2020-08-06", "P"),
    "DLX": LegalText("道路交通事故处理程序规定", "Road-accident procedure", "2018-05-01", "P"),
    "LDL": LegalText("劳动争议调解仲裁法", "Labour Dispute Mediation and Arbitration Law", "2008-05-01", "P"),
    "RLL": LegalText("农村土地承包经营纠纷调解仲裁法", "Rural Land Dispute Law", "2010-01-01", "P"),
    "MED": LegalText("医疗纠纷预防和处理条例", "Medical-dispute regulations", "2018-10-01", "P"),
    "CON": LegalText("市场监督管理投诉举报处理暂行办法", "Market-regulation complaint measures", "2020-01-01", "P"),
    "PET": LegalText("信访工作条例", "Petition regulations", "2022-05-01", "P"),
    "PRO": LegalText("人民检察院刑事诉讼规则", "Procuratorate criminal procedure rules", "2019-12-30", "P"),
    "REV": LegalText("行政复议法(2023)", "Administrative Reconsideration Law", "2024-01-01", "P"),
    "NBR": LegalText("宁波市人民调解条例", "Ningbo people's mediation regulations", "2015-06-01", "P"),
    "ZJR": LegalText("浙江省劳动人事争议调解仲裁条例", "Zhejiang labour-dispute regulations", "2016-01-01", "P"),
    "PSL": LegalText(
        "治安管理处罚法(2025)", "Public Security Administration Punishments Law (2025)", "2026-01-01", "S"
    ),
    "CNR": LegalText("市场监督管理投诉举报处理办法(总局令第121号)", "SAMR Order 121 on complaints", "2026-04-15", "C"),
    "FTD": LegalText("访调对接意见(2025)", "MOJ and petition opinion printed 2025-02-10", "2025-02-10", "S"),
    "LDR": LegalText("劳动人事争议仲裁办案规则(2017)", "Labour arbitration case rules", "2017-07-01", "G"),
    "GFR": LegalText("广东省林木林地权属争议调解处理条例", "Guangdong forest-right regulations", "2016-05-01", "P"),
    "LNR": LegalText("辽宁省行政调解规定", "Liaoning administrative-mediation provisions", "2015-12-01", "S"),
    "SZR": LegalText("深圳经济特区矛盾纠纷多元化解条例", "Shenzhen dispute-resolution regulations", "2022-05-01", "P"),
    "OUR": LegalText("本服务规程", "Policy of this service (docs/decisions/0007)", "2026-11-22", "Q"),
    "FRM": LegalText("人民调解文书格式和统计报表(2010)", "MOJ mediation forms of 2010", "2010-12-31", "S"),
    "NMQ": LegalText("奈曼旗讲话(2011)", "Naiman Banner speech of 2011", "2011-09-09", "Q"),
    "SCQ": LegalText("上城区意见(2011)", "Shangcheng District opinion of 2011", "2011-03-18", "Q"),
    "YYQ": LegalText("岳阳市做法", "Yueyang practice", "2011-01-01", "Q"),
}

CONDITIONS: dict[str, str] = {
    "decides": "the procedure decides",
    "started": "mediation was started before",
    "claims_left": "claims of the leg stay open after the step",
    "unfinished": "an agreement hosted by the leg is unfinished",
    "enforceable": "the agreement is enforceable",
    "interim": "the report is interim",
    "opens": "the link-up opens a leg at the receiver",
}


class Row(NamedTuple):
    """A legal step: `when` holds condition names, `!name` for its absence."""

    action: Action
    source: str
    target: str
    when: frozenset[str]
    who: tuple[Letter, ...]
    guards: tuple[str, ...]
    basis: tuple[str, ...]


_F, _A, _M, _S, _D, _T, _U, _E = (state.value for state in LegState)
_OPEN = (_F, _A, _M, _S, _D, _T, _U)
_ALL = (*_OPEN, _E)
_BODY = (_A, _M, _S, _D, _U)


def _same(states: Iterable[str]) -> list[tuple[str, str, str]]:
    return [(state, state, "") for state in states]


def _remainder(states: Iterable[str], extra: str = "") -> list[tuple[str, str, str]]:
    """R2: claims left → unchanged; else an agreement unfinished → settled; else ended."""
    rows = []
    for state in states:
        rows.append((state, state, f"{extra} claims_left".strip()))
        rows.append((state, _T, f"{extra} !claims_left unfinished".strip()))
        rows.append((state, _E, f"{extra} !claims_left !unfinished".strip()))
    return rows


def _unhosted(states: Iterable[str]) -> list[tuple[str, str, str]]:
    """R2 where no agreement can have been made yet."""
    return [row for state in states for row in ((state, state, "claims_left"), (state, _E, "!claims_left"))]


def _home(states: Iterable[str], otherwise: str, extra: str = "") -> list[tuple[str, str, str]]:
    """R1: back to deciding where the procedure decides, else `otherwise`."""
    return [
        (state, target, f"{extra} {condition}".strip())
        for state in states
        for target, condition in ((_D, "decides"), (otherwise, "!decides"))
    ]


# Per action: who, guards, basis, and the moves (source, target, when).
_STEPS: dict[Action, tuple[str, str, str, list[tuple[str, str, str]]]] = {
    Action.FILE: ("P C", "G18", "LIM-12 PML-17", [(NONE, _F, "")]),
    Action.ACCEPT: ("C J M T", "G1 G2 G3", "PMR-20 PMR-24 CPL-126", _home([_F], _A)),
    Action.DECLINE: ("C J M", "G15 G16 G21", "PMR-24", [(_F, _E, "")]),
    Action.MERGE: ("C M", "G22", "OUR-1", [(state, _E, "") for state in (_F, _A, _M, _U)]),
    Action.ABSORB: ("C M", "G22", "OUR-1", _same(_OPEN)),
    Action.REOPEN: ("C P J U", "G18 G23", "CPL-206 PET-35 PET-36", [(NONE, _F, "")]),
    Action.PREPARE: ("H", "", "SCQ-53", _same(_BODY)),
    Action.APPOINT: ("H P", "G7", "PML-19 INV-12 INV-15", _same(_BODY)),
    Action.INFORM_RIGHTS: ("M C", "", "INV-14 PMR-30", _same((_A, _M, _D, _U))),
    Action.RECORD_CONSENT: ("P C M", "", "PML-17 PML-23", _same((_F, _A, _M, _S, _D, _U))),
    Action.START: (
        "M J",
        "G2 G4 G5 G6 G7",
        "CPL-125 LDL-42 GAX-183",
        [(state, _M, "") for state in (_A, _D, _U)],
    ),
    Action.CONVENE: ("M J", "G4 G7", "PML-22 PML-27", _same((_M,))),
    Action.RECORD_UNDISPUTED: ("M J", "G24", "ONL-18 ONL-22", _same((_M, _U))),
    Action.SUSPEND: ("M H", "", "MED-38 INV-18 CON-19", [(_A, _S, ""), (_M, _S, "")]),
    Action.RESUME: ("M H", "G25", "MED-38 INV-18 CON-19", [(_S, _M, "started"), (_S, _A, "!started")]),
    Action.EXTEND: ("H M J P", "G26", "INV-27 CFR-5 PET-34", _same((_A, _M, _S, _D))),
    Action.SETTLE: (
        "M J",
        "G2 G4 G7 G8",
        "PML-28 PML-29 PML-30 INV-20 INV-24 GAX-178",
        [
            (_F, _T, "!claims_left"),
            (_M, _M, "claims_left"),
            (_M, _T, "!claims_left"),
            (_D, _D, "claims_left"),
            (_D, _T, "!claims_left"),
        ],
    ),
    Action.FAIL: ("M J T", "G19", "PML-26 INV-26 ONL-25 CON-21", _home([_A, _M, _S], _U)),
    Action.DECIDE: ("J", "G16 G27", "CPL-206 CPL-156 GAX-185", _remainder([_D])),
    Action.WITHDRAW: ("P", "G15 G28", "PML-23 CFR-5", [*_unhosted([_F, _A]), *_remainder([_M, _S, _D, _U])]),
    Action.CLOSE: (
        "H C",
        "G13 G14 G15 G29",
        "NMQ-6 YYQ-79 PML-26",
        [(_T, _E, ""), *_remainder([_U])],
    ),
    Action.FULFIL: ("C M P J", "G30", "PML-31", _same(_ALL)),
    Action.BREACH: (
        "C P J M",
        "G31",
        "PML-32 PML-33 GAX-185",
        [(_T, _T, "enforceable"), *_home([_T], _U, "!enforceable"), *_same((_F, _A, _M, _S, _D, _U, _E))],
    ),
    Action.VOID: (
        "C J M",
        "G32",
        "CPL-102 CPL-206 PRO-504 NBR-26",
        [*_home([_T], _U), *_same((_F, _A, _M, _S, _D, _U, _E))],
    ),
    Action.FOLLOW_UP: ("M C", "", "NMQ-6", _same(_ALL)),
    Action.ESCALATE: ("H T", "G10 G11 G12", "PMR-21", _same((_F, _A, _M, _U))),
    Action.DELEGATE: ("H U", "G10 G12", "PET-22 PET-24", _same((_F, _A, _D, _U))),
    Action.REFER: ("C M H J", "G10 G9 G12", "INV-11 PML-33", _same(_ALL)),
    Action.RECEIVE: ("R", "G1", "INV-27", [(NONE, _F, "opens"), (NONE, NONE, "!opens")]),
    Action.RETURN: ("R T", "G33", "ONL-12 PET-23", [(_F, _E, ""), (NONE, NONE, "")]),
    Action.RECALL: ("S T", "G34", "ONL-12", _same(_OPEN)),
    Action.REPORT: (
        "R",
        "G20 G34",
        "INV-26 ONL-21 NBR-19",
        [
            *_same((NONE, _E, _M)),
            (_T, _T, "interim"),
            (_T, _T, "!interim unfinished"),
            (_T, _E, "!interim !unfinished"),
            (_U, _U, "interim"),
            *_remainder([_U], "!interim"),
        ],
    ),
    Action.CHANGE_PARTIES: ("C M P", "G35", "CPL-56 CPL-153 CPL-154", _same(_OPEN)),
    Action.NOTE: ("*", "G40", "PML-27", _same((*_ALL, NONE))),
    Action.CORRECT: ("* T", "G40", "PML-27", _same(_ALL)),
    Action.GRADE_RISK: ("M U C H J", "", "PET-18 OUR-2", _same(_OPEN)),
    Action.TAKE_CHARGE: ("U", "", "PET-39 SCQ-54", _same(_OPEN)),
    Action.URGE: ("U T S", "G39", "PET-40 SCQ-54 OUR-3", _same(_ALL)),  # what was promised outlives its leg
    Action.SUPERVISE: ("U", "G36", "PET-40 SCQ-54", _same(_OPEN)),
    Action.LIFT: ("U", "G37", "SCQ-54", _same(_ALL)),
    Action.COMPLAIN: ("P", "", "REG-13 INV-28", _same(_ALL)),
    Action.ANSWER: ("U", "G38", "REG-13 INV-28", _same(_ALL)),
    Action.ARCHIVE: ("A", "G17", "PML-27", _same((_E,))),
}


def _expand() -> tuple[Row, ...]:
    return tuple(
        Row(
            action,
            source,
            target,
            frozenset(when.split()),
            tuple(Letter(letter) for letter in who.split()),
            tuple(guards.split()),
            tuple(basis.split()),
        )
        for action, (who, guards, basis, moves) in _STEPS.items()
        for source, target, when in moves
    )


ROWS: tuple[Row, ...] = _expand()

WHILE_HELD = frozenset(
    {
        Action.RECALL,
        Action.WITHDRAW,
        Action.REFER,
        Action.ABSORB,
        Action.RECORD_CONSENT,
        Action.FULFIL,
        Action.BREACH,
        Action.FOLLOW_UP,
        Action.CHANGE_PARTIES,
        Action.NOTE,
        Action.CORRECT,
        Action.GRADE_RISK,
        Action.TAKE_CHARGE,
        Action.URGE,
        Action.SUPERVISE,
        Action.LIFT,
        Action.COMPLAIN,
        Action.ANSWER,
        Action.REPORT,
    }
)
"""R3: what a leg held by its own hand-off still admits: recall, withdraw, records and overlays (`refer`: beside only)."""


class LinkUpRow(NamedTuple):
    """A link-up 对接 (process.md §5). By when it is answered and reported on, the rules say that name it."""

    link_up: LinkUp
    mode: Mode
    sources: frozenset[str]
    senders: frozenset[OrgKind]
    receivers: frozenset[OrgKind]
    opens: bool
    procedure: str
    consent: str
    papers: tuple[DocumentKind, ...]
    silence: Silence
    owes: str
    basis: tuple[str, ...]


_COMMITTEES = "people_committee enterprise_committee industry_committee county_centre consumer_association"
_AGENCIES = (
    "police traffic_police market_regulator labour_authority health_authority agency government justice_bureau "
    "justice_office petition_office"
)
_ANY = " ".join(kind.value for kind in OrgKind if kind is not OrgKind.AUDIT_OFFICE)
_WARNED = (
    "police traffic_police health_authority labour_authority government county_centre people_committee justice_bureau"
)
_BEFORE = "filed accepted mediating unsettled"
_LIVE = "filed accepted mediating suspended deciding settled unsettled"
_ALWAYS = f"{_LIVE} ended"

# link-up: (mode, sources, senders, receivers, opens, procedure, consent, papers, silence, owes, basis)
_LINK_UPS: dict[LinkUp, tuple[str, str, str, str, bool, str, str, str, str, str, str]] = {
    LinkUp.TRIAGE: (
        "ends", "filed", _ANY, f"{_COMMITTEES} {_AGENCIES} court arbitration_commission land_commission",
        True, "", "", "application", "back", "result", "SCQ-52",
    ),
    LinkUp.ESCALATE: (
        "ends", _BEFORE, _COMMITTEES, f"{_COMMITTEES} justice_bureau government",
        True, "", "", "minutes", "back", "", "PMR-21",
    ),
    LinkUp.DELEGATE: (
        "waits", "filed accepted deciding unsettled", _ANY, f"{_COMMITTEES} {_AGENCIES}",
        True, "", "", "transfer_letter", "deemed", "result", "PET-22 PET-23",
    ),
    LinkUp.DESIGNATE: (
        "ends", "filed accepted deciding unsettled", _ANY, f"{_COMMITTEES} {_AGENCIES}",
        True, "", "", "decision_document", "deemed", "", "PET-24",
    ),
    LinkUp.TRANSFER: (
        "ends", _BEFORE, _ANY, _ANY, True, "", "", "transfer_letter", "back", "", "MED-40 PMO-9",
    ),
    LinkUp.AGENCY: (
        "ends", "unsettled", _COMMITTEES, _AGENCIES,
        True, "", "all", "end_report", "back", "", "DLX-85 MED-40 PMO-9",
    ),
    LinkUp.JOINT: (
        "beside", _LIVE, _ANY, _ANY, False, "", "", "minutes", "back", "opinion", "PML-20",
    ),
    LinkUp.COURT_DELEGATE: (
        "waits", "filed", "court", _COMMITTEES, True, "court_delegated", "parties",
        "complaint evidence address_form", "back", "result", "INV-11 INV-27 ONL-12",
    ),
    LinkUp.COURT_ENTRUST: (
        "waits", "deciding", "court", _COMMITTEES, True, "court_entrusted", "parties",
        "entrustment_letter", "back", "result", "INV-27 OPN-3 ONL-12",
    ),
    LinkUp.SUIT: (
        "ends", "unsettled", _ANY, "court", True, "civil_suit", "party",
        "application", "alarm", "number", "CPL-126 PML-3",
    ),
    LinkUp.CONFIRMATION: (
        "beside", _ALWAYS, f"{_COMMITTEES} {_AGENCIES}", "court", True, "confirmation", "joint",
        "agreement hosting_proof", "alarm", "ruling", "PML-33 CPL-205 CPI-354 CFR-4",
    ),
    LinkUp.ENFORCEMENT: (
        "beside", _ALWAYS, _ANY, "court", True, "enforcement", "party",
        "enforceable_document", "alarm", "result", "CPL-206 PML-33",
    ),
    LinkUp.POLICE_CIVIL: (
        "ends", "filed", "police traffic_police", _COMMITTEES, True, "people", "parties",
        "intake_record", "back", "result", "GAX-178",
    ),
    LinkUp.POLICE_CASE: (
        "waits", "deciding", "police", _COMMITTEES, True, "people", "both",
        "transfer_letter", "back", "performance", "GAX-186",
    ),
    LinkUp.ALERT: (
        "beside", _ALWAYS, _ANY, f"{_WARNED}", False, "", "", "risk_report", "alarm", "receipt", "PML-25 MED-28",
    ),
    LinkUp.PROSECUTION: (
        "waits", "deciding", "procuratorate", _COMMITTEES, True, "people", "both",
        "entrustment_letter", "back", "performance", "PRO-495 PRO-499",
    ),
    LinkUp.PETITION: (
        "waits", "filed deciding", "petition_office government agency", _COMMITTEES, True, "people", "both",
        "transfer_letter", "back", "result", "PET-33",
    ),
    LinkUp.ARBITRATION: (
        "ends", "unsettled", _ANY, "arbitration_commission land_commission", True, "", "party",
        "application", "alarm", "number", "LDL-29 LDL-14",
    ),
    LinkUp.AWARD_REVIEW: (
        "beside", _ALWAYS, _COMMITTEES, "arbitration_commission", True, "award_review", "joint",
        "agreement", "alarm", "award", "ZJR-11",
    ),
    LinkUp.ARBITRATION_ENTRUST: (
        "waits", "deciding", "arbitration_commission land_commission", _COMMITTEES, True, "people", "parties",
        "entrustment_letter", "back", "result", "ZJR-22",
    ),
    LinkUp.AGENCY_ENTRUST: (
        "waits", "accepted mediating deciding", _AGENCIES, _COMMITTEES, True, "people", "parties",
        "entrustment_letter", "back", "result", "CON-17 NBR-19",
    ),
    LinkUp.APPRAISAL: (
        "beside", _LIVE, _ANY, "expert_body agency health_authority", False, "", "both",
        "evidence", "alarm", "opinion", "MED-38",
    ),
    LinkUp.NOTARY: (
        "beside", _ALWAYS, _ANY, "notary_office", False, "", "joint", "agreement", "alarm", "deed", "PML-31",
    ),
    LinkUp.PAYMENT_ORDER: (
        "beside", _ALWAYS, _ANY, "court", False, "", "party", "agreement", "alarm", "order", "CPL-225",
    ),
    LinkUp.AID: (
        "beside", _ALWAYS, _ANY, "aid_body agency government", False, "", "party",
        "application", "alarm", "outcome", "PET-37",
    ),
}  # fmt: skip

LINK_UPS: dict[LinkUp, LinkUpRow] = {
    link_up: LinkUpRow(
        link_up,
        Mode(mode),
        frozenset(sources.split()),
        frozenset(OrgKind(kind) for kind in senders.split()),
        frozenset(OrgKind(kind) for kind in receivers.split()),
        opens,
        procedure,
        consent,
        tuple(DocumentKind(paper) for paper in papers.split()),
        Silence(silence),
        owes,
        tuple(basis.split()),
    )
    for link_up, (
        mode, sources, senders, receivers, opens, procedure, consent, papers, silence, owes, basis
    ) in _LINK_UPS.items()
}  # fmt: skip

GUARDS: dict[str, tuple[str, str]] = {
    "G1": ("单位有权办理", "the body is competent: kind, place, speciality, tier"),
    "G2": ("纠纷可以调解", "the matter may be mediated there and is not reserved by law"),
    "G3": ("无其他程序并行", "no rival leg holds the same claim; court and arbitration displace"),
    "G4": ("当事人自愿", "every party with a claim here consents"),
    "G5": ("已告知权利义务", "rights and duties were told"),
    "G6": ("四有落实", "leader, handler, plan and deadline are named"),
    "G7": ("调解员无回避情形", "the mediator has no ground for recusal, or it is waived"),
    "G8": ("协议形式内容齐备", "form and contents of the agreement are complete"),
    "G9": ("司法确认条件", "confirmation: joint, 30 days from effect, admissible, court competent"),
    "G10": ("对接条件", "consent, papers and receiver fit the link-up"),
    "G11": ("逐级上报", "one tier at a time, unless urgent"),
    "G12": ("本段未被移交占用", "the leg is not held by a hand-off"),
    "G13": ("移交已反馈", "hand-offs it sent are answered and reports it owes are made"),
    "G14": ("风险低于橙色", "risk is below orange"),
    "G15": ("已告知合法途径", "the parties were told the lawful routes"),
    "G16": ("有理由和依据", "reason and evidence are on record"),
    "G17": ("卷宗齐全", "the file is complete, or absence is explained by a countersigned file note"),
    "G18": ("非终局事项", "not final on the same facts and reasons"),
    "G19": ("终止事由合法", "the ground is listed for this procedure"),
    "G20": ("反馈符合要求", "the report meets what the link-up asks"),
    "G21": ("非移交案件", "a leg that came by a hand-off is returned, not declined"),
    "G22": ("并案条件", "the survivor has absorbed the case at this version"),
    "G23": ("恢复事由", "the cause of reopening fits the history"),
    "G24": ("各方签字", "all parties sign the undisputed facts"),
    "G25": ("中止原因已消除", "the cause of suspension is removed"),
    "G26": ("可以延长", "the rule allows an extension, before expiry, agreed as it asks"),
    "G27": ("决定种类相符", "the decision fits the procedure"),
    "G28": ("准许撤回", "the officer permits withdrawal from a deciding leg"),
    "G29": ("已履行或已定回访", "performed, or a follow-up day is set"),
    "G30": ("履行有凭证", "there is an agreement in effect and proof of performance"),
    "G31": ("已督促且到期", "urged, and the day of performance is past"),
    "G32": ("有可失效的协议", "there is an agreement that can fall, on this ground"),
    "G33": ("可以退回", "before acceptance, and not a designation"),
    "G34": ("移交仍有效", "the hand-off is live"),
    "G35": ("变更要素齐全", "the change names the parties it is about"),
    "G36": ("未被本单位挂牌", "not yet listed by this body"),
    "G37": ("可以摘牌", "listed by this body, and performed or decided"),
    "G38": ("有待答复投诉", "the complaint is unanswered"),
    "G39": ("期限在计时中", "the clock named goes on, and has run out or soon will where the clock itself speaks"),
    "G40": ("可以记录和更正", "who says what the case is or what bars it handles it; clocks counted anew go on"),
}


def cite(basis: str) -> str:
    """`<text>-<article>@<in force>` for the event's `basis`."""
    return f"{basis}@{TEXTS[basis.partition('-')[0]].in_force}"


def cite_zh(basis: str) -> str:
    """The article as a person cites it: 人民调解法第17条; of a text that has no articles, the passage by its number."""
    text, _, article = basis.partition("-")
    if not article:
        return TEXTS[text].zh
    return f"{TEXTS[text].zh}〔{article}〕" if TEXTS[text].label == "Q" else f"{TEXTS[text].zh}第{article}条"


def row_conditions(row: Row) -> Mapping[str, bool]:
    """`{condition: must hold}` of a row."""
    return {condition.lstrip("!"): not condition.startswith("!") for condition in row.when}
