"""The default embedding model, loaded once for all tests that need it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_api.core.embeddings.model_files import installed_default
from llm_api.core.embeddings.sentence_transformer import (
    SentenceTransformerEncoder,
    SentenceTransformerOptions,
    open_sentence_transformer,
)


@pytest.fixture(scope="session")
def default_folder() -> Path:
    folder = installed_default()
    assert folder is not None, "make setup installs it"
    return folder


@pytest.fixture(scope="session")
def default_encoder(default_folder: Path) -> Iterator[SentenceTransformerEncoder]:
    """sentence-transformers' own, in float32, on one thread."""
    options = SentenceTransformerOptions(default_folder, numerics="float32")
    encoder = open_sentence_transformer(options)
    yield encoder
    encoder.close()
