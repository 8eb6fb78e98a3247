"""The words of the field, each a stable English code with its Chinese term beside it."""

from enum import Enum, unique
from typing import Self


class Word(str, Enum):  # noqa: UP042 - StrEnum admits no labels beside the value
    """A code with its Chinese and English label; the code is what is stored and sent."""

    zh: str
    en: str

    def __new__(cls, code: str, zh: str = "", en: str = "") -> Self:
        word = str.__new__(cls, code)
        word._value_ = code
        word.zh = zh
        word.en = en or code.replace("_", " ")
        return word

    def __str__(self) -> str:
        return str(self.value)


@unique
class LegState(Word):
    """States of a leg 程序段 (process.md §2)."""

    FILED = "filed", "已登记"
    ACCEPTED = "accepted", "已受理"
    MEDIATING = "mediating", "调解中"
    SUSPENDED = "suspended", "中止"
    DECIDING = "deciding", "审理(办理)中"
    SETTLED = "settled", "已达成协议"
    UNSETTLED = "unsettled", "调解未成"
    ENDED = "ended", "已结束"


@unique
class CaseState(Word):
    """States of a case 案件: a projection of its legs (process.md §2)."""

    NEW = "new", "新建"
    FILED = "filed", "已登记"
    ACCEPTED = "accepted", "已受理"
    MEDIATING = "mediating", "调解中"
    SUSPENDED = "suspended", "中止"
    DECIDING = "deciding", "审理(办理)中"
    SETTLED = "settled", "已达成协议"
    UNSETTLED = "unsettled", "调解未成"
    IN_TRANSIT = "in_transit", "移送中", "in transit"
    CLOSED = "closed", "已结案"
    ARCHIVED = "archived", "已归档"


@unique
class Outcome(Word):
    """How a leg ended."""

    SETTLED = "settled", "达成协议"
    HANDED_OFF = "handed_off", "已移交"
    DECIDED = "decided", "已作出决定"
    INFORMED = "informed", "已告知途径"
    DECLINED = "declined", "不予受理"
    RETURNED = "returned", "已退回"
    WITHDRAWN = "withdrawn", "已撤回"
    REPORTED = "reported", "已反馈"
    RECALLED = "recalled", "已撤回移交"
    DISPLACED = "displaced", "被其他程序取代"
    MERGED = "merged", "已并案"


@unique
class Action(Word):
    """The 43 actions (process.md §4)."""

    FILE = "file", "登记"
    ACCEPT = "accept", "受理·立案"
    DECLINE = "decline", "不予受理"
    MERGE = "merge", "并案"
    ABSORB = "absorb", "并入"
    REOPEN = "reopen", "恢复"
    PREPARE = "prepare", "四有"
    APPOINT = "appoint", "指派·更换"
    INFORM_RIGHTS = "inform_rights", "告知权利义务"
    RECORD_CONSENT = "record_consent", "意愿"
    START = "start", "开始调解"
    CONVENE = "convene", "组织调解"
    RECORD_UNDISPUTED = "record_undisputed", "无争议事实"
    SUSPEND = "suspend", "中止"
    RESUME = "resume", "恢复调解"
    EXTEND = "extend", "延长"
    SETTLE = "settle", "达成协议"
    FAIL = "fail", "终止调解"
    DECIDE = "decide", "作出决定"
    WITHDRAW = "withdraw", "撤回"
    CLOSE = "close", "结案"
    FULFIL = "fulfil", "履行"
    BREACH = "breach", "不履行"
    VOID = "void", "失效"
    FOLLOW_UP = "follow_up", "回访"
    ESCALATE = "escalate", "上报"
    DELEGATE = "delegate", "交办·指定"
    REFER = "refer", "对接"
    RECEIVE = "receive", "接收"
    RETURN = "return", "退回"
    RECALL = "recall", "撤回移交"
    REPORT = "report", "反馈"
    CHANGE_PARTIES = "change_parties", "当事人变更"
    NOTE = "note", "记录"
    CORRECT = "correct", "更正"
    GRADE_RISK = "grade_risk", "定级"
    TAKE_CHARGE = "take_charge", "包案"
    URGE = "urge", "催办"
    SUPERVISE = "supervise", "挂牌"
    LIFT = "lift", "摘牌"
    COMPLAIN = "complain", "投诉"
    ANSWER = "answer", "答复"
    ARCHIVE = "archive", "归档"


@unique
class Role(Word):
    """Who a person is at a body (process.md §4)."""

    CLERK = "clerk", "受理员"
    GRID_WORKER = "grid_worker", "网格员"
    COORDINATOR = "coordinator", "综治中心协调员"
    MEDIATOR = "mediator", "调解员"
    CHAIR = "chair", "主任·负责人"
    JUDGE = "judge", "法官"
    OFFICER = "officer", "民警·行政调解员·信访干部"
    PROSECUTOR = "prosecutor", "检察官"
    ARBITRATOR = "arbitrator", "仲裁员"
    LEADER = "leader", "包案领导"
    SUPERVISOR = "supervisor", "督办"
    ARCHIVIST = "archivist", "档案员"
    CLOCK = "clock", "时钟"
    AUDITOR = "auditor", "审计员"
    SYSTEM = "system", "系统对接"
    SYSTEM_ADMIN = "system_admin", "系统管理员"
    AUDIT_ADMIN = "audit_admin", "审计管理员"
    SECURITY_ADMIN = "security_admin", "安全管理员"


