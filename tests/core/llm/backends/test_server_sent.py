"""Streams of server-sent events, whole and in pieces."""

import pytest

from llm_api.core.llm.backends.server_sent import MOST_BYTES, EventReader, ServerSentEvent

ONE = ServerSentEvent("message", "one")


def read(*parts: bytes) -> list[ServerSentEvent]:
    reader = EventReader()
    return [event for part in parts for event in reader.read(part)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: one\n\n", [ONE]),
        (b"data:one\n\n", [ONE]),
        (b"data:  one\n\n", [ServerSentEvent("message", " one")]),
        (b"data: one\r\n\r\n", [ONE]),
        (b"data: one\r\rdata: one\r\r\n", [ONE, ONE]),
        (b"event: odd\ndata: one\n\ndata: one\n\n", [ServerSentEvent("odd", "one"), ONE]),
        (b"data: one\ndata: two\n\n", [ServerSentEvent("message", "one\ntwo")]),
        (b"data\n\n", [ServerSentEvent("message", "")]),
        (b": a comment\nid: 7\nretry: 9\nother: x\ndata: one\n\n", [ONE]),
        (b"event: without data\n\ndata: one\n\n", [ONE]),
        (b"\n\n\ndata: one\n\ndata: cut", [ONE]),
        ("data: ü\u2028ü\n\n".encode(), [ServerSentEvent("message", "ü\u2028ü")]),
        (b"data: \xff\n\n", [ServerSentEvent("message", "\ufffd")]),
    ],
)
def test_a_stream_is_read_alike_wherever_its_parts_end(
    stream: bytes, events: list[ServerSentEvent]
) -> None:
    assert read(stream) == events
    assert read(*(bytes([byte]) for byte in stream)) == events


def test_an_event_without_end_is_refused() -> None:
    long = b"data: " + b"x" * (MOST_BYTES // 2)
    assert len(read(long + b"\n\n", long + b"\n\n", long + b"\n\n")) == 3
    with pytest.raises(ValueError, match="without end"):
        read(long, b"x" * MOST_BYTES)
    with pytest.raises(ValueError, match="without end"):
        read(long + b"\n", long + b"\n")
