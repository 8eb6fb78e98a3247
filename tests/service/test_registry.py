"""A file is loaded whole or not at all, and every fault is told by its line."""

from importlib.resources import files

import pytest
from tests.service.town import Town

from mediation.service import registry
from mediation.service.registry import ImportRefused, org_id, person_id
from mediation.store import queries

ORGS = "code,name,name_en,kind,tier,division,speciality,superior\n"


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
