"""A file is loaded whole or not at all, and every fault is told by its line."""

import asyncio
from importlib.resources import files
from uuid import uuid4

import pytest
from sqlalchemy import text
from tests.service.town import Town, now

from mediation.domain.errors import NotPermitted
from mediation.domain.facts import Actor, Organisation
from mediation.domain.registering import Erase, Hand
from mediation.domain.vocabulary import OrgKind, Role, Tier
from mediation.service import administer, registry
from mediation.service.administer import By
from mediation.service.registry import ImportRefused, org_id, person_id
from mediation.service.verification import verify_database
from mediation.store import bodies, queries
from mediation.store.append import Context
from mediation.store.bodies import Body

ORGS = "code,name,name_en,kind,tier,division,speciality,superior\n"


@pytest.fixture(autouse=True)
async def runs(town: Town) -> None:
    await registry.import_people(town.engine, "person_code,name,org_code,roles\nruns,系统员,centre,system_admin\n")


async def refusal(importing, town: Town, text: str) -> list[str]:
    with pytest.raises(ImportRefused) as refused:
        await importing(town.engine, text)
    assert all(reason.zh for reason in refused.value.reasons)
    return [reason.en for reason in refused.value.reasons]


async def test_a_county_of_the_official_list_is_loaded_and_again(town: Town):
    text = files("mediation").joinpath("data/naiman_150525.csv").read_text("utf-8")
    assert await registry.import_divisions(town.engine, text) == 400
    assert await registry.import_divisions(town.engine, "\ufeff" + text) == 400


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x,county,甲,nowhere", "Line 3: parent_code 'nowhere' is unknown"),
        ("x,planet,甲,", "Line 3: level 'planet' is unknown"),
        ("x,county,,", "Line 3: name is empty"),
        ("ok,county,甲,", "Line 3: says again what line 2 says"),
        ("x,county,甲", "Line 3: 3 fields, not 4"),
    ],
)
async def test_a_faulty_line_of_divisions_is_named_and_nothing_loaded(town: Town, line: str, said: str):
    assert await refusal(registry.import_divisions, town, f"code,level,name,parent_code\nok,county,好,\n{line}\n") == [
        said
    ]
    assert "ok" not in [division.code for division in (await queries.divisions(town.engine, parent="")).items]


async def test_a_wrong_header_is_told(town: Town):
    assert await refusal(registry.import_people, town, "name\n") == [
        "Line 1: the header must be person_code,name,org_code,roles"
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("a,甲,,castle,county,150525,,\n", ["Line 2: kind 'castle' is unknown"]),
        ("a,甲,,court,moon,150525,,\n", ["Line 2: tier 'moon' is unknown"]),
        ("a,甲,,court,county,999999,,\n", ["Line 2: division '999999' is unknown"]),
        ("a,甲,,court,county,150525,magic,\n", ["Line 2: speciality 'magic' is unknown"]),
        ("a,甲,,court,county,150525,,b\n", ["Line 2: superior 'b' is unknown"]),
        (
            "a,甲,,court,county,150525,,b\nb,乙,,court,county,150525,,a\n",
            ["Line 2: its superiors go round in a circle", "Line 3: its superiors go round in a circle"],
        ),
        ("centre,中心,,county_centre,county,150525,,village\n", ["Line 2: its superiors go round in a circle"]),
    ],
)
async def test_a_faulty_line_of_organisations_is_named(town: Town, lines: str, said: list[str]):
    assert await refusal(registry.import_organisations, town, ORGS + lines) == said


async def path(town: Town, code: str) -> tuple[str, ...]:
    return next(body.path for body in (await queries.organisations(town.engine)).items if body.code == code)


async def test_a_body_moved_below_another_takes_its_own_below_with_it(town: Town):
    rows = (
        "top,顶,,government,city,150525,,\n"
        "mid,中,,government,county,150525,,top\n"
        "low,低,,government,township,150525,,mid\n"
    )
    assert await registry.import_organisations(town.engine, ORGS + rows) == 3
    assert await path(town, "low") == (org_id("mid"), org_id("top"))
    await registry.import_organisations(town.engine, ORGS + "mid,中,,government,county,150525,,\n")
    assert await path(town, "low") == (org_id("mid"),)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("p,人,nowhere,clerk", "Line 2: org_code 'nowhere' is unknown"),
        ("p,人,village,king", "Line 2: role 'king' is unknown"),
        ("p,人,village,clock", "Line 2: role 'clock' is unknown"),
        ("p,人,village,", "Line 2: roles is empty"),
    ],
)
async def test_a_faulty_line_of_people_is_named(town: Town, line: str, said: str):
    assert said in await refusal(registry.import_people, town, f"person_code,name,org_code,roles\n{line}\n")


