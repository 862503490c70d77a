"""What all resources that generate share, wire to domain and back. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final, Never, TypeVar

from llm_api.api.models.generation import (
    AnswerParameters,
    CompletionTokensDetails,
    CompletionUsage,
    LoraAdapter,
    PromptProgress,
    PromptTokensDetails,
    SamplingParameters,
    Stop,
)
from llm_api.core.errors import (
    InvalidRequestError,
    LLMAPIError,
    MissingParameterError,
    UnsupportedParameterError,
)
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.progress import Progress
from llm_api.core.llm.types import (
    Adapter,
    ChoiceFormat,
    GrammarFormat,
    OutputFormat,
    RegexFormat,
    Sampling,
    Usage,
)

Value = TypeVar("Value")

UNLIKELY_LOGPROB = -9999.0
"""OpenAI's value for a logarithm that JSON cannot say (minus infinity)."""


def refuse(param: str, reason: str) -> Never:
    """Raise UnsupportedParameterError: `param` would change the answer and is not honoured."""
    raise UnsupportedParameterError(f"The parameter '{param}' {reason}", param=param)


def required(value: Value | None, param: str) -> Value:
    """The value of a parameter that others make necessary. Raises MissingParameterError."""
    if value is None:
        raise MissingParameterError(f"Missing required parameter: '{param}'.", param=param)
    return value


@contextmanager
def renamed(names: Mapping[str, str]) -> Iterator[None]:
    """Errors that leave the block name parameters of the core by these names."""
    try:
        yield
    except LLMAPIError as error:
        name = names.get(error.param or "")
        if name is not None:
            error.message = error.message.replace(f"'{error.param}'", f"'{name}'")
            error.param = name
        raise


def same_meaning(
    name: str, value: Value | None, other_name: str, other: Value | None
) -> Value | None:
    """The value of a parameter that has two names. Raises InvalidRequestError if they differ."""
    if value is not None and other is not None and value != other:
        raise InvalidRequestError(
            f"'{name}' and '{other_name}' mean the same and have different values; send one.",
            param=other_name,
        )
    return other if value is None else value


def one_of(named: Mapping[str, Value | None]) -> Value | None:
    """The value of a parameter that has these names. Raises InvalidRequestError if two differ."""
    given = {name: value for name, value in named.items() if value is not None}
    for name, value in given.items():
        first = next(iter(given))
        same_meaning(first, given[first], name, value)
    return next(iter(given.values()), None)


def to_max_tokens(named: Mapping[str, int | None], default: int | None) -> int | None:
    """The length of an answer, under any of its names; -1 is to the end."""
    tokens = one_of(named)
    if tokens is None:
        return default
    return None if tokens == -1 else tokens


def check_stream_options(request: AnswerParameters) -> None:
    """Raises InvalidRequestError for options without a stream."""
    if request.stream_options is not None and not request.is_streamed:
        raise InvalidRequestError(
            "'stream_options' is only allowed when 'stream' is true.", param="stream_options"
        )


def to_stop(stop: Stop | None) -> tuple[str, ...]:
    """The stop strings, without repetitions."""
    if stop is None:
        return ()
    return (stop,) if isinstance(stop, str) else tuple(dict.fromkeys(stop))


def to_guided_format(request: AnswerParameters) -> OutputFormat | None:
    """What the extension fields demand of the answer. Raises InvalidRequestError for two."""
    formats: dict[str, OutputFormat] = {}
    if request.guided_regex is not None:
        formats["guided_regex"] = RegexFormat(request.guided_regex)
    if request.guided_choice is not None:
        formats["guided_choice"] = ChoiceFormat(tuple(dict.fromkeys(request.guided_choice)))
    if request.grammar is not None:
        formats["grammar"] = GrammarFormat(request.grammar)
    if len(formats) > 1:
        first, second, *_ = formats
        raise InvalidRequestError(
            f"'{first}' and '{second}' cannot both hold; send one.", param=second
        )
    return next(iter(formats.values()), None)


