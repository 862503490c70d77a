"""The vocabulary of generation: what is asked for, and the events that answer it. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias, Union

from llm_api.core.llm.progress import Journey
from llm_api.core.utils.tokens import TokenMeter

JSON: TypeAlias = Union[bool, int, float, str, list["JSON"], dict[str, "JSON"], None]

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]
"""`content_filter`: the model's server withheld the rest, or the model refused to answer."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function the model may call. `parameters` is the JSON Schema of an object.

    Without `is_strict`, a call may break what of the schema cannot be enforced, if that is said.
    `param` is the parameter of the request that brought it.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    is_strict: bool = False
    param: str = field(default="tools", compare=False)

    @property
    def schema(self) -> dict[str, JSON]:
        """`parameters` with `type` and `properties`, also where the client sent none."""
        return {"type": "object", "properties": {}, **self.parameters}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model has made. `arguments` is JSON text; in a history it may be broken."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. `content` is plain text: control tokens in it stay text.

    An assistant's turn may carry `tool_calls` and the `reasoning` before them; a tool's turn is the
    result of the call `tool_call_id`, and `name` is the function's where it is known.
    """

    role: Role
    content: str
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A conversation for the model's own chat template.

    `variables` are handed to the template by name (`enable_thinking`, `reasoning_effort`); one
    that the model does not read is left out, and `Started` names it.
    """

    messages: tuple[Message, ...]
    variables: Mapping[str, JSON] = field(default_factory=dict)
    tools: tuple[ToolSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """Raw text to continue. Control tokens in it stay text."""

    text: str


@dataclass(frozen=True, slots=True)
class TokenPrompt:
    """Token ids of the model's own vocabulary to continue."""

    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ContextFile:
    """A file of the same project, for a model to know while it fills in another."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class FillInPrompt:
    """Text to fill in between `prefix` and `suffix`. Control tokens in all of it stay text.

    Where it `is_windowed`, what does not fit is left out, the farthest from the gap first: whole
    files, then the beginning of the prefix and the end of the suffix. `param` is the parameter of
    the request that asks for it.
    """

    prefix: str
    suffix: str
    files: tuple[ContextFile, ...] = ()
    is_windowed: bool = False
    param: str = field(default="suffix", compare=False)

    @property
    def text(self) -> str:
        """All of it, as it is counted where the model's tokens are not known."""
        return "".join((*(file.text for file in self.files), self.prefix, self.suffix))


@dataclass(frozen=True, slots=True)
class FillInTokens:
    """The marks of a vocabulary. Those of a repository and of a file are not in every one."""

    prefix: int
    suffix: int
    middle: int
    repository: int | None = None
    file: int | None = None

    @property
    def all(self) -> frozenset[int]:
        marks = (self.prefix, self.suffix, self.middle, self.repository, self.file)
        return frozenset(mark for mark in marks if mark is not None)


Prompt: TypeAlias = ChatPrompt | TextPrompt | TokenPrompt | FillInPrompt


@dataclass(frozen=True, slots=True)
class MarkedText:
    """Text to be made tokens of.

    With `adds_special`, BOS or EOS stand around it as the model is made to have them; with
    `parses_special`, the texts of control tokens are these tokens.
    """

    text: str
    adds_special: bool = False
    parses_special: bool = False


@dataclass(frozen=True, slots=True)
class Tokenized:
    """Token ids, the bytes that each stands for (a control token its text), and the whole text."""

    ids: tuple[int, ...]
    pieces: tuple[bytes, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. The defaults switch every filter off. Names are llama-server's.

    Ranges are validated at the border. `temperature` 0 is exactly greedy: no filter, `xtc_*` and
    `dynatemp_*` change nothing then. `seed` None draws a fresh one. A `logit_bias` of -100 or less
    bans the token, as OpenAI documents.
    `repeat_last_n` and `dry_penalty_last_n` are the last tokens, prompt included, that count: -1
    all, 0 none. A repetition that goes on behind one of `dry_sequence_breakers` is none.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    seed: int | None = None
    mirostat: Literal[0, 1, 2] = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = -1
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    dynatemp_range: float = 0.0
    dynatemp_exponent: float = 1.0


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter of the model, by its name, and how strongly it counts.

    `scale` None leaves that to whoever has set the model up. A number in decimals is a name as
    well: of the adapter at this place of the model's, from 0.
    """

    name: str
    scale: float | None = None


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Which of the prompt's tools may be called: those named in `allowed`.

    `required` demands at least one call; without `is_parallel` there is at most one.
    """

    mode: Literal["auto", "required"]
    allowed: frozenset[str]
    is_parallel: bool = True


@dataclass(frozen=True, slots=True)
class JSONFormat:
    """The answer is one JSON value that is valid for `schema`."""

    param: ClassVar[str] = "response_format"
    schema: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class RegexFormat:
    """The whole answer matches `pattern`, in the syntax of Rust's `regex`."""

    param: ClassVar[str] = "guided_regex"
    pattern: str


@dataclass(frozen=True, slots=True)
class ChoiceFormat:
    """The answer is one of `choices`, verbatim."""

    param: ClassVar[str] = "guided_choice"
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GrammarFormat:
    """The answer is a sentence of a grammar in Lark's or llama.cpp's (GBNF) notation."""

    param: ClassVar[str] = "grammar"
    grammar: str


OutputFormat: TypeAlias = JSONFormat | RegexFormat | ChoiceFormat | GrammarFormat
"""What the whole answer is. `param` is the parameter of the request that asks for it."""


Retention: TypeAlias = Literal["in_memory", "24h"]
"""How long a computed prefix may be kept, as OpenAI says it: never on disk, or for a day."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Who asks, and how: the same for all that is generated for one HTTP request.

    `scope` names who may share computed prefixes and kept answers: the API key's identity.
    Where `is_whole`, no part of the answer is sent before all of it is there: until then the
    backend may begin anew. Where it `may_be_cached`, the answer may be kept, and be a kept one.
    Where it `is_idle`, it gives way to every other request (`utils/traffic`).
    Where it `has_stand_in`, another model answers if this one fails before its first token: until
    then nothing of an answer is shown, not even whose it is.
    """

    scope: str = ""
    is_whole: bool = False
    may_be_cached: bool = False
    is_idle: bool = False
    has_stand_in: bool = False


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One prompt, one answer. Several choices are several requests (`choices.fan_out`).

    `max_tokens` None bounds the answer by the context alone.
    `top_logprobs` None asks for no log-probabilities, 0 for the chosen token's alone.
    With `tool_choice` and `output_format` both, the answer is calls, or text of that format.
    `reasoning_budget` bounds the tokens of thinking: 0 is none, None as many as there is room for.
    `adapters` are all counted in.
    `retention` says how long its prefix may be kept; None leaves that to the settings.
    `is_prose` is for an answer to results of functions: words for a reader, without the notation of
    results, and where no tool may be called, of calls. Held by backends that follow grammars.
    `MeteredBackend` sets `context`. `meter` is told of tokens whose events are held back, or never
    shown; `journey` tells how far the request is.
    """

    prompt: Prompt
    max_tokens: int | None
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    ignore_eos: bool = False
    tool_choice: ToolChoice | None = None
    output_format: OutputFormat | None = None
    reasoning_budget: int | None = None
    adapters: tuple[Adapter, ...] = ()
    is_prose: bool = False
    retention: Retention | None = None
    context: RequestContext = RequestContext()
    meter: TokenMeter = field(default_factory=TokenMeter, compare=False)
    journey: Journey = field(default_factory=Journey, compare=False)

    @property
    def callable_tools(self) -> tuple[ToolSpec, ...]:
        """The tools of the prompt that `tool_choice` allows to call."""
        if self.tool_choice is None or not isinstance(self.prompt, ChatPrompt):
            return ()
        allowed = self.tool_choice.allowed
        return tuple(tool for tool in self.prompt.tools if tool.name in allowed)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """Natural-log probability of one candidate under the model's own distribution.

    `data` are the token's bytes, which need not be whole UTF-8 characters.
    """

    data: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class SampledLogprob:
    """The chosen token, and the most likely candidates in descending order."""

    chosen: TokenLogprob
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts. `cached_tokens` of the prompt were shared, not computed."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds a request spent waiting, computing its prompt, and generating."""

    queue_seconds: float = 0.0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0


CacheUse: TypeAlias = Literal["hit", "miss"]


@dataclass(frozen=True, slots=True)
class ServedBy:
    """Who answers: the kind of backend. `fallback` names the model that took over, if one did.

    `cache` tells whether the answer is one that was kept; None where none was looked for.
    """

    backend: str
    fallback: str | None = None
    cache: CacheUse | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The request was admitted: what can be refused has been. Always the first event.

    `prompt_tokens` is None where the backend tells only at the end. `served_by` is set by whatever
    chose between backends. `unenforced` are functions of which a call may break its schema, where
    some of the answer is shown before that is known. `ignored` are the prompt's variables that
    this model does not read.
    """

    prompt_tokens: int | None
    served_by: ServedBy | None = None
    unenforced: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer: whole characters. `logprobs` are those of the tokens that end here."""

    text: str
    logprobs: tuple[SampledLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of what the model thinks before it answers: whole characters."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallStarted:
    """The model calls a function. `index` counts the calls of one answer from 0."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of the JSON text that are the arguments of call `index`."""

    index: int
    arguments: str


@dataclass(frozen=True, slots=True)
class FunctionExecuted:
    """The server has made a call itself. `index` counts these calls; `result` is JSON text."""

    index: int
    call: ToolCall
    result: str
    is_error: bool
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete. Always the last event; a stream without it was cut.

    `unenforced` are the functions of which a call breaks its schema, or may, since nobody could
    tell. `stop_string` is the stop string that ended it; None where none did, or nobody tells.
    """

    reason: FinishReason
    usage: Usage
    timings: Timings = field(default_factory=Timings)
    unenforced: tuple[str, ...] = ()
    stop_string: str | None = None


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a service between client and model says of the answer so far."""

    value: object


AnswerDelta: TypeAlias = TextDelta | ReasoningDelta | ToolCallStarted | ToolCallDelta
Addition: TypeAlias = AnswerDelta | FunctionExecuted | Annotation
Event: TypeAlias = Started | Addition | Finished