@unique
class Letter(Word):
    """The letters of process.md §4: in what capacity a step is taken."""

    PARTY = "P", "当事人(由工作人员代为登记)", "party, recorded by a clerk"
    CLERK = "C", "受理员", "clerk"
    MEDIATOR = "M", "承办调解员", "assigned mediator"
    HEAD = "H", "负责人", "head of the body"
    DECIDER = "J", "办案人员", "deciding officer"
    SENDER = "S", "移交方", "sender"
    RECEIVER = "R", "接收方", "receiver"
    SUPERIOR = "U", "上级·督办", "superior or supervisor"
    CLOCK = "T", "时钟", "clock"
    ARCHIVIST = "A", "档案员", "archivist"
    ANY = "*", "任何办理单位", "any body that acts in the case"


@unique
class Mode(Word):
    """What becomes of the sender's leg when the receiver accepts (process.md §5)."""

    ENDS = "ends", "移送(本段结束)", "ends (transfer)"
    WAITS = "waits", "委托(本段等待)", "waits (entrustment)"
    BESIDE = "beside", "并行(通知)", "beside (notice)"


@unique
class LinkUp(Word):
    """Link-ups 对接 (process.md §5)."""

    TRIAGE = "triage", "分流"
    ESCALATE = "escalate", "上报"
    DELEGATE = "delegate", "交办"
    DESIGNATE = "designate", "指定"
    TRANSFER = "transfer", "移送"
    AGENCY = "agency", "转行政调解"
    JOINT = "joint", "联合调解"
    COURT_DELEGATE = "court_delegate", "委派调解"
    COURT_ENTRUST = "court_entrust", "委托调解"
    SUIT = "suit", "调诉"
    CONFIRMATION = "confirmation", "司法确认"
    ENFORCEMENT = "enforcement", "执行"
    POLICE_CIVIL = "police_civil", "公调(非警务)"
    POLICE_CASE = "police_case", "公调(治安案件)"
    ALERT = "alert", "报告·预警"
    PROSECUTION = "prosecution", "检调"
    PETITION = "petition", "访调"
    ARBITRATION = "arbitration", "调裁"
    AWARD_REVIEW = "award_review", "置换仲裁调解书"
    ARBITRATION_ENTRUST = "arbitration_entrust", "裁调"
    AGENCY_ENTRUST = "agency_entrust", "行调→人调"
    APPRAISAL = "appraisal", "鉴定"
    NOTARY = "notary", "公证"
    PAYMENT_ORDER = "payment_order", "支付令"
    AID = "aid", "援助·心理·救助"


@unique
class HandoffState(Word):
    """Lifecycle of a hand-off 移交."""

    OFFERED = "offered", "已提出"
    RECEIVED = "received", "已接收"
    TAKEN = "taken", "已承接"
    ANSWERED = "answered", "已反馈"
    RETURNED = "returned", "已退回"
    RECALLED = "recalled", "已撤回"


@unique
class Silence(Word):
    """What a lapsed answer-by does (process.md §5)."""

    BACK = "back", "退回移交方"
    ALARM = "alarm", "催办并报上级"
    DEEMED = "deemed", "视为受理"


@unique
class ClaimState(Word):
    """Lifecycle of a claim 诉求."""

    OPEN = "open", "未了结"
    SETTLED = "settled", "已协议"
    DECIDED = "decided", "已决定"
    DROPPED = "dropped", "已撤回"


@unique
class ClaimKind(Word):
    """Who may dispose of a claim: parties (civil), or only an authority (public)."""

    CIVIL = "civil", "民事诉求"
    PUBLIC = "public", "公共事项(违法·犯罪·信访)"


@unique
class ClaimWhat(Word):
    """What is claimed."""

    MONEY = "money", "给付金钱"
    CONDUCT = "conduct", "作为·不作为"
    APOLOGY = "apology", "赔礼道歉"
    RETURN_PROPERTY = "return_property", "返还财物"
    LAND_BOUNDARY = "land_boundary", "土地·界址"
    CUSTODY = "custody", "抚养·赡养"
    TITLE = "title", "物权·知识产权确权"
    IDENTITY = "identity", "婚姻·亲子等身份关系"
    VIOLATION = "violation", "治安违法"
    CRIME = "crime", "刑事犯罪"
    PETITION = "petition", "信访事项"
    OTHER = "other", "其他"


@unique
class AgreementState(Word):
    """Lifecycle of an agreement 协议."""

    PENDING = "pending", "待法院出具文书"
    IN_EFFECT = "in_effect", "已生效"
    PERFORMED = "performed", "已履行"
    BREACHED = "breached", "未履行"
    VOID = "void", "失效"


