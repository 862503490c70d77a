"""The runner on llama.cpp: one context, one unified KV buffer, one batch reused by every step."""

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.engine.llama_library import load_extension, load_library
from llm_api.core.llm.engine.llama_model import LlamaModel
from llm_api.core.llm.engine.llama_states import SlotStates
from llm_api.core.llm.engine.plan import (
    AdapterScales,
    CopyPrefix,
    KvOperation,
    RestoreSlot,
    SaveSlot,
    StepPlan,
    TokenSpan,
    TrimSlot,
)
from llm_api.core.llm.engine.runner import (
    ConstraintError,
    DecodeError,
    DrawingRules,
    Drawn,
    NoRoomError,
    RestoreError,
)
from llm_api.core.llm.engine.sampling import (
    Candidates,
    Repetitions,
    Sampler,
    logits_view,
    logprobs,
)
from llm_api.core.llm.engine.step_costs import untried
from llm_api.core.llm.engine.thread_count import CpuWaits, StepThreads

# Return values of llama_decode, from llama.h.
_DECODED = 0
_NO_KV_SLOT = 1

FlashAttention: TypeAlias = Literal["auto", "on", "off"]
KvCacheType: TypeAlias = Literal["f16", "q8_0", "q4_0"]


@dataclass(frozen=True, slots=True)
class ContextOptions:
    """How a context computes, as a person chooses it.

    `adapts_threads`: whether fewer compute while other programs hold the cores.
    llama.cpp refuses a quantised V without flash attention.
    """

    threads: int
    flash_attention: FlashAttention = "auto"
    kv_cache_type: KvCacheType = "f16"
    adapts_threads: bool = False


@dataclass(frozen=True, slots=True)
class ContextSize:
    """`kv_tokens` cells in total for `slots` sequences; at most `step_tokens` rows a step.

    In a unified buffer the sequences share the cells, and a common prefix takes no room twice. In
    a divided one each has its part: a prefix is copied, and no sequence looks through the cells
    of the others for its own.
    `outputs` bounds the rows of a step from which a token is drawn; at least `slots`.
    """

    kv_tokens: int
    slots: int
    step_tokens: int
    outputs: int
    is_unified: bool = True


