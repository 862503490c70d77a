"""A model behind the engine: prompt encoding, the engine and the output machine as one Backend."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from llm_api.core.errors import InvalidRequestError, LLMAPIError, UnavailableError
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.resampling import resampled
from llm_api.core.llm.capabilities import naming, read_alone
from llm_api.core.llm.engine.engine import Engine
from llm_api.core.llm.engine.job import TokenEvent, TokenRequest
from llm_api.core.llm.engine.plan import AdapterScales
from llm_api.core.llm.engine.runner import Constraint, DrawingRules
from llm_api.core.llm.engine.slots import common_prefix_length
from llm_api.core.llm.observation import EngineStatus
from llm_api.core.llm.output.enforce import PreparedOutput
from llm_api.core.llm.output.machine import OutputMachine
from llm_api.core.llm.output.reader import ReadingRules
from llm_api.core.llm.output.schemas.tool_schema import check_demanded_sizes
from llm_api.core.llm.output.thought_limit import Thought, ThoughtLimit, thought_tokens
from llm_api.core.llm.prefix_cache.stored import PINNED_SCOPE
from llm_api.core.llm.prompt.encode import EncodedPrompt, PromptEncoder, Tokenizer
from llm_api.core.llm.prompt.thinking import as_known, budget_of, not_heeded, switch_among
from llm_api.core.llm.types import (
    JSON,
    Adapter,
    AnswerDelta,
    ChatPrompt,
    Event,
    FillInPrompt,
    Finished,
    FinishReason,
    GenerationRequest,
    MarkedText,
    Message,
    ReasoningDelta,
    Sampling,
    Started,
    Tokenized,
    ToolCall,
    ToolCallStarted,
    Usage,
)
from llm_api.core.utils.work_threads import WorkThreads

if TYPE_CHECKING:
    from llm_api.core.llm.output.checking.call_judge import CallJudge, Verdict

log = logging.getLogger(__name__)

Result = TypeVar("Result")

ENCODERS: Final = 4
"""Threads of one model that encode prompts. A slow prompt keeps no other model waiting."""

CHECKERS: Final = 2
"""Threads of one model that check calls. A check is short, but many answers may end at once."""


class Vocabulary(Tokenizer, Protocol):
    """Tokens as text, and those that end an answer."""

    @property
    def end_tokens(self) -> frozenset[int]:
        """Token ids that end an answer."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """As `piece`, but a control token shows its text."""
        ...


class Preparer(Protocol):
    """Says how an answer is to be drawn and read."""

    @property
    def marks(self) -> frozenset[int]:
        """Control tokens that mean something to a reader: to it they are their texts."""
        ...

    def empty_thought(self, prompt_text: str) -> str:
        """What a prompt is followed by for an answer without a thought; "" where it has none."""
        ...

    async def prepare(
        self, request: GenerationRequest, prompt_text: str
    ) -> PreparedOutput[Constraint]:
        """Raises InvalidRequestError for what cannot be enforced."""
        ...

    async def aclose(self) -> None:
        """Wait a short time for work that was given up."""
        ...


class EngineBackend:
    """Generates with one model. Made by `open_llama` and `open_transformers`."""

    def __init__(
        self,
        card: ModelCard,
        vocabulary: Vocabulary,
        encoder: PromptEncoder,
        preparer: Preparer,
        engine: Engine,
        *,
        shares_prefixes_publicly: bool = False,
    ) -> None:
        self._card = card
        self._vocabulary = vocabulary
        self._encoder = encoder
        self._preparer = preparer
        self._engine = engine
        self._shares_prefixes_publicly = shares_prefixes_publicly
        self._threads = ThreadPoolExecutor(ENCODERS, "encode")
        self._checkers = WorkThreads(CHECKERS, per_owner=1)
        self._is_closed = False
        self._pinning: asyncio.Task[None] | None = None

    @property
    def card(self) -> ModelCard:
        return self._card

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        self._card.capabilities.check(request)
        adapter_scales(request.adapters, self._card.adapters)
        request, ignored = read_alone(self._spelled(request), self._reads_variable)
        prompt = await self._on_thread(lambda: self._encoded(request))
        self._check_bias(request)
        output = await self._preparer.prepare(request, prompt.text)
        ignored = not_heeded(ignored, thinks=output.reader.rules.marks is not None)
        events = self._answer(request, prompt, output)
        if output.call_judges:
            first, judge = (
                events,
                partial(self._verdicts, output.call_judges, request.context.scope),
            )
            events = resampled(
                request,
                lambda asked: first if asked is request else self._answer(asked, prompt),
                output.call_judges,
                judge,
            )
        async with aclosing(events):
            async for event in events:
                yield naming(event, ignored)

    def _reads_variable(self, name: str, _value: JSON) -> bool:
        return name in self._encoder.variables

    def _spelled(self, request: GenerationRequest) -> GenerationRequest:
        """The request, its variables as the template knows them."""
        prompt = request.prompt
        if not isinstance(prompt, ChatPrompt):
            return request
        known, budget = self._encoder.variables, request.reasoning_budget
        variables = as_known(prompt.variables, known)
        if budget is None and "reasoning_budget" in self._card.capabilities.abilities:
            budget = budget_of(prompt.variables, known)
        if budget == 0 and (switch := switch_among(known)):
            variables[switch] = False
        prompt = replace(prompt, variables=variables)
        return replace(request, prompt=prompt, reasoning_budget=budget)

    async def _answer(
        self,
        request: GenerationRequest,
        prompt: EncodedPrompt,
        output: PreparedOutput[Constraint] | None = None,
    ) -> AsyncGenerator[Event, None]:
        """One attempt, prepared as `output` or now."""
        if output is None:
            output = await self._preparer.prepare(request, prompt.text)
        length = len(prompt.tokens)
        if request.max_tokens == 0:
            yield Started(length)
            yield Finished("length", Usage(length, 0))
            return
        limit = self._limit(request, length)
        rules = self._drawing_rules(request, output, limit - length)
        token_request = self._token_request(request, prompt.tokens, limit, rules)
        async with self._engine.run(token_request) as tokens:
            yield Started(length)
            machine = OutputMachine(output.reader, request.stop)
            answer = _Answer(self._render, machine, length)
            async with aclosing(answer.events(tokens)) as events:
                async for event in events:
                    yield event

    async def _verdicts(
        self, judges: Mapping[str, "CallJudge"], scope: str, calls: Sequence[ToolCall]
    ) -> list["Verdict"]:
        # The validator's libraries take a tenth of a second to import: only for those who use them.
        from llm_api.core.llm.output.checking.call_judge import verdicts  # noqa: PLC0415

        return await self._checkers.run(partial(verdicts, judges, calls), scope)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text by itself, in order. Raises UnavailableError once closed."""
        return await self._on_thread(lambda: [self._encoder.count(text) for text in texts])

    async def tokenize(self, text: MarkedText | ChatPrompt) -> Tokenized:
        return await self._on_thread(lambda: self._tokenized(text))

    async def detokenize(self, ids: Sequence[int]) -> str:
        return await self._on_thread(lambda: self._spelt(self._encoder.checked_ids(ids)))

    def observe(self) -> Iterator[EngineStatus]:
        """The status of the one engine, as of now."""
        yield self._engine.status()

    def pin(self, prompts: Sequence[ChatPrompt]) -> None:
        """Have these beginnings computed, beside requests, and kept for every scope."""
        if prompts:
            self._pinning = asyncio.create_task(self._pin(prompts))

    async def _pin(self, prompts: Sequence[ChatPrompt]) -> None:
        for number, prompt in enumerate(prompts, 1):
            try:
                tokens = await self._on_thread(partial(self._beginning, prompt))
                rules = DrawingRules(Sampling())
                length = len(tokens) + 1
                request = TokenRequest(tokens, length, rules, frozenset(), PINNED_SCOPE)
                async with self._engine.run(request) as events, aclosing(events):
                    async for _ in events:
                        pass
            except LLMAPIError as error:
                log.warning("PINNED_PROMPTS: file %d is not kept: %s", number, error.message)

    def _beginning(self, prompt: ChatPrompt) -> tuple[int, ...]:
        """What every conversation that goes on from this one begins with. Blocks."""
        one, other = (self._encoder.encode(_going_on(prompt, word)).tokens for word in ("1", "a"))
        return one[: common_prefix_length(one, other)]

    async def aclose(self) -> None:
        """End every request and free the model, once no thread reads its vocabulary any more."""
        self._is_closed = True
        if self._pinning is not None:
            self._pinning.cancel()
            await asyncio.wait((self._pinning,))
        await asyncio.to_thread(self._end_threads)
        await self._preparer.aclose()
        await self._engine.aclose()

    def _end_threads(self) -> None:
        self._encoder.close()
        self._threads.shutdown()  # what waits for a thread is refused there, not cancelled

    def _encoded(self, request: GenerationRequest) -> EncodedPrompt:
        """Blocks. Raises InvalidRequestError, also for what it would be of no use to write."""
        check_demanded_sizes(request)
        prompt = self._encoder.encode(request.prompt)
        is_switched = switch_among(self._encoder.variables) is not None
        if request.reasoning_budget != 0 or is_switched or not prompt.text:
            return prompt
        return self._encoder.extended(prompt, self._preparer.empty_thought(prompt.text))

    def _tokenized(self, text: MarkedText | ChatPrompt) -> Tokenized:
        encoded = self._encoder.tokenize(text)
        pieces = tuple(map(self._vocabulary.token_bytes, encoded.tokens))
        return Tokenized(encoded.tokens, pieces, encoded.text)

    def _spelt(self, ids: Sequence[int]) -> str:
        return b"".join(map(self._vocabulary.token_bytes, ids)).decode("utf-8", "replace")

    async def _on_thread(self, call: Callable[[], Result]) -> Result:
        """What `call` returns. Raises UnavailableError once the model is being closed."""

        def unless_closed() -> Result:
            self._check_open()
            return call()

        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._threads, unless_closed)

    def _check_open(self) -> None:
        if self._is_closed:
            raise UnavailableError("The model is being unloaded.")

    def _drawing_rules(
        self, request: GenerationRequest, output: PreparedOutput[Constraint], room: int
    ) -> DrawingRules:
        """`room` bounds the tokens of the answer."""
        banned = self._end_tokens(request) if request.ignore_eos else frozenset()
        return DrawingRules(
            request.sampling,
            request.top_logprobs,
            banned,
            output.constraint,
            self._thought_limit(request, output.reader.rules, room),
        )

    def _thought_limit(
        self, request: GenerationRequest, rules: ReadingRules, room: int
    ) -> ThoughtLimit | None:
        """What ends a thought in time; None where there is none, or nobody can."""
        marks = rules.marks
        if marks is None or "reasoning_budget" not in self._card.capabilities.abilities:
            return None
        thought = Thought(marks, rules.thinking, self._encoder.inner_tokens(marks.closing))
        tokens = thought_tokens(thought, request.reasoning_budget, room)
        return ThoughtLimit(thought, tokens, self._render)

    def _render(self, token: int) -> bytes:
        """The bytes that a token adds to the text: none for control tokens, except marks."""
        if token in self._preparer.marks:
            return self._vocabulary.token_bytes(token)
        return self._vocabulary.piece(token)

    def _token_request(
        self,
        request: GenerationRequest,
        prompt: tuple[int, ...],
        limit: int,
        rules: DrawingRules,
    ) -> TokenRequest:
        return TokenRequest(
            prompt=prompt,
            limit=limit,
            rules=rules,
            end_tokens=self._end_tokens(request),
            scope=self._scope(request),
            adapters=adapter_scales(request.adapters, self._card.adapters),
            journey=request.journey,
            retention=request.retention,
        )

    def _scope(self, request: GenerationRequest) -> str:
        scope = request.context.scope
        return "" if self._shares_prefixes_publicly and scope != PINNED_SCOPE else scope

    def _limit(self, request: GenerationRequest, length: int) -> int:
        """Where the answer to a prompt of this length is cut, the prompt included."""
        room, most = self._encoder.context_length, request.max_tokens
        return room if most is None else min(length + most, room)

    def _end_tokens(self, request: GenerationRequest) -> frozenset[int]:
        """What fills in a text ends where it would begin another one."""
        marks = self._vocabulary.fill_in
        if marks is None or not isinstance(request.prompt, FillInPrompt):
            return self._vocabulary.end_tokens
        return self._vocabulary.end_tokens | marks.all

    def _check_bias(self, request: GenerationRequest) -> None:
        size = self._vocabulary.vocabulary_size
        for token, _ in request.sampling.logit_bias:
            if not 0 <= token < size:
                raise InvalidRequestError(
                    f"Token {token} is not in the model's vocabulary of {size}.",
                    param="logit_bias",
                )


