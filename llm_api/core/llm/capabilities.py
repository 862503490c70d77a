"""What a backend can do of all that a request may ask for. Pure values, and the refusal."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Final, Literal, TypeAlias, get_args

from llm_api.core.errors import UnsupportedParameterError
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    ChoiceFormat,
    Event,
    FillInPrompt,
    GenerationRequest,
    GrammarFormat,
    JSONFormat,
    OutputFormat,
    Prompt,
    RegexFormat,
    Sampling,
    Started,
    TextPrompt,
    TokenPrompt,
)

Ability: TypeAlias = Literal[
    "chat",
    "text",
    "tokens",
    "fill_in",
    "tools",
    "required_tools",
    "json",
    "regex",
    "choice",
    "grammar",
    "logprobs",
    "ignore_eos",
    "reasoning_budget",
    "adapters",
]
"""`text` and `tokens` are raw prompts to continue, `fill_in` is text between two others;
`required_tools` is a call that must be made."""

SAMPLING_FIELDS: Final = frozenset(field.name for field in fields(Sampling))

SWITCHES: Final[Mapping[str, str]] = {
    "repeat_last_n": "repeat_penalty",
    **dict.fromkeys(("mirostat_tau", "mirostat_eta"), "mirostat"),
    **dict.fromkeys(
        ("dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers"),
        "dry_multiplier",
    ),
    "xtc_threshold": "xtc_probability",
    "dynatemp_exponent": "dynatemp_range",
}
"""Fields of Sampling that say how another works: while that is off, they ask for nothing."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`sampling` holds the fields of Sampling that are honoured; `stop` strings always are."""

    abilities: frozenset[Ability]
    sampling: frozenset[str] = SAMPLING_FIELDS

    def check(self, request: GenerationRequest) -> None:
        """Raises UnsupportedParameterError for the first thing asked that cannot be done."""
        for ability, param in _asked(request):
            if ability not in self.abilities:
                raise _no_fill_in(param) if ability == "fill_in" else _refusal(param)
        for name in sorted(SAMPLING_FIELDS - self.sampling):
            if _is_on(request.sampling, name) and _is_on(
                request.sampling, SWITCHES.get(name, name)
            ):
                raise _refusal(name)


def without(ability: Ability, capabilities: Capabilities) -> Capabilities:
    """The same but one. Pure."""
    return replace(capabilities, abilities=capabilities.abilities - {ability})


def common(several: Iterable[Capabilities]) -> Capabilities:
    """What all of them can do. Pure; there must be one."""
    first, *others = several
    return Capabilities(
        first.abilities.intersection(*(one.abilities for one in others)),
        first.sampling.intersection(*(one.sampling for one in others)),
    )


FORMAT_ABILITIES: Final[Mapping[type[OutputFormat], Ability]] = {
    JSONFormat: "json",
    RegexFormat: "regex",
    ChoiceFormat: "choice",
    GrammarFormat: "grammar",
}
"""The ability that each format needs."""

EVERYTHING: Final = Capabilities(frozenset(get_args(Ability)) - {"adapters"})
"""What a model can do that was given no adapters."""

ADAPTABLE: Final = replace(EVERYTHING, abilities=EVERYTHING.abilities | {"adapters"})


def read_alone(
    request: GenerationRequest, reads: Callable[[str, JSON], bool]
) -> tuple[GenerationRequest, tuple[str, ...]]:
    """The request without the variables that a model does not read, and their names. Pure."""
    prompt = request.prompt
    if not isinstance(prompt, ChatPrompt) or not prompt.variables:
        return request, ()
    read = {name: value for name, value in prompt.variables.items() if reads(name, value)}
    ignored = tuple(name for name in prompt.variables if name not in read)
    return replace(request, prompt=replace(prompt, variables=read)), ignored


def naming(event: Event, ignored: tuple[str, ...]) -> Event:
    """The event; the first says what of the request is ignored. Pure."""
    return replace(event, ignored=ignored) if ignored and isinstance(event, Started) else event


def check_no_files(prompt: FillInPrompt) -> None:
    """Raises UnsupportedParameterError for a prompt with files of its project."""
    if prompt.files:
        raise _refusal("input_extra")


def _is_on(sampling: Sampling, name: str) -> bool:
    return bool(getattr(sampling, name) != getattr(_OFF, name))


_OFF: Final = Sampling()


def _asked(request: GenerationRequest) -> Iterator[tuple[Ability, str]]:
    """What the request needs, each with the parameter that asks for it."""
    yield from _asked_by_prompt(request.prompt)
    if request.tool_choice is not None and request.tool_choice.mode == "required":
        yield "required_tools", "tool_choice"
    if request.output_format is not None:
        yield FORMAT_ABILITIES[type(request.output_format)], request.output_format.param
    if request.top_logprobs is not None:
        yield "logprobs", "logprobs"
    if request.ignore_eos:
        yield "ignore_eos", "ignore_eos"
    if request.reasoning_budget is not None:
        yield "reasoning_budget", "reasoning_budget"
    if request.adapters:
        yield "adapters", "lora"


def _asked_by_prompt(prompt: Prompt) -> Iterator[tuple[Ability, str]]:
    match prompt:
        case ChatPrompt(tools=tools):
            yield "chat", "messages"
            if tools:
                yield "tools", "tools"
        case TextPrompt():
            yield "text", "prompt"
        case TokenPrompt():
            yield "tokens", "prompt"
        case FillInPrompt(param=param):
            yield "fill_in", param


def _no_fill_in(param: str) -> UnsupportedParameterError:
    return UnsupportedParameterError(
        f"The parameter '{param}' is not available with this model: it has no fill-in tokens, or"
        " its backend no way to use them; choose one that has, such as Qwen2.5-Coder.",
        param=param,
    )


def _refusal(param: str) -> UnsupportedParameterError:
    return UnsupportedParameterError(
        f"The parameter '{param}' is not available with this model's backend.", param=param
    )
