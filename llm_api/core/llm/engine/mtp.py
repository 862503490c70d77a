"""Layers of a model's own file that guess ahead (MTP, "next-n"), as a `Drafter`.

Such a layer guesses the token behind one from that token and from what the model itself has made of
the token before it. So the runner shows what it computes (`LlamaRunner.show_hidden`), and the last
WINDOW tokens of each slot are kept. The layer has a context of its own over the same weights. It
looks back on what it has read of these: what was shared, restored or computed long ago it lacks,
which costs right guesses and no right answer.
"""

import ctypes
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.engine.llama_library import load_extension, load_library
from llm_api.core.llm.engine.llama_model import LlamaModel
from llm_api.core.llm.engine.llama_runner import (
    ContextOptions,
    ContextSize,
    LlamaRunner,
    context_params,
)
from llm_api.core.llm.engine.model_guesses import FIRST_STEPS, NEAR, Guess, Text, Wish
from llm_api.core.llm.engine.plan import TokenSpan
from llm_api.core.llm.engine.sampling import likeliest, logits_view
from llm_api.core.llm.engine.step_costs import untried

log = logging.getLogger(__name__)

WINDOW: Final = 256
"""Tokens of a slot for which the hidden states are kept, 4 bytes for each number."""

Hidden = NDArray[np.float32]


@dataclass(slots=True)
class _Slot:
    """What is known of one slot of the model.

    ```
    start               read                     end
    [ seen and read     | seen, to be read ......|
    ```

    The hidden states of positions `start` to `end` are kept. Of those from somewhere on to `read`
    the layer's context holds what it has read; to `held` it holds what it has guessed.
    """

    start: int = 0
    tokens: list[int] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
    read: int = 0
    held: int = 0
    sequence_id: int | None = None
    scope: str = ""

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)

    def see(self, start: int, tokens: Sequence[int], hidden: Sequence[Hidden]) -> None:
        """Take in what the model has computed from position `start` on."""
        if not self.start <= start <= self.end:
            self.start, self.tokens, self.hidden = start, [], []
        del self.tokens[start - self.start :], self.hidden[start - self.start :]
        self.tokens += tokens
        self.hidden += hidden
        over = max(len(self.tokens) - WINDOW, 0)
        del self.tokens[:over], self.hidden[:over]
        self.start += over


