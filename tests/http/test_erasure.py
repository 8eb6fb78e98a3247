"""What is personal is destroyed with its key, on the ledger first; the history verifies, and no backup brings it back."""

import asyncio
import json

import psycopg
import pytest
from tests.http.county import NOTE, County, file_one, step
from tests.whole import whole

from mediation.gateway.backup import read_backup, write_backup
from mediation.gateway.ledger import Ledger
from mediation.service.erasing import compare, replay
from mediation.service.verification import verify_database
from mediation.store import privacy
from mediation.store.database import engine


def over(client) -> str:
    """A case that was filed and declined, and so is over."""
    place = file_one(client).headers["location"]
    declined = {"action": "decline", "ground": "not_competent", "routes_told": True, "calmed": True, "text": "已说明"}
    for body in (declined, {"action": "close", "routes_told": True}):
        if client.get(place).json()["state"] != "closed":
            taken = step(client, place, body)
            assert taken.status_code == 201, taken.text
    return place


def reopen(client, place, **words) -> None:
    """Whoever handles a case sees what is plain in it, and only then."""
    taken = step(client, place, {"action": "reopen", "cause": "new_fact"} | words)
    assert taken.status_code == 201, taken.text


def erase(client, place, ground="retention_ended", **what):
    return client.post(f"{place}/erasures", json=what | {"ground": ground})


def ask(client, place, *fields):
    return client.post(f"{place}/disclosures", json={"purpose": "回访", "fields": list(fields)})


def rows(county: County, place: str) -> dict[str, list[tuple]]:
    """What the vault holds of a case: subjects by table."""
    case = place.rpartition("/")[2]
    with psycopg.connect(whole(county.settings.given_urls("owner"))) as connection:
        asked = "SELECT DISTINCT subject FROM {} WHERE case_id = %s ORDER BY 1"
        return {
            table: connection.execute(asked.format(table), (case,)).fetchall()
            for table in ("vault", "vault_keys", "vault_words", "erasures")
        }


def entries(county: County) -> list[dict]:
    with psycopg.connect(whole(county.settings.given_urls("owner"))) as connection:
        found = connection.execute(
            "SELECT bytes FROM events WHERE case_id = '8d7e034d-2138-5a8b-809a-92db1fc0bc68' ORDER BY seq"
        ).fetchall()
    return [entry for entry in (json.loads(data) for (data,) in found) if entry["action"] == "erase"]


def sound(county: County) -> bool:
    report = asyncio.run(verify_database(county.settings.given_urls("reader").reader))
    assert report.failures == ()
    return report.sound


async def again(county: County):
    made = engine(county.settings.given_urls("app").app, 1)
    try:
        return await replay(made, Ledger(county.settings.erasures))
    finally:
        await made.dispose()


def test_a_party_is_erased_for_good_and_the_case_still_opens_and_verifies(county, chair):
    place = over(chair)
    case = place.rpartition("/")[2]
    done = erase(chair, place, party=1)
    assert done.status_code == 200, done.text
    assert done.json()["party"] == 1
    first, second = chair.get(place).json()["parties"]
    assert first["erased"]
    assert not {"name", "id_number", "phone", "address"} & set(first)
    assert (second["erased"], second["name"]) == (False, "李*")
    assert rows(county, place) == {
        "vault": [(0,), (2,)], "vault_keys": [(0,), (2,)], "vault_words": [(0,)], "erasures": [(1,)],
    }  # fmt: skip
    reopen(chair, place)
    gone = ask(chair, place, "parties.1.name", "parties.2.name")
    assert (gone.status_code, gone.json()["reasons"][0]["code"]) == (404, "erased")
    assert ask(chair, place, "parties.2.name").status_code == 200
    sought = {"id_number": "150599199001011231", "purpose": "follow_up"}
    found = chair.post("/v1/persons/search", json=sought).json()["items"]
    assert case not in [item["case"]["id"] for item in found]
    entry = entries(county)[-1]
    assert entry["event"] == done.json()["event"]
    assert entry["attrs"] == {"case": case, "subjects": [1], "ground": "retention_ended"}
    line = Ledger(county.settings.erasures).lines().read[-1]
    assert (line.case, line.subject, line.ground) == (case, 1, "retention_ended")
    assert county.settings.erasures.stat().st_mode & 0o777 == 0o600
    assert sound(county)


