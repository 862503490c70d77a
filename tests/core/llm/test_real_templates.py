"""The chat templates of real models, which llama.cpp collects; they are not in this repository.

Runs where LLAMA_CPP_TEMPLATES names the folder `models/templates` of llama.cpp's sources.
"""

import os
from itertools import takewhile
from pathlib import Path

import pytest

from llm_api.core.llm.output.dialect import recognise
from llm_api.core.llm.prompt.template import ChatTemplate
from llm_api.core.llm.types import (
    ChatPrompt,
    GenerationRequest,
    Message,
    Role,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    ToolSpec,
)

FOLDER = os.environ.get("LLAMA_CPP_TEMPLATES")

TEMPLATES = sorted(Path(FOLDER).glob("*.jinja")) if FOLDER else []

pytestmark = pytest.mark.skipif(not TEMPLATES, reason="LLAMA_CPP_TEMPLATES names no templates")

NEEDS_MORE = {"fireworks-ai-llama-3-firefunction-v2"}
"""Want variables that no other template knows."""

UNKNOWN_FORMATS = {
    "CohereForAI-c4ai-command-r-plus-tool_use",
    "GigaChat3-10B-A1.8B",
    "GigaChat3.1-10B-A1.8B",
    "Kimi-K3",
    "MiniMax-M3",
    "deepseek-ai-DeepSeek-V3.2",
    "deepseek-ai-DeepSeek-V4",
    "deepseek-ai-DeepSeek-V4-Flash-0731",
    "google-gemma-4-31B-it",
    "google-gemma-4-31B-it-interleaved",
    "muse-glimmer",
    "openbmb-MiniCPM5-1B",
    "tencent-Hy3",
    "upstage-Solar-Open-100B",
}
"""Write calls in a way that is not read yet. They are offered Hermes where a call is required."""

WEATHER = ToolSpec(
    "get_weather",
    "Tells the weather.",
    {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The city"}},
        "required": ["city"],
    },
)
QUESTION = Message("user", "What is it like there?")
CALLS = tuple(
    ToolCall(f"call_{city}", "get_weather", f'{{"city": "{city}"}}') for city in ("Paris", "Rome")
)
RESULTS = tuple(Message("tool", f"sunny in {call.id}", tool_call_id=call.id) for call in CALLS)

every_template = pytest.mark.parametrize(
    "path", [path for path in TEMPLATES if path.stem not in NEEDS_MORE], ids=lambda path: path.stem
)


def render(path: Path, *messages: Message) -> str:
    source = path.read_text(encoding="utf-8")
    template = ChatTemplate(source, bos_text="<s>", eos_text="</s>", control_texts=frozenset())
    return "".join(part.text for part in template.render(ChatPrompt(messages, tools=(WEATHER,))))


@every_template
def test_tools_calls_and_results_are_in_the_prompt(path: Path) -> None:
    assert "get_weather" in render(path, QUESTION)
    text = render(path, QUESTION, Message("assistant", "", tool_calls=CALLS), *RESULTS)
    for part in ("Paris", "Rome", "sunny in call_Paris", "sunny in call_Rome"):
        assert part in text


@every_template
def test_no_turn_is_refused_or_left_out(path: Path) -> None:
    once: tuple[Role, ...] = ("system", "system", "user", "user", "assistant", "assistant")
    turns = [Message(role, f"<{at}>") for at, role in enumerate((*once, *once, "system"))]
    text = render(path, *turns)
    assert [turn.content for turn in turns if turn.content not in text] == []


@pytest.mark.parametrize(
    "path",
    [path for path in TEMPLATES if path.stem not in NEEDS_MORE | UNKNOWN_FORMATS],
    ids=lambda path: path.stem,
)
def test_calls_are_read_as_the_template_writes_them(path: Path) -> None:
    asked = render(path, QUESTION)
    called = render(path, QUESTION, Message("assistant", "", tool_calls=CALLS[:1]), RESULTS[0])
    same = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(asked, called, strict=False))
    )
    # A mark that the prompt for an answer ends with, too, belongs to the prompt.
    begin = same if same == len(asked) else called.rfind("\n", 0, same) + 1
    choice = ToolChoice("auto", frozenset({"get_weather"}))
    request = GenerationRequest(ChatPrompt((QUESTION,), tools=(WEATHER,)), 1, tool_choice=choice)
    dialect = recognise(path.read_text(encoding="utf-8"), {})
    reader = dialect.plan(request, "").reader
    pieces = [*reader.feed(called[begin:]), *reader.flush()]
    arguments = [piece.arguments for piece in pieces if isinstance(piece, ToolCallDelta)]
    assert "".join(arguments) == CALLS[0].arguments
