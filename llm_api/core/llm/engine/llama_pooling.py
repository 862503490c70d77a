"""llama.cpp's other use: one vector for each sequence, pooled as the model's file says."""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.engine.llama_library import load_library
from llm_api.core.llm.engine.llama_model import LlamaModel
from llm_api.core.llm.engine.llama_runner import Batch
from llm_api.core.llm.engine.plan import TokenSpan
from llm_api.core.llm.engine.runner import DecodeError

LONGEST_TEXT = 8192
"""Tokens, whatever the model was trained for: a text is computed at once, in memory of its size."""

SEQUENCES = 64
"""Of one call. llama.cpp allows 256; more than this no call gains by."""


class PoolingContext:
    """Embeds sequences of tokens. Every call comes from one thread; it owns the model.

    `max_tokens` bounds one sequence, `dimension` is the length of a vector.
    """

    def __init__(self, model: LlamaModel, *, step_tokens: int, threads: int) -> None:
        """Raises ModelFileError where the file names no pooling, or memory is short."""
        self._library = load_library()
        self.model = model
        self.max_tokens = min(model.training_context, LONGEST_TEXT)
        self._capacity = max(step_tokens, self.max_tokens)
        params = self._params(threads)
        self._context = self._library.llama_init_from_model(model.handle, params)
        if not self._context:
            raise ModelFileError(
                f"llama.cpp cannot make a context of {self._capacity} tokens to embed with."
            )
        pooling = self._library.llama_pooling_type(self._context)
        if pooling not in self._poolings():
            self.close()
            raise ModelFileError(
                "The file names no pooling that this use needs: it is no model that embeds, or"
                " none that ranks (RERANK_MODEL)."
            )
        self.dimension = self._find_dimension()
        self._memory = self._library.llama_get_memory(self._context)
        self._batch = Batch(self._library, self._capacity)

    def embed(self, sequences: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """One row for each sequence. Raises DecodeError."""
        rows = []
        for group in self._groups(sequences):
            rows += self._embed(group)
        return np.stack(rows)

    def close(self) -> None:
        """Free context and model. Idempotent."""
        if self._context:
            self._library.llama_free(self._context)
            self._context = None
        self.model.close()

    def _params(self, threads: int) -> Any:
        params = self._library.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = self._capacity
        params.n_seq_max = SEQUENCES
        params.n_threads = params.n_threads_batch = threads
        params.embeddings = True
        params.kv_unified = True
        params.no_perf = True
        return params

    def _poolings(self) -> set[int]:
        library = self._library
        return {
            library.LLAMA_POOLING_TYPE_MEAN,
            library.LLAMA_POOLING_TYPE_CLS,
            library.LLAMA_POOLING_TYPE_LAST,
        }

    def _find_dimension(self) -> int:
        dimension: int = self._library.llama_model_n_embd_out(self.model.handle)
        return dimension

    def _groups(self, sequences: Sequence[Sequence[int]]) -> list[list[Sequence[int]]]:
        """The sequences, in their order, as many together as one call takes."""
        groups: list[list[Sequence[int]]] = [[]]
        room = self._capacity
        for sequence in sequences:
            if len(sequence) > room or len(groups[-1]) == SEQUENCES:
                groups.append([])
                room = self._capacity
            groups[-1].append(sequence)
            room -= len(sequence)
        return groups

    def _embed(self, sequences: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        # Every row is an output: pooling reads them all.
        spans = tuple(
            TokenSpan(slot, slot, 0, tuple(tokens), samples=True, drafted=len(tokens) - 1)
            for slot, tokens in enumerate(sequences)
        )
        self._batch.fill(spans)
        if self._memory:
            self._library.llama_memory_clear(self._memory, True)
        if (result := self._library.llama_decode(self._context, self._batch.struct)) != 0:
            raise DecodeError(f"llama_decode returned {result}")
        return [self._vector(slot) for slot in range(len(sequences))]

    def _vector(self, slot: int) -> NDArray[np.float32]:
        pointer = self._library.llama_get_embeddings_seq(self._context, slot)
        if not pointer:
            raise DecodeError(f"no vector for sequence {slot}")
        address = ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(address, (self.dimension,)).copy()