class LlamaRunner:
    """Executes step plans. Every call comes from one thread, from `execute` on.

    `can_trim`: whether this model's KV can be cut; then a state has about `state_bytes` a token.
    `costs`: what its steps take, before the first.
    """

    def __init__(self, model: LlamaModel, size: ContextSize, options: ContextOptions) -> None:
        """Allocate the KV buffer. Raises ModelFileError where there is not enough memory."""
        self._library = load_library()
        self.model = model
        self._size = size
        self._is_unified = size.is_unified or self._needs_keepers()
        self.context = self._library.llama_init_from_model(
            model.handle, self._params(size, options)
        )
        if not self.context:
            raise ModelFileError(
                f"llama.cpp cannot make a context of {size.kv_tokens} tokens: lower"
                " CONTEXT_LENGTH, PARALLEL or KV_TOKENS if memory is short; KV_CACHE_TYPE"
                f" {options.kv_cache_type} may need FLASH_ATTENTION."
            )
        self._threads = StepThreads(options.threads, CpuWaits() if options.adapts_threads else None)
        self._memory = self._library.llama_get_memory(self.context)
        self.cell_count: int = self._library.llama_n_ctx(self.context)
        self._batch = Batch(self._library, size.step_tokens)
        self._candidates = Candidates(model.vocabulary_size)
        self._repetitions = Repetitions(model.vocabulary, model.vocabulary_size, size.kv_tokens)
        self._adapters: AdapterScales = ()
        self._at_shut_down: list[Callable[[], None]] = []
        self._samplers: dict[int, tuple[Sampler, DrawingRules]] = {}
        self._see: Callable[[Sequence[TokenSpan], NDArray[np.float32]], None] | None = None
        self.can_trim = self._can_trim()
        self._keeper_offset = size.slots if self.can_trim and self._needs_keepers() else 0
        self._batch.add_keepers(self._keeper_offset)
        self._states = SlotStates(self._library, self.context, self._keeper_offset)
        self.costs = untried(self.step_seconds(1), wants_equal=not self._is_unified)

    def open(self, sequence_id: int, rules: DrawingRules, prompt: tuple[int, ...]) -> None:
        sampler = Sampler(rules, prompt, self._candidates, self._repetitions)
        self._samplers[sequence_id] = sampler, rules

    def close(self, sequence_id: int) -> None:
        if (opened := self._samplers.pop(sequence_id, None)) is not None:
            opened[0].close()

    def execute(self, plan: StepPlan) -> dict[int, list[Drawn]]:
        lost = frozenset(one for one in map(self._apply, plan.kv_operations) if one is not None)
        if lost:
            raise RestoreError(lost)
        if not plan.spans:
            return {}
        if plan.adapters != self._adapters:
            self._use(plan.adapters)
        first_rows = self._batch.fill(plan.spans)
        self.set_threads(self.context, self._batch.struct.n_tokens)
        with self._threads.watch():
            result = self._library.llama_decode(self.context, self._batch.struct)
        if result == _NO_KV_SLOT:
            raise NoRoomError
        if result != _DECODED:
            raise DecodeError(f"llama_decode returned {result}")
        if self._see is not None:
            self._see(plan.spans, self._hidden())
        return {
            span.sequence_id: self._draw_along(span, row)
            for span, row in zip(plan.spans, first_rows, strict=True)
            if span.samples
        }

    def set_threads(self, context: Any, rows: int) -> None:
        """Let the next step of a context, of so many rows, have as many threads as it should."""
        count = self._threads.count_for(rows)
        self._library.llama_set_n_threads(context, count, count)

    def show_hidden(self, see: Callable[[Sequence[TokenSpan], NDArray[np.float32]], None]) -> None:
        """Have `see` called behind each step, with a view of the hidden state of each of its rows.

        Where this llama.cpp has MTP layers; each row is what the model made of a token.
        """
        if (extension := load_extension()) is not None:
            extension.llama_set_embeddings_nextn(self.context, True, False)
            self._see = see

    def _hidden(self) -> NDArray[np.float32]:
        extension = load_extension()
        if extension is None:
            raise AssertionError("nothing is shown without the extension")
        shape = self._batch.struct.n_tokens, self._library.llama_model_n_embd_out(self.model.handle)
        pointer = extension.llama_get_embeddings_nextn(self.context)
        return np.ctypeslib.as_array(pointer, shape=shape)

    def at_shut_down(self, call: Callable[[], None]) -> None:
        """Have `call` free what was made for this runner, before the runner itself is freed."""
        self._at_shut_down.append(call)

    def shut_down(self) -> None:
        for sequence_id in list(self._samplers):
            self.close(sequence_id)
        while self._at_shut_down:
            self._at_shut_down.pop()()
        if self.context:
            self._repetitions.close()
            self._threads.close()
            self._library.llama_free(self.context)
            self.context = None
            self.model.close()

    def _use(self, adapters: AdapterScales) -> None:
        """Let these adapters count from the next step on. Raises DecodeError."""
        handles = [self.model.adapters[name] for name, _ in adapters]
        result = self._library.llama_set_adapters_lora(
            self.context,
            (self._library.llama_adapter_lora_p_ctypes * len(handles))(*handles),
            len(handles),
            (ctypes.c_float * len(handles))(*(scale for _, scale in adapters)),
        )
        if result:
            raise DecodeError(f"llama_set_adapters_lora returned {result}")
        self._adapters = adapters

    def _params(self, size: ContextSize, options: ContextOptions) -> Any:
        params = context_params(self._library, size, options)
        params.kv_unified = self._is_unified
        if self._needs_keepers():
            params.n_seq_max = 2 * size.slots
            params.n_outputs_max = max(size.outputs, params.n_seq_max)
        return params

    def _can_trim(self) -> bool:
        """Whether a part of a sequence can be cut off: recurrent models refuse."""
        self._decode_for_nothing(rows=2)
        self.state_bytes = self._library.llama_state_seq_get_size(self.context, 0) // 2
        can_trim: bool = self._library.llama_memory_seq_rm(self._memory, 0, 1, -1)
        self._forget()
        return can_trim

    def _forget(self) -> None:
        """Free all cells. What they hold stays: to write zeros over it took a third of a second."""
        self._library.llama_memory_clear(self._memory, False)

    def step_seconds(self, rows: int) -> float:
        """How long a step of so many rows takes. Only before the first plan."""
        began = time.perf_counter()
        self._decode_for_nothing(rows)
        seconds = time.perf_counter() - began
        self._forget()
        return seconds

    def _decode_for_nothing(self, rows: int) -> None:
        span = TokenSpan(0, slot=0, start=0, tokens=(0,) * rows, samples=True, drafted=rows - 1)
        self._batch.fill((span,))
        if self._library.llama_decode(self.context, self._batch.struct) != _DECODED:
            raise ModelFileError("llama.cpp cannot compute this model: it failed on two tokens.")
        self._library.llama_synchronize(self.context)

    def _needs_keepers(self) -> bool:
        """Whether llama.cpp would overwrite resident tokens: those behind a sliding window.

        However large its cache is, it takes cells of tokens that the next token of their
        sequence does not see (`llama_kv_cache::find_slot`). A sequence that is cut sees them
        again. It spares cells that two sequences hold, so every slot's cells have a second
        holder: its keeper.
        """
        handle = self.model.handle
        has_window = self._library.llama_model_n_swa(handle) > 0
        return has_window and not self._library.llama_model_is_hybrid(handle)

    @property
    def can_cut_restored(self) -> bool:
        """Whether a state is all of its sequence; of a sliding window it is what its end sees."""
        return not self._needs_keepers()

    def _apply(self, operation: KvOperation) -> int | None:
        """Returns the slot that could not be restored."""
        match operation:
            case SaveSlot(slot, place):
                self._states.save(slot, place)
            case RestoreSlot(slot, source):
                return None if self._states.restore(slot, source) else slot
            case CopyPrefix() | TrimSlot():
                self._move(operation)
        return None

    def _move(self, operation: CopyPrefix | TrimSlot) -> None:
        for offset in {0, self._keeper_offset}:
            match operation:
                case CopyPrefix(source, target, length):
                    self._copy(source, target + offset, length)
                case TrimSlot(slot, length):
                    if not self._library.llama_memory_seq_rm(
                        self._memory, slot + offset, length, -1
                    ):
                        raise DecodeError(f"slot {slot} cannot be cut at {length}")

    def _copy(self, source: int, target: int, length: int) -> None:
        """Copy a prefix, or the whole where llama.cpp can do no less, and cut it then."""
        end = length if self.can_trim and self._is_unified else -1
        self._library.llama_memory_seq_cp(self._memory, source, target, 0, end)
        if self.can_trim and not self._is_unified:
            self._library.llama_memory_seq_rm(self._memory, target, length, -1)

    def _draw_along(self, span: TokenSpan, row: int) -> list[Drawn]:
        """Draw from `row`, and on from the rows of the draft while it is what was drawn."""
        drawn: list[Drawn] = []
        try:
            while _is_beginning(drawn, span.draft):
                drawn += self._draw(span.sequence_id, row + len(drawn))
                if drawn[-1].token in self.model.end_tokens:
                    break
        except ConstraintError:
            return []
        return drawn

    def _draw(self, sequence_id: int, row: int) -> list[Drawn]:
        """One token, and those that must follow it; each alone where their logprobs are wanted."""
        sampler, rules = self._samplers[sequence_id]
        token = sampler.draw(self.context, row)
        if rules.top_logprobs is not None:
            logits = logits_view(self._library, self.context, row, self.model.vocabulary_size)
            top = rules.top_logprobs
            drawn = [Drawn(token, logprobs(logits, token, top, self.model.token_bytes))]
        else:
            drawn = [Drawn(token)]
        if rules.is_free or token in self.model.end_tokens:
            return drawn
        forced = _followers(rules, token)
        for follower in forced:
            sampler.remember(follower)
        return drawn + [Drawn(follower) for follower in forced]