@unique
class AgreementForm(Word):
    """In what form an agreement stands."""

    WRITTEN = "written", "书面协议"
    ORAL = "oral", "口头协议"
    MEDIATION_DOCUMENT = "mediation_document", "调解书"
    RECONCILIATION = "reconciliation", "和解协议"


@unique
class Category(Word):
    """The eighteen official dispute types (domain.md §7.3)."""

    MARRIAGE_FAMILY = "marriage_family", "婚姻家庭"
    NEIGHBOUR = "neighbour", "邻里"
    HOUSING_HOMESTEAD = "housing_homestead", "房屋宅基地"
    CONTRACT = "contract", "合同"
    PRODUCTION_BUSINESS = "production_business", "生产经营"
    DAMAGES = "damages", "损害赔偿"
    FOREST_LAND = "forest_land", "山林土地"
    EXPROPRIATION = "expropriation", "征地拆迁"
    ENVIRONMENT = "environment", "环境污染"
    MIGRANT_WAGES = "migrant_wages", "拖欠农民工工资"
    LABOUR_OTHER = "labour_other", "其他劳动争议"
    TOURISM = "tourism", "旅游"
    E_COMMERCE = "e_commerce", "电子商务"
    CONSUMER_OTHER = "consumer_other", "其他消费"
    MEDICAL = "medical", "医疗"
    ROAD_TRAFFIC = "road_traffic", "道路交通事故"
    PROPERTY_MANAGEMENT = "property_management", "物业"
    OTHER = "other", "其他"


@unique
class Tallied(Word):
    """What statistics count, besides how legs ended (docs/statistics.md)."""

    CASES = "cases", "新发纠纷", "disputes opened, each once"
    RECEIVED = "received", "收案", "legs opened at a body"
    ACCEPTED = "accepted", "受理", "legs accepted"
    AGREED = "agreed", "达成协议", "legs that came to an agreement"
    FAILED = "failed", "调解不成", "mediations that failed"
    FELL_THROUGH = "fell_through", "协议落空", "agreements that fell through before the leg ended"
    ENDED = "ended", "结束", "legs ended"
    SETTLED = "settled", "协议结案", "legs ended with an agreement that stood"
    LATE = "late", "超期结束", "legs ended after a period of theirs had run out"
    OPEN = "open", "未结", "legs that are open now"


@unique
class Channel(Word):
    """The way a dispute came in."""

    WINDOW = "window", "窗口"
    GRID = "grid", "网格排查"
    HOTLINE = "hotline", "热线"
    POLICE_110 = "police_110", "110接处警"
    VISIT = "visit", "接访·走访"
    PROACTIVE = "proactive", "主动调解"
    COURT = "court", "法院"
    PROCURATORATE = "procuratorate", "检察院"
    PETITION = "petition", "信访"
    ONLINE = "online", "网上"
    AGENCY = "agency", "其他部门"


@unique
class OrgKind(Word):
    """Kinds of organisation."""

    PEOPLE_COMMITTEE = "people_committee", "人民调解委员会"
    ENTERPRISE_COMMITTEE = "enterprise_committee", "企业调解委员会"
    INDUSTRY_COMMITTEE = "industry_committee", "行业性专业性调解委员会"
    COUNTY_CENTRE = "county_centre", "综治中心·矛盾纠纷调处化解中心"
    JUSTICE_BUREAU = "justice_bureau", "司法局"
    JUSTICE_OFFICE = "justice_office", "司法所"
    GOVERNMENT = "government", "人民政府"
    POLICE = "police", "公安机关"
    TRAFFIC_POLICE = "traffic_police", "公安交管部门"
    MARKET_REGULATOR = "market_regulator", "市场监管部门"
    CONSUMER_ASSOCIATION = "consumer_association", "消费者协会"
    LABOUR_AUTHORITY = "labour_authority", "人力资源社会保障部门"
    HEALTH_AUTHORITY = "health_authority", "卫生健康部门"
    AGENCY = "agency", "其他行政机关"
    PETITION_OFFICE = "petition_office", "信访部门"
    PROCURATORATE = "procuratorate", "人民检察院"
    ARBITRATION_COMMISSION = "arbitration_commission", "劳动人事争议仲裁委员会"
    LAND_COMMISSION = "land_commission", "农村土地承包仲裁委员会"
    COURT = "court", "人民法院"
    EXPERT_BODY = "expert_body", "鉴定机构·医学会"
    NOTARY_OFFICE = "notary_office", "公证处"
    AID_BODY = "aid_body", "法律援助·救助机构"
    AUDIT_OFFICE = "audit_office", "审计·督查机构"


@unique
class Tier(Word):
    """Levels of the ladder, lowest first."""

    VILLAGE = "village", "村(居)"
    TOWNSHIP = "township", "乡镇(街道)"
    COUNTY = "county", "县(市、区、旗)"
    CITY = "city", "市"
    PROVINCE = "province", "省"


@unique
class Track(Word):
    """Tracks of mediation and decision."""

    PEOPLE = "people", "人民调解"
    ADMINISTRATIVE = "administrative", "行政调解"
    JUDICIAL = "judicial", "司法调解·诉讼"
    ARBITRATION = "arbitration", "仲裁调解"
    PROFESSIONAL = "professional", "行业专业调解"
    PETITION = "petition", "信访"


