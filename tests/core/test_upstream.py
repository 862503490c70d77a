"""What another server's failures mean: the tables."""

import json

import pytest

from llm_api.api.errors import describe
from llm_api.core.errors import (
    ContextLengthExceededError,
    InvalidRequestError,
    LLMAPIError,
    OverloadedError,
    UnavailableError,
    UpstreamError,
    UpstreamTimeoutError,
)
from llm_api.core.upstream import (
    Complaint,
    Understanding,
    UpstreamServer,
    WholeAnswer,
    complaint,
    failure,
    failure_in_stream,
    refusal,
    retry_after_seconds,
)

KEY = "sk-secret"
ORIGIN = UpstreamServer("http://elsewhere/v1", "OPENAI_API_KEY", KEY)


@pytest.mark.parametrize(
    ("upstream", "ours", "kind"),
    [
        (400, 400, InvalidRequestError),
        (413, 400, InvalidRequestError),
        (422, 400, InvalidRequestError),
        (401, 503, UnavailableError),
        (403, 503, UnavailableError),
        (404, 503, UnavailableError),
        (429, 429, OverloadedError),
        (529, 429, OverloadedError),
        (503, 503, UnavailableError),
        (500, 502, UpstreamError),
        (502, 502, UpstreamError),
        (504, 504, UpstreamTimeoutError),
        (302, 502, UpstreamError),
        (402, 502, UpstreamError),
        (None, 502, UpstreamError),
    ],
)
def test_a_failure_over_there_gets_a_status_here(
    upstream: int | None, ours: int, kind: type[LLMAPIError]
) -> None:
    error = failure(ORIGIN, upstream, Complaint(f"the reason with {KEY} in it"))
    assert type(error) is kind
    assert describe(error).status == ours
    assert KEY not in error.message


def test_a_refused_key_is_named_by_its_setting_and_by_nothing_else() -> None:
    error = failure(ORIGIN, 401, Complaint("Incorrect API key provided: sk-sec***"))
    assert error.message == "http://elsewhere/v1 refused the key; check OPENAI_API_KEY."


@pytest.mark.parametrize("code", ["context_length_exceeded", "exceed_context_size_error"])
def test_a_prompt_that_is_too_long_is_told_apart_by_its_code(code: str) -> None:
    error = failure(ORIGIN, 400, Complaint("too long", code, "messages"))
    assert isinstance(error, ContextLengthExceededError)
    assert error.param == "messages"


def test_long_words_are_cut_and_silence_is_said() -> None:
    assert len(failure(ORIGIN, 500, Complaint("word " * 1000)).message) < 400
    assert "it does not say why" in failure(ORIGIN, 500, Complaint(" \n")).message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"error": {"message": "m", "type": "t", "code": "c", "param": "p"}},
            Complaint("m", "c", "p"),
        ),
        ({"error": {"message": "m", "type": "t", "code": 400}}, Complaint("m", "t")),
        ({"error": {"message": None, "type": None, "param": 3}}, Complaint("")),
        ({"error": "plain"}, Complaint("plain")),
        ({"detail": "other"}, Complaint("{'detail': 'other'}")),
        (["odd"], Complaint("['odd']")),
    ],
)
def test_complaints_are_read_in_every_form(body: object, said: Complaint) -> None:
    assert complaint(body) == said


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "m", "code": 400, "type": "BadRequestError"}, InvalidRequestError),
        ({"message": "m", "code": 503}, UnavailableError),
        ({"message": "m", "type": "rate_limit_error", "code": "queue_full"}, OverloadedError),
        ({"message": "m", "type": "overloaded_error"}, OverloadedError),
        ({"message": "m", "type": "server_error"}, UpstreamError),
        ({"message": "m", "type": ["odd"]}, UpstreamError),
        ("m", UpstreamError),
    ],
)
def test_an_error_inside_a_stream_is_told_by_its_number_or_kind(
    error: object, kind: type[LLMAPIError]
) -> None:
    assert type(failure_in_stream(ORIGIN, {"error": error})) is kind


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("Thu, 01 Jan 1970 00:01:30 GMT", 30.0),
        ("Thu, 01 Jan 1970 00:00:30 GMT", None),
        ("soon", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("", None),
    ],
)
def test_the_time_to_wait_is_seconds_or_a_date(said: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": said}, now=60.0) == seconds


def test_the_time_to_wait_is_handed_on() -> None:
    busy = refusal(ORIGIN, WholeAnswer(429, {"retry-after": "7"}, b""))
    assert isinstance(busy, OverloadedError)
    assert busy.retry_after_seconds == 7.0
    gone = refusal(ORIGIN, WholeAnswer(503, {"retry-after": "9"}, b"loading"))
    assert isinstance(gone, UnavailableError)
    assert gone.retry_after_seconds == 9.0


def test_the_blame_is_theirs_first() -> None:
    theirs = WholeAnswer(400, {}, b'{"error": {"message": "m", "param": "messages"}}')
    assert refusal(ORIGIN, theirs, "input").param == "messages"
    assert refusal(ORIGIN, WholeAnswer(400, {}, b"no"), "input").param == "input"


def test_a_failure_that_is_nested_beyond_reading_is_its_own_message() -> None:
    error = refusal(ORIGIN, WholeAnswer(500, {}, b"[" * 50_000))
    assert "answered 500: [[[" in error.message
    with pytest.raises(UpstreamError, match="not understood"), Understanding(ORIGIN):
        json.loads("[" * 50_000)


@pytest.mark.parametrize("odd", [KeyError("x"), ValueError("x"), TypeError("x"), IndexError("x")])
def test_an_answer_of_another_form_is_the_upstreams_fault(odd: Exception) -> None:
    with pytest.raises(UpstreamError, match="not understood"), Understanding(ORIGIN):
        raise odd
