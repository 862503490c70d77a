"""A draft model on llama.cpp: a context of its own that reads along and guesses what comes next.

It has as many slots as the model that it drafts for, and needs not be told what becomes of those:
what a slot of it holds is compared with the tokens it is asked about, cut where they differ, and
read on from there. So trims, shares, evictions and restores cost it at most a second reading.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.engine.llama_library import load_library
from llm_api.core.llm.engine.llama_model import LlamaModel
from llm_api.core.llm.engine.llama_runner import (
    Batch,
    ContextOptions,
    ContextSize,
    LlamaRunner,
    context_params,
)
from llm_api.core.llm.engine.model_guesses import FIRST_STEPS, Guess, Text, Wish
from llm_api.core.llm.engine.plan import TokenSpan
from llm_api.core.llm.engine.sampling import likeliest, logits_view
from llm_api.core.llm.engine.slots import common_prefix_length
from llm_api.core.llm.engine.step_costs import untried

log = logging.getLogger(__name__)

WORTH_COPYING = 32
"""Tokens that another slot must have read more than a slot itself."""

MOST_SIZE_DIFFERENCE = 128
"""Padding by which vocabularies of one family differ in size: llama.cpp allows as much."""


@dataclass(slots=True)
class _Slot:
    """What a sequence of the draft context holds; the first `agreed` tokens are its sequence's."""

    tokens: list[int] = field(default_factory=list)
    sequence_id: int | None = None
    scope: str = ""
    agreed: int = 0


