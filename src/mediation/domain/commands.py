"""What may be asked for: a frozen model per action, unknown fields refused.

Free text (`text`, a party's name, an obligation's wording, a document's name) goes to the vault; everything else is
codes, ids, days and integers, and stands in the event.
"""

import re
import unicodedata
from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

from mediation.domain import vocabulary as v
from mediation.domain.numbers import born_on, check_number, evened, somebodys, worded

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Every sign of the categories Cc and Cs but the tab and the end of a line."""


def _printable(text: str) -> str:
    if _CONTROL.search(text):
        message = "不得含控制字符 must not contain control characters"
        raise ValueError(message)
    return text


def _written_day(value: object) -> object:
    if isinstance(value, date) or (isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)):
        return value
    message = "日期写作 YYYY-MM-DD a day is written YYYY-MM-DD"
    raise ValueError(message)


def _even_number(value: object) -> object:
    return evened(value) if isinstance(value, str) else value


def _even_phone(value: object) -> object:
    return unicodedata.normalize("NFKC", value).strip() if isinstance(value, str) else value


def _nobodys(code: str) -> str:
    if somebodys(code):
        message = (
            "含身份证号码或手机号码，不得写入编号；个人信息请填当事人栏 "
            "holds an identity or mobile number: what is personal belongs to a party, not into a code"
        )
        raise ValueError(message)
    return code


def _not_a_number(ref: str) -> str:
    if ref.isdigit():
        message = "存储位置不得只是数字 a reference is not a bare number, which might be somebody's"
        raise ValueError(message)
    return ref


_TELL_BIRTH = {v.IdKind.RESIDENT_ID, v.IdKind.RESIDENCE_PERMIT, v.IdKind.PERMANENT_RESIDENCE}
_OF_AGE = 18

Text = Annotated[
    str, StringConstraints(min_length=1, max_length=4000, strip_whitespace=True), AfterValidator(_printable)
]
Short = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(_printable)
]
IdNumber = Annotated[Short, BeforeValidator(_even_number)]
Phone = Annotated[str, StringConstraints(pattern=r"^[0-9+() 转-]{3,30}$"), BeforeValidator(_even_phone)]
Day = Annotated[date, Field(ge=date(1900, 1, 1), le=date(2199, 12, 31)), BeforeValidator(_written_day)]
Division = Annotated[str, StringConstraints(pattern=r"^[0-9]{6,12}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}$"), AfterValidator(_nobodys)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
No = Annotated[int, Field(ge=1, le=9999, strict=True)]
Fen = Annotated[int, Field(ge=0, le=10**15, strict=True)]


def _distinct(numbers: list[int]) -> list[int]:
    if len(set(numbers)) != len(numbers):
        message = "编号重复 numbers must be distinct"
        raise ValueError(message)
    return numbers


Numbers = Annotated[list[No], Field(max_length=50), AfterValidator(_distinct)]
Sensitives = Annotated[
    list[v.Sensitive], Field(max_length=3, description="限制查阅的事由 why fewer people may see the case")
]
Circumstances = Annotated[list[v.Circumstance], Field(max_length=10, description="查明的情形 circumstances found")]


class Asked(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=False)


class DocumentIn(Asked):
    """A paper of the file: its kind, its name (kept in the vault), its SHA-256 and where it is stored."""

    kind: v.DocumentKind
    name: Short | None = None
    sha256: Sha256
    ref: Annotated[Code, AfterValidator(_not_a_number)]


class PartyIn(Asked):
    """A party; all but the kinds, side and minor is personal and kept in the vault.

    `id_number` must be possible for its kind: GB 11643 for people, GB 32100 for bodies; passports and others are free.
    """

    name: Short
    kind: v.PartyKind = v.PartyKind.NATURAL
    side: v.Side
    id_kind: v.IdKind | None = Field(
        default=None,
        description="证件种类 default: resident_id for a natural person, credit_code for a body",
    )
    id_number: IdNumber | None = None
    phone: Phone | None = None
    address: Short | None = None
    minor: StrictBool = False

    @property
    def paper(self) -> v.IdKind:
        """The kind of paper the number is from, as said or by default."""
        if self.id_kind:
            return self.id_kind
        return v.IdKind.CREDIT_CODE if self.kind is v.PartyKind.LEGAL else v.IdKind.RESIDENT_ID

    @property
    def born(self) -> date | None:
        """The day of birth in the number, where it is of a kind that tells it."""
        return born_on(self.id_number) if self.id_number and self.paper in _TELL_BIRTH else None

    def is_minor(self, day: date) -> bool:
        """Whether this is said to be a minor, or is a natural person who by their number is under 18 (民法典 17)."""
        born = self.born
        if self.minor or born is None or self.kind is not v.PartyKind.NATURAL:
            return self.minor
        return day.year - born.year - ((day.month, day.day) < (born.month, born.day)) < _OF_AGE

    @model_validator(mode="after")
    def _possible_number(self) -> "PartyIn":
        if self.id_number is None:
            return self
        if reasons := check_number(self.paper, self.id_number):
            raise ValueError(worded(reasons))
        return self


class ClaimIn(Asked):
    """A claim: who (party numbers) asks what of whom; `text` is kept in the vault."""

    kind: v.ClaimKind = v.ClaimKind.CIVIL
    what: v.ClaimWhat
    by: Numbers = []
    against: Numbers = []
    amount_fen: Fen = 0
    text: Text | None = None

    @model_validator(mode="after")
    def _against_another(self) -> "ClaimIn":
        if set(self.by) & set(self.against):
            message = "诉求不能针对本人 nobody claims against themselves"
            raise ValueError(message)
        return self


class ObligationIn(Asked):
    """One thing promised: by a party (`obligor`) or by a body that signs as third party (`obligor_org`)."""

    obligor: No | None = None
    obligor_org: UUID | None = None
    what: v.ClaimWhat
    amount_fen: Fen = 0
    due_on: Day
    text: Text | None = None

    @model_validator(mode="after")
    def _one_obligor(self) -> "ObligationIn":
        if (self.obligor is None) == (self.obligor_org is None):
            message = "obligor 与 obligor_org 须且仅须填一项 exactly one of obligor and obligor_org"
            raise ValueError(message)
        return self


class PlanIn(Asked):
    """四有: a leader, a handler, a plan (text, kept in the vault) and a deadline (上城区2011 [Q])."""

    leader: UUID
    handler: UUID
    plan: Text
    due_on: Day


class ReferenceIn(Asked):
    """A number of this dispute in another system."""

    system: Code
    number: Code


class Command(Asked):
    """What every command may carry: the leg and claims it is about, for whom, its papers and its words."""

    action: str
    leg: No | None = Field(default=None, description="程序段编号 leg number; default: your only open leg")
    claims: Numbers | None = Field(default=None, description="诉求编号 claim numbers; default: all of the leg")
    on_behalf_of: Numbers = Field(default=[], description="代哪些当事人登记 party numbers whose act this records")
    documents: list[DocumentIn] = Field(default=[], max_length=20)
    text: Text | None = Field(default=None, description="文字说明，存入保险库 free text, kept in the vault")


class File(Command):
    """登记: a new dispute; or, with `case_code`, a further leg of an open one."""

    action: Literal["file"] = "file"
    case_code: Short | None = Field(default=None, description="案件码 of an open dispute: opens a further leg in it")
    category: v.Category | None = None
    division: Division | None = None
    channel: v.Channel = v.Channel.WINDOW
    occurred_on: Day | None = None
    request_on: Day | None = Field(default=None, description="提出请求之日 the day of the request (limitation)")
    procedure: Code | None = Field(default=None, description="程序 procedure; default: the body's own")
    parties: list[PartyIn] = Field(default=[], max_length=50)
    claim: list[ClaimIn] = Field(default=[], max_length=50, description="诉求 claims of a new dispute")
    refs: list[ReferenceIn] = Field(default=[], max_length=10)
    risk: v.Risk = v.Risk.NONE
    circumstances: Circumstances = []
    sensitive: Sensitives = []
    successor_of: UUID | None = Field(default=None, description="已归档前案 the archived case this one succeeds")

    @model_validator(mode="after")
    def _new_or_further(self) -> "File":
        if self.case_code is not None:
            if self.parties or self.claim or self.category or self.division:
                message = (
                    "凭案件码登记时不填当事人、诉求、类型、区划 a further leg takes parties and claims from the case"
                )
                raise ValueError(message)
            return self
        lacking = [n for n in ("category", "division", "parties", "claim", "text") if not getattr(self, n)]
        if lacking:
            message = f"新纠纷须填 a new dispute needs: {', '.join(lacking)}"
            raise ValueError(message)
        _two_sides(self.parties)
        numbers = {n for claim in self.claim for n in (*claim.by, *claim.against)}
        if numbers and max(numbers) > len(self.parties):
            message = "诉求引用了不存在的当事人 a claim names a party that is not there"
            raise ValueError(message)
        beyond = max(self.on_behalf_of, default=0) > len(self.parties) or max(self.claims or (), default=0) > len(
            self.claim
        )
        if self.leg is not None or beyond:
            message = "新纠纷只能引用本次登记的当事人和诉求 a new dispute has no leg, party or claim but its own"
            raise ValueError(message)
        return self


def _two_sides(parties: list[PartyIn]) -> None:
    if {v.Side.APPLICANT, v.Side.RESPONDENT} - {p.side for p in parties}:
        message = "须至少有一名申请人和一名被申请人 at least one applicant and one respondent"
        raise ValueError(message)


class Accept(Command):
    """受理·立案; may name the 四有 in the same step."""

    action: Literal["accept"]
    number: Code | None = Field(default=None, description="文号 official number; default: the case number")
    prepare: PlanIn | None = None
    variant: v.Variant = Field(default=v.Variant.ORDINARY, description="程序形式 e.g. a suit tried summarily")
    circumstances: Circumstances = []


class Decline(Command):
    """不予受理, with its ground; the parties are told the lawful routes."""

    action: Literal["decline"]
    ground: v.DeclineGround
    routes_told: StrictBool = Field(default=False, description="已告知合法途径 parties told of the lawful routes")
    calmed: StrictBool = Field(default=False, description="可能激化的已先行疏导 calmed first where it may escalate")


class Merge(Command):
    """并案: this leg's dispute is the same as another case, which has absorbed it."""

    action: Literal["merge"]
    into: UUID
    case_code: Short | None = Field(
        default=None, description="存续案件的案件码，未见其案时填 if you do not see that case"
    )