async def test_one_person_may_serve_several_bodies_and_is_found_by_code_or_id(town: Town):
    by_code = await registry.person_by(town.engine, "both")
    assert by_code is not None
    assert by_code == await registry.person_by(town.engine, person_id("both"))
    assert [(code, roles) for _, code, _, roles in by_code.memberships] == [
        ("court", ("clerk",)),
        ("village", ("clerk",)),
    ]
    assert await registry.person_by(town.engine, "nobody") is None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            "x,人,village,clerk\nx,人,audit,auditor\n",
            [
                f"Line {number}: Who closes is not who audits: an auditor has no part in cases, at whatever body: clerk"
                for number in (2, 3)
            ],
        ),
        ("x,人,village,system_admin|audit_admin\n", ["Line 2: Three separate administrators: one person is not at once audit_admin, system_admin"]),
        ("auditor,审计员,village,chair\n", ["Line 2: Who closes is not who audits: an auditor has no part in cases, at whatever body: chair"]),
        ("wang,王主任,court,security_admin\n", ["Line 2: An administrator holds no other role, at whatever body: chair, clerk, mediator"]),
    ],
)  # fmt: skip
async def test_a_file_grants_no_roles_that_clash_with_those_held_elsewhere(town: Town, lines: str, said: list[str]):
    assert await refusal(registry.import_people, town, f"person_code,name,org_code,roles\n{lines}") == said


async def test_a_file_finds_by_its_code_whoever_the_api_registered(town: Town):
    hand = by("runs", "centre", Role.SYSTEM_ADMIN)
    person, body = str(uuid4()), str(uuid4())
    place = Organisation(
        id=body,
        code="api",
        name="甲",
        kind=OrgKind.COURT,
        tier=Tier.COUNTY,
        division="150525",
        superior=org_id("centre"),
    )
    assert (await administer.put_organisation(town.engine, hand, Body(place, active=True))).created
    assert (await administer.put_person(town.engine, hand, person, code="api", name="人", identities=())).created
    await registry.import_organisations(
        town.engine, ORGS + "api,乙,,court,county,150525,,centre\nsub,丙,,court,county,150525,,api\n"
    )
    assert await path(town, "sub") == (body, org_id("centre"))
    await registry.import_people(town.engine, "person_code,name,org_code,roles\napi,人,api,clerk\n")
    found = await registry.person_by(town.engine, "api")
    assert found is not None
    assert (found.id, found.memberships[0][0]) == (person, body)
    assert (await verify_database(town.urls.reader)).sound


def by(who: str, org: str, *roles: Role) -> By:
    return By(Actor(person=person_id(who), org=org_id(org), roles=roles), now(), str(uuid4()))


async def test_a_file_takes_no_id_that_is_registered_under_another_code(town: Town):
    runs = by("runs", "centre", Role.SYSTEM_ADMIN)
    await administer.put_person(
        town.engine, runs, person_id("sec9"), code="squat", name="占", identities=[("https://login.example", "squat")]
    )
    assert await refusal(
        registry.import_people, town, "person_code,name,org_code,roles\nsec9,安全员,centre,security_admin\n"
    ) == ["Line 2: the id of person_code 'sec9' is another's: 'squat'"]
    place = Organisation(
        id=org_id("body9"), code="squat", name="占", kind=OrgKind.COURT, tier=Tier.COUNTY, division="150525",
        superior=org_id("centre"),
    )  # fmt: skip
    await administer.put_organisation(town.engine, runs, Body(place, active=True))
    for lines in ("body9,局,,audit_office,county,150525,,centre\n", "x,庭,,court,county,150525,,body9\n"):
        said = await refusal(registry.import_organisations, town, ORGS + lines)
        assert said == (
            ["Line 2: the id of code 'body9' is another's: 'squat'"]
            if lines.startswith("body9")
            else ["Line 2: superior 'body9' is unknown"]
        )


