"""What Ollama's resources that generate answer, whole or line by line."""

from typing import Literal

from pydantic import Field, JsonValue

from llm_api.api.models.base import AnswerModel
from llm_api.api.models.generation import PromptProgress

DoneReason = Literal["stop", "length", "load", "unload"]


class CalledFunction(AnswerModel):
    index: int
    name: str
    arguments: dict[str, JsonValue]


class MadeCall(AnswerModel):
    id: str
    function: CalledFunction


class Candidate(AnswerModel):
    token: str
    logprob: float
    bytes: list[int]


class Logprob(Candidate):
    top_logprobs: list[Candidate] = Field(default=[], description="Present where asked for.")


class AnswerTurn(AnswerModel):
    """What the model says, or more of it."""

    role: Literal["assistant"]
    content: str
    thinking: str = ""
    tool_calls: list[MadeCall] = Field(default=[])


class Line(AnswerModel):
    """One line of a stream, or a whole answer. The counts stand in the last line alone.

    Durations are in nanoseconds; that of loading includes what was waited for.
    """

    model: str
    created_at: str
    done: bool
    done_reason: DoneReason = "stop"
    logprobs: list[Logprob] = Field(default=[])
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0
    prompt_progress: PromptProgress | None = Field(
        default=None, description="In a stream whose answer has not begun after a second."
    )


class ChatLine(Line):
    message: AnswerTurn


class GenerateLine(Line):
    response: str
    thinking: str = ""
