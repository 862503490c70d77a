"""How fast and how well one model file computes here: tokens per second, and loss per token.

A separate context, no scheduler, no sampling: the figures are of llama.cpp and this machine.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_api.core.errors import GenerationError, ModelFileError
from llm_api.core.llm.engine.llama_library import load_library
from llm_api.core.llm.engine.llama_model import LlamaModel, ModelOptions
from llm_api.core.llm.engine.sampling import logits_view

CHUNK_TOKENS = 256
"""A text is scored in pieces of this length, each without memory of the one before."""

_SCORED_ROWS = 64  # logits held at a time: 64 rows of 150,000 floats are 38 MB


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second of one sequence: of a prompt in one step, and one by one behind it."""

    prefill: float
    decode: float


@dataclass(frozen=True, slots=True)
class Workload:
    """`prompt_tokens` prefilled at once, then `decode_tokens` decoded singly, on `threads`."""

    threads: int
    prompt_tokens: int = 256
    decode_tokens: int = 32


@contextmanager
def open_gauge(path: Path, model_options: ModelOptions, workload: Workload) -> Iterator["Gauge"]:
    """Load a model and warm it up; free everything at the end. Raises ModelFileError."""
    model = LlamaModel(path, model_options)
    try:
        gauge = Gauge(model, workload)
        try:
            yield gauge
        finally:
            gauge.close()
    finally:
        model.close()


class Gauge:
    """One llama.cpp context over `model`, for one sequence. Blocks; for one thread."""

    def __init__(self, model: LlamaModel, workload: Workload) -> None:
        self._library = load_library()
        self._model = model
        self._workload = workload
        rows = max(workload.prompt_tokens, _SCORED_ROWS)
        self._context = self._library.llama_init_from_model(model.handle, self._params(rows))
        if not self._context:
            raise ModelFileError("llama.cpp cannot make a context for this model.")
        self._batch = self._library.llama_batch_init(rows, 0, 1)
        self._memory = self._library.llama_get_memory(self._context)
        # The first step touches every page of the weights, and starts the threads.
        self._decode([0] * min(rows, 32), 0, scores_all=False)

    def close(self) -> None:
        self._library.llama_batch_free(self._batch)
        self._library.llama_free(self._context)

    def tokens(self, text: str) -> list[int]:
        return self._model.tokenize(text, add_special=False, parse_special=False)

    def speed(self, tokens: Sequence[int]) -> Speed:
        """Run the workload once over these tokens, repeated as needed; what they say is no matter.

        Raises GenerationError.
        """
        load = self._workload
        needed = load.prompt_tokens + load.decode_tokens
        tokens = (list(tokens) * (needed // len(tokens) + 1))[:needed]
        self._forget()
        started = time.perf_counter()
        self._decode(tokens[: load.prompt_tokens], 0, scores_all=False)
        prefilled = time.perf_counter()
        for position in range(load.prompt_tokens, needed):
            self._decode(tokens[position : position + 1], position, scores_all=False)
        finished = time.perf_counter()
        return Speed(
            load.prompt_tokens / (prefilled - started), load.decode_tokens / (finished - prefilled)
        )

    def losses(self, tokens: Sequence[int]) -> Iterator[NDArray[np.float64]]:
        """Negative log-likelihood of each token given those before it, chunk by chunk.

        Of a chunk's first token there is a loss only where the model begins texts with a BOS.
        Raises GenerationError.
        """
        opening: list[int] = []
        if self._model.adds_bos:
            opening = self._model.tokenize("", add_special=True, parse_special=False)[:1]
        step = CHUNK_TOKENS - len(opening)
        for start in range(0, len(tokens), step):
            yield self._chunk_losses([*opening, *tokens[start : start + step]])

    def _chunk_losses(self, tokens: Sequence[int]) -> NDArray[np.float64]:
        self._forget()
        found: list[float] = []
        for start in range(0, len(tokens) - 1, _SCORED_ROWS):
            span = tokens[start : min(start + _SCORED_ROWS, len(tokens) - 1)]
            self._decode(span, start, scores_all=True)
            found += [self._loss(row, tokens[start + row + 1]) for row in range(len(span))]
        return np.array(found)

    def _loss(self, row: int, token: int) -> float:
        logits = logits_view(self._library, self._context, row, self._model.vocabulary_size)
        shifted = logits - logits.max()
        return math.log(float(np.exp(shifted, dtype=np.float64).sum())) - float(shifted[token])

    def _decode(self, tokens: Sequence[int], start: int, *, scores_all: bool) -> None:
        """One step over consecutive tokens; returns when it is computed."""
        batch = self._batch
        batch.n_tokens = len(tokens)
        for row, token in enumerate(tokens):
            batch.token[row] = token
            batch.pos[row] = start + row
            batch.n_seq_id[row] = 1
            batch.seq_id[row][0] = 0
            batch.logits[row] = scores_all
        batch.logits[len(tokens) - 1] = True
        code = self._library.llama_decode(self._context, batch)
        self._library.llama_synchronize(self._context)
        if code:
            raise GenerationError(f"llama.cpp cannot compute this model: it returned {code}.")

    def _forget(self) -> None:
        self._library.llama_memory_clear(self._memory, True)

    def _params(self, rows: int) -> Any:
        load = self._workload
        params = self._library.llama_context_default_params()
        params.n_ctx = max(load.prompt_tokens + load.decode_tokens, CHUNK_TOKENS)
        params.n_batch = params.n_ubatch = rows
        params.n_seq_max = 1
        params.n_outputs_max = _SCORED_ROWS
        params.n_threads = params.n_threads_batch = load.threads
        params.no_perf = True
        return params


def sample_text() -> str:
    """Some 2,000 tokens of prose, dialogue, a recipe, a letter and code, written for this use."""
    return Path(__file__).with_name("sample_text.txt").read_text(encoding="utf-8")


def perplexity(losses: NDArray[np.float64]) -> float:
    """The exponential of the mean loss. Pure."""
    return float(np.exp(losses.mean()))


def perplexity_change(
    before: NDArray[np.float64], after: NDArray[np.float64]
) -> tuple[float, float]:
    """Relative change of the perplexity, and its standard error. Pure.

    The losses are those of the same tokens: compared in pairs, far fewer tokens tell a difference.
    """
    differences = after - before
    change = math.expm1(float(differences.mean()))
    deviation = float(differences.std(ddof=1)) if len(differences) > 1 else math.inf
    return change, (1 + change) * deviation / math.sqrt(len(differences))
