"""Identity numbers of people (GB 11643-1999) and credit codes of bodies (GB 32100-2015): what makes one impossible.

Hard are characters, length, the day of birth and the check character. The place is a warning alone, because codes
change and a number is kept for life; so is the check of the organisation code inside a credit code (GB 11714-1997).
"""

import re
import unicodedata
from datetime import date
from operator import mul

from mediation.domain.errors import Reason
from mediation.domain.vocabulary import IdKind

_LENGTH, _OLD_LENGTH = 18, 15
_TELLING = 5
_PERSON = re.compile(r"[0-9]{17}[0-9X]|[0-9]{15}")
_OLD_FOREIGNER = re.compile(r"[A-Z]{3}[0-9]{12}")
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""Of a credit code (GB 32100-2015): no I, O, S, V or Z."""
_BODY = re.compile(rf"[{_ALPHABET}]{{2}}[0-9]{{6}}[{_ALPHABET}]{{10}}")
_CHECKS = "0123456789X"
_PERSON_WEIGHTS = tuple(pow(2, at, 11) for at in range(17, 0, -1))
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)

_PLACE = re.compile(r"1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]")
"""First two digits of GB/T 2260, and 83, under which residence permits of people of Taiwan are numbered."""
_PERMIT_PLACES = ("810000", "820000", "830000")
_HASH = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-fA-F]{32,}")
_PERSON_WITHIN = re.compile(r"(?<![0-9])[0-9]{6}-?(?:[0-9]{8}-?[0-9]{3}[0-9Xx]|[0-9]{6}-?[0-9]{3}[Xx]?)(?![0-9])")
_MOBILE_WITHIN = re.compile(r"(?<![0-9])(?:\+?86|0086)?-?1[3-9][0-9]-?[0-9]{4}-?[0-9]{4}(?![0-9])")
_FOREIGNER = "9"
_NATIONAL = "10"

UNKNOWN_PLACE = Reason("unknown_place", "证件号码的地区代码未见于现行代码", "The place code of the number is not known")
ODD_ORGANISATION_CODE = Reason(
    "odd_organisation_code",
    "统一社会信用代码中的组织机构代码校验位不符",
    "The organisation code inside the credit code does not match its own check character",
)
WARNINGS = {reason.code: reason for reason in (UNKNOWN_PLACE, ODD_ORGANISATION_CODE)}
"""What is worth a second look and refuses nothing, by code."""


def evened(number: str) -> str:
    """One spelling of a number: full-width forms and small letters evened, white space gone."""
    return "".join(unicodedata.normalize("NFKC", number).upper().split())


def tells_apart(number: str) -> bool:
    """Whether an evened number of any kind can tell people apart: 不详, 无 and the like would make one person of many.

    It has five letters or digits at least (ASCII), and a digit among them.
    """
    signs = re.findall(r"[0-9A-Z]", number)
    return len(signs) >= _TELLING and any(sign.isdigit() for sign in signs)


def check_number(kind: IdKind, number: str) -> list[Reason]:
    """Why an evened number cannot be one of this kind, without asking what day it is; empty where it can be."""
    if kind is IdKind.CREDIT_CODE:
        return check_credit_code(number)
    if kind is IdKind.RESIDENT_ID:
        return check_resident_id(number)
    if kind is IdKind.RESIDENCE_PERMIT:
        return [*check_resident_id(number), *_of_a_permit(number)]
    if kind is IdKind.PERMANENT_RESIDENCE:
        return check_permanent_residence(number)
    return []


def worded(reasons: list[Reason]) -> str:
    """Reasons as one sentence of a command's validator: the Chinese, then the English, which starts small."""
    zh, en = "；".join(reason.zh for reason in reasons), "; ".join(reason.en for reason in reasons)
    return f"{zh} {en[:1].lower()}{en[1:]}"


def check_resident_id(number: str) -> list[Reason]:
    """Why this cannot be a citizen's number: characters, length, a day that exists, MOD 11-2 (GB 11643-1999).

    The form of 15 digits, issued before 1999, has no check character.
    """
    if len(number) not in {_LENGTH, _OLD_LENGTH}:
        return [
            Reason("id_length", "公民身份号码须为18位（旧号15位）", "An identity number has 18 characters (15 of old)")
        ]
    if not _PERSON.fullmatch(number):
        return [
            Reason(
                "id_characters", "公民身份号码须为数字，末位可为X", "An identity number is digits; the last may be X"
            )
        ]
    reasons = []
    if born_on(number) is None:
        reasons.append(
            Reason("id_day", "公民身份号码中的出生日期不存在", "The day of birth in the number does not exist")
        )
    if len(number) == _LENGTH and number[-1] != check_of_person(number[:-1]):
        reasons.append(Reason("id_check", "公民身份号码校验位不符", "The check character of the number does not match"))
    return reasons


