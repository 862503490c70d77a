from pathlib import Path

import pytest

from llm_api.core.errors import InvalidRequestError, ModelFileError
from llm_api.core.llm.files.gguf import read_gguf
from llm_api.core.llm.files.gguf_types import FILE_TYPES
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.tuning.quantise import (
    BITS_PER_WEIGHT,
    estimated_bytes,
    parse_type,
    quantise,
    quantised_name,
    require_space,
    temporary_file,
)
from tests.core.llm.tiny_gguf import write_gguf


@pytest.mark.parametrize(
    ("typed", "name"), [("q4_0", "Q4_0"), (" Q4-K-M ", "Q4_K_M"), ("iq4_nl", "IQ4_NL")]
)
def test_a_type_is_known_however_it_is_written(typed: str, name: str) -> None:
    assert parse_type(typed) == name


@pytest.mark.parametrize("typed", ["q4", "", "IQ2_XXS"])
def test_an_unknown_type_is_refused_with_the_known_ones(typed: str) -> None:
    with pytest.raises(InvalidRequestError, match="Q4_0"):
        parse_type(typed)


def test_every_type_has_a_number_in_the_file_format() -> None:
    assert BITS_PER_WEIGHT.keys() <= set(FILE_TYPES.values())


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("SmolLM2.Q4_1", "SmolLM2.Q4_0.gguf"),
        ("qwen-q4_k_m", "qwen.Q4_0.gguf"),
        ("plain", "plain.Q4_0.gguf"),
        ("big-F16-00001-of-00003", "big.Q4_0.gguf"),
    ],
)
def test_the_new_file_is_named_after_its_type(stem: str, name: str) -> None:
    assert quantised_name(stem, "Q4_0") == name


def test_a_full_disk_is_seen_before_anything_is_written(tmp_path: Path) -> None:
    require_space(tmp_path, 1)
    with pytest.raises(ModelFileError, match="free"):
        require_space(tmp_path, 10**18)


def test_a_temporary_file_goes_unless_it_is_moved(tmp_path: Path) -> None:
    target = tmp_path / "m.gguf"
    with temporary_file(target) as path:
        path.write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []
    with temporary_file(target) as path:
        path.write_bytes(b"x")
        path.replace(target)
    assert list(tmp_path.iterdir()) == [target]


def test_the_default_model_is_written_in_another_type(tmp_path: Path) -> None:
    target = tmp_path / "m.part"
    sizes: list[int] = []
    quantise(default_model_path(), target, "Q4_0", 1, sizes.append)
    model = read_gguf(target)
    assert model.quantisation == "Q4_0"
    assert sizes[-1] == model.size_bytes <= estimated_bytes(model, "Q4_0")


def test_a_model_that_cannot_be_quantised_leaves_no_file(tmp_path: Path) -> None:
    source = write_gguf(tmp_path / "m.gguf")
    with pytest.raises(ModelFileError, match=r"could not write Q4_0: llama_model_quant"):
        quantise(source, tmp_path / "out.part", "Q4_0", 1)
    assert list(tmp_path.iterdir()) == [source]


def test_an_interrupt_stops_the_quantiser_and_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "m.part"

    def interrupt(size: int) -> None:
        if size:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantise(default_model_path(), target, "Q4_0", 1, interrupt)
    assert list(tmp_path.iterdir()) == []