def test_what_was_said_is_erased_and_what_is_said_later_has_a_key_of_its_own(county, chair):
    place = over(chair)
    found = {"params": {"q": "排水发生争执"}}
    case = place.rpartition("/")[2]
    assert case in [item["id"] for item in chair.get("/v1/cases", **found).json()["items"]]
    assert erase(chair, place, text=True, ground="court_order").status_code == 200
    assert case not in [item["id"] for item in chair.get("/v1/cases", **found).json()["items"]]
    shown = chair.get(place).json()
    assert (shown["text_erased"], shown["parties"][0]["erased"]) == (True, False)
    reopen(chair, place)
    assert ask(chair, place, "claims.1.text").json()["reasons"][0]["code"] == "erased"
    assert rows(county, place)["vault_keys"] == [(1,), (2,)]
    noted = step(chair, place, NOTE | {"text": "要求道歉"})
    assert noted.status_code == 201, noted.text
    assert rows(county, place)["vault_keys"] == [(0,), (1,), (2,)]
    told = {"texts.1": "要求道歉"}
    assert ask(chair, place, *told).json()["values"] == told
    assert asyncio.run(again(county)).again == ()
    assert ask(chair, place, "texts.1").status_code == 200
    assert sound(county)


def test_why_somebody_saw_plain_values_can_be_reviewed_after_an_erasure_as_before(county, chair):
    place = over(chair)
    reopen(chair, place)
    assert ask(chair, place, "texts.1").status_code == 200
    closed = step(chair, place, {"action": "close", "routes_told": True})
    if closed.status_code != 201:
        ending = {"action": "decline", "ground": "not_competent", "routes_told": True, "calmed": True, "text": "已说明"}
        assert step(chair, place, ending).status_code == 201
    for what in ({"text": True}, {"party": 1}, {"party": 2}):
        done = erase(chair, place, **what)
        assert done.status_code == 200, done.text
    with county.client("audit") as auditor:
        log = auditor.get("/v1/disclosures", params={"case": place.rpartition("/")[2]}).json()["items"]
    assert [(item["purpose"], item["fields"]) for item in log] == [("回访", ["texts.1"])]


@pytest.mark.parametrize("what", [{"party": 1}, {"text": True}])
def test_whoever_keeps_the_case_as_it_was_is_told_of_an_erasure(county, chair, what):
    place = over(chair)
    known = {"If-None-Match": chair.get(place).headers["etag"]}
    assert chair.get(place, headers=known).status_code == 304
    assert erase(chair, place, **what).status_code == 200
    told = chair.get(place, headers=known)
    assert (told.status_code, told.headers["etag"]) == (200, known["If-None-Match"])
    assert told.json()["text_erased"] == ("text" in what)