def check_permanent_residence(number: str) -> list[Reason]:
    """As a citizen's number, but starting with 9 (cards since December 2023); or three letters and twelve digits."""
    if _OLD_FOREIGNER.fullmatch(number):
        return []
    if len(number) != _LENGTH or not number.startswith(_FOREIGNER):
        zh = "外国人永久居留身份证号码为9开头的18位，旧证为3个字母加12位数字"
        en = "A permanent residence card has 18 characters starting with 9, or of old three letters and twelve digits"
        return [Reason("id_length", zh, en)]
    return check_resident_id(number)


def check_credit_code(number: str) -> list[Reason]:
    """Why this cannot be a body's credit code: characters, length, MOD 31-3 (GB 32100-2015)."""
    if len(number) == _OLD_LENGTH and number.isdigit():
        zh = "这是旧的15位工商注册号，不是统一社会信用代码；请填18位代码，或将证件种类选为其他"
        en = "This is an old registration number of 15 digits, not a credit code; give the code, or the kind `other`"
        return [Reason("credit_code_old", zh, en)]
    if len(number) != _LENGTH:
        return [Reason("credit_code_length", "统一社会信用代码须为18位", "A credit code has 18 characters")]
    if not _BODY.fullmatch(number):
        zh = "统一社会信用代码只含数字和大写字母（不用I、O、S、V、Z），第3至8位为数字"
        en = "A credit code is digits and capital letters without I, O, S, V and Z; its characters 3 to 8 are digits"
        return [Reason("credit_code_characters", zh, en)]
    if number[-1] != _check_of_body(number[:-1]):
        zh, en = "统一社会信用代码校验位不符", "The check character of the credit code does not match"
        return [Reason("credit_code_check", zh, en)]
    return []


def warnings_of(kind: IdKind, number: str) -> list[Reason]:
    """What is worth a second look in a number that passed `check_number`; every one is in `WARNINGS`."""
    if kind is IdKind.CREDIT_CODE:
        found = [] if _PLACE.match(number, 2) or number.startswith(_NATIONAL, 2) else [UNKNOWN_PLACE]
        return found if number[16] == _check_of_organisation(number[8:16]) else [*found, ODD_ORGANISATION_CODE]
    if kind not in {IdKind.RESIDENT_ID, IdKind.RESIDENCE_PERMIT}:
        return []
    return [] if _PLACE.match(number) or number.startswith(_FOREIGNER) else [UNKNOWN_PLACE]


def born_on(number: str) -> date | None:
    """The day of birth in a number of 18 or (19xx) 15 characters; None where there is none, or it does not exist."""
    if not _PERSON.fullmatch(number):
        return None
    written = number[6:14] if len(number) == _LENGTH else f"19{number[6:12]}"
    try:
        return date(int(written[:4]), int(written[4:6]), int(written[6:]))
    except ValueError:
        return None


def somebodys(text: str) -> bool:
    """Whether a text for codes holds an identity or mobile number, also in groups; hashes and UUIDs hold none.

    Numbers ending in X are no docket's, whatever their check says; the rest must be possible by `check_resident_id`.

    >>> somebodys("file/11010519491231002X"), somebodys("tel:138-1234-5678"), somebodys("2026-000012")
    (True, True, False)
    """
    left = _HASH.sub(" ", text)
    if _MOBILE_WITHIN.search(left):
        return True
    found = (match[0].replace("-", "").upper() for match in _PERSON_WITHIN.finditer(left))
    return any(number.endswith("X") or not check_resident_id(number) for number in found)


def eighteen(number: str) -> str:
    """The 18 characters of a number in its old form of 15 digits; any other as it is.

    >>> eighteen("110105491231002")
    '11010519491231002X'
    """
    if len(number) != _OLD_LENGTH or not _PERSON.fullmatch(number):
        return number
    longer = f"{number[:6]}19{number[6:]}"
    return longer + check_of_person(longer)


def _of_a_permit(number: str) -> list[Reason]:
    if number.startswith(_PERMIT_PLACES):
        return []
    zh = "港澳台居民居住证号码以810000、820000或830000开头"
    return [Reason("id_place", zh, "A residence permit's number starts with 810000, 820000 or 830000")]


def check_of_person(digits: str) -> str:
    """The check character of 17 digits, ISO 7064 MOD 11-2: characters × 2^position from the right make 1 modulo 11."""
    return _CHECKS[(1 - sum(map(mul, map(int, digits), _PERSON_WEIGHTS))) % 11]


def _check_of_body(code: str) -> str:
    """MOD 31-3: the sum of characters × 3^position from the left, and the check character, is 0 modulo 31."""
    total = sum(_ALPHABET.index(sign) * pow(3, at, 31) for at, sign in enumerate(code))
    return _ALPHABET[-total % 31]


def _check_of_organisation(code: str) -> str:
    """GB 11714-1997: weights 3, 7, 9, 10, 5, 8, 4, 2 modulo 11; letters count from A = 10."""
    total = sum(int(sign, 36) * weight for sign, weight in zip(code, _ORGANISATION_WEIGHTS, strict=True))
    return _CHECKS[-total % 11]
