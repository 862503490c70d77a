"""What llama.cpp says of a file before it is loaded; `backends/test_llama` has the loaded one."""

from pathlib import Path

import pytest

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.engine.llama_model import check_known
from llm_api.core.llm.files.installed import default_model_path
from tests.core.llm.tiny_gguf import write_gguf


def test_a_model_is_known_by_its_header() -> None:
    check_known(default_model_path())


def test_a_model_that_llama_cpp_does_not_know_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot load"):
        check_known(write_gguf(tmp_path / "m.gguf"))
