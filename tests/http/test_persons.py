"""People are found by their number alone, among the cases one may see, and whoever looks is written down; facts by words."""

import re

import psycopg
import pytest
from tests.http.county import DISPUTE, NOTE, County, file_one, step
from tests.whole import whole

FIRST, SECOND = DISPUTE["parties"]
NUMBER, OLD = "11010519491231002X", "110105491231002"


def look(client, number=NUMBER, purpose="duplicate", **more):
    return client.post("/v1/persons/search", json={"id_number": number, "purpose": purpose} | more)


def found(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["case"]["id"] for item in answer.json()["items"]]


def query(county: County, said: str, *values) -> list[tuple]:
    with psycopg.connect(whole(county.settings.given_urls("owner"))) as connection:
        return connection.execute(said, values).fetchall()


def searches(county: County) -> list[tuple]:
    return query(
        county, "SELECT person::text, case_id, purpose, fields FROM disclosures WHERE kind = 'search' ORDER BY id"
    )


@pytest.fixture(scope="module")
def cases(county):
    """The same person in both villages, under the old form of the number in one of them; the newest last."""
    with county.client("wang") as wang, county.client("zhao") as zhao:
        one = file_one(wang, parties=[FIRST | {"id_number": NUMBER}, SECOND], text="为祖坟迁移争执")
        two = file_one(
            zhao, division="150525100202", parties=[FIRST, SECOND | {"id_number": OLD}], text="为桥洞堵塞争执"
        )
    return [one.json()["case"], two.json()["case"]]


def test_a_person_is_found_by_number_in_either_form_among_the_cases_one_may_see(county, cases):
    with county.client("wang") as wang, county.client("zhao") as zhao, county.client("li") as above:
        for number in (NUMBER, OLD, "110105 19491231 002x", "１１０１０５４９１２３１００２"):
            assert found(look(wang, number)) == cases[:1]
            assert found(look(zhao, number)) == cases[1:]
            assert found(look(above, number)) == cases[::-1]
        answer = look(zhao).json()["items"][0]
        assert answer["parties"] == [{"id": 2, "side": "respondent"}]
        assert answer["case"]["holder_name"] == "二村人民调解委员会"
        assert NUMBER not in look(zhao).text
        assert look(zhao).headers["cache-control"] == "no-store"


def test_a_person_who_joins_later_is_found_too(county, cases):
    with county.client("wang") as wang:
        place = file_one(wang).headers["location"]
        joining = {"name": "王五", "side": "third", "id_number": OLD}
        taken = step(wang, place, {"action": "change_parties", "change": "join", "join": [joining]})
        assert taken.status_code == 201, taken.text
        item = look(wang).json()["items"][0]
    assert item["case"]["id"] == place.rpartition("/")[2]
    assert [party["id"] for party in item["parties"]] == [3]


def test_a_search_is_written_down_before_its_answer_also_when_nobody_is_found(county, cases):
    before = len(searches(county))
    with county.client("wang") as wang:
        assert found(look(wang, "33010219900101123X", "supervise")) == []
        assert found(look(wang)) != []
        assert look(wang, purpose="curiosity").status_code == 422
        assert wang.post("/v1/persons/search", json={"id_number": NUMBER}).status_code == 422
    noted = searches(county)[before:]
    assert [(case, purpose, fields) for _, case, purpose, fields in noted] == [
        (None, "supervise", []),
        (None, "duplicate", []),
    ]


@pytest.mark.parametrize("number", ["无", "不详", "1234", "无无无无无"])
def test_what_is_no_number_is_refused_and_finds_nobody(county, number):
    before = searches(county)
    with county.client("wang") as wang:
        nameless = FIRST | {"id_kind": "other", "id_number": number}
        assert file_one(wang, parties=[nameless, SECOND]).status_code == 201
        answer = look(wang, number)
    assert answer.status_code == 422
    assert "证件号码至少含5个字母或数字" in answer.text
    assert searches(county) == before


@pytest.mark.parametrize("person", ["audit", "idle"])
def test_who_neither_handles_nor_supervises_cases_looks_nobody_up(county, cases, person):
    before = searches(county)
    with county.client(person) as client:
        answer = look(client)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    assert searches(county) == before


