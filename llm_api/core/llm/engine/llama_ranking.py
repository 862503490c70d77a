"""llama.cpp's models that rank: one score for a question and a text that are read together."""

import mmap
from pathlib import Path
from struct import pack
from typing import Final, TypeAlias

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.engine.llama_model import LlamaModel
from llm_api.core.llm.engine.llama_pooling import PoolingContext

Frame: TypeAlias = tuple[list[int], list[int], list[int]]
"""The tokens before the question, between it and the text, and behind that."""

_QUESTION: Final = "{query}"
_TEXT: Final = "{document}"

_HEADS: Final = (b"cls.weight", b"cls.output.weight")
_HEADER_BYTES: Final = 1 << 27


class RankingContext(PoolingContext):
    """Scores sequences of tokens. `dimension` is how many classes there are."""

    def __init__(self, model: LlamaModel, *, step_tokens: int, threads: int) -> None:
        """Raises ModelFileError where the file is no model that ranks, or memory is short."""
        super().__init__(model, step_tokens=step_tokens, threads=threads)
        self.frame = self._find_frame()

    def _poolings(self) -> set[int]:
        return {self._library.LLAMA_POOLING_TYPE_RANK}

    def _find_dimension(self) -> int:
        classes: int = self._library.llama_model_n_cls_out(self.model.handle)
        return classes

    def _find_frame(self) -> Frame:
        """As llama.cpp's server: by the file's own template, or [BOS] ... [EOS] [SEP] ... [EOS]."""
        template = self._library.llama_model_chat_template(self.model.handle, b"rerank")
        if template is None:
            return self._plain_frame()
        before, _, rest = template.decode("utf-8", "replace").partition(_QUESTION)
        between, found, behind = rest.partition(_TEXT)
        if not found:
            self.close()
            raise ModelFileError("The file's template for reranking has no place for both texts.")
        opening, middle, closing = (
            self.model.tokenize(text, add_special=False, parse_special=True)
            for text in (before, between, behind)
        )
        return opening, middle, closing

    def _plain_frame(self) -> Frame:
        library, vocabulary = self._library, self.model.vocabulary
        separator: int = library.llama_vocab_sep(vocabulary)
        end = self.model.eos_token if self.model.eos_token >= 0 else separator
        ends = [end] if library.llama_vocab_get_add_eos(vocabulary) else []
        separates = [separator] if library.llama_vocab_get_add_sep(vocabulary) else []
        begins = [library.llama_vocab_bos(vocabulary)] if self.model.adds_bos else []
        return begins, [*ends, *separates], ends


def check_head(path: Path) -> None:
    """Raises ModelFileError for a file without a head that ranks: llama.cpp would end the process.

    Looks for the names of its tensors where the header may be. Blocks.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        names = (pack("<Q", len(name)) + name for name in _HEADS)
        if not any(data.find(name, 0, _HEADER_BYTES) >= 0 for name in names):
            raise ModelFileError(f"{path} holds no head that ranks: it is no reranking model.")