def context_params(library: Any, size: ContextSize, options: ContextOptions) -> Any:
    """A `llama_context_params` for a context of this size."""
    params = library.llama_context_default_params()
    params.n_ctx = size.kv_tokens
    params.n_batch = size.step_tokens
    params.n_ubatch = size.step_tokens
    params.n_seq_max = size.slots
    params.n_outputs_max = max(size.outputs, params.n_seq_max)  # llama.cpp asserts it
    params.n_threads = options.threads
    params.n_threads_batch = options.threads
    params.flash_attn_type = {
        "auto": library.LLAMA_FLASH_ATTN_TYPE_AUTO,
        "on": library.LLAMA_FLASH_ATTN_TYPE_ENABLED,
        "off": library.LLAMA_FLASH_ATTN_TYPE_DISABLED,
    }[options.flash_attention]
    params.type_k = params.type_v = {
        "f16": library.GGML_TYPE_F16,
        "q8_0": library.GGML_TYPE_Q8_0,
        "q4_0": library.GGML_TYPE_Q4_0,
    }[options.kv_cache_type]
    params.kv_unified = size.is_unified
    params.swa_full = True  # a prefix of a sliding-window model can be cut only in a full one
    params.no_perf = True
    return params


def _followers(rules: DrawingRules, token: int) -> list[int]:
    """The tokens that must follow one that was drawn. Raises ConstraintError."""
    closing = rules.thought.accept(token) if rules.thought is not None else ()
    if (constraint := rules.constraint) is None:
        return list(closing)
    for one in (token, *closing):
        constraint.accept(one)
    forced = constraint.force() if rules.top_logprobs is None else []
    if rules.thought is not None:
        for one in forced:
            rules.thought.accept(one)
    return [*closing, *forced]


