"""The limit: llama.cpp's low-level API in a bare loop, with no server and no scheduler.

One `llama_decode` per step over all sequences, one greedy sampler chain per sequence, end-of-text
banned. As a program it reads one job a line from standard input, `{"prompts": [text],
"max_tokens": n}`, and answers each with one line, `{"seconds": s, "tokens": n}`.
"""

import ctypes
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from llm_api.core.llm.engine.llama_library import load_library
from llm_api.core.llm.engine.llama_model import LlamaModel, ModelOptions
from scripts.bench.contestants import Conditions

BATCH_TOKENS = 2048
"""Rows of one call; llama.cpp computes them 512 at a time. Both are its own defaults."""


class BareLoop:
    """One context for `parallel` sequences. Blocks while it computes."""

    def __init__(self, conditions: Conditions) -> None:
        self._library = load_library()
        self._model = LlamaModel(conditions.model, ModelOptions())
        self._context = self._open_context(conditions)
        self._batch = _Batch(self._library)

    def generate(self, prompts: list[str], max_tokens: int) -> list[list[int]]:
        """Continue every prompt by `max_tokens` tokens, together. Prompts fit one batch."""
        self._library.llama_memory_clear(self._library.llama_get_memory(self._context), True)
        tokens = [
            self._model.tokenize(prompt, add_special=True, parse_special=True) for prompt in prompts
        ]
        chains = [self._open_chain() for _ in prompts]
        try:
            return self._run(tokens, chains, max_tokens)
        finally:
            for chain in chains:
                self._library.llama_sampler_free(chain)

    def _run(self, prompts: list[list[int]], chains: list[Any], max_tokens: int) -> list[list[int]]:
        sample = self._library.llama_sampler_sample
        rows = self._batch.fill_prompts(prompts)
        answers: list[list[int]] = [[] for _ in prompts]
        for step in range(max_tokens):
            if step:
                self._batch.advance([answer[-1] for answer in answers])
            if self._library.llama_decode(self._context, self._batch.struct) != 0:
                raise RuntimeError("llama_decode failed")
            for answer, chain, row in zip(answers, chains, rows, strict=True):
                answer.append(sample(chain, self._context, row))
            rows = list(range(len(prompts)))
        return answers

    def _open_context(self, conditions: Conditions) -> Any:
        params = self._library.llama_context_default_params()
        params.n_ctx = conditions.context * conditions.parallel
        params.n_batch = BATCH_TOKENS
        params.n_seq_max = conditions.parallel
        params.n_threads = params.n_threads_batch = conditions.threads
        params.no_perf = True
        return self._library.llama_init_from_model(self._model.handle, params)

    def _open_chain(self) -> Any:
        library, ends = self._library, sorted(self._model.end_tokens)
        chain = library.llama_sampler_chain_init(library.llama_sampler_chain_default_params())
        bias = (library.llama_logit_bias * len(ends))(*((end, float("-inf")) for end in ends))
        banned = library.llama_sampler_init_logit_bias(self._model.vocabulary_size, len(ends), bias)
        library.llama_sampler_chain_add(chain, banned)
        library.llama_sampler_chain_add(chain, library.llama_sampler_init_greedy())
        return chain


class _Batch:
    """A `llama_batch` over numpy arrays. Row i of a decode step belongs to sequence i."""

    def __init__(self, library: Any) -> None:
        self._tokens = np.zeros(BATCH_TOKENS, dtype=np.int32)
        self._positions = np.zeros(BATCH_TOKENS, dtype=np.int32)
        self._sequences = np.zeros(BATCH_TOKENS, dtype=np.int32)
        self._counts = np.ones(BATCH_TOKENS, dtype=np.int32)
        self._outputs = np.zeros(BATCH_TOKENS, dtype=np.int8)
        offsets = 4 * np.arange(BATCH_TOKENS, dtype=np.uintp)
        self._pointers = self._sequences.ctypes.data + offsets
        self.struct = library.llama_batch()
        types = dict(library.llama_batch._fields_)
        for name, array in (
            ("token", self._tokens),
            ("pos", self._positions),
            ("n_seq_id", self._counts),
            ("seq_id", self._pointers),
            ("logits", self._outputs),
        ):
            setattr(self.struct, name, ctypes.cast(array.ctypes.data, types[name]))

    def fill_prompts(self, prompts: list[list[int]]) -> list[int]:
        """Lay out all prompts, one behind the other. Returns their last rows."""
        self._lengths = np.array([len(prompt) for prompt in prompts], dtype=np.int32)
        ends = np.cumsum(self._lengths)
        total = int(ends[-1])
        self._tokens[:total] = np.concatenate(prompts)
        self._positions[:total] = np.concatenate([np.arange(n) for n in self._lengths])
        self._sequences[:total] = np.repeat(np.arange(len(prompts)), self._lengths)
        self._outputs[:total] = 0
        self._outputs[ends - 1] = 1
        self.struct.n_tokens = total
        return [int(end) - 1 for end in ends]

    def advance(self, tokens: list[int]) -> None:
        """One row for each sequence: the token drawn last."""
        count = len(tokens)
        if self.struct.n_tokens != count or not self._outputs[:count].all():
            self._sequences[:count] = np.arange(count)
            self._outputs[:count] = 1
            self.struct.n_tokens = count
        self._tokens[:count] = tokens
        self._positions[:count] = self._lengths
        self._lengths += 1


def main(arguments: list[str]) -> None:
    """`python -m scripts.bench.bare_loop MODEL THREADS CONTEXT PARALLEL`, jobs on stdin."""
    model, *numbers = arguments
    threads, context, parallel = map(int, numbers)
    loop = BareLoop(Conditions(Path(model), threads, context, parallel, upstream_port=0))
    for line in sys.stdin:
        job = json.loads(line)
        began = time.perf_counter()
        answers = loop.generate(job["prompts"], job["max_tokens"])
        seconds = time.perf_counter() - began
        print(json.dumps({"seconds": seconds, "tokens": sum(map(len, answers))}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
