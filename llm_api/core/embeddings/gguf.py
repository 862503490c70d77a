"""GGUF embedding models as an Encoder, through llama.cpp: no PyTorch."""

from collections.abc import Sequence
from pathlib import Path

from llm_api.core.embeddings.embedder import Vectors
from llm_api.core.embeddings.encoder import EncoderFacts, EncoderText, Pause, SpecialTokens
from llm_api.core.embeddings.vectors import normalised
from llm_api.core.errors import ModelFileError
from llm_api.core.llm.engine.llama_model import LlamaModel, ModelOptions
from llm_api.core.llm.engine.llama_pooling import PoolingContext
from llm_api.core.llm.files.download import download_path, pull_model
from llm_api.core.llm.files.parts import read_model


class GGUFEncoder:
    """One loaded model. Its vectors have length 1, as llama.cpp's own server makes them."""

    def __init__(self, context: PoolingContext) -> None:
        self._context = context
        self._model = context.model
        self._special = SpecialTokens.of(self.tokenize)
        self._facts = EncoderFacts(
            dimension=context.dimension,
            max_tokens=context.max_tokens,
            vocabulary_size=self._model.vocabulary_size,
        )

    @property
    def facts(self) -> EncoderFacts:
        return self._facts

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._model.tokenize(text, add_special=True, parse_special=False) for text in texts]

    def cut(self, ids: Sequence[int], length: int) -> Sequence[int]:
        return self._special.cut(ids, length)

    def spell(self, ids: Sequence[int]) -> str:
        pieces = (self._model.piece(token) for token in self._special.inside(ids))
        return b"".join(pieces).decode("utf-8", "replace")

    def encode(self, texts: Sequence[EncoderText], adapter: str | None, pause: Pause) -> Vectors:
        """Never pauses: llama.cpp computes a batch in one call. There are no adapters."""
        return normalised(self._context.embed([text.ids for text in texts]))

    def close(self) -> None:
        self._context.close()


def open_gguf(path: Path, model: ModelOptions, *, step_tokens: int, threads: int) -> GGUFEncoder:
    """Load a model on the thread that will compute with it. Blocks. Raises ModelFileError."""
    read_model(path)
    loaded = LlamaModel(path, model)
    try:
        return GGUFEncoder(PoolingContext(loaded, step_tokens=step_tokens, threads=threads))
    except ModelFileError:
        loaded.close()
        raise


def find_gguf(name: str, models_dir: Path) -> Path:
    """The file that the name means, fetched first if it has to be. Blocks.

    Raises ModelFileError or DownloadError.
    """
    on_hub = _on_hub(name)
    return Path(name).expanduser() if on_hub is None else pull_model(*on_hub, models_dir)


def gguf_place(name: str, models_dir: Path) -> Path:
    """Where the file is that the name means, here or not yet. Raises DownloadError."""
    on_hub = _on_hub(name)
    return Path(name).expanduser() if on_hub is None else download_path(*on_hub, models_dir)


def _on_hub(name: str) -> tuple[str, str] | None:
    """The repository and the file, of `owner/repository/file.gguf`; None for a path."""
    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    if Path(name).expanduser().exists() or not file or name.startswith(("/", ".", "~")):
        return None
    return f"{owner}/{repository}", file
