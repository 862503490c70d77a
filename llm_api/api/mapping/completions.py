"""Legacy completions, wire to domain and back: whole, and as the chunks of a stream. Pure."""

from codecs import getincrementaldecoder
from collections.abc import Sequence
from dataclasses import dataclass, field

from llm_api.api.mapping.generation import (
    AnswerHead,
    check_stream_options,
    one_of,
    refuse,
    to_adapters,
    to_guided_format,
    to_max_tokens,
    to_sampling,
    to_stop,
    token_text,
    wire_logprob,
    wire_progress,
    wire_usage,
)
from llm_api.api.mapping.options import with_options
from llm_api.api.models import completions as wire
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.collect import Completion, total_usage
from llm_api.core.llm.progress import Progress
from llm_api.core.llm.types import (
    Addition,
    FillInPrompt,
    Finished,
    FinishReason,
    GenerationRequest,
    SampledLogprob,
    TextDelta,
    TextPrompt,
    TokenPrompt,
    Usage,
)

MAX_ANSWERS = 128
"""Prompts times choices of one HTTP request."""


def to_completion_requests(
    request: wire.CompletionRequest, defaults: GenerationDefaults
) -> list[GenerationRequest]:
    """One generation request per answer: those of the first prompt, then of the second.

    Raises UnsupportedParameterError for what is not honoured, InvalidRequestError for what
    contradicts itself; both name the parameter.
    """
    request = with_options(request)
    texts = to_prompts(request.prompt)
    _check(request, texts)
    prompts = _filled_in(texts, request.suffix) if request.suffix else texts
    check_stream_options(request)
    return [
        GenerationRequest(
            prompt=prompt,
            max_tokens=to_max_tokens(
                {"max_tokens": request.max_tokens, "n_predict": request.n_predict},
                defaults.max_tokens,
            ),
            sampling=to_sampling(request, defaults, choice),
            stop=to_stop(request.stop),
            top_logprobs=_logprobs(request),
            ignore_eos=bool(request.ignore_eos),
            retention=request.prompt_cache_retention,
            output_format=to_guided_format(request),
            adapters=to_adapters(request.lora),
        )
        for prompt in prompts
        for choice in range(request.choices_per_prompt)
    ]


def _logprobs(request: wire.CompletionRequest) -> int | None:
    """How many candidates each token is listed with; None: no log-probabilities."""
    return one_of({"logprobs": request.logprobs, "n_probs": request.n_probs or None})


def to_prompts(prompt: wire.LegacyPrompt) -> list[TextPrompt | TokenPrompt]:
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


def _filled_in(prompts: Sequence[TextPrompt | TokenPrompt], suffix: str) -> list[FillInPrompt]:
    texts = [prompt.text for prompt in prompts if isinstance(prompt, TextPrompt)]
    if len(texts) < len(prompts):
        refuse("suffix", "is not available for prompts of token ids.")
    return [FillInPrompt(text, suffix) for text in texts]


def _check(request: wire.CompletionRequest, prompts: list[TextPrompt | TokenPrompt]) -> None:
    if request.best_of not in (None, request.choices_per_prompt):
        refuse("best_of", "is available only with the value of 'n': choices are not ranked.")
    if request.echo and _logprobs(request) is not None:
        refuse("echo", "is not available together with 'logprobs'.")
    if request.echo and any(isinstance(prompt, TokenPrompt) for prompt in prompts):
        refuse("echo", "is not available for prompts of token ids.")
    if len(prompts) * request.choices_per_prompt > MAX_ANSWERS:
        raise InvalidRequestError(
            f"The number of prompts times 'n' must not be above {MAX_ANSWERS}.", param="n"
        )


class TextOffsets:
    """Counts the characters of one choice's text, token by token. Holds a half character back."""

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-8")(errors="replace")
        self._offset = 0

    def advance(self, data: bytes) -> int:
        """Where this token's text begins. Mutates."""
        start = self._offset
        self._offset += len(self._decoder.decode(data))
        return start


