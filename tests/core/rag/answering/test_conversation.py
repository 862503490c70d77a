import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.types import ChatPrompt, Message, TextPrompt
from llm_api.core.rag.answering.conversation import chat_prompt, read_conversation, with_context

FIRST, ANSWER, SECOND = (
    Message("user", "What is it?"),
    Message("assistant", "A tool."),
    Message("user", "And why?"),
)


def test_last_question_is_the_question() -> None:
    conversation = read_conversation([Message("system", "Be brief."), FIRST, ANSWER, SECOND])
    assert conversation.question == "And why?"
    assert conversation.earlier == ["What is it?"]
    assert [turn.role for turn in conversation.history] == ["system", "user", "assistant"]


def test_results_of_tools_do_not_hide_the_question() -> None:
    assert read_conversation([FIRST, ANSWER, Message("tool", "{}")]).question == "What is it?"


@pytest.mark.parametrize("turns", [[], [ANSWER], [Message("user", "  ")]])
def test_conversation_without_a_question_is_refused(turns: list[Message]) -> None:
    with pytest.raises(InvalidRequestError):
        read_conversation(turns)


def test_context_becomes_the_system_message() -> None:
    grounded = with_context(ChatPrompt((FIRST,)), "SOURCES")
    assert grounded.messages == (Message("system", "SOURCES"), FIRST)


def test_context_follows_the_system_message_that_is_there() -> None:
    grounded = with_context(ChatPrompt((Message("system", "Be brief."), FIRST)), "SOURCES")
    assert grounded.messages == (Message("system", "Be brief.\n\nSOURCES"), FIRST)


def test_raw_prompt_is_no_conversation() -> None:
    with pytest.raises(TypeError):
        chat_prompt(TextPrompt("x"))