class Absorb(Command):
    """并入: the survivor's half of a merge."""

    action: Literal["absorb"]
    case: UUID
    case_code: Short | None = Field(
        default=None, description="被并案件的案件码，未见其案时填 if you do not see that case"
    )
    version: No = Field(description="被并案件的版本 version of the case absorbed")


class Reopen(Command):
    """恢复: a closed case moves on by a new leg."""

    action: Literal["reopen"]
    cause: v.ReopenCause
    org: UUID | None = Field(default=None, description="承办单位 where the new leg opens; default: your body")
    procedure: Code | None = None
    agreement: No | None = None


class Prepare(Command):
    """四有: 有领导包案、有专人负责、有化解方案、有期限."""

    action: Literal["prepare"]
    plan: PlanIn


class Appoint(Command):
    """指派·更换 mediators; `recusal` states a ground of 特邀规定15 that the parties have waived or that exists."""

    action: Literal["appoint"]
    mediators: list[UUID] = Field(min_length=1, max_length=5)
    replaces: list[UUID] = Field(default=[], max_length=5)
    recusal_ground: StrictBool = Field(default=False, description="存在回避情形 a ground for recusal is known")
    waived_by: Numbers = Field(default=[], description="同意不回避的当事人 parties who waive it")


class InformRights(Command):
    """告知权利义务."""

    action: Literal["inform_rights"]


