"""The cast of the stories: bodies of one banner and of other places, and whoever serves there, `<body>_<role>`."""

from functools import cache
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5

from mediation.domain.facts import Actor, Organisation
from mediation.domain.vocabulary import OrgKind, Role, Tier

COUNTY = "150525"


class Body(NamedTuple):
    """A body of the cast, before it has an id."""

    key: str
    name: str
    kind: str
    tier: str
    division: str
    superior: str = ""
    speciality: str = ""

    @property
    def code(self) -> str:
        number = 2 if self.key in {"traffic_committee", "land_bureau"} else 1
        return f"{self.division}-{self.kind}-{number:02}"


BODIES = {
    body.key: body
    for body in (
        Body("province_petition_office", "内蒙古自治区信访局", "petition_office", "province", "150000"),
        Body("city_government", "通辽市人民政府", "government", "city", "150500"),
        Body("city_petition_office", "通辽市信访局", "petition_office", "city", "150500", "province_petition_office"),
        Body("government", "奈曼旗人民政府", "government", "county", COUNTY, "city_government"),
        Body("justice_bureau", "奈曼旗司法局", "justice_bureau", "county", COUNTY, "government"),
        Body("county_centre", "奈曼旗综治中心", "county_centre", "county", COUNTY, "justice_bureau"),
        Body("township", "大沁他拉镇人民调解委员会", "people_committee", "township", "150525100", "county_centre"),
        Body("township_y", "八仙筒镇人民调解委员会", "people_committee", "township", "150525101", "county_centre"),
        Body("village", "光明村人民调解委员会", "people_committee", "village", "150525100201", "township"),
        Body("township_government", "大沁他拉镇人民政府", "government", "township", "150525100", "government"),
        Body("police", "奈曼旗公安局", "police", "county", COUNTY, "government"),
        Body("traffic_police", "奈曼旗交警大队", "traffic_police", "county", COUNTY, "police"),
        Body("market_regulator", "奈曼旗市场监督管理局", "market_regulator", "county", COUNTY, "government"),
        Body("consumer_association", "奈曼旗消费者协会", "consumer_association", "county", COUNTY, "market_regulator"),
        Body("labour_authority", "奈曼旗人力资源和社会保障局", "labour_authority", "county", COUNTY, "government"),
        Body("health_authority", "奈曼旗卫生健康委员会", "health_authority", "county", COUNTY, "government"),
        Body("land_bureau", "奈曼旗自然资源局", "agency", "county", COUNTY, "government"),
        Body("petition_office", "奈曼旗信访局", "petition_office", "county", COUNTY, "city_petition_office"),
        Body("procuratorate", "奈曼旗人民检察院", "procuratorate", "county", COUNTY),
        Body("arbitration_commission", "奈曼旗劳动人事争议仲裁委员会", "arbitration_commission", "county", COUNTY),
        Body("court", "奈曼旗人民法院", "court", "county", COUNTY),
        Body(
            "enterprise_committee",
            "蒙东矿业调解委员会",
            "enterprise_committee",
            "county",
            COUNTY,
            "county_centre",
            "labour_other",
        ),
        Body(
            "medical_committee",
            "奈曼旗医疗纠纷调解委员会",
            "industry_committee",
            "county",
            COUNTY,
            "county_centre",
            "medical",
        ),
        Body(
            "traffic_committee",
            "奈曼旗交通事故调解委员会",
            "industry_committee",
            "county",
            COUNTY,
            "county_centre",
            "road_traffic",
        ),
        Body("medical_association", "通辽市医学会", "expert_body", "city", "150500"),
        Body("notary_office", "奈曼旗公证处", "notary_office", "county", COUNTY),
        Body("audit_office", "奈曼旗审计局", "audit_office", "county", COUNTY, "government"),
        Body("land_commission", "奈曼旗农村土地承包仲裁委员会", "land_commission", "county", COUNTY),
        Body("ningbo_committee", "海曙区人民调解委员会", "people_committee", "county", "330203"),
        Body("ningbo_enterprise", "甬城港务调解委员会", "enterprise_committee", "county", "330203", "", "labour_other"),
        Body("ningbo_arbitration", "海曙区劳动人事争议仲裁委员会", "arbitration_commission", "county", "330203"),
        Body("ningbo_medical", "海曙区医疗纠纷调解委员会", "industry_committee", "county", "330203", "", "medical"),
        Body("shenzhen_agency", "南山区住房和建设局", "agency", "county", "440305"),
        Body("shenzhen_committee", "南山区人民调解委员会", "people_committee", "county", "440305"),
        Body("liaoning_agency", "和平区住房和城乡建设局", "agency", "county", "210102"),
        Body("guangdong_government", "始兴县人民政府", "government", "county", "440222"),
        Body("yushui_committee", "渝水区人民调解委员会", "people_committee", "county", "360502"),
        Body("gaotai_county", "高台县综治中心", "county_centre", "county", "620724"),
        Body("gaotai_centre", "城关镇综治中心", "county_centre", "township", "620724100", "gaotai_county"),
        Body("gaotai_township", "城关镇人民调解委员会", "people_committee", "township", "620724100", "gaotai_centre"),
        Body(
            "gaotai_village", "国庆村人民调解委员会", "people_committee", "village", "620724100201", "gaotai_township"
        ),
        Body("ningbo_audit", "海曙区审计局", "audit_office", "county", "330203"),
        Body("shenzhen_audit", "南山区审计局", "audit_office", "county", "440305"),
        Body("liaoning_audit", "和平区审计局", "audit_office", "county", "210102"),
        Body("guangdong_audit", "始兴县审计局", "audit_office", "county", "440222"),
        Body("yushui_audit", "渝水区审计局", "audit_office", "county", "360502"),
        Body("gaotai_audit", "高台县审计局", "audit_office", "county", "620724"),
    )
}