@unique
class Risk(Word):
    """Risk colours, lowest first (domain.md §3.17 [S])."""

    NONE = "none", "未定级"
    BLUE = "blue", "蓝色"
    YELLOW = "yellow", "黄色"
    ORANGE = "orange", "橙色"
    RED = "red", "红色"


@unique
class PartyKind(Word):
    """Natural or legal person."""

    NATURAL = "natural", "自然人"
    LEGAL = "legal", "法人·其他组织"


@unique
class IdKind(Word):
    """What kind of paper an identity number is from."""

    RESIDENT_ID = "resident_id", "居民身份证"
    RESIDENCE_PERMIT = "residence_permit", "港澳台居民居住证", "residence permit of people of Hong Kong, Macao, Taiwan"
    PERMANENT_RESIDENCE = "permanent_residence", "外国人永久居留身份证", "permanent residence card of a foreigner"
    PASSPORT = "passport", "护照"
    MAINLAND_TRAVEL_PERMIT = "mainland_travel_permit", "来往内地（大陆）通行证"
    CREDIT_CODE = "credit_code", "统一社会信用代码"
    OTHER = "other", "其他"


@unique
class Side(Word):
    """On which side a party stands."""

    APPLICANT = "applicant", "申请人"
    RESPONDENT = "respondent", "被申请人"
    THIRD = "third", "第三人"


@unique
class Consent(Word):
    """A party's will (人民调解法 17, 23)."""

    GIVEN = "given", "同意"
    REFUSED = "refused", "拒绝"
    REVOKED = "revoked", "撤回同意"


@unique
class SuspendCause(Word):
    """Why mediation stands still (domain.md §5)."""

    APPRAISAL = "appraisal", "鉴定·检测"
    RECUSAL = "recusal", "回避"
    SUCCESSION = "succession", "当事人死亡·承继"
    SHAM_CHECK = "sham_check", "核查虚假调解"
    FORCE_MAJEURE = "force_majeure", "不可抗力"
    MEDIATION = "mediation", "调解·和解期间"


@unique
class RecusalAnswer(Word):
    """How a request for recusal was answered; replacement is an `appoint` (特邀调解规定 15)."""

    WAIVED = "waived", "双方同意不回避"
    REJECTED = "rejected", "决定不予回避"


@unique
class FailGround(Word):
    """Grounds that end mediation without result (domain.md §5)."""

    NO_AGREEMENT = "no_agreement", "未达成协议"
    PARTY_REFUSES = "party_refuses", "当事人拒绝或退出"
    NO_CONTACT = "no_contact", "无法联系当事人"
    PERIOD_OVER = "period_over", "期限届满"
    REFUSES_TO_SIGN = "refuses_to_sign", "拒绝签字"
    SHAM = "sham", "虚假调解"
    OTHER_FORUM = "other_forum", "其他机关已受理"
    PARTY_CEASED = "party_ceased", "当事人死亡或终止"
    SUED = "sued", "调解期间起诉"
    ABSENT = "absent", "无正当理由不参加"
    COST_NOT_AGREED = "cost_not_agreed", "检测鉴定费用未达成一致"
    NO_JURISDICTION = "no_jurisdiction", "发现不属管辖"


@unique
class DeclineGround(Word):
    """Grounds for not accepting (若干规定 22; 人民调解法 17)."""

    RESERVED = "reserved", "法律规定由专门机关管辖"
    FORBIDDEN = "forbidden", "法律禁止以调解方式处理"
    OTHER_FORUM = "other_forum", "法院、公安或其他机关已受理或解决"
    PARTY_REFUSES = "party_refuses", "一方明确拒绝"
    NOT_COMPETENT = "not_competent", "不属本单位管辖"
    FINAL = "final", "已有终局处理"
    UNCLEAR = "unclear", "请求不明确"


@unique
class WithdrawReason(Word):
    """Why a party takes its claims back."""

    SOLVED = "solved", "已自行解决"
    UNWILLING = "unwilling", "不愿继续"
    SUIT = "suit", "另行起诉·仲裁"
    OTHER = "other", "其他"


@unique
class DecisionKind(Word):
    """What an authority decides."""

    JUDGMENT = "judgment", "判决"
    RULING = "ruling", "裁定"
    CONFIRMED = "confirmed", "确认调解协议有效"
    DISMISSED = "dismissed", "驳回申请"
    NOT_ADMISSIBLE = "not_admissible", "不予受理·裁定驳回(解释355)"
    EXECUTED = "executed", "执行完毕"
    NOT_EXECUTED = "not_executed", "终结本次执行"
    RECONCILED = "reconciled", "执行和解履行完毕"
    AWARD = "award", "仲裁裁决"
    AWARD_DOCUMENT = "award_document", "仲裁调解书(置换)"
    PENALTY = "penalty", "行政处罚"
    NO_PENALTY = "no_penalty", "不予处罚"
    OPINION = "opinion", "信访处理意见"
    MAINTAINED = "maintained", "行政复议维持"
    ALTERED = "altered", "行政复议变更"
    ANNULLED = "annulled", "行政复议撤销"
    UNLAWFUL = "unlawful", "行政复议确认违法(无效)"
    ORDERED = "ordered", "行政复议责令履行"
    ADMINISTRATIVE_DECISION = "administrative_decision", "行政处理决定"
    REVIEW_UPHELD = "review_upheld", "复查(复核)维持"
    REVIEW_CHANGED = "review_changed", "复查(复核)变更"
    PROSECUTED = "prosecuted", "提起公诉"
    NOT_PROSECUTED = "not_prosecuted", "不起诉"