def test_a_search_is_read_page_by_page(county, cases):
    with county.client("li") as above:
        whole_list, pages, cursor = found(look(above)), [], None
        while True:
            answer = look(above, limit=1, **({"cursor": cursor} if cursor else {}))
            pages += found(answer)
            cursor = answer.json()["next"]
            if cursor is None:
                break
    assert pages == whole_list
    assert len(pages) == 3


def test_facts_are_found_by_their_words_among_the_cases_one_may_see(county, cases):
    def listed(client, words):
        answer = client.get("/v1/cases", params={"q": words})
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    with county.client("wang") as wang, county.client("zhao") as zhao, county.client("li") as above:
        assert listed(wang, "祖坟迁移") == cases[:1]
        assert listed(wang, "祖坟、 迁移") == cases[:1]
        assert listed(above, "迁移 祖坟") == cases[:1]
        assert listed(above, "祖坟 桥洞") == []
        assert listed(zhao, "祖坟") == []
        assert listed(above, "桥洞") == cases[1:]
        assert set(cases) <= set(listed(above, "赔偿院墙"))
        for words in ("坟", "张三", "张三丰", "13812345678", "大沁他拉镇", "不存在的词"):
            assert listed(above, words) == []
        place = f"/v1/cases/{cases[0]}"
        assert step(wang, place, {"action": "correct", "text": "更正：系为水渠改道争执"}).status_code == 201
        assert listed(wang, "水渠改道") == cases[:1]
        assert listed(wang, "祖坟迁移") == cases[:1]


def test_an_auditor_cannot_guess_what_was_said_in_a_case_that_is_read_in_codes(county):
    with county.client("wang") as wang, county.client("audit") as auditor:
        filed = file_one(wang, text="羊群啃了果树")
        place = filed.headers["location"]
        asked = {"params": {"q": "啃了果树"}}
        assert [item["id"] for item in auditor.get("/v1/cases", **asked).json()["items"]] == [filed.json()["case"]]
        assert step(wang, place, NOTE | {"sensitive": ["domestic_violence"]}).status_code == 201
        assert auditor.get(place).status_code == 200
        assert auditor.get("/v1/cases", **asked).json()["items"] == []
        assert len(wang.get("/v1/cases", **asked).json()["items"]) == 1


def test_nobody_guesses_what_was_said_in_a_case_that_fewer_may_see_and_another_body_handles(county):
    with county.client("wang") as wang, county.client("li") as above:
        filed = file_one(wang, text="夜里摔了水缸，电话13998765432", refs=[{"system": "court", "number": "2026-39"}])
        place = filed.headers["location"]

        def listed(client, words):
            return [item["id"] for item in client.get("/v1/cases", params={"q": words}).json()["items"]]

        assert listed(above, "水缸") == [filed.json()["case"]]
        assert listed(wang, "39") == listed(wang, "13998765432") == []  # digits are no words
        assert step(wang, place, NOTE | {"sensitive": ["domestic_violence"]}).status_code == 201
        assert above.get(place).status_code == 200
        assert listed(above, "水缸") == []
        assert listed(above, "2026-39") == listed(wang, "水缸") == [filed.json()["case"]]


def test_words_are_looked_up_in_their_index(county):
    """Behind row-level security too, whose own condition must be served by the index."""
    with psycopg.connect(county.settings.given_urls("app").owner, autocommit=False) as connection:
        connection.execute("SET LOCAL enable_seqscan = off")
        connection.execute(
            "SELECT enter(NULL, gen_random_uuid(), NULL, NULL, NULL), set_config('mediation.grams', '{1,2}', true)"
        )
        asked = "EXPLAIN SELECT case_id FROM vault_words WHERE (case_id < gen_random_uuid()) IS TRUE"
        plan = "\n".join(line for (line,) in connection.execute(asked).fetchall())
    assert set(re.findall(r"Index Scan on (\w+)", plan)) == {"vault_words_grams"}
    assert "Seq Scan on vault_words" not in plan
