"""A model in this very process as the other side of a conversation.

The model runs on an event loop in a second thread; the terminal stays synchronous.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from queue import SimpleQueue

from anyio.from_thread import BlockingPortal, start_blocking_portal

from llm_api.assembly.local_models import find_models
from llm_api.assembly.models import open_models
from llm_api.cli.talk.conversation import Answer
from llm_api.config.chosen_models import choose_models
from llm_api.config.settings import Settings
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.types import (
    Annotation,
    ChatPrompt,
    Event,
    Finished,
    FunctionExecuted,
    GenerationRequest,
    Message,
    ReasoningDelta,
    Sampling,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)


@dataclass(frozen=True, slots=True)
class LocalTalker:
    """Talks to `backend`, which runs on the loop behind `portal`."""

    portal: BlockingPortal
    backend: Backend
    max_tokens: int | None
    sampling: Sampling

    def answer(self, messages: Sequence[Message]) -> Answer:
        request = GenerationRequest(ChatPrompt(tuple(messages)), self.max_tokens, self.sampling)
        events: SimpleQueue[Event | Exception] = SimpleQueue()
        generation = self.portal.start_task_soon(_generate, self.backend, request, events)
        try:
            while True:
                match events.get():
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
                    case Finished(reason):
                        return reason
                    case Exception() as error:
                        raise error
        finally:
            generation.cancel()
            wait([generation])


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
