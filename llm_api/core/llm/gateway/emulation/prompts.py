"""What the model is told instead: functions and formats in words, calls and results as text.

Marks in what people and functions wrote are defused, so none of it can pass for a call, a result
or a list of functions, not even where the model repeats it.
"""

import re
from dataclasses import replace
from typing import Final, cast

from llm_api.core.llm.output.formats import HERMES
from llm_api.core.llm.prompt.traits import Fields, TemplateTraits, TurnTraits
from llm_api.core.llm.prompt.turns import TurnWriter
from llm_api.core.llm.types import JSON, ChatPrompt, Message, Role, ToolChoice

CONVENTION: Final = HERMES
"""How calls are written: the notation that most models have seen."""

_MARKS: Final = re.compile(r"<(?=/?tool(?:s|_call|_response)>)")

_PLAIN_TEXT: Final = TemplateTraits(
    TurnTraits(), lists_tools=False, wraps_tools=True, calls=None, writes_results=False
)


def as_plain_text(prompt: ChatPrompt) -> ChatPrompt:
    """The conversation without tools: the system message lists them, turns hold calls and results.

    Results of calls are turns of the user, as `<tool_response>`.
    """
    writer = TurnWriter(_PLAIN_TEXT, CONVENTION, _defused)
    turns = writer.messages(prompt)
    return replace(prompt, messages=tuple(map(_message, turns)), tools=())


def demand(prompt: ChatPrompt, instruction: str) -> ChatPrompt:
    """The conversation with one more instruction at the end of the system message."""
    match prompt.messages:
        case (Message(role="system", content=content) as system, *others):
            told = replace(system, content=f"{content}\n\n{instruction}")
        case others:
            told = Message("system", instruction)
    return replace(prompt, messages=(told, *others))


def instruction(choice: ToolChoice | None, wanted_text: str) -> str:
    """What `tool_choice` and an output format demand; "" if nothing. Both may be absent."""
    sentences: list[str] = []
    if choice is not None and choice.mode == "required":
        number = "one or more functions" if choice.is_parallel else "exactly one function"
        return f"Now you must call {number}: answer with nothing else."
    if choice is not None and not choice.is_parallel:
        sentences.append("Call at most one function in an answer.")
    if wanted_text:
        condition = "" if choice is None else "If you call no function, "
        sentences.append(f"{condition}answer with {wanted_text}")
    return "\n".join(sentences)


def told_again(prompt: ChatPrompt, answer: str, problem: str) -> ChatPrompt:
    """The conversation with an answer that was refused, and why."""
    refused = (
        Message("assistant", answer or "(no answer)"),
        Message("user", f"{problem}\nAnswer again, and only with what was asked for."),
    )
    return replace(prompt, messages=(*prompt.messages, *refused))


def example_call() -> str:
    return CONVENTION.write([("<function-name>", "<arguments-as-JSON-object>")])


def _message(turn: Fields) -> Message:
    return Message(
        cast("Role", turn["role"]),
        str(turn["content"]),
        name=str(turn["name"]) if "name" in turn else None,
        reasoning=str(turn.get("reasoning_content", "")),
    )


def _defused(value: JSON) -> JSON:
    return _MARKS.sub("&lt;", value) if isinstance(value, str) else value
