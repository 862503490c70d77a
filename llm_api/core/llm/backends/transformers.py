"""Any causal language model that transformers runs, in this process, on CPU or GPU.

Requests that wait when a batch has ended are computed together in the next (`BatchScheduler`); on
one worker thread, so that the event loop goes on. Slower than llama.cpp by far: it is for models
of which there is no GGUF file. Tools and output formats are not among what it can do by itself.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.drawing import DRAWING_FIELDS
from llm_api.core.llm.backends.engine_backend import EngineBackend
from llm_api.core.llm.backends.transformers_loading import LoadedModel, ModelSource, load_model
from llm_api.core.llm.backends.transformers_runner import TransformersRunner
from llm_api.core.llm.capabilities import Ability, Capabilities
from llm_api.core.llm.engine.batch_scheduler import BatchScheduler
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.engine import Engine
from llm_api.core.llm.engine.runner import Constraint
from llm_api.core.llm.output.dialect import Dialect, recognise
from llm_api.core.llm.output.enforce import PreparedOutput
from llm_api.core.llm.prompt.encode import PromptEncoder
from llm_api.core.llm.prompt.template import ChatTemplate
from llm_api.core.llm.types import ChatPrompt, Event, GenerationRequest

log = logging.getLogger(__name__)

TRANSFORMERS_CAPABILITIES: Final = Capabilities(
    frozenset({"chat", "text", "tokens", "logprobs", "ignore_eos"}),
    sampling=DRAWING_FIELDS,
)

"""With `fill_in` where the vocabulary has the marks."""

PLAIN_TEMPLATE: Final = (
    "{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""For a model without a chat template, as most are that were never taught to chat.

A transcript: `System: ...`, `User: ...`, `Assistant:`, a line each. The model may go on with the
user's next line, which `PLAIN_STOP` cuts off. Nothing keeps a message from imitating a line.
"""

PLAIN_STOP: Final = ("\nUser:",)


@dataclass(frozen=True, slots=True)
class TransformersOptions:
    """Up to `batch_size` requests are computed together, `max_queue` more wait.

    A batch needs room for `batch_size` times the context. `context_length` None is the model's
    own, and never more than that: positions beyond it have no meaning, or none at all.
    """

    source: ModelSource
    batch_size: int = 8
    max_queue: int = 64
    context_length: int | None = None


class TransformersBackend(EngineBackend):
    """Owns the thread it computes on. Made by `open_transformers`."""

    def __init__(
        self,
        card: ModelCard,
        loaded: LoadedModel,
        template: ChatTemplate,
        engine: Engine,
        compute: ComputeThread,
    ) -> None:
        vocabulary = loaded.vocabulary
        encoder = PromptEncoder(
            vocabulary,
            template,
            loaded.context_length,
            template_is_whole=loaded.chat_template is not None,
        )
        preparer = _FreeAnswers(recognise(_source(loaded), vocabulary.control_tokens))
        super().__init__(card, vocabulary, encoder, preparer, engine)
        self._compute = compute
        self._chat_stop = () if loaded.chat_template is not None else PLAIN_STOP

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        if self._chat_stop and isinstance(request.prompt, ChatPrompt):
            request = replace(request, stop=(*request.stop, *self._chat_stop))
        return super().generate(request)

    async def aclose(self) -> None:
        await super().aclose()
        await self._compute.aclose()


class _FreeAnswers:
    """A `Preparer` without constraints: the capabilities allow no demands."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.marks = dialect.marks_as_text
        self.empty_thought = dialect.empty_thought

    async def aclose(self) -> None:
        """There is nothing to wait for."""

    async def prepare(
        self, request: GenerationRequest, prompt_text: str
    ) -> PreparedOutput[Constraint]:
        return PreparedOutput(None, self._dialect.plan(request, prompt_text).reader)


async def open_transformers(card: ModelCard, options: TransformersOptions) -> TransformersBackend:
    """Load a model, on the thread that will compute with it. Raises ModelFileError.

    The card it gets says what the model can do, and how long its context is.
    """
    compute = ComputeThread()
    try:
        loaded = await compute.run(partial(load_model, options.source))
        loaded = replace(loaded, context_length=_context_length(card.id, loaded, options))
        engine = Engine(
            compute,
            capacity=options.batch_size + options.max_queue,
            parallel=options.batch_size,
        )
        await engine.start(partial(_make_runner, loaded, options))
        card = replace(
            card,
            context_length=loaded.context_length,
            backend="huggingface",
            capabilities=_capabilities(loaded),
        )
        template = await asyncio.to_thread(_template, loaded)
        return TransformersBackend(card, loaded, template, engine, compute)
    except BaseException:
        await compute.aclose()
        raise


def _source(loaded: LoadedModel) -> str:
    return loaded.chat_template or PLAIN_TEMPLATE


def _template(loaded: LoadedModel) -> ChatTemplate:
    return ChatTemplate(
        _source(loaded),
        bos_text=loaded.vocabulary.bos_text,
        eos_text=loaded.vocabulary.eos_text,
        control_texts=frozenset(loaded.vocabulary.control_tokens),
    )


def _capabilities(loaded: LoadedModel) -> Capabilities:
    if loaded.vocabulary.fill_in is None:
        return TRANSFORMERS_CAPABILITIES
    abilities: frozenset[Ability] = TRANSFORMERS_CAPABILITIES.abilities | {"fill_in"}
    return replace(TRANSFORMERS_CAPABILITIES, abilities=abilities)


def _make_runner(
    loaded: LoadedModel, options: TransformersOptions
) -> tuple[BatchScheduler, TransformersRunner]:
    return BatchScheduler(options.batch_size), TransformersRunner(loaded.model, loaded.vocabulary)


def _context_length(name: str, loaded: LoadedModel, options: TransformersOptions) -> int:
    wanted = options.context_length
    if wanted is not None and wanted > loaded.context_length:
        log.warning(
            "%s reads %d tokens, not the %d of CONTEXT_LENGTH", name, loaded.context_length, wanted
        )
    return min(wanted or loaded.context_length, loaded.context_length)
