import pytest

from scripts.bench.messages import HTTPMessage, MessageReader, post_request

RESPONSE = b"HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_message_is_whole_when_its_last_byte_is_there(size: int) -> None:
    reader = MessageReader()
    for _ in range(2):  # the next one follows on the same connection
        pieces = [RESPONSE[at : at + size] for at in range(0, len(RESPONSE), size)]
        *early, last = [reader.feed(piece) for piece in pieces]
        assert set(early) <= {None}
        assert last == HTTPMessage(b"HTTP/1.1 200 OK", b"hello")


def test_a_message_without_a_length_has_no_body() -> None:
    assert MessageReader().feed(b"GET / HTTP/1.1\r\n\r\n") == HTTPMessage(b"GET / HTTP/1.1", b"")


def test_a_length_in_the_body_means_nothing() -> None:
    request = post_request("h", "/p", b"\r\nContent-Length: 99\r\n\r\n")
    message = MessageReader().feed(request)
    assert message == HTTPMessage(b"POST /p HTTP/1.1", b"\r\nContent-Length: 99\r\n\r\n")