AUDITORS = {body.division: f"{key}_auditor" for key, body in BODIES.items() if body.kind == "audit_office"}
"""Who may read every case of a county."""

ROLES: dict[str, tuple[Role, ...]] = {
    "clerk": (Role.CLERK,),
    "grid_worker": (Role.GRID_WORKER,),
    "coordinator": (Role.COORDINATOR,),
    "mediator": (Role.MEDIATOR,),
    "chair": (Role.CHAIR,),
    "judge": (Role.JUDGE,),
    "officer": (Role.OFFICER, Role.CLERK),
    "prosecutor": (Role.PROSECUTOR, Role.CLERK),
    "arbitrator": (Role.ARBITRATOR,),
    "leader": (Role.LEADER,),
    "supervisor": (Role.SUPERVISOR,),
    "archivist": (Role.ARCHIVIST,),
    "auditor": (Role.AUDITOR,),
}
CLOCK = Actor(person="clock", org="", roles=(Role.CLOCK,))


class Member(NamedTuple):
    """A person of the cast: the key, the body served, and the roles held there."""

    key: str
    body: str
    roles: tuple[Role, ...]


def member(key: str) -> Member:
    """The person called `<body>_<role>` or `<body>_<role>_2`; KeyError for a stranger."""
    body = max((b for b in BODIES if key.startswith(f"{b}_")), key=len)
    return Member(key, body, ROLES[key.removeprefix(f"{body}_").rstrip("_23456789")])


@cache
def ident(key: str) -> str:
    """A fixed UUID for a body or person of the cast."""
    return str(uuid5(NAMESPACE_URL, f"cast:{key}"))


@cache
def organisation(key: str) -> Organisation:
    """The body as the rules know it."""
    body = BODIES[key]
    path = []
    above = body.superior
    while above:
        path.append(ident(above))
        above = BODIES[above].superior
    return Organisation(
        id=ident(key),
        code=body.code,
        name=body.name,
        kind=OrgKind(body.kind),
        tier=Tier(body.tier),
        division=body.division,
        superior=ident(body.superior) if body.superior else "",
        speciality=body.speciality,
        path=tuple(path),
    )


def actor(key: str) -> Actor:
    """Who acts under this name; `clock` is the clock."""
    if key == "clock":
        return CLOCK
    known = member(key)
    return Actor(person=ident(key), org=ident(known.body), roles=known.roles)


PEOPLE = {
    ident(f"{body}_{role}{which}"): frozenset({ident(body)})
    for body in BODIES
    for role in ROLES
    for which in ("", "_2", "_3")
}
"""Who is a member of which body."""
ORGANISATIONS = {org.id: org for org in map(organisation, BODIES)}