class RecordConsent(Command):
    """意愿: given, refused or revoked, per party."""

    action: Literal["record_consent"]
    consent: v.Consent
    parties: Numbers | None = Field(
        default=None, description="当事人 default: on_behalf_of, else all with a claim here"
    )


class Start(Command):
    """开始调解; `consents` are given in the same step."""

    action: Literal["start"]
    consents: Numbers = []
    circumstances: Circumstances = []


class Convene(Command):
    """组织调解: a session and its record."""

    action: Literal["convene"]
    held_on: Day | None = None
    with_orgs: list[UUID] = Field(default=[], max_length=5)


class RecordUndisputed(Command):
    """无争议事实: facts both sides sign; admissible, unlike compromise statements (在线规则18、22)."""

    action: Literal["record_undisputed"]
    signed_by: Numbers


class Suspend(Command):
    """中止: mediation and its clock stand still."""

    action: Literal["suspend"]
    cause: v.SuspendCause


class Resume(Command):
    """恢复调解 once the cause is removed."""

    action: Literal["resume"]
    recusal: v.RecusalAnswer | None = None
    cause_removed: StrictBool = Field(default=False, description="原因已消除 (鉴定已出、承继人已到、核查完毕)")


class Extend(Command):
    """延长 a running clock, as its rule allows; `agreed_by`: parties, where the rule asks them."""

    action: Literal["extend"]
    clock: No
    by: Annotated[
        int, Field(ge=1, le=365, description="延长多少，以规则的延长单位计 in the unit of the rule's extension")
    ]
    agreed_by: Numbers = []
    approved: StrictBool = Field(default=False, description="负责人批准 approved by the head of the body")


