"""In which charset bytes are read: the declared one, and the likeliest where none is."""

# ruff: noqa: RUF001 - signs of other scripts are what this is about

import pytest

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.charsets import known_charset
from llm_api.core.rag.loaders.decode import decode
from llm_api.core.rag.loaders.load import load
from llm_api.core.rag.loaders.loaded import FileLimits

RUSSIAN = "Все люди рождаются свободными и равными в своем достоинстве и правах. "
POLISH = "Zażółć gęślą jaźń. Łódź, Kraków i Gdańsk są piękne. "
JAPANESE = "これはテストの文章です。日本語の文章を判定します。"
CHINESE = "北京是中华人民共和国的首都。人人生而自由,在尊严和权利上一律平等。"
TRADITIONAL = "臺北是中華民國的首都。人人生而自由,在尊嚴和權利上一律平等。"
KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. "
GREEK = "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια. "


@pytest.mark.parametrize(
    "text",
    [
        "Name;Ort\nMüller;Köln\n",
        "Grüße aus Köln",
        "Café crème à la carte, déjà vu",
        "Año nuevo en España: ¿qué pasó?",
        "São Paulo; ação; coração",
        "Rødgrød med fløde på Ærø",
        "Þórður og Æsa í Reykjavík",
        "Price: 5 € – “quoted” text’s",
    ],
)
def test_short_text_of_the_west_is_read_as_windows_1252(text: str) -> None:
    assert decode(text.encode("cp1252")).text == text


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        ("Имя;Город\nИванов;Москва\n", "cp1251"),
        ("Имя;Город\nИванов;Москва\n", "koi8-r"),
        ("Имя;Город\nИванов;Москва\n", "cp866"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (POLISH, "cp1250"),
        (POLISH, "iso8859-2"),
        (GREEK, "cp1253"),
        ("名前,都市\n田中,東京\n", "shift_jis"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
        ("姓名,城市\n王伟,北京\n", "gb18030"),
        (CHINESE, "gb18030"),
        (TRADITIONAL, "big5"),
        (KOREAN, "euc_kr"),
        ("Müller wohnt in Köln, Straße 5, Ärzte grüßen", "cp850"),
        ("Müller wohnt in Köln, Straße 5, Ärzte grüßen", "mac-roman"),
        ("Grüße aus Köln an alle", "utf-16-le"),
        ("Grüße aus Köln an alle", "utf-16-be"),
        ("Grüße aus Köln an alle", "utf-32-be"),
    ],
)
def test_text_that_proves_its_charset_is_read_in_it(text: str, charset: str) -> None:
    assert decode(text.encode(charset)).text == text


def test_charset_of_a_line_far_down_is_found() -> None:
    text = "plain words\n" * 20_000 + "Müller wohnt in Köln\n"
    assert decode(text.encode("cp1252")).text == text


@pytest.mark.parametrize(
    ("data", "declared", "text"),
    [
        (b"\xc4\xd6", "koi8-r", "дж"),
        (b"M\xfcller", "ISO-8859-1", "Müller"),
        (b"\x8bq", "shift_jis", "客"),
        ("Grüße".encode("utf-16-be"), "utf-16-be", "Grüße"),
        (b"\xef\xbb\xbfGr\xc3\xbc", "koi8-r", "Grü"),
        (b"<meta charset=koi8-r><p>\xc4\xd6", "", "дж"),
        (b"<p>x<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>\xc4", "", "д"),
        (b"<?xml version='1.0' encoding='koi8-r'?><a>\xc4\xd6</a>", "", "дж"),
        (b"<meta charset=koi8-r><p>\xfc", "cp1252", "ü"),
        (b"<meta charset=utf-16><p>\xc3\xbc", "", "ü"),
        (b"#!/usr/bin/python\n# -*- coding: koi8-r -*-\n'\xc4'", "", "д"),
    ],
)
def test_declared_charset_wins_and_the_one_beside_the_file_over_the_one_in_it(
    data: bytes, declared: str, text: str
) -> None:
    found = decode(data, declared)
    assert text in found.text
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("data", "declared", "text", "warning"),
    [
        (b"M\xfcller", "utf-8", "Müller", "declared as 'utf-8', which it is not"),
        (b"M\xfcller", "klingon", "Müller", "'klingon' is not known"),
        (b"M\xfcller", "zip", "Müller", "'zip' is not known"),
        (b"<meta charset=utf-8>M\xfcller", "", "Müller", "declared as 'utf-8'"),
    ],
)
def test_declared_charset_that_cannot_be_is_named(
    data: bytes, declared: str, text: str, warning: str
) -> None:
    found = decode(data, declared)
    assert text in found.text
    assert warning in found.warnings[0]


def test_damaged_byte_in_utf_8_is_named_and_spoils_nothing_else() -> None:
    found = decode(("Grüße, 日本語. " * 50).encode() + b"\xe6\x97")
    assert found.text == "Grüße, 日本語. " * 50 + "\ufffd"
    assert found.warnings == ("1 character is not valid in utf-8, and stands as \ufffd.",)


def test_charset_beside_the_file_reaches_the_loader() -> None:
    assert load(b"a,b\n\xc4,\xd6\n", "a.csv", FileLimits(), "koi8-r").text == "a: д\nb: ж\n\n"


@pytest.mark.parametrize("label", ["rot13", "zip", "idna", "unicode_escape", "", "a\0b", "utf-7"])
def test_codec_that_is_no_charset_is_not_known(label: str) -> None:
    assert known_charset(label) is None


def test_noise_is_in_no_charset() -> None:
    with pytest.raises(UnreadableFileError):
        decode(bytes(range(1, 256)) * 4000)
