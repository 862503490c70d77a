"""Token counts, as chat and legacy completions both report them."""

from pydantic import Field

from llm_api.api.models.base import AnswerModel


class PromptTokensDetails(AnswerModel):
    """Of the prompt's tokens."""

    cached_tokens: int = Field(description="Shared with earlier requests, not computed again.")
    audio_tokens: int


class CompletionTokensDetails(AnswerModel):
    """Of the generated tokens."""

    reasoning_tokens: int
    audio_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class CompletionUsage(AnswerModel):
    """Token counts of one HTTP request."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails
