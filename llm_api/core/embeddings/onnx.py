"""BERT models on ONNX Runtime as an Encoder: no PyTorch. In float32, as they were trained.

ONNX Runtime and the tokenizer are imported when a model of this kind is opened, never before.

Each thread computes texts of its own, which scales better than sharing every product between all:
nobody waits in between, and no thread spins while others have work for its core.
"""

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llm_api.core.embeddings.bert import (
    HIDDEN,
    LENGTHS,
    parts,
    read_folder,
    read_weights,
    token_vectors,
)
from llm_api.core.embeddings.embedder import Vectors
from llm_api.core.embeddings.encoder import EncoderFacts, EncoderText, Pause, TokenizedTexts, go_on
from llm_api.core.embeddings.vectors import normalised
from llm_api.core.errors import ModelFileError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SHARE_TOKENS = 64
"""Fewer than these gain nothing by a thread of their own: the weights are read for each."""


class OnnxEncoder(TokenizedTexts):
    """One loaded model. Its vectors are the mean of its tokens', of length 1."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Raises ModelFileError."""
        bert = read_folder(folder)
        tokenizer = _plain_tokenizer(folder)
        super().__init__(tokenizer)
        try:
            # Mapped twice: the pages of what the parts have copied are given back between.
            self._parts = [_Part.of(model) for model in parts(bert, read_weights(folder))]
            self._tokens, self._positions = token_vectors(read_weights(folder))
        except (KeyError, ValueError) as error:
            raise ModelFileError(f"{folder} holds no whole BERT: {error}.") from error
        self._facts = EncoderFacts(
            dimension=bert.width,
            max_tokens=bert.max_tokens,
            vocabulary_size=tokenizer.get_vocab_size(),
            prompts=bert.prompts,
            default_prompt=bert.default_prompt,
        )
        self._threads = threads
        self._others = ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="embed")
        self._is_shared = False  # a batch that comes in a pause finds the others at work

    @property
    def facts(self) -> EncoderFacts:
        return self._facts

    def encode(self, texts: Sequence[EncoderText], adapter: str | None, pause: Pause) -> Vectors:
        """Pauses before every half of a layer. There are no adapters."""
        batch = [text.ids for text in texts]
        count = self._shares(batch)
        if count == 1:
            return self._encode(batch, pause)
        # Every count-th text: a batch is in the order of lengths, so the shares are alike.
        others = [
            self._others.submit(self._encode, batch[start::count], go_on)
            for start in range(1, count)
        ]
        self._is_shared = True
        try:
            shares = [self._encode(batch[::count], pause)]
        finally:
            wait(others)
            self._is_shared = False
        shares += [other.result() for other in others]
        vectors = np.empty((len(batch), self._facts.dimension), dtype=np.float32)
        for start, share in enumerate(shares):
            vectors[start::count] = share
        return vectors

    def close(self) -> None:
        self._others.shutdown()
        self._parts = []

    def _shares(self, batch: Sequence[Sequence[int]]) -> int:
        if self._is_shared:
            return 1
        worth = sum(map(len, batch)) // SHARE_TOKENS
        return max(1, min(self._threads, len(batch), worth))

    def _encode(self, batch: Sequence[Sequence[int]], pause: Pause) -> Vectors:
        lengths = np.array([len(ids) for ids in batch], dtype=np.int32)
        hidden = self._embedded(batch)
        for part in self._parts:
            pause()
            hidden = part.run(hidden, lengths)
        is_text = np.arange(hidden.shape[1]) < lengths[:, None]
        shares = (is_text / lengths[:, None]).astype(np.float32)
        return normalised(np.matmul(shares[:, None], hidden)[:, 0])

    def _embedded(self, batch: Sequence[Sequence[int]]) -> Vectors:
        """Shape (texts, tokens of the longest, dimension); zeros behind a shorter text."""
        shape = len(batch), max(map(len, batch)), self._tokens.shape[1]
        embedded = np.zeros(shape, dtype=np.float32)
        for row, ids in zip(embedded, batch, strict=True):
            np.add(self._tokens[list(ids)], self._positions[: len(ids)], out=row[: len(ids)])
        return embedded


@dataclass(frozen=True, slots=True)
class _Part:
    """An ONNX model, ready to run. Thread-safe."""

    session: Any
    inputs: frozenset[str]
    output: str

    @classmethod
    def of(cls, model: bytes) -> "_Part":
        session = _session(model)
        inputs = frozenset(one.name for one in session.get_inputs())
        return cls(session, inputs, session.get_outputs()[0].name)

    def run(self, hidden: Vectors, lengths: NDArray[np.int32]) -> Vectors:
        given = {HIDDEN: hidden, LENGTHS: lengths}
        [computed] = self.session.run([self.output], {name: given[name] for name in self.inputs})
        return np.asarray(computed)


def _session(model: bytes) -> Any:
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    options.add_session_config_entry("session.use_env_allocators", "1")
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@functools.cache
def _runtime() -> Any:
    """ONNX Runtime, with one arena for the sessions of this process.

    With an arena for each, which is its default, the parts of a model keep 170 MB more.
    """
    import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415 - see above; has no types

    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    as_needed = onnxruntime.OrtArenaCfg({"arena_extend_strategy": 1})
    onnxruntime.create_and_register_allocator(memory, as_needed)
    return onnxruntime


def _plain_tokenizer(folder: Path) -> "Tokenizer":
    """One that neither pads nor cuts. Raises ModelFileError."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - see above

    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises no other
        raise ModelFileError(f"{folder} has no tokenizer.json that can be read.") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