def _going_on(prompt: ChatPrompt, word: str) -> ChatPrompt:
    """A conversation in which the user says something more. Pure."""
    *before, last = prompt.messages
    if last.role == "user":
        return replace(prompt, messages=(*before, replace(last, content=last.content + word)))
    return replace(prompt, messages=(*prompt.messages, Message("user", word)))


def adapter_scales(asked: Sequence[Adapter], known: Sequence[Adapter]) -> AdapterScales:
    """The adapters that a request names, as the engine takes them. Pure.

    Raises InvalidRequestError for one that is not known, and for one that is named twice.
    """
    own = {adapter.name: adapter.scale for adapter in known}
    numbers = {str(number): adapter.name for number, adapter in enumerate(known)}
    scales: dict[str, float] = {}
    for adapter in asked:
        name = adapter.name if adapter.name in own else numbers.get(adapter.name)
        if name is None or name in scales:
            what = f"names `{adapter.name}` twice" if name else f"knows no `{adapter.name}`"
            raise InvalidRequestError(
                f"'lora' {what}; this model's adapters are {', '.join(own)}.", param="lora"
            )
        scale = adapter.scale if adapter.scale is not None else own[name]
        scales[name] = 1.0 if scale is None else scale
    return tuple(sorted((name, scale) for name, scale in scales.items() if scale))