class Settle(Command):
    """达成协议: made here, or an agreement already reported is adopted (`adopts`)."""

    action: Literal["settle"]
    adopts: No | None = Field(default=None, description="采纳的协议编号 a pending agreement that is adopted here")
    form: v.AgreementForm = v.AgreementForm.WRITTEN
    obligations: list[ObligationIn] = Field(default=[], max_length=30)
    signed_by: Numbers = Field(default=[], description="签名的当事人 parties who signed (written) or agreed (oral)")
    mediator_signed: StrictBool = False
    sealed: StrictBool = False
    pending: StrictBool = Field(
        default=False, description="待法院出具调解书 takes effect only when the court adopts it"
    )
    effective_on: Day | None = None
    consents: Numbers = []
    notice_given: StrictBool = Field(default=False, description="当场告知权利义务 rights told on the spot")


class Fail(Command):
    """终止调解（调解不成）."""

    action: Literal["fail"]
    ground: v.FailGround


class Decide(Command):
    """作出决定: judgment, award, penalty, opinion, confirmation."""

    action: Literal["decide"]
    decision: v.DecisionKind
    final: StrictBool = Field(default=False, description="终局 not taken again on the same facts and reasons")


class Withdraw(Command):
    """撤回 by a party of its claims; in a deciding leg the officer permits it."""

    action: Literal["withdraw"]
    reason: v.WithdrawReason
    permitted: StrictBool = False
    routes_told: StrictBool = False


class Close(Command):
    """结案."""

    action: Literal["close"]
    routes_told: StrictBool = False
    follow_up_on: Day | None = None


class Fulfil(Command):
    """履行 of an agreement: all of it, or the obligations named."""

    action: Literal["fulfil"]
    agreement: No | None = None
    obligations: Numbers | None = None


class Breach(Command):
    """不履行 of an agreement, after urging."""

    action: Literal["breach"]
    agreement: No | None = None
    urged: StrictBool = False


class Void(Command):
    """失效 of an agreement."""

    action: Literal["void"]
    agreement: No | None = None
    ground: v.VoidGround


class FollowUpVisit(Command):
    """回访: 人和."""

    action: Literal["follow_up"]
    finding: v.FollowUp


class Escalate(Command):
    """上报 one tier up."""

    action: Literal["escalate"]
    to_org: UUID
    reason: v.HandoffReason = v.HandoffReason.BEYOND_CAPACITY
    urgent: StrictBool = False


class Delegate(Command):
    """交办 to a lower body, or 指定 by the common superior of two bodies that refuse."""

    action: Literal["delegate"]
    to_org: UUID
    designate: StrictBool = False
    report_by: Day | None = None


class Refer(Command):
    """对接: any other hand-off."""

    action: Literal["refer"]
    link_up: v.LinkUp
    to_org: UUID
    reason: v.HandoffReason = v.HandoffReason.PARTY_CHOICE
    agreement: No | None = None
    subject: v.Subject = v.Subject.OBLIGATIONS
    consents: Numbers = Field(default=[], description="书面同意的当事人 parties who agree")
    agency_agrees: StrictBool = Field(default=False, description="受托单位同意 the receiving committee agrees")
    violation: StrictBool = Field(default=False, description="存在违反治安管理行为 there is a violation")
    urgent: StrictBool = False
    answer_by: Day | None = None
    report_by: Day | None = None
    variant: v.Variant = Field(default=v.Variant.ORDINARY, description="程序形式 ordinary, summary, online")
    posted_on: Day | None = Field(default=None, description="交邮日 posted on: in time if posted in time (民诉法85)")