def _is_beginning(drawn: Sequence[Drawn], draft: Sequence[int]) -> bool:
    """Whether the draft goes on as what was drawn, so that its next row is worth a draw."""
    return len(drawn) <= len(draft) and all(
        one.token == guess for one, guess in zip(drawn, draft, strict=False)
    )


class Batch:
    """A `llama_batch` over its own numpy arrays, filled anew for each step.

    One row for each token of the step: its id, its position in its sequence, whether its logits
    are wanted, and the one or two sequences that it belongs to (its slot, and that slot's keeper).
    The rows of a span are neighbours in the order of its tokens; the spans follow one another.
    Only the first `struct.n_tokens` rows count.
    """

    def __init__(self, library: Any, capacity: int) -> None:
        self._tokens = np.zeros(capacity, dtype=np.int32)
        self._positions = np.zeros(capacity, dtype=np.int32)
        self._outputs = np.zeros(capacity, dtype=np.int8)
        # The sequences of each row, one or two: llama.cpp wants a pointer to the first id.
        self._sequences = np.zeros((capacity, 2), dtype=np.int32)
        self._counts = np.ones(capacity, dtype=np.int32)
        self._pointers = self._sequences.ctypes.data + 8 * np.arange(capacity, dtype=np.uintp)
        self._keeper_offset = 0
        arrays: dict[str, NDArray[Any]] = {
            "token": self._tokens,
            "pos": self._positions,
            "n_seq_id": self._counts,
            "seq_id": self._pointers,
            "logits": self._outputs,
        }
        self.struct = library.llama_batch()
        types = dict(library.llama_batch._fields_)
        for name, array in arrays.items():
            setattr(self.struct, name, ctypes.cast(array.ctypes.data, types[name]))

    def add_keepers(self, offset: int) -> None:
        """Let each row belong to the sequence `offset` higher as well, from now on; 0 does not."""
        self._keeper_offset = offset
        self._counts.fill(2 if offset else 1)

    def fill(self, spans: tuple[TokenSpan, ...]) -> list[int]:
        """Lay the spans out row by row. Returns the first row to draw from, for each span."""
        rows = []
        start = 0
        for span in spans:
            end = start + len(span.tokens)
            self._tokens[start:end] = span.tokens
            self._positions[start:end] = range(span.start, span.start + len(span.tokens))
            self._sequences[start:end] = span.slot, span.slot + self._keeper_offset
            first = end - 1 - span.drafted
            self._outputs[start:first] = 0
            self._outputs[first:end] = span.samples
            rows.append(first)
            start = end
        self.struct.n_tokens = start
        return rows
