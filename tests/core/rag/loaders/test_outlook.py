"""Outlook's messages: the words of an EML, and no more trouble than one."""

import struct
from collections.abc import Iterator

import pytest

from llm_api.core.rag.loaders.load import load
from llm_api.core.rag.loaders.loaded import FileLimits, LoadedText
from llm_api.core.rag.loaders.worker import answer_file
from tests.core.rag.loaders.compound_file import MAGIC, compound_file

LIMITS = FileLimits()
SENT = 133_500_000_000_000_000  # in ticks of 100 nanoseconds since 1601
COMPRESSED = bytes.fromhex(  # the example of [MS-OXRTFCP]
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a80"
    "0fa0"
)


def text(number: int, words: str) -> tuple[str, bytes]:
    return f"__substg1.0_{number:04X}001F", words.encode("utf-16-le")


def binary(number: int, data: bytes) -> tuple[str, bytes]:
    return f"__substg1.0_{number:04X}0102", data


def message(*streams: tuple[str, bytes], **fixed: int) -> bytes:
    """`fixed` are properties of a number each: `_00390040` is that of the tag 0x00390040."""
    table = b"".join(struct.pack("<IIQ", int(tag[1:], 16), 0, fixed[tag]) for tag in fixed)
    return compound_file({"__properties_version1.0": bytes(32) + table, **dict(streams)})


def loaded(data: bytes) -> LoadedText:
    return load(data, "a.msg", LIMITS)


WHOLE = message(
    text(0x0037, "Bolts"),
    text(0x0C1A, "Ada"),
    text(0x5D01, "ada@example.org"),
    text(0x0E04, "Bob; Eve"),
    text(0x1000, "The body.\r\nAnd " + "more " * 2_000),
    ("__attach_version1.0_#00000000/" + text(0x3707, "")[0], "plan.pdf".encode("utf-16-le")),
    ("__attach_version1.0_#00000001/" + text(0x3704, "")[0], "b.doc".encode("utf-16-le")),
    _00390040=SENT,
)


def test_message_is_read_as_mail_is() -> None:
    found = loaded(WHOLE)
    assert found.text.startswith(
        "Subject: Bolts\nFrom: Ada <ada@example.org>\nTo: Bob, Eve\n"
        "Date: Wed, 17 Jan 2024 21:20:00 +0000\n\nThe body.\nAnd more more"
    )
    assert found.title == "Bolts"
    assert found.metadata["kind"] == "outlook"
    assert found.warnings == ("Attachments, not read: plan.pdf, b.doc.",)


def test_headers_that_came_over_the_wire_win() -> None:
    wire = "From: Ada L <ada@example.org>\r\nTo: bob@example.org\r\nDate: Mon, 1 Jan 2024\r\n\r\n"
    found = loaded(message(text(0x007D, wire), text(0x0C1A, "Ada"), text(0x1000, "words")))
    assert found.text.startswith("From: Ada L <ada@example.org>\nTo: bob@example.org\nDate: Mon, 1")


@pytest.mark.parametrize(
    ("body", "code_page", "words"),
    [
        (binary(0x1013, "<p>Größe <b>5</b></p>".encode("cp1252")), 1252, "Größe 5"),
        (binary(0x1013, "<p>Größe</p>".encode()), 65001, "Größe"),
        (text(0x1013, "<p>Größe</p>"), 0, "Größe"),
        (binary(0x1009, COMPRESSED), 0, "hello world"),
        (binary(0x1009, struct.pack("<II4sI", 0, 9, b"MELA", 0) + rb"{\rtf1 x}"), 0, "x"),
        (("__substg1.0_1000001E", "Größe".encode("cp1252")), 1252, "Größe"),
    ],
)
def test_body_is_read_in_whichever_form_it_is(
    body: tuple[str, bytes], code_page: int, words: str
) -> None:
    assert loaded(message(body, _3FDE0003=code_page)).text.strip() == words


def test_compressed_text_that_refers_to_what_is_not_there_ends() -> None:
    endless = struct.pack("<II4sI", 0, 0xFFFFFFFF, b"LZFu", 0) + b"\xff\x12\x3f" * 1_000
    answer = answer_file(message(binary(0x1009, endless)), "a.msg", LIMITS)
    assert answer.loaded is None or len(answer.loaded.text) < 1_000_000


def damaged(data: bytes, step: int) -> Iterator[bytes]:
    for place in range(0, len(data), step):
        yield data[:place]
        yield data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
        yield data[:place] + b"\xff" * 64 + data[place + 64 :]


def test_message_that_is_broken_anywhere_is_read_or_refused_in_one_line() -> None:
    for data in damaged(WHOLE, 509):
        answer = answer_file(data, "a.msg", LIMITS)
        assert answer.loaded is not None or answer.reason
        assert "\n" not in answer.reason


def test_what_is_no_message_is_refused() -> None:
    other = compound_file({"WordDocument": b"__properties_version1.0".ljust(100)})
    assert "save as DOCX" in answer_file(other, "a.msg", LIMITS).reason
    wide = "__properties_version1.0".encode("utf-16-le")
    assert "damaged" in answer_file(MAGIC + wide * 100, "a.msg", LIMITS).reason
