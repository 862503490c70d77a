import pytest

from llm_api.core.errors import GenerationError, OverloadedError
from llm_api.core.llm.types import (
    ChatPrompt,
    Finished,
    GenerationRequest,
    Message,
    Started,
    Usage,
)
from llm_api.core.rag.answering.rewrite import MAX_CHARACTERS, MAX_TOKENS, MAX_TURNS, rewrite
from tests.fakes import FakeBackend, Script, Step, spoken

HISTORY = [
    Message("system", "Be brief."),
    Message("user", "What is Docker Pro?"),
    Message("assistant", "Docker Pro is a paid subscription [1]."),
]
QUESTION = "How much does it cost?"
LIKE = GenerationRequest(ChatPrompt((Message("user", QUESTION),), {"enable_thinking": False}), 256)


async def test_follow_up_becomes_a_question_of_its_own() -> None:
    backend = FakeBackend(lambda _: spoken("How much does", " Docker Pro cost?"))
    rewritten, finished = await rewrite(backend, HISTORY, QUESTION, LIKE)
    assert rewritten == "How much does Docker Pro cost?"
    assert finished is not None
    assert finished.usage == Usage(5, 2, cached_tokens=2)


async def test_model_is_asked_greedily_for_one_short_line() -> None:
    backend = FakeBackend(lambda _: spoken("How much does Docker Pro cost?"))
    await rewrite(backend, HISTORY, QUESTION, LIKE)
    (request,) = backend.requests
    assert (request.max_tokens, request.stop) == (MAX_TOKENS, ("\n",))
    assert request.sampling.temperature == 0
    assert isinstance(request.prompt, ChatPrompt)
    assert request.prompt.variables == {"enable_thinking": False}
    assert request.prompt.messages[1].content == (
        "user: What is Docker Pro?\n"
        "assistant: Docker Pro is a paid subscription [1].\n"
        "user: How much does it cost?"
    )


async def test_only_the_last_turns_and_their_beginnings_are_shown() -> None:
    backend = FakeBackend(lambda _: spoken("x"))
    history = [Message("user", f"turn {number} " + "x" * 10_000) for number in range(20)]
    await rewrite(backend, history, QUESTION, LIKE)
    prompt = backend.requests[0].prompt
    assert isinstance(prompt, ChatPrompt)
    shown = prompt.messages[1].content
    assert shown.startswith("user: turn 16 ")
    assert len(shown) < (MAX_CHARACTERS + 20) * (MAX_TURNS + 1)


def too_long(_: GenerationRequest) -> list[Step]:
    return spoken("How much does Docker Pro cost", reason="length")


def breaks_off(_: GenerationRequest) -> list[Step]:
    return [*spoken("How much does Docker Pro")[:-1], GenerationError("The engine failed.")]


def refuses(_: GenerationRequest) -> list[Step]:
    return [OverloadedError("Full.", retry_after_seconds=1)]


def says_nothing(_: GenerationRequest) -> list[Step]:
    return [Started(5), Finished("stop", Usage(5, 0))]


def answers_instead(_: GenerationRequest) -> list[Step]:
    return spoken("Ten dollars a month for every developer in the team.")


@pytest.mark.parametrize("script", [too_long, breaks_off, refuses, says_nothing, answers_instead])
async def test_question_stays_as_it_is_where_the_model_fails(script: Script) -> None:
    rewritten, _ = await rewrite(FakeBackend(script), HISTORY, QUESTION, LIKE)
    assert rewritten == QUESTION


async def test_quotes_around_the_question_are_dropped() -> None:
    backend = FakeBackend(lambda _: spoken('"How much does Docker Pro cost?"'))
    rewritten, _ = await rewrite(backend, HISTORY, QUESTION, LIKE)
    assert rewritten == "How much does Docker Pro cost?"