class Receive(Command):
    """接收 a hand-off."""

    action: Literal["receive"]
    handoff: No


class Return(Command):
    """退回 a hand-off before acceptance."""

    action: Literal["return"]
    handoff: No
    reason: v.ReturnReason
    proposed_org: UUID | None = None


class Recall(Command):
    """撤回移交."""

    action: Literal["recall"]
    handoff: No


class Report(Command):
    """反馈 on a hand-off; `interim` keeps it open."""

    action: Literal["report"]
    handoff: No | None = None
    code: v.ReportCode
    interim: StrictBool = False
    guaranteed: StrictBool = False


class ChangeParties(Command):
    """当事人变更: join, leave, represent, succeed."""

    action: Literal["change_parties"]
    change: v.PartyChange
    join: list[PartyIn] = Field(default=[], max_length=50)
    parties: Numbers = Field(default=[], description="所涉当事人 the parties it is about")
    representative: No | None = None


class Note(Command):
    """记录."""

    action: Literal["note"]
    kind: v.NoteKind
    on: Day | None = None
    circumstances: Circumstances = []
    sensitive: Sensitives = []
    countersigned_by: UUID | None = Field(default=None, description="会签人 another person, for a 情况说明")


class Correct(Command):
    """更正: a new event that corrects header facts; the old one stays."""

    action: Literal["correct"]
    event: UUID | None = None
    category: v.Category | None = None
    division: Division | None = None
    occurred_on: Day | None = None
    refs: list[ReferenceIn] = Field(default=[], max_length=10)
    clocks: Numbers = Field(default=[], description="重新计算的期限 clocks counted anew under today's calendar")
    circumstances: Circumstances | None = Field(default=None, description="现有情形 those that stand, in place of all")
    sensitive: Sensitives | None = Field(default=None, description="限制查阅的事由 those that stand, in place of all")

    @model_validator(mode="after")
    def _something(self) -> "Correct":
        facts = (self.category, self.division, self.occurred_on, self.refs, self.clocks)
        replaced = self.circumstances is not None or self.sensitive is not None
        if not (any(facts) or replaced or self.text or self.documents):
            message = "须写明更正什么 say what is corrected"
            raise ValueError(message)
        return self


class GradeRisk(Command):
    """定级."""

    action: Literal["grade_risk"]
    risk: v.Risk


class TakeCharge(Command):
    """包案."""

    action: Literal["take_charge"]
    leader: UUID | None = None


class Urge(Command):
    """催办."""

    action: Literal["urge"]
    handoff: No | None = None
    clock: No | None = Field(default=None, description="期限编号 the clock that is due or overdue")


class Supervise(Command):
    """挂牌."""

    action: Literal["supervise"]


class Lift(Command):
    """摘牌."""

    action: Literal["lift"]


class Complain(Command):
    """投诉."""

    action: Literal["complain"]


class Answer(Command):
    """答复 a complaint."""

    action: Literal["answer"]
    complaint: No
    upheld: StrictBool


class Archive(Command):
    """归档."""

    action: Literal["archive"]


Step = Annotated[
    File
    | Accept
    | Decline
    | Merge
    | Absorb
    | Reopen
    | Prepare
    | Appoint
    | InformRights
    | RecordConsent
    | Start
    | Convene
    | RecordUndisputed
    | Suspend
    | Resume
    | Extend
    | Settle
    | Fail
    | Decide
    | Withdraw
    | Close
    | Fulfil
    | Breach
    | Void
    | FollowUpVisit
    | Escalate
    | Delegate
    | Refer
    | Receive
    | Return
    | Recall
    | Report
    | ChangeParties
    | Note
    | Correct
    | GradeRisk
    | TakeCharge
    | Urge
    | Supervise
    | Lift
    | Complain
    | Answer
    | Archive,
    Field(discriminator="action"),
]

COMMANDS: dict[str, type[Command]] = {
    model.model_fields["action"].annotation.__args__[0]: model  # type: ignore[union-attr]  # a Literal by declaration
    for model in Command.__subclasses__()
}
STEP: TypeAdapter[Step] = TypeAdapter(Step)