@pytest.mark.parametrize("role", ["system_admin", "audit_admin", "security_admin", "auditor"])
async def test_a_file_makes_nobody_an_administrator_or_auditor_who_has_an_identity_already(town: Town, role: str):
    runs, code = by("runs", "centre", Role.SYSTEM_ADMIN), f"announced_{role}"
    person, identity = str(uuid4()), ("https://login.example", code)
    await administer.put_person(town.engine, runs, person, code=code, name="人", identities=[identity])
    lines = f"person_code,name,org_code,roles\n{code},人,centre,{role}\n"
    assert await refusal(registry.import_people, town, lines) == [
        "Line 2: They have an identity already: it is unlinked first, and loaded by the operator once the role is given"
    ]
    await administer.put_person(town.engine, runs, person, code=code, name="人", identities=[])
    assert await registry.import_people(town.engine, lines) == 1
    await registry.import_identities(town.engine, f"person_code,issuer,subject\n{code},{','.join(identity)}\n")
    assert await registry.import_people(town.engine, lines) == 1  # the same file again, now that it is the operator's


async def test_who_is_revoked_meanwhile_changes_nothing_more_so_two_cannot_revoke_each_other(town: Town):
    await registry.import_people(
        town.engine, "person_code,name,org_code,roles\na,甲,centre,security_admin\nb,乙,centre,security_admin\n"
    )
    first, second = by("a", "centre", Role.SECURITY_ADMIN), by("b", "centre", Role.SECURITY_ADMIN)
    found = await asyncio.gather(
        administer.revoke(town.engine, first, person_id("b"), org_id("centre")),
        administer.revoke(town.engine, second, person_id("a"), org_id("centre")),
        return_exceptions=True,
    )
    assert [type(one) for one in found if isinstance(one, Exception)] == [NotPermitted]
    left = [who for who in ("a", "b") if (await registry.person_by(town.engine, who)).memberships]
    assert len(left) == 1
    gone = by(*({"a", "b"} - set(left)), "centre", Role.SECURITY_ADMIN)
    with pytest.raises(NotPermitted) as refused:
        await administer.grant(town.engine, gone, person_id("wang"), org_id("village"), [Role.CLERK])
    assert [reason.code for reason in refused.value.reasons] == ["not_a_member"]


async def test_roles_are_those_held_when_the_change_commits(town: Town):
    once = by("runs", "centre", Role.SECURITY_ADMIN)  # as the request had read it
    with pytest.raises(NotPermitted) as refused:
        await administer.revoke(town.engine, once, person_id("wang"), org_id("village"))
    assert [reason.code for reason in refused.value.reasons] == ["not_permitted"]


async def test_an_identity_lets_in_until_it_is_unlinked(town: Town):
    header = "person_code,issuer,subject\n"
    assert await registry.import_identities(town.engine, f"{header}wang,https://login.example,w-1\n") == 1
    assert await registry.import_identities(town.engine, f"{header}wang,https://login.example,w-1\n") == 1
    assert await refusal(registry.import_identities, town, f"{header}li,https://login.example,w-1\nghost,x,\n") == [
        "Line 2: this identity is another person's",
        "Line 3: subject is empty",
        "Line 3: person_code 'ghost' is unknown",
    ]
    context = Context("", "", str(uuid4()), "https://login.example", "w-1")
    assert (await town.house.memory.read_case(context)).actor.person == person_id("wang")
    hand = by("runs", "centre", Role.SYSTEM_ADMIN)
    await administer.put_person(town.engine, hand, person_id("wang"), code="wang", name="王主任", identities=())
    with pytest.raises(NotPermitted):
        await town.house.memory.read_case(context)


async def test_an_entry_leaves_the_context_of_its_transaction_as_it_was(town: Town):
    hand = Hand("operator", "", "operator", now(), str(uuid4()))
    async with bodies.turn(town.engine) as connection:
        await connection.execute(text("SELECT set_config('mediation.case', 'a', true)"))
        await bodies.note(connection, hand, Erase(case=str(uuid4()), subjects=()))
        assert await connection.scalar(text("SELECT current_setting('mediation.case')")) == "a"


async def test_what_is_rolled_back_is_not_in_the_log(town: Town):
    before = (await verify_database(town.urls.reader)).entries
    hand = Hand("operator", "", "operator", now(), str(uuid4()))

    async def noted() -> None:
        async with bodies.turn(town.engine) as connection:
            await bodies.note(connection, hand, Erase(case=str(uuid4()), subjects=()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await noted()
    report = await verify_database(town.urls.reader)
    assert (report.sound, report.entries) == (True, before)
