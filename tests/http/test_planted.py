"""Fifty planted names, numbers, phones and words occur nowhere outside the vault, and in it only sealed."""

import asyncio
import base64
import json
import logging
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from urllib.parse import quote

import pytest
from tests.http.county import NOTE, County, file_one, fresh, populate, running, settings_for, step

from mediation.domain.numbers import eighteen
from mediation.gateway.backup import _environment
from mediation.gateway.programs import find_programs
from mediation.service.registry import person_id

RARE = "鼐翀彧昉赟祎骙瀚燊玥晔喆嬴禤"
PAPER = {"sha256": "0" * 64, "ref": "file-1"}


class Planter:
    """Hands out values of a kind, each once, and keeps them all."""

    def __init__(self) -> None:
        self.planted: list[str] = []
        self._numbers = count(11)

    def _new(self, value: str) -> str:
        self.planted.append(value)
        return value

    def name(self) -> str:
        at = next(self._numbers)
        return self._new(f"訾{RARE[at % len(RARE)]}{RARE[at // len(RARE) + 3]}{RARE[at % 5]}")

    def number(self) -> str:
        return self._new(eighteen(f"110105490101{next(self._numbers):03}"))

    def phone(self) -> str:
        return self._new(f"1390471{next(self._numbers):04}")

    def words(self) -> str:
        return self._new(f"葭州{RARE[next(self._numbers) % len(RARE)]}村{next(self._numbers)}号渡口")

    def party(self, side: str) -> dict[str, str]:
        return {
            "side": side,
            "name": self.name(),
            "id_number": self.number(),
            "phone": self.phone(),
            "address": self.words(),
        }


