"""Numbers of people (GB 11643) and codes of bodies (GB 32100): what is possible passes, every slip is refused."""

from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError
from stdnum.cn import ric, uscc

from mediation.domain import numbers
from mediation.domain.commands import DocumentIn, PartyIn, ReferenceIn
from mediation.domain.vocabulary import IdKind, PartyKind, Side

STANDARD_S_OWN = "11010519491231002X"  # the example of GB 11643-1999
BODY_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
# As the standards print them, and not as the code works them out.
PERSON_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
PERSON_CHECKS = "10X98765432"
BODY_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)


def person(place: str, born: date, order: int) -> str:
    digits = f"{place}{born:%Y%m%d}{order:03}"
    return digits + PERSON_CHECKS[sum(int(d) * w for d, w in zip(digits, PERSON_WEIGHTS, strict=True)) % 11]


def body(front: str) -> str:
    rest = sum(BODY_ALPHABET.index(c) * w for c, w in zip(front, BODY_WEIGHTS, strict=True)) % 31
    return front + BODY_ALPHABET[(31 - rest) % 31]


PEOPLE = st.builds(
    person,
    st.integers(110000, 839999).map(str),
    st.dates(date(1900, 1, 1), date(2099, 12, 31)),
    st.integers(0, 999),
)
BODIES = st.builds(
    lambda kind, place, rest: body(kind + place + rest),
    st.text(BODY_ALPHABET, min_size=2, max_size=2),
    st.integers(100000, 839999).map(str),
    st.text(BODY_ALPHABET, min_size=9, max_size=9),
)


def codes(reasons) -> list[str]:
    return [reason.code for reason in reasons]


@given(PEOPLE)
def test_every_number_made_by_the_standard_passes_and_tells_its_day_of_birth(number: str):
    assert numbers.check_resident_id(number) == []
    assert numbers.born_on(number) == date.fromisoformat(f"{number[6:10]}-{number[10:12]}-{number[12:14]}")


@given(PEOPLE, st.data())
def test_every_single_wrong_character_of_a_person_s_number_is_refused(number: str, data):
    at = data.draw(st.integers(0, 17))
    wrong = data.draw(st.sampled_from("0123456789X").filter(lambda sign: sign != number[at]))
    assert numbers.check_resident_id(number[:at] + wrong + number[at + 1 :])


@given(PEOPLE, st.integers(0, 16))
def test_every_transposition_of_neighbours_in_a_person_s_number_is_refused(number: str, at: int):
    # 2^i and 2^(i+1) differ modulo 11, so MOD 11-2 sees them all; it is blind only to signs ten places apart.
    swapped = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
    assert swapped == number or numbers.check_resident_id(swapped)


@given(BODIES)
def test_every_code_made_by_the_standard_passes(code: str):
    assert numbers.check_credit_code(code) == []


@given(BODIES)
def test_another_s_check_of_credit_codes_agrees(code: str):
    if code[:2].isdigit():  # the oracle knows of no others
        assert uscc.is_valid(code)
    assert uscc.calc_check_digit(code[:17]) == code[17]


@given(PEOPLE)
def test_another_s_check_of_people_s_numbers_agrees_on_the_check_character(number: str):
    # Only in part: it refuses real people, whose place of birth it does not know or no longer exists.
    assert ric.calc_check_digit(number) == number[17]


@given(BODIES, st.data())
def test_every_single_wrong_character_of_a_credit_code_is_refused(code: str, data):
    at = data.draw(st.integers(0, 17))
    wrong = data.draw(st.sampled_from(BODY_ALPHABET).filter(lambda sign: sign != code[at]))
    assert numbers.check_credit_code(code[:at] + wrong + code[at + 1 :])


@given(BODIES, st.data())
def test_every_transposition_in_a_credit_code_but_of_its_ends_is_refused(code: str, data):
    # 3 generates all residues modulo 31, so only the first place and the last, both of weight 1, can change unseen.
    one, two = sorted(data.draw(st.lists(st.integers(0, 17), min_size=2, max_size=2, unique=True)))
    assume((one, two) != (0, 17))
    swapped = code[:one] + code[two] + code[one + 1 : two] + code[one] + code[two + 1 :]
    assert swapped == code or numbers.check_credit_code(swapped)


