"""Domain to wire, for what chat and legacy completions share. Pure."""

from dataclasses import dataclass
from hashlib import sha256

from llm_api.api.models.usage import (
    CompletionTokensDetails,
    CompletionUsage,
    PromptTokensDetails,
)
from llm_api.core.llm.types import Usage

UNLIKELY_LOGPROB = -9999.0
"""OpenAI's value for a logarithm that JSON cannot say (minus infinity)."""


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """What every frame of one answer repeats. `created` is in Unix seconds."""

    id: str
    created: int
    model: str
    system_fingerprint: str


def fingerprint(version: str, model: str) -> str:
    """A name for what answers: the same for the same server version and model."""
    return "fp_" + sha256(f"{version}\0{model}".encode()).hexdigest()[:10]


def wire_usage(usage: Usage) -> CompletionUsage:
    """Token counts in the official shape. Predictions and audio do not occur."""
    return CompletionUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        prompt_tokens_details=PromptTokensDetails(
            cached_tokens=usage.cached_tokens, audio_tokens=0
        ),
        completion_tokens_details=CompletionTokensDetails(
            reasoning_tokens=usage.reasoning_tokens,
            audio_tokens=0,
            accepted_prediction_tokens=0,
            rejected_prediction_tokens=0,
        ),
    )


def wire_logprob(logprob: float) -> float:
    """A log-probability that JSON can carry."""
    return max(logprob, UNLIKELY_LOGPROB)


def token_text(data: bytes) -> str:
    r"""A token's text; bytes that are no whole character are spelled `\xNN`, as OpenAI does."""
    return data.decode("utf-8", errors="backslashreplace")
