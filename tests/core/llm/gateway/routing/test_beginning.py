from dataclasses import replace

import pytest

from llm_api.core.llm.gateway.routing.beginning import MOST_CHARACTERS, beginning_of
from llm_api.core.llm.types import (
    ChatPrompt,
    ContextFile,
    FillInPrompt,
    Message,
    Prompt,
    TextPrompt,
    TokenPrompt,
)

FIRST = (Message("system", "Be brief."), Message("user", "What is a hash?"))
LATER = (*FIRST, Message("assistant", "A number."), Message("user", "Of what?"))
LONG = "x" * MOST_CHARACTERS
FILE = FillInPrompt("def f(", ")", (ContextFile("a.py", "import b"),))


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (ChatPrompt(FIRST), ChatPrompt(LATER)),
        (TextPrompt(LONG), TextPrompt(LONG + "and more")),
        (TokenPrompt((7,) * MOST_CHARACTERS), TokenPrompt((7,) * MOST_CHARACTERS + (8,))),
        (FILE, replace(FILE, suffix=") -> int:")),
    ],
)
def test_a_later_prompt_has_the_same_beginning(earlier: Prompt, later: Prompt) -> None:
    assert beginning_of(earlier) == beginning_of(later)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ChatPrompt(FIRST), ChatPrompt((FIRST[0], Message("user", "What is a tree?")))),
        (ChatPrompt(FIRST), ChatPrompt((Message("system", "Be kind."), FIRST[1]))),
        (
            ChatPrompt((Message("user", "ab"),)),
            ChatPrompt((Message("system", "a"), Message("user", "b"))),
        ),
        (TextPrompt("one"), TextPrompt("two")),
        (TokenPrompt((1, 23)), TokenPrompt((12, 3))),
        (FILE, replace(FILE, prefix="def g(")),
        (TextPrompt("\ud800"), TextPrompt("\ud801")),
    ],
)
def test_another_conversation_has_another_beginning(one: Prompt, other: Prompt) -> None:
    assert beginning_of(one) != beginning_of(other)
