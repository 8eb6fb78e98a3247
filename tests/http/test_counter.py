"""The contract over a real server: filing, reading, stepping, replaying, and every refusal in its order."""

from tests.http.county import County, file_one, fresh

NOTE = {"action": "note", "kind": "contact_attempt", "text": "电话联系"}


def test_a_dispute_is_filed_read_and_taken_a_step_further(county: County):
    with county.client("wang") as wang:
        filed = file_one(wang)
        assert filed.status_code == 201, filed.text
        place = filed.headers["location"]
        assert filed.headers["etag"] == '"1"'
        seen = wang.get(place)
        assert (seen.status_code, seen.headers["etag"]) == (200, '"1"')
        assert seen.headers["cache-control"] == "private, no-cache"
        assert seen.headers["vary"] == "Authorization, Accept-Language, Acting-For"
        case = seen.json()
        assert (case["state"], case["label_zh"], case["holder_name"]) == ("filed", "已登记", "一村人民调解委员会")
        assert case["parties"][0]["name"] == "张**"
        assert case["parties"][0]["phone"] == "138****5678"
        step = wang.post(f"{place}/events", json=NOTE, headers={"If-Match": '"1"', "Idempotency-Key": fresh()})
        assert (step.status_code, step.headers["etag"]) == (201, '"2"')
        event = step.json()
        assert (event["action"], event["label_zh"], event["request"]) == ("note", "记录", step.headers["x-request-id"])
        assert wang.get(place).json()["version"] == 2
