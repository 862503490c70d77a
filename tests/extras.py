"""What tests need of the extras of pyproject.toml."""

from importlib.util import find_spec

import pytest

needs_ocr = pytest.mark.skipif(
    find_spec("rapidocr") is None,
    reason="the extra `ocr` is not installed: .venv/bin/pip install -c constraints.txt -e '.[ocr]'",
)
needs_sentence_transformers = pytest.mark.skipif(
    find_spec("sentence_transformers") is None,
    reason="the extra `embeddings` is not installed: make embeddings",
)
