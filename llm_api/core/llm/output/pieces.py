"""What a reader makes of an answer's text."""

from dataclasses import dataclass
from typing import TypeAlias

from llm_api.core.llm.types import ReasoningDelta, ToolCallDelta, ToolCallStarted


@dataclass(frozen=True, slots=True)
class Visible:
    """Text for the user: verbatim what stands from character `start` of the answer."""

    start: int
    text: str


Piece: TypeAlias = Visible | ReasoningDelta | ToolCallStarted | ToolCallDelta