@given(PEOPLE.filter(lambda number: number[6:8] == "19"))
def test_an_old_number_of_15_digits_is_the_long_one_without_century_and_check(number: str):
    old = number[:6] + number[8:17]
    assert numbers.check_resident_id(old) == []
    assert numbers.eighteen(old) == number
    assert numbers.born_on(old) == numbers.born_on(number)


@pytest.mark.parametrize("number", ["", "1", "G1234567", "USA110000000000", STANDARD_S_OWN])
def test_only_an_old_number_is_made_longer(number: str):
    assert numbers.eighteen(number) == number


@pytest.mark.parametrize(
    ("number", "found"),
    [
        (STANDARD_S_OWN, []),
        ("110105491231002", []),
        ("", ["id_length"]),
        ("1101051949123100", ["id_length"]),
        ("1101051949123100XX", ["id_characters"]),
        ("11010519491231002x", ["id_characters"]),
        ("1101０519491231002X", ["id_characters"]),
        ("11010549123100X", ["id_characters"]),
        ("110105194912310021", ["id_check"]),
        (person("110105", date(2000, 2, 29), 1), []),
        ("110105491331002", ["id_day"]),
        ("110105550229002", ["id_day"]),
        ("110105190002290010", ["id_day", "id_check"]),
        ("110105000000000000", ["id_day", "id_check"]),
    ],
)
def test_a_person_s_number_is_refused_for_what_is_wrong_with_it(number: str, found: list[str]):
    assert codes(numbers.check_resident_id(number)) == found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("91350100M000100Y43", []),  # the example of GB 32100-2015
        ("91110108551385082Q", []),
        ("91350100M000100Y44", ["credit_code_check"]),
        ("91350100I000100Y43", ["credit_code_characters"]),
        ("91A50100M000100Y43", ["credit_code_characters"]),
        ("91350100m000100Y43", ["credit_code_characters"]),
        ("91350100M000100Y4", ["credit_code_length"]),
        ("350100100012345", ["credit_code_old"]),
        ("M000100Y4", ["credit_code_length"]),
    ],
)
def test_a_credit_code_is_refused_for_what_is_wrong_with_it(code: str, found: list[str]):
    assert codes(numbers.check_credit_code(code)) == found


@pytest.mark.parametrize(
    ("kind", "number", "found"),
    [
        (IdKind.RESIDENT_ID, person("110105", date(1990, 1, 1), 1), []),
        (IdKind.RESIDENT_ID, person("250105", date(1990, 1, 1), 1), ["unknown_place"]),
        (IdKind.RESIDENT_ID, "250105900101001", ["unknown_place"]),
        (IdKind.RESIDENT_ID, person("810000", date(1990, 1, 1), 1), []),
        (IdKind.RESIDENCE_PERMIT, person("830000", date(1990, 1, 1), 1), []),
        (IdKind.RESIDENT_ID, person("911840", date(1990, 1, 1), 1), []),
        (IdKind.PERMANENT_RESIDENCE, person("911840", date(1990, 1, 1), 1), []),
        (IdKind.PASSPORT, "250105900101001", []),
        (IdKind.CREDIT_CODE, "91350100M000100Y43", []),
        (IdKind.CREDIT_CODE, body("1110000000001313E"), ["odd_organisation_code"]),
        (IdKind.CREDIT_CODE, body("91990100M000100Y4"), ["unknown_place"]),
        (IdKind.CREDIT_CODE, body("91990100M000100Y5"), ["unknown_place", "odd_organisation_code"]),
    ],
)
def test_an_unknown_place_is_a_warning_and_refuses_nothing(kind: IdKind, number: str, found: list[str]):
    assert numbers.check_number(kind, number) == []
    assert codes(numbers.warnings_of(kind, number)) == found
    assert set(found) <= set(numbers.WARNINGS)


@pytest.mark.parametrize(
    ("kind", "number", "found"),
    [
        (IdKind.RESIDENCE_PERMIT, person("110105", date(1990, 1, 1), 1), ["id_place"]),
        (IdKind.PERMANENT_RESIDENCE, "USA110000000000", []),
        (IdKind.PERMANENT_RESIDENCE, person("110105", date(1990, 1, 1), 1), ["id_length"]),
        (IdKind.PERMANENT_RESIDENCE, "911840199001010010", ["id_check"]),
        (IdKind.PASSPORT, "E 1?", []),
        (IdKind.OTHER, "军字第0012号", []),
    ],
)
def test_papers_of_other_kinds_are_held_to_what_is_known_of_them(kind: IdKind, number: str, found: list[str]):
    assert codes(numbers.check_number(kind, number)) == found


