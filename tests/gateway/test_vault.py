"""What is personal is sealed, opened only as it was sealed, and shown masked."""

import base64
import hashlib
import json
import uuid
from pathlib import Path

import pytest

from mediation.domain.commands import STEP
from mediation.domain.errors import BrokenTrail
from mediation.domain.facts import Case, Party
from mediation.gateway import vault
from mediation.gateway.vault import BadKeyFile, Sealed, Vault

CASE = "01a200d4-a2f9-737b-a87c-f2d65cf36f49"
FILE = STEP.validate_python(
    {
        "action": "file",
        "category": "neighbour",
        "division": "150525100201",
        "text": "两家争地界",
        "parties": [
            {"name": "张三", "side": "applicant", "id_number": "150599199001011231", "phone": "13800001234"},
            {
                "name": "奈曼旗某某商贸有限公司",
                "side": "respondent",
                "kind": "legal",
                "address": "大沁他拉镇振兴大街一号",
            },
        ],
        "claim": [
            {"what": "money", "by": [1], "against": [2]},
            {"what": "apology", "by": [1], "against": [2], "text": "登门道歉"},
        ],
        "documents": [{"kind": "identity", "name": "张三身份证.jpg", "sha256": "0" * 64, "ref": "file:1"}],
    }
)


def opened(box: Vault, case_id: str, row: Sealed, rows: tuple[Sealed, ...]) -> dict:
    key = next(other.wrapped for other in rows if other.subject == row.subject and other.wrapped)
    return box.open(case_id, row._replace(wrapped=key))


def test_what_is_sealed_opens_to_what_was_said():
    box = Vault(b"k" * 32)
    step = box.seal(CASE, FILE, None)
    first, second, words = (opened(box, CASE, row, step.rows) for row in step.rows)
    assert first == {"kind": "natural", "name": "张三", "id_number": "150599199001011231", "phone": "13800001234"}
    assert second == {"kind": "legal", "name": "奈曼旗某某商贸有限公司", "address": "大沁他拉镇振兴大街一号"}
    assert words == {"text": "两家争地界", "claims": {"2": "登门道歉"}, "documents": {"1": "张三身份证.jpg"}}
    assert [row.name for row in step.rows] == ["party_1", "party_2", "text"]
    assert step.parties == tuple(row.digest for row in step.rows[:2])
    assert step.others == (step.rows[2].digest,)


def test_the_digest_is_that_of_the_disclosure_as_the_standard_has_it():
    """RFC 9901 §4.2.3: base64url of SHA-256 over the ASCII bytes of the base64url-encoded disclosure."""
    disclosure = "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd"
    assert vault._digest(disclosure) == "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4"
    assert json.loads(vault._unbase64(disclosure)) == ["2GLC42sKQveCfGfryNRN9w", "given_name", "John"]


def test_a_disclosure_has_a_salt_of_128_bits_and_no_two_are_alike():
    sealing = Vault(b"k" * 32)
    first, second = (sealing._disclosure("name", "张三") for _ in range(2))
    assert first != second
    salt, name, value = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    assert len(base64.urlsafe_b64decode(salt + "==")) == 16
    assert (name, value) == ("name", "张三")
    assert hashlib.sha256(first.encode()).digest() == vault._unbase64(vault._digest(first))


def test_a_row_opens_neither_for_another_case_nor_for_another_subject_nor_under_another_key():
    box = Vault(b"k" * 32)
    row = box.seal(CASE, FILE, None).rows[0]
    for other, case_id, moved in (
        (box, CASE.replace("a", "b"), row),
        (box, CASE, row._replace(subject=2)),
        (box, CASE, row._replace(digest="x" * 43)),
        (Vault(b"j" * 32), CASE, row),
    ):
        with pytest.raises(BrokenTrail):
            other.open(case_id, moved)


def test_what_was_said_for_the_sake_of_agreement_opens_under_no_other_name():
    """Who may read a row goes by its name, which is a column that somebody might write."""
    box = Vault(b"k" * 32)
    step = box.seal(CASE, STEP.validate_python({"action": "convene", "text": "愿让三成"}), None)
    (row,) = step.rows
    assert opened(box, CASE, row, step.rows) == {"text": "愿让三成"}
    with pytest.raises(BrokenTrail):
        opened(box, CASE, row._replace(name="text"), step.rows)


def test_parties_and_words_that_come_later_are_numbered_as_the_case_numbers_them():
    box = Vault(b"k" * 32)
    before = Case(id=CASE, parties=(Party(id=1), Party(id=2)))
    join = STEP.validate_python(
        {"action": "change_parties", "change": "join", "join": [{"name": "王五", "side": "third"}], "text": "加入"}
    )
    text_key = box.seal(CASE, FILE, None).rows[-1].wrapped
    party, words = box.seal(CASE, join, before, text_key).rows
    assert (party.subject, party.name) == (3, "party_3")
    assert words.wrapped == b""  # the case has its key already
    assert box.open(CASE, words._replace(wrapped=text_key)) == {"text": "加入"}


def test_a_step_without_words_leaves_nothing_in_the_vault():
    assert Vault(b"k" * 32).seal(CASE, STEP.validate_python({"action": "inform_rights"}), None) == ((), (), ())


