"""What tests of the output layers share: two functions, and what an answer adds up to."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from llm_api.core.llm.output.reader import OutputReader, Visible
from llm_api.core.llm.types import (
    ChatPrompt,
    GenerationRequest,
    Message,
    OutputFormat,
    ReasoningDelta,
    ToolCallDelta,
    ToolCallStarted,
    ToolChoice,
    ToolSpec,
)

WEATHER = ToolSpec(
    "get_weather",
    "Tells the weather.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "exact": {"type": "boolean"},
            "unit": {"enum": ["celsius", "fahrenheit"]},
            "near": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["city"],
    },
)
NOW = ToolSpec("now", "Tells the time.")
TOOLS = (WEATHER, NOW)


@dataclass
class Folded:
    """An answer, added up. A call is its name and its arguments."""

    text: str = ""
    reasoning: str = ""
    calls: list[list[str]] = field(default_factory=list)


def fold(reader: OutputReader, pieces: Iterable[str]) -> Folded:
    """Feed an answer in pieces. Fails where a call is told out of order."""
    folded = Folded()
    fed = [piece for text in pieces for piece in reader.feed(text)]
    for piece in [*fed, *reader.flush()]:
        match piece:
            case Visible(_, text):
                folded.text += text
            case ReasoningDelta(text):
                folded.reasoning += text
            case ToolCallStarted(index, _, name):
                assert index == len(folded.calls)
                folded.calls.append([name, ""])
            case ToolCallDelta(index, arguments):
                assert index == len(folded.calls) - 1
                folded.calls[index][1] += arguments
    return folded


def request(
    choice: ToolChoice | None = None,
    output_format: OutputFormat | None = None,
    tools: tuple[ToolSpec, ...] = TOOLS,
) -> GenerationRequest:
    prompt = ChatPrompt((Message("user", "Hi"),), tools=tools)
    return GenerationRequest(prompt, 100, tool_choice=choice, output_format=output_format)


AUTO = ToolChoice("auto", frozenset({"get_weather", "now"}))
REQUIRED = ToolChoice("required", frozenset({"get_weather", "now"}))