@unique
class VoidGround(Word):
    """Why an agreement falls (民诉法 102, 206; 高检规则 504)."""

    RENEGED = "reneged", "生效前反悔"
    CONFIRMATION_REFUSED = "confirmation_refused", "司法确认被驳回"
    JUDGMENT = "judgment", "判决撤销或确认无效"
    DURESS = "duress", "欺诈·胁迫"
    REPLACED = "replaced", "以新协议取代"


@unique
class ReopenCause(Word):
    """Why a closed case moves on by a new leg."""

    NEW_FACT = "new_fact", "新事实"
    COURT_ORDER = "court_order", "法院裁判"
    BREACH = "breach", "不履行协议"
    SUIT = "suit", "起诉"
    ENFORCEMENT = "enforcement", "申请执行"
    REVIEW = "review", "复查·复核"
    APPEAL = "appeal", "上诉·再审"
    COMPLAINT_UPHELD = "complaint_upheld", "投诉成立"


@unique
class ReportCode(Word):
    """What a report says (process.md §5)."""

    SETTLED = "settled", "已达成协议"
    PARTLY_SETTLED = "partly_settled", "部分达成协议"
    PERFORMED = "performed", "已履行"
    GUARANTEED = "guaranteed", "已提供担保"
    FAILED = "failed", "调解不成"
    REFUSED = "refused", "当事人拒绝"
    CANNOT_CONTACT = "cannot_contact", "无法联系"
    WITHDRAWN = "withdrawn", "已撤回"
    SHAM_SUSPECTED = "sham_suspected", "疑似虚假"
    OUT_OF_SCOPE = "out_of_scope", "不属范围"
    OTHER_FORUM = "other_forum", "其他机关处理"
    OPINION = "opinion", "鉴定·协办意见"
    RECEIPT = "receipt", "已收到并采取措施"
    DEED = "deed", "已出具公证文书"
    ORDER = "order", "已发支付令"
    DECLINED = "declined", "不予受理"


@unique
class ReturnReason(Word):
    """Why a hand-off goes back."""

    NOT_COMPETENT = "not_competent", "不属本单位职责"
    PAPERS_MISSING = "papers_missing", "材料不全"
    PARTY_REFUSES = "party_refuses", "当事人不同意"
    NO_CAPACITY = "no_capacity", "无力承办"
    OVERDUE = "overdue", "逾期未答复"


@unique
class HandoffReason(Word):
    """Why a dispute is handed to another body."""

    BEYOND_CAPACITY = "beyond_capacity", "超出化解能力"
    CROSS_BOUNDARY = "cross_boundary", "跨区域·跨单位"
    NOT_SETTLED = "not_settled", "调解未成"
    NOT_COMPETENT = "not_competent", "不属本单位职责"
    PARTY_CHOICE = "party_choice", "当事人选择"
    DANGER = "danger", "可能激化"
    LEGAL_DUTY = "legal_duty", "法定移送"
    EXPERTISE = "expertise", "需专业意见"
    EFFECT = "effect", "赋予强制执行效力"
    INSTRUCTION = "instruction", "上级交办"
    PERIOD_OVER = "period_over", "期限届满"


@unique
class NoteKind(Word):
    """What is put on record."""

    FACT = "fact", "事实"
    TREATMENT_ENDED = "treatment_ended", "治疗终结"
    LOSS_FIXED = "loss_fixed", "损失确定"
    FUNERAL_ENDED = "funeral_ended", "丧葬期结束"
    DISABILITY_RATED = "disability_rated", "伤残评定"
    INJURY_APPRAISED = "injury_appraised", "伤情鉴定完成"
    REPLIED = "replied", "被申请人答复"
    CORRECTION_ASKED = "correction_asked", "要求补正"
    CORRECTED = "corrected", "补正完毕"
    CONTACT_ATTEMPT = "contact_attempt", "联系记录"
    ENQUIRY = "enquiry", "查询"
    FILE_NOTE = "file_note", "卷宗情况说明"
    VISIT = "visit", "走访"
    INSTRUCTION = "instruction", "批示"


@unique
class PartyChange(Word):
    """How the parties change (民诉法 56, 153–154)."""

    JOIN = "join", "加入"
    LEAVE = "leave", "退出"
    REPRESENT = "represent", "推选代表人·委托代理"
    SUCCEED = "succeed", "承继"


