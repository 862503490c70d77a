"""What the servers that speak OpenAI's protocol can do, and where they differ. Pure tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from llm_api.core.llm.capabilities import Ability, Capabilities
from llm_api.core.llm.types import (
    JSON,
    ChoiceFormat,
    GrammarFormat,
    JSONFormat,
    OutputFormat,
    RegexFormat,
)

FlavourName: TypeAlias = Literal["openai", "vllm", "llama-server", "huggingface"]

Fields: TypeAlias = dict[str, JSON]
"""Fields of a request's body."""


@dataclass(frozen=True, slots=True)
class Flavour:
    """One kind of server.

    `sampling` are our names and its names of what it honours beside `logit_bias`. An engine runs a
    chat template that takes variables and earlier reasoning, and has defaults of its own, so that
    every value is said. `key_name` is where its key is set, `health_path` what `check` asks for;
    at `template_path` it tells what its template has a place for, if it tells.
    `reasoning_budget` is its name for the tokens of thinking. One that `tells_progress` says how
    far a prompt is read, if it is asked. One that `follows_strict_tools` holds calls to the schema
    of a function that is said to be strict, and lets anything pass elsewhere.
    """

    abilities: frozenset[Ability]
    sampling: Mapping[str, str]
    output_format: Callable[[OutputFormat], Fields]
    key_name: str
    is_engine: bool = False
    knows_allowed_tools: bool = False
    follows_strict_tools: bool = False
    chat_max_tokens: str = "max_tokens"
    health_path: str = "models"
    template_path: str | None = None
    reasoning_budget: str | None = None
    tells_progress: bool = False

    def reads_variable(self, name: str, value: JSON) -> bool:
        """Whether its models are told; an engine's template alone knows what it reads."""
        return self.is_engine or (name == "reasoning_effort" and isinstance(value, str))

    @property
    def capabilities(self) -> Capabilities:
        thinks = frozenset[Ability]({"reasoning_budget"} if self.reasoning_budget else ())
        return Capabilities(self.abilities | thinks, frozenset(self.sampling) | {"logit_bias"})


def _response_format(wanted: OutputFormat) -> Fields:
    """OpenAI's. `strict` makes it a promise; a schema outside its rules is refused over there."""
    if not isinstance(wanted, JSONFormat):
        raise _not_there(wanted)
    if dict(wanted.schema) == {"type": "object"}:
        return {"response_format": {"type": "json_object"}}
    schema: JSON = {"name": "answer", "strict": True, "schema": dict(wanted.schema)}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _structured_outputs(wanted: OutputFormat) -> Fields:
    """vLLM's, since 0.11."""
    match wanted:
        case JSONFormat(schema):
            return {"structured_outputs": {"json": dict(schema)}}
        case RegexFormat(pattern):
            return {"structured_outputs": {"regex": pattern}}
        case ChoiceFormat(choices):
            return {"structured_outputs": {"choice": list(choices)}}
        case GrammarFormat(grammar):
            return {"structured_outputs": {"grammar": grammar}}


def _llama_server_format(wanted: OutputFormat) -> Fields:
    """llama-server's: a schema, or a grammar in GBNF."""
    match wanted:
        case JSONFormat(schema):
            return {"json_schema": dict(schema)}
        case GrammarFormat(grammar):
            return {"grammar": grammar}
        case ChoiceFormat(choices):
            return {"grammar": "root ::= " + " | ".join(map(_gbnf_literal, choices))}
        case RegexFormat():
            raise _not_there(wanted)


def _gbnf_literal(text: str) -> str:
    r"""Text as GBNF spells it: ASCII letters and digits as they are, the rest as \UXXXXXXXX."""
    spelled = (c if c.isascii() and c.isalnum() else f"\\U{ord(c):08X}" for c in text)
    return f'"{"".join(spelled)}"'


def _not_there(wanted: OutputFormat) -> TypeError:
    return TypeError(f"{type(wanted).__name__} should have been refused before")


_OPENAI_SAMPLING: Final = {
    name: name for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed")
}
_CHAT: Final[frozenset[Ability]] = frozenset(
    {"chat", "tools", "required_tools", "json", "logprobs"}
)
_ENGINE: Final = frozenset[Ability](get_args(Ability)) - {
    "fill_in",
    "reasoning_budget",
    "adapters",
}
"""vLLM serves each adapter as a model, llama-server numbers them: neither knows ours by name."""

FLAVOURS: Final[Mapping[FlavourName, Flavour]] = {
    "openai": Flavour(
        abilities=_CHAT | {"text", "tokens", "fill_in"},
        sampling=_OPENAI_SAMPLING,
        output_format=_response_format,
        key_name="OPENAI_API_KEY",
        knows_allowed_tools=True,
        chat_max_tokens="max_completion_tokens",
    ),
    "huggingface": Flavour(
        abilities=_CHAT,
        sampling=_OPENAI_SAMPLING,
        output_format=_response_format,
        key_name="HF_API_KEY",
    ),
    "vllm": Flavour(
        abilities=_ENGINE,
        sampling=_OPENAI_SAMPLING
        | {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repetition_penalty"},
        output_format=_structured_outputs,
        key_name="the model's API key",
        is_engine=True,
        follows_strict_tools=True,
        reasoning_budget="thinking_token_budget",
    ),
    "llama-server": Flavour(
        abilities=_ENGINE - {"regex"},
        sampling=_OPENAI_SAMPLING
        | {
            name: name
            for name in (
                "top_k",
                "min_p",
                "typical_p",
                "repeat_penalty",
                "repeat_last_n",
                "mirostat",
                "mirostat_tau",
                "mirostat_eta",
                "dry_multiplier",
                "dry_base",
                "dry_allowed_length",
                "dry_penalty_last_n",
                "dry_sequence_breakers",
                "xtc_probability",
                "xtc_threshold",
                "dynatemp_range",
                "dynatemp_exponent",
            )
        },
        output_format=_llama_server_format,
        key_name="the model's API key",
        is_engine=True,
        health_path="health",
        template_path="../props",
        reasoning_budget="thinking_budget_tokens",
        tells_progress=True,
    ),
}