def to_sampling(request: SamplingParameters, defaults: GenerationDefaults, choice: int) -> Sampling:
    """The sampling of choice number `choice` of a prompt; its seed is `seed + choice`."""
    off = Sampling()
    repeat_penalty = same_meaning(
        "repeat_penalty", request.repeat_penalty, "repetition_penalty", request.repetition_penalty
    )
    bias = request.logit_bias or {}
    sampling = Sampling(
        temperature=given_or(request.temperature, defaults.temperature),
        top_p=given_or(request.top_p, off.top_p),
        top_k=max(given_or(request.top_k, off.top_k), 0),
        min_p=given_or(request.min_p, off.min_p),
        typical_p=given_or(request.typical_p, off.typical_p),
        repeat_penalty=given_or(repeat_penalty, off.repeat_penalty),
        presence_penalty=given_or(request.presence_penalty, off.presence_penalty),
        frequency_penalty=given_or(request.frequency_penalty, off.frequency_penalty),
        logit_bias=tuple((int(token), value) for token, value in bias.items()),
        seed=None if request.seed is None else request.seed + choice,
        mirostat=given_or(request.mirostat, off.mirostat),
        mirostat_tau=given_or(request.mirostat_tau, off.mirostat_tau),
        mirostat_eta=given_or(request.mirostat_eta, off.mirostat_eta),
        **{name: given_or(getattr(request, name), getattr(off, name)) for name in _SAME_NAMES},
        dry_sequence_breakers=off.dry_sequence_breakers
        if request.dry_sequence_breakers is None
        else tuple(request.dry_sequence_breakers),
    )
    return sampling if request.samplers is None else _narrowed(sampling, request.samplers)


_SAME_NAMES: Final = (
    "repeat_last_n",
    "dry_multiplier",
    "dry_base",
    "dry_allowed_length",
    "dry_penalty_last_n",
    "xtc_probability",
    "xtc_threshold",
    "dynatemp_range",
    "dynatemp_exponent",
)

_STAGES: Final[Mapping[str, Mapping[str, Any]]] = {
    "penalties": {"repeat_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0},
    "dry": {"dry_multiplier": 0.0},
    "top_n_sigma": {},
    "top_k": {"top_k": 0},
    "typ_p": {"typical_p": 1.0},
    "top_p": {"top_p": 1.0},
    "min_p": {"min_p": 0.0},
    "xtc": {"xtc_probability": 0.0},
    "temperature": {"temperature": 1.0, "dynatemp_range": 0.0},
}
"""Stages of a choice in their order, each with what it is when it is off."""


def _narrowed(sampling: Sampling, stages: Sequence[str]) -> Sampling:
    """Of the sampling these stages alone. Raises UnsupportedParameterError for another order."""
    if list(stages) != [name for name in _STAGES if name in stages]:
        refuse("samplers", f"is available only in this order: {', '.join(_STAGES)}.")
    for name, off in _STAGES.items():
        if name not in stages:
            sampling = replace(sampling, **off)
    return sampling


def to_adapters(adapters: Sequence[LoraAdapter] | None) -> tuple[Adapter, ...]:
    """The adapters that count. Raises InvalidRequestError for one that is named twice."""
    names = [str(one.id) for one in adapters or ()]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise InvalidRequestError(f"'lora' names '{name}' twice.", param="lora")
    return tuple(Adapter(str(one.id), one.scale) for one in adapters or () if one.scale != 0)


def given_or(value: Value | None, default: Value) -> Value:
    """The value, or the default where there is none."""
    return default if value is None else value


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


def wire_progress(progress: Progress) -> PromptProgress:
    """How far a prompt is read."""
    speed, left = progress.tokens_per_second, progress.seconds_left
    return PromptProgress(
        total=progress.prompt_tokens,
        cache=progress.cached_tokens,
        processed=progress.read_tokens,
        time_ms=round(progress.read_seconds * 1000),
        place_in_queue=progress.place_in_queue,
        tokens_per_second=None if speed is None else round(speed, 1),
        seconds_left=None if left is None else round(left, 1),
    )


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