@unique
class FollowUp(Word):
    """What a follow-up visit found 人和."""

    RECONCILED = "reconciled", "关系和好"
    STABLE = "stable", "平稳"
    STRAINED = "strained", "仍有矛盾"
    NEW_RISK = "new_risk", "新风险"


@unique
class Subject(Word):
    """What an application for confirmation is about; all but the first are never admissible (解释 355)."""

    OBLIGATIONS = "obligations", "民事权利义务履行"
    OUTSIDE_JURISDICTION = "outside_jurisdiction", "不属民事受案范围"
    IDENTITY = "identity", "婚姻·亲子·收养关系"
    SPECIAL_PROCEDURE = "special_procedure", "适用特别·公示催告·破产程序"
    TITLE = "title", "物权·知识产权确权"


@unique
class DocumentKind(Word):
    """Papers of the file 卷宗 (domain.md §7.4) and of the link-ups."""

    APPLICATION = "application", "调解申请书"
    REGISTRATION = "registration", "受理登记表"
    RIGHTS_NOTICE = "rights_notice", "当事人权利义务告知书"
    IDENTITY = "identity", "当事人身份证明"
    AUTHORISATION = "authorisation", "授权委托书"
    INVESTIGATION = "investigation", "调查记录"
    EVIDENCE = "evidence", "证据材料"
    MINUTES = "minutes", "调解记录"
    AGREEMENT = "agreement", "调解协议书"
    ORAL_REGISTER = "oral_register", "口头协议登记表"
    PERFORMANCE_PROOF = "performance_proof", "履行凭证"
    FOLLOW_UP_RECORD = "follow_up_record", "回访记录"
    CONFIRMATION_PAPERS = "confirmation_papers", "司法确认材料"
    FILE_NOTE = "file_note", "卷宗情况说明"
    CLOSING_REPORT = "closing_report", "结案报告表"
    COMPLAINT = "complaint", "起诉状"
    ADDRESS_FORM = "address_form", "送达地址确认书"
    ENTRUSTMENT_LETTER = "entrustment_letter", "委派·委托调解函"
    HOSTING_PROOF = "hosting_proof", "主持调解证明"
    TITLE_PAPERS = "title_papers", "权属证明"
    UNDISPUTED_FACTS = "undisputed_facts", "无争议事实记载"
    CONSENT_PAPER = "consent_paper", "同意书"
    INTAKE_RECORD = "intake_record", "接处警登记"
    TRANSFER_LETTER = "transfer_letter", "移送函"
    INJURY_DATA = "injury_data", "伤情资料"
    RISK_REPORT = "risk_report", "风险报告"
    END_REPORT = "end_report", "终止报告"
    OPINION = "opinion", "鉴定·协办意见"
    JOINT_APPLICATION = "joint_application", "共同书面申请"
    FORGIVENESS_LETTER = "forgiveness_letter", "谅解书"
    DECISION_DOCUMENT = "decision_document", "裁判·决定文书"
    ENFORCEABLE_DOCUMENT = "enforceable_document", "执行依据"
    OTHER = "other", "其他"


@unique
class ClockState(Word):
    """Lifecycle of a clock 期限."""

    RUNNING = "running", "计时中"
    STANDING = "standing", "中止计时"
    STOPPED = "stopped", "已停止"
    LAPSED = "lapsed", "已届满"


@unique
class Unit(Word):
    """In what a limit is counted."""

    CALENDAR_DAY = "calendar_day", "日"
    WORKING_DAY = "working_day", "个工作日"
    MONTH = "month", "个月"
    YEAR = "year", "年"
    HOUR = "hour", "小时"


@unique
class RollOver(Word):
    """What becomes of a last day on which nobody works (民法典 203; weekends [G], domain.md §11.10)."""

    REST_DAY = "rest_day", "遇休息日顺延"
    STATUTORY_HOLIDAY = "statutory_holiday", "遇法定休假日顺延"
    NONE = "none", "不顺延"


@unique
class Moment(Word):
    """What happens in a case that may start or stop a clock 期限起止事由."""

    FILED = "filed", "登记"
    RECEIVED = "received", "接收移交"
    ACCEPTED = "accepted", "受理·立案"
    STARTED = "started", "开始调解"
    CONTACTED = "contacted", "首次联系当事人"
    FIRST_SESSION = "first_session", "首次组织调解"
    FAILED = "failed", "调解不成"
    UNPERFORMED = "unperformed", "达成协议后不履行"
    INJURY_APPRAISED = "injury_appraised", "伤情鉴定完成"
    TREATMENT_ENDED = "treatment_ended", "治疗终结"
    LOSS_FIXED = "loss_fixed", "损失确定"
    FUNERAL_ENDED = "funeral_ended", "丧葬期结束"
    DISABILITY_RATED = "disability_rated", "伤残评定"
    REPLIED = "replied", "被申请人答复"
    CORRECTION_ASKED = "correction_asked", "要求补正申请"
    CORRECTED = "corrected", "申请补正完毕"
    CONCLUDED = "concluded", "程序办结（无待办诉求）"
    EFFECTIVE = "effective", "协议生效"
    PERFORMANCE_DUE = "performance_due", "履行期限届满而未履行"
    CONFIRMATION_ASKED = "confirmation_asked", "申请司法确认"
    ENFORCEMENT_ASKED = "enforcement_asked", "申请执行"
    PERFORMED = "performed", "履行完毕"
    OFFERED = "offered", "发出移交"
    TAKEN = "taken", "移交被受理"
    COMPLAINED = "complained", "投诉"
    ANSWERED = "answered", "答复投诉"
    RISK_GRADED = "risk_graded", "评定风险等级"