def test_a_second_erasure_of_the_same_changes_nothing(county, chair):
    place = over(chair)
    first, second = (erase(chair, place, party=2) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert "event" in first.json()
    assert "event" not in second.json()
    case = place.rpartition("/")[2]
    assert len([entry for entry in entries(county) if entry["attrs"]["case"] == case]) == 1
    assert len([line for line in Ledger(county.settings.erasures).lines().read if line.case == case]) == 1


def test_an_open_case_keeps_what_is_needed_to_handle_it(county, chair):
    place = file_one(chair).headers["location"]
    refused = erase(chair, place, party=1)
    assert (refused.status_code, refused.json()["code"]) == (409, "refused")
    (reason,) = refused.json()["reasons"]
    assert reason["code"] == "case_open"
    assert "已登记" in reason["zh"]
    assert not chair.get(place).json()["parties"][0]["erased"]


@pytest.mark.parametrize(
    ("who", "overtaking", "code"),
    [("idle", {"action": "archive"}, None), ("wang", {"action": "reopen", "cause": "new_fact"}, "case_open")],
)
def test_an_erasure_that_a_step_overtakes_looks_at_the_case_again(county, chair, monkeypatch, who, overtaking, code):
    place = over(chair)
    version_of, taken = privacy.version_of, []

    async def overtaken(connection, case):
        if not taken:
            with county.client(who) as other:
                taken.append(await asyncio.to_thread(step, other, place, overtaking))
        return await version_of(connection, case)

    with monkeypatch.context() as patched:
        patched.setattr("mediation.store.privacy.version_of", overtaken)
        answer = erase(chair, place, party=1)
    assert [step.status_code for step in taken] == [201], taken[0].text
    if code is None:
        assert (answer.status_code, "event" in answer.json()) == (200, True), answer.text
    else:
        assert (answer.status_code, answer.json()["reasons"][0]["code"]) == (409, code)


def test_no_step_is_taken_between_the_look_at_the_case_and_the_erasure(county, chair, monkeypatch):
    place = over(chair)
    destroy, tried = privacy.destroy, []

    async def tries(connection, whose):
        with psycopg.connect(whole(county.settings.given_urls("owner"))) as other:
            try:
                other.execute("SELECT FROM cases WHERE id = %s FOR NO KEY UPDATE NOWAIT", (whose.case,))
            except psycopg.errors.LockNotAvailable as error:
                tried.append(error)
        await destroy(connection, whose)

    with monkeypatch.context() as patched:
        patched.setattr("mediation.store.privacy.destroy", tries)
        assert erase(chair, place, party=1).status_code == 200
    assert len(tried) == 1


def test_an_erasure_that_is_overtaken_again_and_again_says_so_and_asks_for_no_etag(county, chair, monkeypatch):
    place = over(chair)

    async def always_another(*_):
        return 0

    monkeypatch.setattr("mediation.store.privacy.version_of", always_another)
    answer = erase(chair, place, party=1)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "ETag" not in answer.text
    assert rows(county, place)["erasures"] == []


def test_without_its_ledger_nothing_is_erased_and_the_answer_says_why(county, chair, caplog):
    place, ledger = over(chair), county.settings.erasures
    kept = ledger.rename(ledger.with_suffix(".kept")) if ledger.exists() else None
    ledger.mkdir()
    try:
        answer = erase(chair, place, party=1)
    finally:
        ledger.rmdir()
        if kept:
            kept.rename(ledger)
    assert (answer.status_code, answer.json()["code"]) == (503, "bad_ledger")
    assert answer.headers["retry-after"].isdecimal()
    assert "台账" in answer.json()["detail"]
    assert str(ledger) not in answer.text
    assert [str(ledger) in record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [True]
    assert rows(county, place)["vault_keys"] == [(0,), (1,), (2,)]


def test_the_keeper_erases_with_two_factors_and_nobody_else(county, chair):
    place = over(chair)

    def tried(person, **how):
        with county.client(person, Authorization=f"Bearer {county.token(person, **how)}") as client:
            answer = erase(client, place, party=1)
        return answer.status_code, answer.json().get("code")

    assert tried("wang") == (403, "second_factor_required")
    assert tried("li", second_factor=True) == (403, "not_permitted")
    assert tried("audit", second_factor=True) == (403, "not_permitted")
    assert tried("zhao", second_factor=True) == (404, "not_found")
    assert tried("idle", second_factor=True) == (200, None)  # the archivist of the committee


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"party": 1, "text": True},
        {"text": False},
        {"party": 0},
        {"party": 3},
        {"party": 1, "ground": "tidiness"},
        {"party": 1, "reason": "x"},
    ],
)
def test_an_erasure_names_one_thing_that_is_there_and_a_ground(county, chair, what):
    place = over(chair)
    assert erase(chair, place, **what).status_code == 422
    assert rows(county, place)["erasures"] == []


def test_last_nights_backup_brings_nobody_back(county, chair, tmp_path):
    place = over(chair)
    urls = county.settings.given_urls("owner", "reader")
    assert erase(chair, place, party=2).status_code == 200
    write_backup(urls.reader, tmp_path / "night.dump")
    assert erase(chair, place, party=1).status_code == 200
    read_backup(urls.owner, tmp_path / "night.dump", force=True)
    case = place.rpartition("/")[2]
    assert rows(county, place)["vault_keys"] == [(0,), (1,)]

    async def left():
        made = engine(urls.app, 1)
        try:
            return await compare(made, Ledger(county.settings.erasures))
        finally:
            await made.dispose()

    assert [(line.case, line.subject) for line in asyncio.run(left()).pending] == [(case, 1)]
    assert asyncio.run(again(county)).again == ((case, 1),)
    assert rows(county, place)["vault_keys"] == [(0,)]
    assert asyncio.run(again(county)).again == ()
    assert entries(county)[-1]["actor"] == "operator"
    assert sound(county)


def test_a_crash_between_ledger_and_database_is_made_good_at_the_next_start(county, chair, monkeypatch):
    place = over(chair)

    async def dies(*_):
        raise KeyError

    with monkeypatch.context() as patched:
        patched.setattr("mediation.store.privacy.destroy", dies)
        assert erase(chair, place, party=1).status_code == 500
    assert rows(county, place)["erasures"] == []
    assert not chair.get(place).json()["parties"][0]["erased"]
    assert asyncio.run(again(county)).again == ((place.rpartition("/")[2], 1),)
    assert chair.get(place).json()["parties"][0]["erased"]
    assert sound(county)