class _Answer:
    """Turns the tokens of one request into its events."""

    def __init__(
        self, render: Callable[[int], bytes], machine: OutputMachine, prompt_tokens: int
    ) -> None:
        self._render = render
        self._machine = machine
        self._prompt_tokens = prompt_tokens
        self._completion_tokens = 0
        self._reasoning_tokens = 0
        self._has_calls = False

    async def events(self, tokens: AsyncGenerator[TokenEvent, None]) -> AsyncGenerator[Event, None]:
        async for token_event in tokens:
            if (drawn := token_event.drawn) is not None:
                deltas = self._machine.feed(self._render(drawn.token), drawn.logprob)
                self._count(deltas)
                for delta in deltas:
                    yield delta
            if self._machine.has_stopped:
                yield self._finished("stop", token_event)
                return
            if token_event.finish_reason is not None:
                for delta in self._machine.flush():
                    self._has_calls |= isinstance(delta, ToolCallStarted)
                    yield delta
                yield self._finished(token_event.finish_reason, token_event)

    def _count(self, deltas: Sequence[AnswerDelta]) -> None:
        """Take note of one token, and what it showed."""
        self._completion_tokens += 1
        kinds = {type(delta) for delta in deltas}
        self._reasoning_tokens += ReasoningDelta in kinds
        self._has_calls |= ToolCallStarted in kinds

    def _finished(self, reason: FinishReason, last: TokenEvent) -> Finished:
        usage = Usage(
            self._prompt_tokens,
            self._completion_tokens,
            last.cached_tokens,
            self._reasoning_tokens,
        )
        if reason == "stop" and self._has_calls:
            reason = "tool_calls"
        return Finished(reason, usage, last.timings, stop_string=self._machine.stop_string)
