"""The local model: a GGUF file on llama.cpp, with continuous batching and constrained decoding."""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.engine_backend import EngineBackend
from llm_api.core.llm.capabilities import without
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.draft_model import DraftModel, check_vocabularies
from llm_api.core.llm.engine.engine import Engine
from llm_api.core.llm.engine.grammar import COMPILER_STACK_BYTES, GrammarCompiler
from llm_api.core.llm.engine.llama_library import load_extension
from llm_api.core.llm.engine.llama_model import LlamaModel, ModelOptions
from llm_api.core.llm.engine.llama_runner import (
    ContextOptions,
    ContextSize,
    LlamaRunner,
)
from llm_api.core.llm.engine.model_guesses import Drafter
from llm_api.core.llm.engine.mtp import MtpLayers
from llm_api.core.llm.engine.scheduler import (
    DRAFTING_STEP_TOKENS,
    Scheduler,
    SchedulerLimits,
)
from llm_api.core.llm.engine.slots import SlotTable
from llm_api.core.llm.engine.step_costs import StepCosts, linear
from llm_api.core.llm.output.dialect import recognise
from llm_api.core.llm.output.enforce import OutputEnforcer
from llm_api.core.llm.prefix_cache.fingerprint import fingerprint
from llm_api.core.llm.prefix_cache.model_prefixes import ModelPrefixes
from llm_api.core.llm.prefix_cache.prefix_cache import PrefixCache
from llm_api.core.llm.prompt.encode import PromptEncoder
from llm_api.core.llm.prompt.template import FALLBACK_TEMPLATE, ChatTemplate
from llm_api.core.llm.types import ChatPrompt

log = logging.getLogger(__name__)

STEP_TOKENS = 512
"""Rows of one decode call: llama.cpp's own default for a physical batch."""

LONGEST_STALL_SECONDS = 0.3
"""How long a part of a prompt may keep running streams waiting, as far as 16 rows allow."""

IDLE_SLOTS = 8
"""Slots of a unified buffer beyond the parallel ones, to keep prefixes of finished requests.

A divided buffer has none: each would take the room of a whole context.
"""


DRAFT_TOKENS = 15
"""What prompt lookup drafts at most: what a row costs here, and how often it was right, decide."""

ASSUMED_COSTS = linear(0.1)
"""Where a person has said how much is drafted: they take it that drafts pay."""


@dataclass(frozen=True, slots=True)
class LlamaOptions:
    """How many requests share the engine, and how much room each has.

    `parallel` requests of `context_length` tokens run together, `max_queue` more wait. They
    share `kv_tokens` of room, and take turns where it is short; None gives each its own.
    Prefixes are shared within one scope only, unless publicly. Up to `draft_tokens` are drafted
    ahead for an answer that repeats its context, where that pays on this machine.
    `draft_model` is the file of a small model that drafts where nothing is repeated; without it the
    model's own MTP layers do (`model.has_mtp`).
    `context` and `model` are handed on whole. `pinned` are beginnings of conversations that are
    computed beforehand, and kept for every scope.
    """

    context_length: int
    parallel: int
    max_queue: int
    context: ContextOptions
    kv_tokens: int | None = None
    shares_prefixes_publicly: bool = False
    draft_tokens: int | None = None
    pinned: tuple[ChatPrompt, ...] = ()
    draft_model: Path | None = None
    model: ModelOptions = field(default_factory=ModelOptions)


async def open_llama(
    path: Path,
    card: ModelCard,
    options: LlamaOptions,
    compute: ComputeThread,
    prefixes: PrefixCache | None = None,
) -> EngineBackend:
    """Load a model that computes on `compute`. Raises ModelFileError.

    Prefixes that leave its slots are kept in `prefixes`, which `compute` owns.
    Weights are read and the chat template is tried on other threads: streams of other models go on.
    """
    model, draft = await asyncio.to_thread(_load_all, path, card, options)
    capacity = options.parallel + options.max_queue
    engine = Engine(compute, capacity=capacity, parallel=options.parallel)
    stored = await asyncio.to_thread(_stored, prefixes or PrefixCache(), path, card.id, options)
    await engine.start(partial(_make_runner, model, draft, options, stored))
    source = model.chat_template or FALLBACK_TEMPLATE
    try:
        template = await asyncio.to_thread(_template, source, model)
    except BaseException:
        await engine.aclose()
        raise
    encoder = PromptEncoder(model, template, options.context_length)
    dialect = recognise(source, model.control_tokens)
    enforcer = OutputEnforcer(dialect, GrammarCompiler(model), stack_bytes=COMPILER_STACK_BYTES)
    if model.fill_in is None:
        card = replace(card, capabilities=without("fill_in", card.capabilities))
    public = options.shares_prefixes_publicly
    backend = EngineBackend(card, model, encoder, enforcer, engine, shares_prefixes_publicly=public)
    backend.pin(options.pinned)
    return backend