@unique
class Expiry(Word):
    """What the clock does when a period runs out (process.md R4: an ordinary action as actor `clock`)."""

    FAIL = "fail", "终止调解"
    RETURN = "return", "退回移交单位"
    RECALL = "recall", "撤回移交"
    ACCEPT = "accept", "视为受理"
    URGE = "urge", "向上级报警催办"
    ESCALATE = "escalate", "自动上报"


@unique
class ExtendBy(Word):
    """Who agrees to an extension."""

    PARTIES = "parties", "各方当事人同意"
    BODY_AND_PARTIES = "body_and_parties", "调解组织与各方当事人同意"
    HEAD = "head", "本单位负责人批准"
    SUPERIOR = "superior", "上级机关批准"


@unique
class Variant(Word):
    """In which form a procedure is held, where its limits depend on it."""

    ORDINARY = "ordinary", "普通"
    SUMMARY = "summary", "简易"
    ONLINE = "online", "在线"
    ONLINE_SUMMARY = "online_summary", "在线·简易"


@unique
class Label(Word):
    """How far a rule may be trusted (domain.md): whether its text was read, and where."""

    P = "P", "已核原文", "primary text read"
    S = "S", "二手来源", "secondary source"
    C = "C", "文书格式所载", "as printed in official forms"
    G = "G", "未经核实", "not verified"
    Q = "Q", "政策或本服务规程，非法律", "policy, not law"


@unique
class Circumstance(Word):
    """A fact found at a body that bars a procedure there, once it is on record."""

    RESERVED_TO_ORGAN = "reserved_to_organ", "法律规定由专门机关处理"
    HANDLED_ELSEWHERE = "handled_elsewhere", "法院、公安或其他机关已受理或解决"
    IN_LITIGATION = "in_litigation", "已提起诉讼或诉讼未结"
    IN_ARBITRATION = "in_arbitration", "已申请仲裁或已裁决"
    MEDIATED_ELSEWHERE = "mediated_elsewhere", "其他组织正在或已经调解"
    ALREADY_SETTLED = "already_settled", "已达成协议"
    NOT_CIVIL = "not_civil", "不属民事权利义务争议"
    PURELY_ADMINISTRATIVE = "purely_administrative", "纯行政争议"
    NO_DISCRETION = "no_discretion", "不属行政机关裁量范围"
    NOT_CONSUMER = "not_consumer", "非为生活消费需要"
    CANNOT_PROVE_CONSUMPTION = "cannot_prove_consumption", "不能证明存在消费者权益争议"
    NO_DEFINITE_RESPONDENT = "no_definite_respondent", "没有明确的被申请人"
    OUT_OF_TIME = "out_of_time", "超过规定期限"
    FALSE_MATERIALS = "false_materials", "提供虚假材料或冒用身份"
    IDENTITY_REFUSED = "identity_refused", "拒绝核验身份"
    HIRED_VIOLENCE = "hired_violence", "雇凶伤人"
    GANG_FIGHT = "gang_fight", "结伙斗殴或寻衅滋事"
    REPEAT_VIOLATOR = "repeat_violator", "多次实施违反治安管理行为"
    NEW_VIOLATION = "new_violation", "调解中又实施违反治安管理行为"
    SUSPECT_FLED = "suspect_fled", "违法嫌疑人逃跑"
    EXPROPRIATION = "expropriation", "因征收集体土地及其补偿发生"
    NOT_UNANIMOUS = "not_unanimous", "当事人未一致书面申请"
    LIABILITY_DISPUTED = "liability_disputed", "对事故责任认定有争议"
    CRIME_BEYOND_SCOPE = "crime_beyond_scope", "超出刑事和解案件范围"
    INTENTIONAL_CRIME_BEFORE = "intentional_crime_before", "五年内曾故意犯罪"
    AGAINST_LAW_OR_OTHERS = "against_law_or_others", "违反强制性规定或损害国家、公共、他人利益"
    NOT_LABOUR = "not_labour", "不属劳动争议"
    SHAM = "sham", "涉嫌虚假调解"


TIERS = tuple(Tier)
RISKS = tuple(Risk)


def glossary() -> list[dict[str, str]]:
    """Every word of this page: `{kind, code, zh, en}`, in the order written here."""
    kinds = [kind for kind in Word.__subclasses__() if kind.__members__]
    return [
        {"kind": kind.__name__, "code": word.value, "zh": word.zh, "en": word.en} for kind in kinds for word in kind
    ]


