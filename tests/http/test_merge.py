"""The same dispute filed at two counters, told over HTTP: one case carries on, with everybody and every claim in it."""

from tests.http.county import DISPUTE, file_one, step

NEIGHBOUR = {"name": "王二小", "side": "applicant", "phone": "13700001111", "address": "大沁他拉镇一村15号"}
AGAIN = {
    "parties": [NEIGHBOUR, *DISPUTE["parties"]],
    "claim": [
        {"what": "money", "by": [2], "against": [3], "amount_fen": 200000, "text": "赔偿院墙损失"},
        {"what": "conduct", "by": [1], "against": [3], "text": "疏通排水沟"},
    ],
}


def test_a_dispute_filed_twice_goes_on_as_one_with_all_its_people_and_claims(county):
    with county.client("wang") as village, county.client("li") as township:
        first = file_one(village).headers["location"]
        second_filed = file_one(township, **AGAIN)
        second = second_filed.headers["location"]
        other = township.get(second).json()
        absorbing = {"action": "absorb", "case": other["id"], "version": 1, "case_code": other["case_code"]}
        taken = step(village, first, absorbing)
        assert taken.status_code == 201, taken.text
        assert (taken.json()["attrs"]["parties_as"], taken.json()["attrs"]["claims_as"]) == ([3, 1, 2], [1, 2])
        for secret in ("王二小", "13700001111", "疏通排水沟"):
            assert secret not in taken.text

        case = village.get(first).json()
        assert [(party["name"], party["side"]) for party in case["parties"]][2:] == [("王**", "applicant")]
        assert [(claim["what"], claim["by"], claim["against"]) for claim in case["claims"]] == [
            ("money", [1], [2]),
            ("conduct", [3], [2]),
        ]
        assert case["legs"][0]["claims"] == [1, 2]
        merged = step(township, second, {"action": "merge", "into": case["id"]})
        assert (merged.status_code, merged.json()["to"]) == (201, "closed"), merged.text
        assert township.get(second).json()["merged_into"] == case["id"]

        wanted = {"purpose": "通知到场", "fields": ["parties.3.name", "parties.3.phone", "claims.2.text"]}
        plain = village.post(f"{first}/disclosures", json=wanted)
        assert plain.status_code == 200, plain.text
        assert plain.json()["values"] == {
            "parties.3.name": "王二小",
            "parties.3.phone": "13700001111",
            "claims.2.text": "疏通排水沟",
        }


def test_more_people_than_one_step_holds_are_refused_and_nothing_is_lost(county):
    crowd = [{"name": f"某{number}", "side": "respondent" if number else "applicant"} for number in range(50)]
    with county.client("wang") as village:
        first = file_one(village).headers["location"]
        place = file_one(village, parties=crowd, claim=[{"what": "money", "by": [1], "against": [2]}]).headers[
            "location"
        ]
        joining = {"action": "change_parties", "change": "join", "join": [NEIGHBOUR]}
        assert step(village, place, joining).status_code == 201
        other = village.get(place).json()
        refused = step(village, first, {"action": "absorb", "case": other["id"], "version": other["version"]})
        assert refused.status_code == 422, refused.text
        assert [reason["code"] for reason in refused.json()["reasons"]] == ["event_too_long"]
        assert (village.get(first).json()["version"], len(village.get(place).json()["parties"])) == (1, 51)


def test_an_erasure_names_the_cases_that_hold_a_copy(county):
    chair = {"Authorization": f"Bearer {county.token('wang', second_factor=True)}"}
    with county.client("wang", **chair) as village:
        first, second, alone = (file_one(village).headers["location"] for _ in range(3))
        other = village.get(second).json()
        assert step(village, first, {"action": "absorb", "case": other["id"], "version": 1}).status_code == 201
        said = {"action": "decline", "ground": "not_competent", "routes_told": True, "calmed": True, "text": "已说明"}
        for place in (second, alone):
            assert step(village, place, said).status_code == 201
        survivor = first.rpartition("/")[2]
        for place, copies in ((second, [survivor]), (alone, None)):
            erased = village.post(f"{place}/erasures", json={"party": 1, "ground": "retention_ended"})
            assert erased.status_code == 200, erased.text
            assert erased.json().get("copies") == copies
        merged = file_one(village).headers["location"]
        asked = {"action": "absorb", "case": merged.rpartition("/")[2], "version": 1}
        assert step(village, first, asked).status_code == 201
        assert step(village, merged, {"action": "merge", "into": survivor}).status_code == 201
        for what in ({"party": 1}, {"party": 2}, {"text": True}):  # the last with nobody left to be found by
            erased = village.post(f"{merged}/erasures", json=what | {"ground": "retention_ended"})
            assert erased.json().get("copies") == [survivor], erased.text