@dataclass(frozen=True, slots=True)
class CompletionAnswerWriter:
    """Writes the answer to one legacy request. Keeps the text offsets of streamed choices."""

    head: AnswerHead
    request: wire.CompletionRequest
    _offsets: dict[int, TextOffsets] = field(default_factory=dict)

    def whole(self, completions: Sequence[Completion]) -> wire.Completion:
        """The answer that is not streamed."""
        answer = self._answer(
            [
                self._choice(
                    index, self._echo(index) + item.text, item.finished.reason, item.logprobs
                )
                for index, item in enumerate(completions)
            ]
        )
        finished = [item.finished for item in completions]
        answer.usage = wire_usage(total_usage(finished, self.request.choices_per_prompt))
        return answer

    @property
    def has_steady_text(self) -> bool:
        """Log-probabilities were not asked for."""
        return _logprobs(self.request) is None

    def opening(self, index: int) -> wire.Completion | None:
        """The echoed prompt, if it was asked for."""
        return self._chunk([self._choice(index, self._echo(index))]) if self.request.echo else None

    def progress(self, progress: Progress) -> wire.Completion:
        """A chunk that adds nothing. Of several choices it stands for the one that is behind."""
        chunk = self._chunk([self._choice(0, "")])
        chunk.prompt_progress = wire_progress(progress)
        return chunk

    def delta(self, index: int, delta: Addition) -> wire.Completion:
        """More text of a choice. A raw prompt has neither reasoning nor calls in its answer."""
        if not isinstance(delta, TextDelta):
            raise TypeError(f"{type(delta).__name__} in the continuation of a raw prompt")
        return self._chunk([self._choice(index, delta.text, None, delta.logprobs)])

    def closing(self, index: int, finished: Finished) -> wire.Completion:
        """The last chunk of a choice: why it ended."""
        return self._chunk([self._choice(index, "", finished.reason)])

    def usage(self, usage: Usage) -> wire.Completion | None:
        """The last chunk of all, if it was asked for."""
        if not self.request.includes_usage:
            return None
        chunk = self._chunk([])
        chunk.usage = wire_usage(usage)
        return chunk

    def _echo(self, index: int) -> str:
        if not self.request.echo:
            return ""
        prompt = to_prompts(self.request.prompt)[index // self.request.choices_per_prompt]
        # Token prompts have no text here: the request mapping refuses to echo them.
        return prompt.text if isinstance(prompt, TextPrompt) else ""

    def _answer(self, choices: list[wire.CompletionChoice]) -> wire.Completion:
        return wire.Completion(
            id=self.head.id,
            object="text_completion",
            created=self.head.created,
            model=self.head.model,
            choices=choices,
            system_fingerprint=self.head.system_fingerprint,
        )

    def _chunk(self, choices: list[wire.CompletionChoice]) -> wire.Completion:
        chunk = self._answer(choices)
        if self.request.includes_usage:
            chunk.usage = None  # assigned, hence sent: null until the last chunk
        return chunk

    def _choice(
        self,
        index: int,
        text: str,
        reason: FinishReason | None = None,
        sampled: Sequence[SampledLogprob] = (),
    ) -> wire.CompletionChoice:
        has_logprobs = _logprobs(self.request) is not None and (text or sampled)
        return wire.CompletionChoice(
            index=index,
            text=text,
            logprobs=self._logprobs(index, sampled) if has_logprobs else None,
            finish_reason="stop" if reason == "tool_calls" else reason,
        )

    def _logprobs(self, index: int, sampled: Sequence[SampledLogprob]) -> wire.LegacyLogprobs:
        offsets = self._offsets.setdefault(index, TextOffsets())
        return wire.LegacyLogprobs(
            text_offset=[offsets.advance(item.chosen.data) for item in sampled],
            token_logprobs=[wire_logprob(item.chosen.logprob) for item in sampled],
            tokens=[token_text(item.chosen.data) for item in sampled],
            top_logprobs=[_candidates(item) for item in sampled],
        )


def _candidates(sampled: SampledLogprob) -> dict[str, float]:
    """Text to log-probability, the chosen token always among them, likeliest first."""
    candidates: dict[str, float] = {}
    for candidate in (*sampled.top, sampled.chosen):
        candidates.setdefault(token_text(candidate.data), wire_logprob(candidate.logprob))
    return candidates
