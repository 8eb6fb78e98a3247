"""What is shown of personal values to whoever has no need of the plain ones."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediation.domain import masks

SAMPLES = [
    (masks.mask_name, "张三", "张*"),
    (masks.mask_name, "张三丰", "张**"),
    (masks.mask_name, "张", "*"),
    (masks.mask_name, "欧阳锋锐", "欧***"),
    (masks.mask_name, "买买提·吐尔逊", "买**·***"),
    (masks.mask_name, "买买提•吐尔逊", "买**•***"),
    (masks.mask_name, "买买提・吐尔逊", "买**・***"),
    (masks.mask_name, "张　三", "张 *"),
    (masks.mask_name, "John Smith", "J*** *****"),
    (masks.mask_name, "Ｊｏｈｎ", "J***"),
    (masks.mask_name, "张·", "**"),
    (masks.mask_name, "··", "**"),
    (masks.mask_name, "", ""),
    (masks.mask_number, "330102199001011234", "330***********1234"),
    (masks.mask_number, "33010219900101123X", "330***********123X"),
    (masks.mask_number, "330102 19900101-1234", "330***********1234"),
    (masks.mask_number, "３３０１０２１９９００１０１１２３４", "330***********1234"),
    (masks.mask_number, "330102900101123", "330********1123"),
    (masks.mask_number, "G1234567", "G******7"),
    (masks.mask_number, "12", "**"),
    (masks.mask_number, "12345", "*****"),
    (masks.mask_number, "", ""),
    (masks.mask_number, "--", "**"),
    (masks.mask_phone, "13812341234", "138****1234"),
    (masks.mask_phone, "138 1234 1234", "138****1234"),
    (masks.mask_phone, "１３８１２３４１２３４", "138****1234"),
    (masks.mask_phone, "+86 138-1234-5678", "+86 138****5678"),
    (masks.mask_phone, "+8613812345678", "+86 138****5678"),
    (masks.mask_phone, "（+86）13812345678", "+86 138****5678"),
    (masks.mask_phone, "008613812345678", "0086 138****5678"),
    (masks.mask_phone, "8613812345678", "86 138****5678"),
    (masks.mask_phone, "0475-4212345", "0475-*****45"),
    (masks.mask_phone, "(010)12345678", "010-******78"),
    (masks.mask_phone, "7654321", "*****21"),
    (masks.mask_phone, "12345", "*****"),
    (masks.mask_phone, "110", "***"),
    (masks.mask_phone, "13812341234/13912341234", "*********************34"),
    (masks.mask_phone, "", ""),
    (masks.mask_body, "奈曼旗某某商贸有限公司", "********限公司"),
    (masks.mask_body, "奈曼旗李四光建筑有限公司", "********有限公司"),
    (masks.mask_body, "李四光建筑有限公司", "******限公司"),
    (masks.mask_body, "小卖", "**"),
    (masks.mask_address, "内蒙古奈曼旗大沁他拉镇振兴大街一号", "内蒙古奈曼旗***"),
    (masks.mask_address, "内蒙古自治区通辽市奈曼旗", "内蒙古自治区***"),
    (masks.mask_address, "大沁他拉镇振兴大街一号", "大沁他拉镇***"),
    (masks.mask_address, "奈曼旗大沁他拉镇", "奈曼旗***"),
    (masks.mask_address, "张三丰家东院第一排平房", "***"),
    (masks.mask_address, "张三丰住一村东头第三家", "***"),
    (masks.mask_address, "张三,一村东头第三家门口", "***"),
    (masks.mask_address, "电话13800001234", "***"),
    (masks.mask_address, "13800镇１３８号院", "***"),
    (masks.mask_address, "振兴大街一号", "***"),
    (masks.mask_address, "光明村", "***"),
]
MASKS = (masks.mask_name, masks.mask_body, masks.mask_number, masks.mask_phone, masks.mask_address)
ANYTHING = st.text(st.characters(exclude_characters="*＊﹡"), max_size=40)
LIKE_NUMBERS = st.text("0123456789０１+-（） .Xx", max_size=24)


@pytest.mark.parametrize(("mask", "plain", "shown"), SAMPLES)
def test_a_mask_shows_the_ends_and_hides_the_rest(mask, plain: str, shown: str):
    assert mask(plain) == shown


@given(ANYTHING | LIKE_NUMBERS)
def test_no_mask_lets_a_value_of_two_characters_or_more_through_whole(value: str):
    for mask in MASKS:
        assert mask(value) != value or len(value) < 2
        assert mask(value) != unicodedata.normalize("NFKC", value) or len(value) < 2


@given(ANYTHING | LIKE_NUMBERS)
def test_what_a_mask_shows_is_bounded(value: str):
    def shown(mask, *, but: str = "*") -> int:
        return sum(sign not in but for sign in mask(value))

    assert shown(masks.mask_name, but="*·•・‧. ") <= 1
    assert shown(masks.mask_body) <= 6
    assert shown(masks.mask_number) <= 7
    assert shown(masks.mask_address) <= 6
    plain_phone = masks.mask_phone(value).rpartition(" ")[2]
    assert sum(sign not in "*-" for sign in plain_phone) <= 7


@given(st.from_regex(r"(\+86|0086)? ?1[0-9]{2}-?[0-9]{4}-?[0-9]{4}", fullmatch=True))
def test_a_mobile_number_hides_its_middle_however_it_is_written(number: str):
    digits = number.replace("-", "").replace(" ", "")
    assert masks.mask_phone(number).rpartition(" ")[2] == f"{digits[-11:-8]}****{digits[-4:]}"


def test_a_masked_party_keeps_its_kind_and_masked_words_tell_their_length_alone():
    shown = masks.masked("party_1", {"kind": "legal", "name": "奈曼旗某某商贸有限公司"})
    assert shown == {"kind": "legal", "name": masks.mask_body("奈曼旗某某商贸有限公司")}
    assert masks.masked("party_2", {"kind": "natural", "name": "张三", "phone": ""}) == {
        "kind": "natural",
        "name": "张*",
        "phone": "",
    }
    assert masks.masked("text", {"text": "秘密", "claims": {"1": "秘密" * 9}}) == {
        "text": "**",
        "claims": {"1": "*" * 8},
    }