class DraftModel:
    """A `Drafter`. Every call comes from the thread that computes."""

    def __init__(
        self, model: LlamaModel, runner: LlamaRunner, size: ContextSize, options: ContextOptions
    ) -> None:
        """Allocate its KV buffer and warm up. Takes the model over. Raises ModelFileError."""
        self._library = load_library()
        self._model = model
        self._runner = runner
        self._is_unified = size.is_unified
        self._step_tokens = size.step_tokens
        size = replace(size, outputs=size.slots)
        params = context_params(self._library, size, options)
        self._context = self._library.llama_init_from_model(model.handle, params)
        if not self._context:
            model.close()
            raise ModelFileError(
                f"llama.cpp cannot make a context of {size.kv_tokens} tokens for the draft model:"
                " lower CONTEXT_LENGTH, PARALLEL or KV_TOKENS, or serve without it."
            )
        self._memory = self._library.llama_get_memory(self._context)
        self._batch = Batch(self._library, size.step_tokens)
        self._slots = [_Slot() for _ in range(size.slots)]
        self._weights = np.empty(model.vocabulary_size, dtype=np.float32)
        try:
            self._check_cuts()
            one = min(self._time(1) for _ in range(FIRST_STEPS))
            self.costs = untried(one, wants_equal=not size.is_unified)
        except BaseException:
            self.close()
            raise

    def unread(self, text: Text) -> int:
        slot = self._slots[text.slot]
        if slot.sequence_id != text.sequence_id:
            self._adopt(slot, text)
        last = min(len(slot.tokens), len(text.tokens) - 1)
        while slot.agreed < last and slot.tokens[slot.agreed] == text.tokens[slot.agreed]:
            slot.agreed += 1
        slot.agreed = min(slot.agreed, last)
        self._cut(text.slot, slot.agreed)
        return len(text.tokens) - slot.agreed

    def read(self, texts: Sequence[Text], rows: int) -> None:
        rows = min(rows, self._step_tokens)
        spans = []
        for text in texts:
            start = len(self._slots[text.slot].tokens)
            tokens = tuple(text.tokens[start : min(start + rows, len(text.tokens) - 1)])
            rows -= len(tokens)
            if tokens:
                spans.append(TokenSpan(text.sequence_id, text.slot, start, tokens, samples=False))
        self._decode(spans, kept={text.slot for text in texts})

    def guess(self, wishes: Sequence[Wish]) -> list[tuple[Guess, ...]]:
        found: dict[int, list[Guess]] = {wish.text.slot: [] for wish in wishes}
        by_slot = {wish.text.slot: wish for wish in wishes}
        going_on = self._level(wishes)
        while going_on:
            spans = [
                TokenSpan(
                    by_slot[slot].text.sequence_id,
                    slot,
                    len(self._slots[slot].tokens),
                    tokens,
                    samples=True,
                )
                for slot, tokens in going_on.items()
            ]
            going_on = {}
            for span, row in self._decode(spans, kept=set(by_slot)):
                wish, guesses = by_slot[span.slot], found[span.slot]
                guesses.append(wish.guess(*self._likeliest(row), guesses))
                last = guesses[-1].token
                if wish.wants_more(guesses) and last not in self._model.end_tokens:
                    going_on[span.slot] = (last,)
        return [tuple(found[wish.text.slot]) for wish in wishes]

    def close(self) -> None:
        """Free everything. Idempotent."""
        if self._context:
            self._library.llama_free(self._context)
            self._context = None
            self._model.close()

    def _likeliest(self, row: int) -> tuple[int, float]:
        """The token to guess from a row, and how sure that is."""
        logits = logits_view(self._library, self._context, row, self._model.vocabulary_size)
        return likeliest(logits, self._weights)

    def _level(self, wishes: Sequence[Wish]) -> dict[int, tuple[int, ...]]:
        """What the first step reads of each text: of all as much, as they are computed together."""
        texts = [wish.text for wish in wishes]
        most = max(len(text.tokens) - len(self._slots[text.slot].tokens) for text in texts)
        for text in texts:
            self._cut(text.slot, max(len(text.tokens) - most, 0))
        return {
            text.slot: tuple(text.tokens[len(self._slots[text.slot].tokens) :]) for text in texts
        }

    def _adopt(self, slot: _Slot, text: Text) -> None:
        """Let a slot belong to another sequence: with what it has read of it, or another slot."""
        shared = [
            common_prefix_length(one.tokens, text.tokens) if one.scope == text.scope else 0
            for one in self._slots
        ]
        source = max(range(len(shared)), key=lambda index: shared[index])
        slot.agreed = shared[text.slot]
        if shared[source] >= slot.agreed + WORTH_COPYING:
            self._cut(text.slot, 0)
            self._copy(source, text.slot, shared[source])
            slot.tokens = self._slots[source].tokens[: shared[source]]
            slot.agreed = shared[source]
        slot.sequence_id, slot.scope = text.sequence_id, text.scope

    def _copy(self, source: int, target: int, length: int) -> None:
        end = length if self._is_unified else -1
        self._library.llama_memory_seq_cp(self._memory, source, target, 0, end)
        self._library.llama_memory_seq_rm(self._memory, target, length, -1)

    def _cut(self, index: int, length: int) -> None:
        slot = self._slots[index]
        if len(slot.tokens) > length:
            self._library.llama_memory_seq_rm(self._memory, index, length, -1)
            del slot.tokens[length:]
            slot.agreed = min(slot.agreed, length)

    def _decode(self, spans: Sequence[TokenSpan], kept: set[int]) -> list[tuple[TokenSpan, int]]:
        """Compute these, and say which row of which to guess from. None where there is no room.

        `kept` slots are not emptied for it.
        """
        if not spans:
            return []
        spans = sorted(spans, key=lambda span: span.slot)
        began = time.perf_counter()
        code = self._compute(spans)
        if code == 1:
            for index in set(range(len(self._slots))) - kept:
                self._cut(index, 0)
            code = self._compute(spans)
        if code:
            if code != 1:
                log.error("the draft model cannot compute: llama_decode returned %d", code)
            for span in spans:
                self._cut(span.slot, 0)
            return []
        for span in spans:
            self._slots[span.slot].tokens.extend(span.tokens)
        lengths = [len(span.tokens) for span in spans]
        if self._is_unified or len(set(lengths)) == 1:
            self.costs = self.costs.learnt(sum(lengths), time.perf_counter() - began)
        return list(zip(spans, self._rows, strict=True))

    def _compute(self, spans: Sequence[TokenSpan]) -> int:
        self._rows = self._batch.fill(tuple(spans))
        self._runner.set_threads(self._context, self._batch.struct.n_tokens)
        code: int = self._library.llama_decode(self._context, self._batch.struct)
        self._library.llama_synchronize(self._context)
        return code

    def _check_cuts(self) -> None:
        """Raises ModelFileError where a part of a sequence cannot be cut off."""
        self._time(2)
        self._compute([TokenSpan(0, 0, 0, (0, 0), samples=False)])
        if not self._library.llama_memory_seq_rm(self._memory, 0, 1, -1):
            raise ModelFileError(
                "The draft model cannot take back what it has read (a recurrent or hybrid model);"
                " choose a transformer."
            )
        self._library.llama_memory_clear(self._memory, False)

    def _time(self, rows: int) -> float:
        """Seconds that a step of so many rows takes; its logits are those of the last alone."""
        began = time.perf_counter()
        if self._compute([TokenSpan(0, 0, 0, (0,) * rows, samples=False)]):
            raise ModelFileError("llama.cpp cannot compute the draft model.")
        seconds = time.perf_counter() - began
        self._library.llama_memory_clear(self._memory, False)
        return seconds


def check_vocabularies(model: LlamaModel, draft: LlamaModel) -> None:
    """Raises ModelFileError where a token of one means something else to the other."""
    ours, theirs = model.vocabulary_texts(), draft.vocabulary_texts()
    shared = min(len(ours), len(theirs))
    differs = next((index for index in range(shared) if ours[index] != theirs[index]), None)
    if differs is None and abs(len(ours) - len(theirs)) <= MOST_SIZE_DIFFERENCE:
        return
    what = f"{len(theirs)} tokens, not {len(ours)}"
    if differs is not None and len(ours) == len(theirs):
        what = f"token {differs} is {theirs[differs]!r}, not {ours[differs]!r}"
    raise ModelFileError(
        f"The draft model has another vocabulary ({what}): choose one of the model's own family."
    )