class MtpLayers:
    """A `Drafter`. Every call comes from the thread that computes."""

    def __init__(
        self, model: LlamaModel, runner: LlamaRunner, size: ContextSize, options: ContextOptions
    ) -> None:
        """Allocate a context beside the runner's, and watch that. Raises ModelFileError."""
        self._library = load_library()
        extension = load_extension()
        if extension is None:
            raise ModelFileError("This build of llama.cpp cannot run MTP layers: set MTP=false.")
        self._extension = extension
        self._model = model
        self._runner = runner
        self._step_tokens = size.step_tokens
        self._width: int = self._library.llama_model_n_embd_out(model.handle)
        size = replace(size, outputs=size.slots, is_unified=True)
        params = context_params(self._library, size, options)
        params.ctx_type = self._library.LLAMA_CONTEXT_TYPE_MTP
        params.ctx_other = runner.context
        self._context = self._library.llama_init_from_model(model.handle, params)
        if not self._context:
            raise ModelFileError("llama.cpp cannot make a context for the model's MTP layers.")
        self._memory = self._library.llama_get_memory(self._context)
        self._batch = self._library.llama_batch_ext_init(self._context)
        self._extension.llama_set_embeddings_nextn(self._context, True, True)
        self._slots = [_Slot() for _ in range(size.slots)]
        self._weights = np.empty(model.vocabulary_size, dtype=np.float32)
        self._rows = 0
        try:
            one = min(self._time() for _ in range(FIRST_STEPS))
        except BaseException:
            self.close()
            raise
        self.costs = untried(one, wants_equal=False)
        runner.show_hidden(self._see)

    def unread(self, text: Text) -> int:
        slot = self._slots[text.slot]
        last = len(text.tokens) - 1  # drawn, and not computed yet
        known = min(slot.end, last) - slot.start
        is_same = slot.tokens[: max(known, 0)] == list(text.tokens[slot.start : slot.start + known])
        if slot.sequence_id != text.sequence_id:
            is_same = is_same and slot.scope == text.scope
            slot.sequence_id, slot.scope = text.sequence_id, text.scope
        if not is_same:
            self._forget(text.slot)
        if slot.end < last or slot.start >= last:
            return len(text.tokens) + NEAR  # until the model has computed more of it
        self._cut(text.slot, min(slot.read, last))
        if slot.read <= slot.start:  # with what is missing nothing can be read behind it
            self._cut(text.slot, 0)
            slot.read = slot.held = slot.start + 1
        return last + 1 - slot.read

    def read(self, texts: Sequence[Text], rows: int) -> None:
        rows = min(rows, self._step_tokens)
        added: list[tuple[Text, int]] = []
        for text in texts:
            slot = self._slots[text.slot]
            count = min(rows, len(text.tokens) - 1 - slot.read)
            if slot.end < len(text.tokens) - 1 or count <= 0:
                continue
            self._add_read(text, slot.read + count)
            added.append((text, slot.read + count))
            rows -= count
        if added and self._compute():
            for text, end in added:
                self._slots[text.slot].read = self._slots[text.slot].held = end

    def guess(self, wishes: Sequence[Wish]) -> list[tuple[Guess, ...]]:
        found: dict[int, list[Guess]] = {wish.text.slot: [] for wish in wishes}
        rows = [
            (wish, self._add_read(wish.text, len(wish.text.tokens)))
            for wish in wishes
            if self._slots[wish.text.slot].end >= len(wish.text.tokens) - 1
        ]
        is_first = True
        while rows and self._compute():
            for wish, _ in rows:
                slot = self._slots[wish.text.slot]
                slot.held = len(wish.text.tokens) if is_first else slot.held + 1
                slot.read = len(wish.text.tokens)
            is_first = False
            going_on = []
            for wish, row in rows:
                guesses = found[wish.text.slot]
                guesses.append(wish.guess(*self._likeliest(row), guesses))
                last = guesses[-1].token
                if wish.wants_more(guesses) and last not in self._model.end_tokens:
                    going_on.append((wish, last, self._hidden(row)))
            rows = [
                (wish, self._add(wish.text.slot, self._slots[wish.text.slot].held, token, hidden))
                for wish, token, hidden in going_on
            ]
        return [tuple(found[wish.text.slot]) for wish in wishes]

    def close(self) -> None:
        """Free everything but the weights. Idempotent."""
        if self._context:
            self._library.llama_batch_ext_free(self._batch)
            self._library.llama_free(self._context)
            self._context = None

    def _see(self, spans: Sequence[TokenSpan], hidden: Hidden) -> None:
        begin = 0
        for span in spans:
            end = begin + len(span.tokens)
            kept = max(begin, end - WINDOW)
            tokens = span.tokens[kept - begin :]
            start = span.start + kept - begin
            self._slots[span.slot].see(start, tokens, list(hidden[kept:end].copy()))
            begin = end

    def _likeliest(self, row: int) -> tuple[int, float]:
        """The token to guess from a row, and how sure that is."""
        logits = logits_view(self._library, self._context, row, self._model.vocabulary_size)
        return likeliest(logits, self._weights)

    def _hidden(self, row: int) -> Hidden:
        """What the layer itself has made of a token: a guess behind a guess is made of that."""
        pointer = self._extension.llama_get_embeddings_nextn_ith(self._context, row)
        return np.ctypeslib.as_array(pointer, shape=(self._width,)).copy()

    def _add_read(self, text: Text, end: int) -> int:
        """Have a text read on up to `end` in the next step. Returns the last row."""
        slot = self._slots[text.slot]
        row = -1
        for position in range(slot.read, end):
            hidden = slot.hidden[position - 1 - slot.start]
            is_last = end == len(text.tokens) == position + 1
            row = self._add(text.slot, position, text.tokens[position], hidden, draws=is_last)
        return row

    def _add(
        self, slot: int, position: int, token: int, hidden: Hidden, *, draws: bool = True
    ) -> int:
        """Add a row to the next step: a token, and the hidden state of the one before it."""
        library = self._library
        row: int = library.llama_batch_ext_add_token(self._batch, slot, token)
        library.llama_batch_ext_set_pos(self._batch, row, ctypes.byref(ctypes.c_int32(position)))
        address = hidden.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        state = library.llama_embd(address, 1, self._width)
        library.llama_batch_ext_set_embd_token(self._batch, row, state)
        library.llama_batch_ext_set_output_logits(self._batch, row, draws)
        self._rows = row + 1
        return row

    def _compute(self) -> bool:
        """Compute the rows that were added; where that fails nothing is held any more."""
        rows = self._rows
        began = time.perf_counter()
        if code := self._process():
            log.error("the MTP layers cannot compute: llama_process returned %d", code)
            for index in range(len(self._slots)):
                self._forget(index)
            return False
        self.costs = self.costs.learnt(rows, time.perf_counter() - began)
        return True

    def _process(self) -> int:
        self._runner.set_threads(self._context, self._rows)
        kind = self._library.LLAMA_PROCESS_TYPE_DECODE
        code: int = self._library.llama_process(self._context, kind, self._batch)
        self._library.llama_synchronize(self._context)
        self._library.llama_batch_ext_clear(self._batch)
        self._rows = 0
        return code

    def _time(self) -> float:
        """Seconds that a step of one row takes."""
        began = time.perf_counter()
        self._add(0, 0, 0, np.zeros(self._width, dtype=np.float32))
        if self._process():
            raise ModelFileError("llama.cpp cannot compute the model's MTP layers.")
        seconds = time.perf_counter() - began
        self._library.llama_memory_clear(self._memory, False)
        return seconds

    def _forget(self, index: int) -> None:
        slot = self._slots[index]
        self._cut(index, 0)
        slot.start, slot.tokens, slot.hidden = 0, [], []

    def _cut(self, index: int, length: int) -> None:
        slot = self._slots[index]
        if slot.held > length:
            self._library.llama_memory_seq_rm(self._memory, index, length, -1)
        slot.held = min(slot.held, length)
        slot.read = min(slot.read, length)
