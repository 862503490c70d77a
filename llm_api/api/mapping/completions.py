"""Legacy completions, wire to domain: one generation request per prompt and choice. Pure."""

from llm_api.api.mapping.generation import (
    check_stream_options,
    refuse,
    to_guided_format,
    to_sampling,
    to_stop,
)
from llm_api.api.models.completions import CompletionRequest, LegacyPrompt
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.types import GenerationRequest, TextPrompt, TokenPrompt

MAX_ANSWERS = 128
"""Prompts times choices of one HTTP request."""


def to_completion_requests(
    request: CompletionRequest, defaults: GenerationDefaults
) -> list[GenerationRequest]:
    """One generation request per answer: those of the first prompt, then of the second.

    Raises UnsupportedParameterError for what is not honoured, InvalidRequestError for what
    contradicts itself; both name the parameter.
    """
    prompts = to_prompts(request.prompt)
    _check(request, prompts)
    check_stream_options(request)
    return [
        GenerationRequest(
            prompt=prompt,
            max_tokens=defaults.max_tokens if request.max_tokens is None else request.max_tokens,
            sampling=to_sampling(request, defaults, choice),
            stop=to_stop(request.stop),
            top_logprobs=request.logprobs,
            ignore_eos=bool(request.ignore_eos),
            output_format=to_guided_format(request),
        )
        for prompt in prompts
        for choice in range(request.choices_per_prompt)
    ]


def to_prompts(prompt: LegacyPrompt) -> list[TextPrompt | TokenPrompt]:
    """The prompts one by one, whichever of the four wire forms they came in."""
    if isinstance(prompt, str):
        return [TextPrompt(prompt)]
    prompts: list[TextPrompt | TokenPrompt] = []
    loose_tokens: list[int] = []
    for item in prompt:
        if isinstance(item, str):
            prompts.append(TextPrompt(item))
        elif isinstance(item, int):
            loose_tokens.append(item)
        else:
            prompts.append(TokenPrompt(tuple(item)))
    return [TokenPrompt(tuple(loose_tokens))] if loose_tokens else prompts


def _check(request: CompletionRequest, prompts: list[TextPrompt | TokenPrompt]) -> None:
    if request.suffix is not None:
        refuse("suffix", "is not available on this server.")
    if request.best_of not in (None, request.choices_per_prompt):
        refuse("best_of", "is available only with the value of 'n': choices are not ranked.")
    if request.echo and request.logprobs is not None:
        refuse("echo", "is not available together with 'logprobs'.")
    if request.echo and any(isinstance(prompt, TokenPrompt) for prompt in prompts):
        refuse("echo", "is not available for prompts of token ids.")
    if len(prompts) * request.choices_per_prompt > MAX_ANSWERS:
        raise InvalidRequestError(
            f"The number of prompts times 'n' must not be above {MAX_ANSWERS}.", param="n"
        )
