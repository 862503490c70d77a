"""Texts cut into the terms that word search compares."""

# ruff: noqa: RUF001 - other scripts are what this is about

import pytest

from llm_api.core.rag.words import fold, terms_to_ask, terms_to_find


@pytest.mark.parametrize(
    "forms",
    [
        ("Straße", "STRASSE", "strasse"),
        ("caf\u00e9", "cafe\u0301", "CAFE\u0301"),
        ("\ufb01nance", "finance"),
        ("ＦＵＬＬ", "full"),
        ("ｶﾞｽ", "ガス"),
        ("don't", "don\u02bct"),
        ("soft\u00adly", "softly"),
        ("İstanbul", "istanbul"),
        ("น้ำ", "น\u0e49\u0e4d\u0e32"),
        ("한", "\u1112\u1161\u11ab"),
    ],
)
def test_texts_that_read_alike_have_one_form(forms: tuple[str, ...]) -> None:
    assert len({fold(form) for form in forms}) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the-Quick brown_fox", "the quick brown fox"),
        ("don\u2019t", "don t"),
        ("pi is 3.14", "pi is 3 14"),
        ("हिन्दी में", "हिन्दी में"),
        ("北京大学", "北京 京大 大学"),
        ("学", "学"),
        ("北京。大学", "北京 大学"),
        ("東京2020オリンピック", "東京 2020 オリ リン ンピ ピッ ック"),
        ("iPhone를 샀다", "iphone 를 샀다"),
        ("학교에서", "학교 교에 에서"),
        ("มือถือ", "มือ อถื ถือ"),
        ("ខ្មែរ", "ខ្មែ មែរ"),
        ("", ""),
    ],
)
def test_question_is_words_and_pairs_of_characters(text: str, expected: str) -> None:
    assert " ".join(terms_to_ask(text)) == expected


def test_text_to_be_found_has_its_single_characters_too() -> None:
    assert list(terms_to_find("北京 café")) == ["北", "京", "北京", "café"]