def test_a_blind_index_knows_a_person_however_the_name_is_spelt():
    box = Vault(b"k" * 32)
    party = FILE.parties[0]
    same = party.model_copy(
        update={"name": " 张 三 ", "id_number": "１５０５９９１９９００１０１１２３１", "phone": None}
    )
    assert box.blind_of(party) == box.blind_of(same)
    assert box.blind_of(party) != box.blind_of(party.model_copy(update={"id_number": None}))
    assert box.blind_of(party) != Vault(b"j" * 32).blind_of(party)


def test_a_case_code_opens_its_case_alone():
    box = Vault(b"k" * 32)
    code = box.case_code(CASE, "village-2026-000001")
    assert vault.split_code(code) == "village-2026-000001"
    assert box.opens(code[:-8] + code[-8:].lower(), CASE, "village-2026-000001")
    assert not box.opens(code, CASE.replace("a", "b"), "village-2026-000001")
    assert not box.opens(code[:-1] + "1", CASE, "village-2026-000001")
    assert vault.split_code("village-2026-000001") == ""


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path: Path):
    path = tmp_path / "keys" / "vault.key"
    key = vault.key_from(path)
    assert vault.key_from(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["vault.key"]
    path.write_bytes(b"short")
    with pytest.raises(BadKeyFile):
        vault.key_from(path)


def test_what_was_said_in_a_session_and_what_both_sides_signed_are_sealed_apart_under_one_key():
    box = Vault(b"k" * 32)
    before = Case(id=CASE, parties=(Party(id=1), Party(id=2)))
    paper = {"kind": "minutes", "name": "调解笔录", "sha256": "0" * 64, "ref": "file:2"}
    session = STEP.validate_python({"action": "convene", "text": "愿让三成", "documents": [paper]})
    step = box.seal(CASE, session, before)
    assert [row.name for row in step.rows] == ["text", "compromise"]
    assert [bool(row.wrapped) for row in step.rows] == [True, False]
    assert step.others == tuple(row.digest for row in step.rows)
    assert [opened(box, CASE, row, step.rows) for row in step.rows] == [
        {"documents": {"1": "调解笔录"}},
        {"text": "愿让三成"},
    ]
    signed = STEP.validate_python({"action": "record_undisputed", "signed_by": [1, 2], "text": "院墙于三月倒塌"})
    (undisputed,) = box.seal(CASE, signed, before).rows
    assert undisputed.name == "undisputed"
    assert all(row.grams == () for row in (*step.rows, undisputed))


def test_why_plain_values_are_asked_for_is_sealed_for_the_very_entry_of_the_log():
    box, request = Vault(b"k" * 32), str(uuid.uuid4())
    sealed = box.seal_purpose(request, CASE, "通知张三到场")
    assert sealed != box.seal_purpose(request, CASE, "通知张三到场")
    assert box.open_purpose(request, CASE, sealed) == "通知张三到场"
    for other, key in (
        ((str(uuid.uuid4()), CASE), b"k"),
        ((request, str(uuid.uuid4())), b"k"),
        ((request, CASE), b"j"),
    ):
        with pytest.raises(BrokenTrail):
            Vault(key * 32).open_purpose(*other, sealed)


def test_a_number_is_known_in_its_old_form_and_however_it_is_written():
    box = Vault(b"k" * 32)
    known = box.blind_id("11010519491231002X")
    assert known == box.blind_id("110105491231002")
    assert known == box.blind_id(" １１０１０５ 19491231 002x ")
    assert known != box.blind_id("110105194912310038")
    named = FILE.parties[0].model_copy(update={"name": "id", "id_number": "11010519491231002X"})
    assert known != box.blind_of(named)  # of the number alone, in a space of its own
    party = FILE.parties[0]
    (row, *_) = box.seal(CASE, FILE, None).rows
    assert row.blind_id == box.blind_id(party.id_number)
    assert box.seal(CASE, FILE, None).rows[1].blind_id == b""


def test_no_name_and_number_make_one_blind_index_with_another_name_and_number():
    box = Vault(b"k" * 32)

    def blind(name: str, number: str | None) -> bytes:
        return box.blind_of(FILE.parties[0].model_copy(update={"name": name, "id_number": number}))

    assert len({blind("张三|1505", "990"), blind("张三", "1505990"), blind("张三1505990", None)}) == 3
    assert len({blind("张三|", "1"), blind("张三", "|1"), blind("张三", "1")}) == 1  # a stroke is punctuation


@pytest.mark.parametrize("number", ["不详", "无", "无无无无无", "1234", "unknown", "----------"])
def test_what_is_no_number_makes_one_person_of_nobody(number: str):
    box = Vault(b"k" * 32)
    assert box.blind_id(number) == b""
    assert box.blind_id("军字第12345号") != b""


def test_facts_are_found_by_pairs_of_characters_and_people_are_not():
    box = Vault(b"k" * 32)
    rows = box.seal(CASE, FILE, None).rows
    facts = set(rows[-1].grams)
    assert [row.grams for row in rows[:-1]] == [(), ()]
    assert set(box.grams("争地界")) <= facts
    assert set(box.grams("登门 道歉")) <= facts
    for word in ("张三", "身份证"):
        assert not set(box.grams(word)) <= facts
    assert box.grams("一") == ()
    assert all(-(2**63) <= gram < 2**63 for gram in facts)
    assert not facts & set(Vault(b"j" * 32).grams("两家争地界"))


def test_no_number_can_be_put_together_from_pairs_of_its_digits():
    box = Vault(b"k" * 32)
    assert box.grams("13800001234") == box.grams("１３８ 0000-1234") == ()
    assert set(box.grams("欠38元")) == {*box.grams("欠3"), *box.grams("8元")}