def _template(source: str, model: LlamaModel) -> ChatTemplate:
    return ChatTemplate(
        source,
        bos_text=model.bos_text,
        eos_text=model.eos_text,
        control_texts=frozenset(model.control_tokens),
    )


def _drafting(
    options: LlamaOptions, runner: LlamaRunner
) -> tuple[int, StepCosts, StepCosts | None]:
    """How many tokens lookup drafts at most, what rows cost, and what it takes them to cost."""
    if options.draft_tokens is not None:
        assumed = replace(ASSUMED_COSTS, wants_equal=runner.costs.wants_equal)
        return options.draft_tokens, runner.costs, assumed
    return DRAFT_TOKENS, runner.costs, None


def _load_all(
    path: Path, card: ModelCard, options: LlamaOptions
) -> tuple[LlamaModel, LlamaModel | None]:
    """The model, and the one that drafts for it. Raises ModelFileError."""
    model = _load(path, card, options)
    if options.draft_model is None:
        return model, None
    try:
        draft = LlamaModel(options.draft_model, replace(options.model, adapters=(), has_mtp=False))
    except BaseException:
        model.close()
        raise
    try:
        check_vocabularies(model, draft)
    except BaseException:
        model.close()
        draft.close()
        raise
    return model, draft


def _load(path: Path, card: ModelCard, options: LlamaOptions) -> LlamaModel:
    if options.kv_tokens is not None and options.kv_tokens < options.context_length:
        raise ModelFileError(
            f"KV_TOKENS {options.kv_tokens} is less than the {options.context_length} of"
            " CONTEXT_LENGTH: no request of full length would fit."
        )
    model = LlamaModel(path, options.model)
    if model.chat_template is None:
        log.warning("%s has no chat template: conversations are laid out as ChatML", path.name)
    if options.context_length > model.training_context:
        log.warning(
            "CONTEXT_LENGTH %d is more than the %d tokens that %s was trained on",
            options.context_length,
            model.training_context,
            path.name,
        )
    return model


def _slots(options: LlamaOptions) -> int:
    return options.parallel + (IDLE_SLOTS if options.kv_tokens is not None else 0)


def _stored(prefixes: PrefixCache, path: Path, name: str, options: LlamaOptions) -> ModelPrefixes:
    """The prefixes kept of this model, opened in this way. Blocks."""
    context = options.context
    print_ = fingerprint(
        [path, *(one.path for one in options.model.adapters)],
        # A state has a part for each part of the buffer, and the precision of its own.
        [
            *(one.name for one in options.model.adapters),
            context.kv_cache_type,
            context.flash_attention,
            options.model.gpu_layers,
            _slots(options) if options.kv_tokens is None else "unified",
        ],
    )
    prefixes.models[print_] = name
    return ModelPrefixes(prefixes, print_, options.context_length)


def _make_runner(
    model: LlamaModel, draft: LlamaModel | None, options: LlamaOptions, stored: ModelPrefixes
) -> tuple[Scheduler, LlamaRunner]:
    """Allocate the room for requests and warm up. On the thread that computes."""
    is_unified = options.kv_tokens is not None
    slots = _slots(options)
    size = ContextSize(
        kv_tokens=options.kv_tokens or options.context_length * options.parallel,
        slots=slots,
        step_tokens=STEP_TOKENS,
        outputs=max(slots, DRAFTING_STEP_TOKENS),
        is_unified=is_unified,
    )
    try:
        runner = LlamaRunner(model, size, options.context)
    except ModelFileError:
        model.close()
        if draft is not None:
            draft.close()
        raise
    if runner.can_trim:
        stored.bytes_per_token = runner.state_bytes
    drafter = _make_drafter(draft, runner, size, options)
    limits = SchedulerLimits(
        options.parallel,
        STEP_TOKENS,
        LONGEST_STALL_SECONDS,
        runner.can_trim,
        *_drafting(options, runner),
        can_cut_restored=runner.can_cut_restored,
    )
    return Scheduler(SlotTable(size.slots, runner.cell_count), limits, drafter, stored), runner


def _make_drafter(
    draft: LlamaModel | None, runner: LlamaRunner, size: ContextSize, options: LlamaOptions
) -> Drafter | None:
    """What guesses ahead, if anything does. Ends the runner where it cannot be made."""
    drafter: DraftModel | MtpLayers
    try:
        if draft is not None:
            drafter = DraftModel(draft, runner, size, options.context)
        elif options.model.has_mtp and runner.can_trim and load_extension() is not None:
            drafter = MtpLayers(runner.model, runner, size, options.context)
        else:
            return None
    except BaseException:
        runner.shut_down()
        raise
    runner.at_shut_down(drafter.close)
    return drafter
