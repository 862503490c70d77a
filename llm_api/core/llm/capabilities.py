"""What a backend can do of all that a request may ask for. Pure values, and the refusal."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Final, Literal, TypeAlias, get_args

from llm_api.core.errors import UnsupportedParameterError
from llm_api.core.llm.types import (
    ChatPrompt,
    ChoiceFormat,
    GenerationRequest,
    GrammarFormat,
    JSONFormat,
    OutputFormat,
    Prompt,
    RegexFormat,
    Sampling,
    TextPrompt,
    TokenPrompt,
)

Ability: TypeAlias = Literal[
    "chat",
    "text",
    "tokens",
    "tools",
    "required_tools",
    "json",
    "regex",
    "choice",
    "grammar",
    "logprobs",
    "ignore_eos",
    "template_variables",
]
"""`text` and `tokens` are raw prompts to continue; `required_tools` is a call that must be made."""

SAMPLING_FIELDS: Final = frozenset(field.name for field in fields(Sampling))


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`sampling` holds the fields of Sampling that are honoured; `stop` strings always are."""

    abilities: frozenset[Ability]
    sampling: frozenset[str] = SAMPLING_FIELDS

    def check(self, request: GenerationRequest) -> None:
        """Raises UnsupportedParameterError for the first thing asked that cannot be done."""
        for ability, param in _asked(request):
            if ability not in self.abilities:
                raise _refusal(param)
        default = Sampling()
        for name in sorted(SAMPLING_FIELDS - self.sampling - {"mirostat_tau", "mirostat_eta"}):
            if getattr(request.sampling, name) != getattr(default, name):
                raise _refusal(name)


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

EVERYTHING: Final = Capabilities(frozenset(get_args(Ability)))


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


def _asked_by_prompt(prompt: Prompt) -> Iterator[tuple[Ability, str]]:
    match prompt:
        case ChatPrompt(variables=variables, tools=tools):
            yield "chat", "messages"
            if variables:
                yield "template_variables", "chat_template_kwargs"
            if tools:
                yield "tools", "tools"
        case TextPrompt():
            yield "text", "prompt"
        case TokenPrompt():
            yield "tokens", "prompt"


def _refusal(param: str) -> UnsupportedParameterError:
    return UnsupportedParameterError(
        f"The parameter '{param}' is not available with this model's backend.", param=param
    )
