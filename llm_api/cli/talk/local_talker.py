"""A model in this very process as the other side of a conversation.

The model runs on an event loop in a second thread; the terminal stays synchronous.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from anyio.from_thread import BlockingPortal, start_blocking_portal

from llm_api.assembly.local_models import find_models
from llm_api.assembly.models import open_models
from llm_api.cli.talk.conversation import (
    Answer,
    AnswerEnding,
    AnswerWishes,
    PromptReading,
)
from llm_api.config.chosen_models import choose_models
from llm_api.config.settings import Settings
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.types import (
    Annotation,
    ChatPrompt,
    Event,
    Finished,
    FunctionExecuted,
    GenerationRequest,
    JSONFormat,
    Message,
    ReasoningDelta,
    Sampling,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)

_LOOK_SECONDS = 0.25
"""How often it is looked how far a prompt is read."""


@dataclass(frozen=True, slots=True)
class LocalTalker:
    """Talks to `backend`, which runs on the loop behind `portal`."""

    portal: BlockingPortal
    backend: Backend
    max_tokens: int | None
    sampling: Sampling

    @property
    def place(self) -> str:
        return "in this process"

    def models(self) -> Sequence[str]:
        return [self.backend.card.id]

    def answer(self, messages: Sequence[Message], wishes: AnswerWishes) -> Answer:
        request = GenerationRequest(
            ChatPrompt(tuple(messages)),
            self.max_tokens,
            self.sampling,
            output_format=_format(wishes),
        )
        events: SimpleQueue[Event | Exception] = SimpleQueue()
        generation = self.portal.start_task_soon(_generate, self.backend, request, events)
        try:
            while True:
                try:
                    event = events.get(timeout=_LOOK_SECONDS)
                except Empty:
                    yield from _how_far(request)
                    continue
                match event:
                    case (
                        Started()
                        | ReasoningDelta()
                        | ToolCallStarted()
                        | ToolCallDelta()
                        | FunctionExecuted()
                        | Annotation()
                    ):
                        continue
                    case TextDelta(text):
                        yield text
                    case Finished(reason, usage):
                        return AnswerEnding(
                            reason,
                            {
                                "prompt_tokens": usage.prompt_tokens,
                                "completion_tokens": usage.completion_tokens,
                            },
                        )
                    case Exception() as error:
                        raise error
        finally:
            generation.cancel()
            wait([generation])


def _format(wishes: AnswerWishes) -> JSONFormat | None:
    """Raises InvalidRequestError for what only a server can do."""
    if wishes.collection is not None or wishes.uses_tools:
        raise InvalidRequestError("Documents and functions are a server's: start `llm-api serve`.")
    if wishes.schema is None:
        return None
    if not isinstance(wishes.schema, dict):
        raise InvalidRequestError("A JSON Schema is a JSON object.")
    return JSONFormat(wishes.schema)


def _how_far(request: GenerationRequest) -> Iterator[PromptReading]:
    now = request.journey.progress()
    if now is not None and now.state != "writing":
        yield PromptReading(
            now.read_tokens, now.prompt_tokens, now.place_in_queue, now.seconds_left
        )


@contextmanager
def local_talker(
    settings: Settings, name: str | None, options: Mapping[str, int | float]
) -> Iterator[LocalTalker]:
    """Load the model of this name, or the first that the settings choose; free it at the end.

    `options` are `max_tokens` and `temperature` where the person gave them: they win over what a
    file of models says. Raises LLMAPIError.
    """
    chosen = choose_models(settings).only(name)
    files = find_models(chosen)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(aclosing(ComputeThread())) as compute,
        portal.wrap_async_context_manager(open_models(chosen, files, compute)) as models,
    ):
        portal.call(models.load_startup_models)
        (card,) = models.cards()
        said = options.get("max_tokens", card.defaults.max_tokens)
        max_tokens = None if said is None else int(said)
        sampling = Sampling(temperature=options.get("temperature", card.defaults.temperature))
        yield LocalTalker(portal, models.resolve(card.id), max_tokens, sampling)


async def _generate(
    backend: Backend, request: GenerationRequest, events: "SimpleQueue[Event | Exception]"
) -> None:
    try:
        async with aclosing(backend.generate(request)) as stream:
            async for event in stream:
                events.put(event)
    except Exception as error:  # noqa: BLE001 - handed on whole: the terminal's thread raises it
        events.put(error)