class Heard(logging.Handler):
    """Everything that any logger of the process says but the test's own client, with all that its records carry."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(("httpx2", "httpcore2")):
            self.said.append(f"{record.getMessage()} {record.__dict__!r}")


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler, root = Heard(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.setLevel(before)
    root.removeHandler(handler)


def mediated(county: County, plant: Planter) -> tuple[str, list[str]]:
    """A case in which values were planted wherever a person may write; and answers that must not repeat them."""
    answers = []
    with county.client("wang") as wang:
        filed = file_one(
            wang,
            parties=[plant.party("applicant"), plant.party("respondent")],
            text=f"{plant.name()}称{plant.words()}受损，电话{plant.phone()}",
            claim=[{"what": "apology", "by": [1], "against": [2], "text": f"向{plant.name()}道歉"}],
            documents=[PAPER | {"kind": "identity", "name": f"{plant.name()}身份证.jpg"}],
        )
        assert filed.status_code == 201, filed.text
        place = filed.headers["location"]
        plan = {"leader": person_id("wang"), "handler": person_id("wang"), "due_on": "2199-01-01"}
        plan |= {"plan": f"先劝{plant.name()}"}
        minutes = PAPER | {"kind": "minutes", "name": f"{plant.name()}笔录"}
        joined = [plant.party("third")]
        for body in (
            {"action": "accept", "prepare": plan},
            {"action": "inform_rights", "documents": [PAPER | {"kind": "rights_notice"}]},
            {"action": "change_parties", "change": "join", "join": joined, "text": f"{plant.name()}要求加入"},
            {"action": "start", "consents": [1, 2, 3]},
            {"action": "convene", "text": f"{plant.name()}愿让{plant.words()}", "documents": [minutes]},
            {
                "action": "record_undisputed",
                "signed_by": [1, 2, 3],
                "text": f"{plant.words()}属{plant.name()}",
                "documents": [PAPER | {"kind": "undisputed_facts"}],
            },
            NOTE | {"text": f"致电{plant.phone()}"},
            {"action": "correct", "text": f"应为{plant.name()}"},
        ):
            taken = step(wang, place, body)
            assert taken.status_code == 201, taken.text
            answers.append(taken.text)
        seen = wang.get(place)
        answers += [filed.text, seen.text]
    return place, answers


def refused(county: County, place: str, plant: Planter) -> None:
    """Values in what is refused, asked for or mistyped. Whoever sent them may be told of them, nobody else."""
    with county.client("wang") as wang, county.client("li") as above:
        sent = {"Idempotency-Key": fresh(), "Content-Type": "application/json"}
        told = {"action": "withdraw", "reason": "other", "text": plant.name()}
        wrong = [
            file_one(wang, parties=[plant.party("applicant")]),
            file_one(wang, **{plant.name(): 1}),
            file_one(wang, category=plant.words()),
            wang.post("/v1/cases", content=f'{{"name": "{plant.name()}"', headers=sent),
            step(wang, place, {"action": "close", "text": plant.name()}),
            step(wang, place, NOTE | {"text": plant.words()}, version=1),
            step(wang, place, told),
            step(above, place, {"action": "accept", "text": plant.name()}),
            wang.post(f"{place}/disclosures", json={"purpose": plant.name(), "fields": ["texts.99"]}),
            above.post(f"{place}/disclosures", json={"purpose": plant.name(), "fields": ["texts.1"]}),
            wang.post("/v1/persons/search", json={"id_number": plant.number(), "purpose": plant.words()}),
            wang.post("/v1/persons/search", json={"id_number": plant.number(), plant.name(): "handle"}),
            wang.get("/v1/cases", params={plant.name(): plant.phone()}),
            wang.get(f"/v1/{plant.name()}"),
            wang.get(f"/v1/cases/{plant.phone()}"),
            wang.post(f"{place}/erasures", json={"party": plant.phone(), "ground": plant.name()}),
        ]
        assert {answer.status_code for answer in wrong} <= {400, 403, 404, 409, 412, 422}
        good = [
            wang.post(f"{place}/disclosures", json={"purpose": f"通知{plant.name()}", "fields": ["parties.1.name"]}),
            wang.post("/v1/persons/search", json={"id_number": plant.number(), "purpose": "handle"}),
            wang.get("/v1/cases", params={"q": plant.words()}),
            wang.get("/v1/cases", params={"q": plant.phone()}),
        ]
        assert [answer.status_code for answer in good] == [200] * 4


def overheard(county: County, place: str) -> list[str]:
    """What is answered to others, and to those who read histories, the feed, the measurements and the logs."""
    found = []
    with county.client("li") as above, county.client("audit") as auditor, county.client("zhao") as stranger:
        for client in (above, auditor, stranger):
            paths = (place, f"{place}/events", f"{place}/actions", f"{place}/deadlines", f"{place}/changes")
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            lists = ("/v1/events", "/v1/cases", f"/v1/cases?as_of={now}")
            found += [client.get(path).text for path in (*paths, *lists)]
            found.append(client.get(f"{place}/events", headers={"Accept": "application/x-ndjson"}).text)
            found.append(client.get("/v1/attempts").text)
            found.append(step(client, place, {"action": "accept"}, version=1).text)
            log = client.get("/v1/disclosures").json()
            why = [item.pop("purpose") for item in log.get("items", [])]  # which says in words what for, to who reviews
            assert any(words.startswith("通知") for words in why) == (client is auditor)
            found.append(json.dumps(log))
        found.append(above.get("/metrics").text)
    return found


def forms(value: str) -> set[str]:
    """How a value could stand in a dump: as it is, escaped, in hex, or somewhere in base64, at each of three offsets."""
    plain = value.encode()
    out = {value, json.dumps(value)[1:-1], plain.hex(), quote(value)}
    for before in range(3):
        text = base64.b64encode(b"\0" * before + plain).decode()
        middle = text[4 if before else 0 : len(text) - 4].strip("=")
        out |= {middle, middle.replace("+", "-").replace("/", "_")}
    return out


def test_a_value_is_known_in_whatever_form_it_stands():
    for text in (
        "-张三丰-",
        r"\u5f20\u4e09\u4e30",
        "e5bca0e4b889e4b8b0",
        base64.b64encode("电话张三丰收".encode()).decode(),
    ):
        assert any(form in text for form in forms("张三丰"))
    assert not any(form in "张三 张三封 5byg" for form in forms("张三丰"))


def test_fifty_planted_values_occur_nowhere_outside_the_vault(server, module_database_urls, tmp_path, heard, capfd):
    urls, plant = module_database_urls, Planter()
    asyncio.run(populate(urls))
    settings = settings_for(urls, tmp_path)
    with running(settings) as address:
        county = County(address, settings)
        place, answers = mediated(county, plant)
        refused(county, place, plant)
        answers += overheard(county, place)
    assert len(set(plant.planted)) == len(plant.planted) >= 50
    dump = subprocess.run(
        [find_programs().path("pg_dump"), "--inserts", "--schema=public"],
        env=_environment(urls.reader), capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    dumped = set(re.findall(r"^INSERT INTO public\.([a-z_]+?)(?:_[0-9]+)? ", dump, re.MULTILINE))
    assert dumped >= {"vault", "vault_words", "events", "event_keys", "attempts", "disclosures", "feed", "worklists"}
    assert any("/v1/persons/search" in line for line in heard.said)
    logged = "\n".join(heard.said) + "".join(capfd.readouterr()) + server.cluster.log.read_text()
    for where, text in (("answers", "\n".join(answers)), ("logs", logged), ("dump", dump)):
        found = {value for value in plant.planted for form in forms(value) if form in text}
        assert found == set(), where
