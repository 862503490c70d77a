"""Plain text over a real socket: its pieces, its failures, and clients that leave."""

from collections.abc import Iterator

import httpx2
import pytest

from llm_api.core.errors import GenerationError
from llm_api.core.llm.types import ReasoningDelta
from tests.fakes import FakeBackend, FakeServices, Step, endless, spoken
from tests.live import PATIENCE_SECONDS, wait_until

BODY = {"prompt": "Hi"}


def test_the_text_comes_in_the_pieces_that_the_model_makes(
    base_url: str, backend: FakeBackend
) -> None:
    arrived: list[str] = []

    def script(_: object) -> Iterator[Step]:
        """Says each word when the one before it has arrived."""
        started, *words, finished = spoken("Grüß", " dich", "!")
        yield started
        for number, word in enumerate(words):
            while len(arrived) < number:
                yield 0.005
            yield word
        yield finished

    backend.script = script
    with httpx2.stream(
        "POST", f"{base_url}/chat/stream", json=BODY, timeout=PATIENCE_SECONDS
    ) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["x-request-id"].startswith("req_")
        arrived.extend(piece.decode() for piece in response.iter_raw())
    assert arrived == ["Grüß", " dich", "!"]


def test_what_the_model_thinks_is_not_part_of_the_text(base_url: str, backend: FakeBackend) -> None:
    def script(_: object) -> list[Step]:
        started, *rest = spoken("Yes.")
        return [started, ReasoningDelta("Hm"), *rest]

    backend.script = script
    assert (
        httpx2.post(f"{base_url}/chat/stream", json=BODY, timeout=PATIENCE_SECONDS).text == "Yes."
    )


@pytest.mark.parametrize(
    ("ending", "line"),
    [
        ([GenerationError("The engine failed.")], "[error generation_failed] The engine failed."),
        ([ValueError("the secret detail")], "[error internal_error] "),
        ([], "[error generation_failed] The answer ended before it was complete; try again."),
    ],
    ids=["core", "bug", "cut"],
)
def test_an_answer_that_breaks_off_says_so_and_never_ends(
    base_url: str, backend: FakeBackend, services: FakeServices, ending: list[Step], line: str
) -> None:
    backend.script = lambda _: [*spoken("Hel", "lo")[:-1], *ending]
    received: list[bytes] = []
    with httpx2.stream(
        "POST", f"{base_url}/chat/stream", json=BODY, timeout=PATIENCE_SECONDS
    ) as response:
        with pytest.raises(httpx2.RemoteProtocolError):
            received.extend(response.iter_raw())
        assert response.status_code == 200
    text = b"".join(received).decode()
    assert text.startswith(f"Hello\n\n{line}")
    assert text.endswith("\n")
    assert "secret" not in text
    wait_until(lambda: len(services.request_log.records) == 1)
    [record] = services.request_log.records
    assert (record["status"], record["error"]) == (200, line[7:].partition("]")[0])


def test_a_client_that_leaves_in_mid_text_ends_the_generation(
    base_url: str, backend: FakeBackend
) -> None:
    backend.script = endless
    with httpx2.stream(
        "POST", f"{base_url}/chat/stream", json=BODY, timeout=PATIENCE_SECONDS
    ) as response:
        next(response.iter_raw())
    wait_until(lambda: len(backend.aborted) == 1)


def test_a_client_that_leaves_before_the_text_ends_the_generation(
    base_url: str, backend: FakeBackend
) -> None:
    backend.script = lambda _: [60.0, *spoken("late")]
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(f"{base_url}/chat/stream", json=BODY, timeout=0.2)
    wait_until(lambda: len(backend.aborted) == 1)