@unique
class Standing(Word):
    """Where a body or person stands to a case: what they may do in it and see of it follows from this."""

    HOLDER = "holder", "承办单位", "the body has an open leg in it, or opens one"
    MEDIATES = "mediates", "主持调解单位", "the body has an open leg in it that mediates and does not decide"
    ASSIGNED = "assigned", "承办人", "the person is its mediator there, or nobody has been assigned yet"
    HANDLING = (
        "handling",
        "正在承办",
        "the body has an open leg in it, of which the person is a mediator or nobody is yet",
    )
    REFERRED = "referred", "受移送单位", "a hand-off to the body is live"
    RECEIVED = "received", "已接收单位", "the body has received a hand-off that is live"
    ASSISTING = (
        "assisting",
        "协助单位",
        "the body has received a live hand-off that asks it to take part beside the holder",
    )
    SENDER = "sender", "移送单位", "a hand-off from the body is live"
    SUPERVISING = "supervising", "督办单位", "the body has listed the case, or the person has taken charge of it"
    KEEPER = "keeper", "保管单位", "the body answers for the case, or did when it was closed"
    NAMED = "named", "参与过的单位", "a leg or hand-off names the body, a returned offer excepted"
    SUBTREE = "subtree", "上级单位", "the body is above one of these"
    AUDIT = "audit", "审计辖区", "the case arose, or is handled, where the audit office has jurisdiction"
    SHOWN = "shown", "持案件码", "the case code was shown"


@unique
class Power(Word):
    """What may be asked for besides a step."""

    READ = "read", "查阅案件", "read the case: its state, history, deadlines and parties; find it in lists"
    DISCLOSE = "disclose", "查看明文", "see plain values"
    SEARCH = "search", "按证件号查人", "find the cases of a person by identity number"
    STATISTICS = "statistics", "查阅统计", "read the statistics of a body and those below it"
    ERASE = "erase", "删除个人信息", "destroy the key of what is personal"
    PUT_ORGANISATION = "put_organisation", "登记单位", "register a body"
    PUT_PERSON = "put_person", "登记人员", "register a person of the staff"
    GRANT = "grant", "授权", "grant and revoke memberships"
    READ_ADMINISTRATION = "read_administration", "查阅管理日志", "read the log of administration"
    READ_ACCESS = "read_access", "查阅访问日志", "read who was shown what"
    READ_ATTEMPTS = "read_attempts", "查阅被拒记录", "read what was refused"
    FOLLOW = "follow", "跟随签名日志全文", "read every entry of the signed logs"


@unique
class LogEntry(Word):
    """What the log of administration records."""

    PUT_ORGANISATION = "put_organisation", "登记单位", "a body was registered or changed"
    PUT_PERSON = "put_person", "登记人员", "a person of the staff was registered or changed"
    GRANT = "grant", "授予", "roles at a body were granted, in place of any held there"
    REVOKE = "revoke", "撤销", "a membership was revoked"
    IMPORT_DIVISIONS = "import_divisions", "导入区划", "divisions were loaded from a file"
    IMPORT_ORGANISATIONS = "import_organisations", "导入单位", "bodies were loaded from a file"
    IMPORT_PEOPLE = "import_people", "导入人员", "people and their memberships were loaded from a file"
    IMPORT_IDENTITIES = "import_identities", "导入登录标识", "by which tokens people are known was loaded from a file"
    ERASE = "erase", "删除个人信息", "the key of what is personal was destroyed"
    RECOVER = "recover", "日志重启", "a log that had been set back began anew, under another name"


@unique
class Purpose(Word):
    """What a person is looked up for by identity number."""

    HANDLE = "handle", "办理案件", "a case in hand"
    DUPLICATE = "duplicate", "查重", "whether the dispute is being handled already"
    FOLLOW_UP = "follow_up", "回访", "a visit after the case was closed"
    SUPERVISE = "supervise", "督办", "supervision"


@unique
class ErasureGround(Word):
    """Why what is personal is destroyed (个人信息保护法 47 [S]: its text is not held here, and is not quoted)."""

    RETENTION_ENDED = "retention_ended", "保存期限届满", "the period of keeping it has ended"
    CONSENT_WITHDRAWN = "consent_withdrawn", "个人撤回同意", "the person has withdrawn their consent"
    UNLAWFUL = "unlawful", "处理不合法", "it should not have been recorded"
    COURT_ORDER = "court_order", "法院裁判", "a court has ordered it"


@unique
class Sensitivity(Word):
    """How much of what is personal is asked for."""

    CODES = "codes", "代码", "codes, days and numbers; nothing personal"
    MASKED = "masked", "遮蔽", "what is personal, masked"
    PLAIN = "plain", "明文", "who the parties are, and what was said of the dispute"
    UNDISPUTED = "undisputed", "无争议事实", "facts both sides have signed as undisputed"
    COMPROMISE = "compromise", "调解陈述", "what was said in mediation for the sake of agreement"


@unique
class Sensitive(Word):
    """Why fewer people see a case."""

    MINOR = "minor", "涉未成年人", "a minor is a party"
    MEDICAL = "medical", "涉医疗信息", "medical facts"
    DOMESTIC_VIOLENCE = "domestic_violence", "涉家庭暴力", "domestic violence"