@given(st.sampled_from(IdKind), st.text(max_size=20) | st.text("0123456789０１XxMAY三 -", min_size=14, max_size=19))
def test_no_value_breaks_a_check(kind: IdKind, value: str):
    number = numbers.evened(value)
    if not numbers.check_number(kind, number):
        numbers.warnings_of(kind, number)
    numbers.born_on(number)
    numbers.eighteen(number)


def party(**said) -> PartyIn:
    return PartyIn.model_validate({"name": "张三", "side": Side.APPLICANT, **said})


def test_a_party_s_number_is_taken_in_one_spelling():
    assert party(id_number=" １１０１０５ 19491231 002x ").id_number == STANDARD_S_OWN
    assert party(id_number="11010519491231002X").paper is IdKind.RESIDENT_ID
    assert party(kind=PartyKind.LEGAL, id_number="91350100m000100y43").paper is IdKind.CREDIT_CODE
    assert party(id_kind="passport", id_number="e12345678").id_number == "E12345678"


@pytest.mark.parametrize(
    "said",
    [
        {"id_number": "110105194912310021"},
        {"id_number": "E12345678"},
        {"kind": "legal", "id_number": STANDARD_S_OWN},
        {"kind": "legal", "id_number": "350100100012345"},
        {"id_kind": "residence_permit", "id_number": STANDARD_S_OWN},
    ],
)
def test_a_party_with_an_impossible_number_is_refused_in_both_languages_and_without_the_number(said: dict[str, str]):
    with pytest.raises(ValidationError) as refused:
        party(**said)
    (fault,) = refused.value.errors()
    assert any("一" <= sign <= "鿿" for sign in fault["msg"])
    assert "number" in fault["msg"] or "code" in fault["msg"] or "card" in fault["msg"]
    assert said["id_number"] not in fault["msg"]


@pytest.mark.parametrize(
    "phone", ["13812345678", "+86 138-1234-5678", "（０４７５）4212345", "0475-4212345转801", "110"]
)
def test_a_telephone_number_may_be_written_as_people_write_it(phone: str):
    assert party(phone=phone).phone


@pytest.mark.parametrize("phone", ["12", "没有", "zhang@example.com", "1" * 31])
def test_what_is_no_telephone_number_is_refused(phone: str):
    with pytest.raises(ValidationError):
        party(phone=phone)


SOMEBODYS = (
    STANDARD_S_OWN, STANDARD_S_OWN.lower(), f"file/{STANDARD_S_OWN}.pdf", "ID110105-19491231-002X", "11010519491231002x/1",
    "110105491231002", "11010519491231003X", "13812345678", "tel13812345678", "a/8613812345678", "138-1234-5678",
)  # fmt: skip
NOBODYS = (
    "2026-0012", "ZHE0102-2026-MC-12", "150525100201-people_committee-01-2026-000012", "20261122083703123", "202611220837031",
    "papers/001/02/minutes", "0" * 18, "12345678901", "1381234567", "file/2026/13912",
    "0190f3a1-7d1c-7b6a-9c1e-13812345678a", "12812345678",
    "e3b0c44298fc1c149afbf13812345678a",
)  # fmt: skip


@pytest.mark.parametrize("text", SOMEBODYS)
def test_a_code_that_holds_somebody_s_number_goes_into_no_event(text: str):
    with pytest.raises(ValidationError, match="identity or mobile number"):
        ReferenceIn(system="court", number=text)
    with pytest.raises(ValidationError, match="number"):
        DocumentIn(kind="identity", sha256="0" * 64, ref=text)


@pytest.mark.parametrize("text", NOBODYS)
def test_dockets_dates_hashes_and_case_numbers_are_nobody_s(text: str):
    assert ReferenceIn(system="court", number=text).number == text


@given(PEOPLE, st.sampled_from(["{}", "no.{}", "{}/1", "scan_{}"]))
def test_no_number_of_a_person_hides_in_a_code(number: str, written: str):
    assert numbers.somebodys(written.format(number))
