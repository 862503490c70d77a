import json
from typing import Any

import pytest

from scripts.bench.answer import Answer, Arrival, read_answer, split_response

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def event(text: str | None = None, reason: str | None = None) -> bytes:
    choice = {"text": text or "", "finish_reason": reason}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def delta(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


def usage(**counts: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [], "usage": counts}).encode() + b"\n\n"


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def read(*arrivals: bytes, sent: float = 0.0) -> Answer:
    """The answer whose n-th piece arrived at second n, from 1 on."""
    parts = [Arrival(float(second), data) for second, data in enumerate(arrivals, 1)]
    return read_answer(sent, len(parts) + 1.0, parts)


DONE = b"data: [DONE]\n\n"


def test_stream_is_read_with_the_time_of_each_chunk() -> None:
    answer = read(
        CHUNKED,
        chunk(event("one")),
        chunk(event(" two") + event(" three")),
        chunk(event(reason="length")) + chunk(usage(completion_tokens=3, prompt_tokens=7)),
        chunk(DONE) + b"0\r\n\r\n",
        sent=0.5,
    )
    assert answer.text == "one two three"
    assert answer.text_times == [2.0, 3.0, 3.0]
    assert answer.seconds_to_first_token == 1.5
    assert (answer.tokens, answer.prompt_tokens) == (3, 7)
    assert answer.is_complete


def test_bytes_cut_anywhere_give_the_same_answer() -> None:
    whole = CHUNKED + chunk(delta("é")) + chunk(event(reason="length")) + chunk(DONE)
    expected = read(whole)
    assert expected.is_complete
    for cut in range(1, len(whole)):
        answer = read(whole[:cut], whole[cut:])
        assert (answer.text, answer.is_done, answer.finish_reason) == ("é", True, "length")


def test_an_event_has_come_when_its_last_byte_has() -> None:
    data = chunk(event("word"))
    assert read(CHUNKED + data[:20], data[20:]).text_times == [2.0]
    assert read(HEAD + b"\r\n" + event("word")[:-1], b"\n").text_times == [1.0]


def test_stream_that_is_not_chunked_is_read_to_its_end() -> None:
    body = event("a") + event(reason="length") + DONE
    answer = read(HEAD + b"\r\n" + body)
    assert answer.is_complete
    assert answer.text == "a"


@pytest.mark.parametrize(
    "body",
    [
        event("a") + event(reason="length"),
        event("a") + DONE,
        event("a") + event(reason="stop") + DONE,
        event("a"),
        b"",
    ],
    ids=["no DONE", "no finish reason", "ended early", "cut", "empty"],
)
def test_stream_that_ends_early_is_not_complete(body: bytes) -> None:
    assert not read(HEAD + b"\r\n" + body).is_complete


def test_server_that_answers_nothing_gives_an_empty_answer() -> None:
    answer = read(b"HTTP/1.1 200")
    assert (answer.status, answer.tokens, answer.is_complete) == (0, 0, False)
    assert answer.seconds_to_first_token is None


def test_error_is_not_complete() -> None:
    head = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n\r\n"
    answer = read(head + b'{"error": {"message": "later"}}')
    assert (answer.status, answer.is_complete) == (429, False)


def test_without_usage_the_chunks_with_text_are_counted() -> None:
    answer = read(HEAD + b"\r\n" + delta("a") + delta("") + delta("b") + DONE)
    assert (answer.tokens, answer.completion_tokens) == (2, None)


def test_whole_answer_is_read() -> None:
    content = {
        "choices": [{"message": {"content": "hello"}, "finish_reason": "length"}],
        "usage": {"completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 9}},
    }
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    answer = read(head + json.dumps(content).encode())
    assert answer.is_complete
    assert (answer.text, answer.tokens, answer.cached_tokens) == ("hello", 4, 9)


def test_response_is_split_into_status_and_body() -> None:
    head = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert split_response(head + chunk(b"ab") + chunk(b"c") + b"0\r\n\r\n") == (404, b"abc")
    assert split_response(b"") == (0, b"")
