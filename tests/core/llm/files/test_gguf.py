import ctypes
import os
import time
from dataclasses import replace
from pathlib import Path
from struct import pack

import llama_cpp
import pytest

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.files.gguf import GGUFModel, read_gguf
from llm_api.core.llm.files.gguf_types import TENSOR_TYPES
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.files.parts import is_later_part, part_names, read_model
from tests.core.llm.tiny_gguf import (
    FIRST_OF_TWO,
    SECOND_OF_TWO,
    Tensor,
    entry,
    gguf_bytes,
    text,
    write_gguf,
)

HUGE = 2**63


def preamble(tensors: int = 0, keys: int = 0, version: int = 3) -> bytes:
    return pack("<4sIQQ", b"GGUF", version, tensors, keys)


def test_the_header_tells_what_the_model_is(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf")
    assert read_gguf(path) == GGUFModel(
        architecture="llama",
        name="Tiny",
        quantisation="F32",
        parameter_count=128,
        context_length=512,
        has_chat_template=True,
        size_bytes=path.stat().st_size,
    )


def test_the_default_model_is_read_as_what_it_is() -> None:
    model = read_gguf(default_model_path())
    assert (model.architecture, model.quantisation) == ("llama", "Q4_1")
    assert (model.parameter_count, model.context_length) == (134_515_008, 8192)
    assert model.has_chat_template
    assert model.size_bytes == default_model_path().stat().st_size


@pytest.mark.parametrize(
    ("values", "elements"),
    [
        ({}, 4 * 8 * (16 + 16)),
        ({"attention.head_count_kv": 2}, 4 * 2 * (16 + 16)),
        ({"attention.key_length": 32}, 4 * 8 * (32 + 16)),
        ({"attention.value_length": 64}, 4 * 8 * (16 + 64)),
        ({"block_count": None}, None),
        ({"attention.head_count": None}, None),
        ({"attention.head_count": 0}, None),
        ({"embedding_length": None}, None),
    ],
)
def test_the_width_of_the_kv_buffer_is_said_where_the_header_tells(
    tmp_path: Path, values: dict[str, int | None], elements: int | None
) -> None:
    layout = {"block_count": 4, "embedding_length": 128, "attention.head_count": 8, **values}
    data = gguf_bytes({f"llama.{key}": value for key, value in layout.items()})
    assert read_gguf(write_gguf(tmp_path / "m.gguf", data)).kv_elements_per_token == elements


def test_the_quantisation_is_that_of_most_bytes_when_the_file_does_not_say(tmp_path: Path) -> None:
    tensors = [Tensor((32, 2), 0, 256), Tensor((32, 100), 2, 1800)]
    path = write_gguf(
        tmp_path / "m.gguf", gguf_bytes({"general.file_type": 1024}, tensors)
    )  # 1024: llama.cpp's "guessed"
    assert read_gguf(path).quantisation == "Q4_0"


def test_the_alignment_of_the_file_is_used(tmp_path: Path) -> None:
    data = gguf_bytes(tensors=[Tensor(), Tensor()], alignment=4096)
    assert read_gguf(write_gguf(tmp_path / "m.gguf", data)).parameter_count == 256
    with pytest.raises(ModelFileError, match="truncated"):
        read_gguf(write_gguf(tmp_path / "m.gguf", data[:-1]))


def test_every_truncation_is_found(tmp_path: Path) -> None:
    whole = gguf_bytes(tensors=[Tensor(), Tensor((256, 2), 12, 288)])
    path = tmp_path / "cut.gguf"
    for length in range(len(whole)):
        write_gguf(path, whole[:length])
        with pytest.raises(ModelFileError, match=str(path)):
            read_gguf(path)
    assert read_gguf(write_gguf(path, whole)).parameter_count == 640


def test_the_default_model_without_its_last_byte_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    with default_model_path().open("rb") as source:
        path.write_bytes(source.read(4_000_000))
    os.truncate(path, default_model_path().stat().st_size - 1)
    with pytest.raises(ModelFileError, match="truncated"):
        read_gguf(path)
    os.truncate(path, default_model_path().stat().st_size)
    assert read_gguf(path) == read_gguf(default_model_path())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no GGUF file"),
        (b"<!DOCTYPE html>", "no GGUF file"),
        (preamble(version=1), "GGUF version 1"),
        (pack("<4s", b"GGUF") + pack(">IQQ", 3, 0, 0), "big-endian"),
        (preamble(tensors=HUGE), "claims"),
        (preamble(keys=HUGE), "claims"),
        (preamble(keys=1) + pack("<Q", HUGE), "claims a name"),
        (preamble(keys=1) + pack("<Q", 1000), "truncated"),
        (preamble(keys=1) + text("k") + pack("<IQ", 8, HUGE), "truncated"),
        (preamble(keys=1) + text("k") + pack("<IIQ", 9, 4, HUGE), "truncated"),
        (preamble(keys=1) + text("k") + pack("<IIQ", 9, 8, HUGE), "a list of"),
        (preamble(keys=1) + text("k") + pack("<IIQQ", 9, 8, 1, HUGE), "truncated"),
        (preamble(keys=1) + text("k") + pack("<IIQ", 9, 9, 1), "unknown type 9"),
        (preamble(keys=1) + text("k") + pack("<I", 77), "unknown type 77"),
        (preamble(keys=1) + entry("general.architecture", "llama"), "no tensors"),
        (preamble(keys=0), "does not name an architecture"),
        (gguf_bytes({"general.architecture": None, "split.count": 2}), "name an architecture"),
        (preamble(tensors=1) + text("t") + pack("<I", 5), "5 dimensions"),
        (gguf_bytes({"general.alignment": 24}), "no power of two"),
        (gguf_bytes({"general.alignment": 0}), "no power of two"),
        (gguf_bytes(tensors=[Tensor((2**60, 2**60, 2**60, 2**60))]), "truncated"),
        (gguf_bytes(tensors=[Tensor((33,), 2, 36)]), "misshapen"),
    ],
)
def test_a_damaged_or_hostile_header_is_refused_with_its_reason(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    path = write_gguf(tmp_path / "bad.gguf", data)
    started = time.thread_time()
    with pytest.raises(ModelFileError, match=reason) as caught:
        read_gguf(path)
    assert time.thread_time() - started < 1
    assert "\n" not in caught.value.message


def test_a_list_of_more_strings_than_any_vocabulary_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(preamble(keys=1) + text("k") + pack("<IIQ", 9, 8, 2**33))
    os.truncate(path, 2**37)  # sparse: every string in it is empty
    with pytest.raises(ModelFileError, match="more than 4000000 items"):
        read_gguf(path)


def test_what_is_no_regular_file_is_refused_without_opening_it(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.gguf"
    os.mkfifo(fifo)
    with pytest.raises(ModelFileError, match="is not a file"):
        read_gguf(fifo)
    with pytest.raises(ModelFileError, match="is not a file"):
        read_gguf(tmp_path)
    with pytest.raises(ModelFileError, match="no model file at"):
        read_gguf(tmp_path / "absent.gguf")


def test_a_tensor_of_a_newer_type_must_still_begin_inside_the_file(tmp_path: Path) -> None:
    data = gguf_bytes(tensors=[Tensor(type_id=999), Tensor(type_id=999, size=32)])
    assert read_gguf(write_gguf(tmp_path / "new.gguf", data)).parameter_count == 256
    with pytest.raises(ModelFileError, match="truncated"):
        read_gguf(write_gguf(tmp_path / "new.gguf", data[:-32]))


def test_the_sizes_of_tensor_types_are_those_of_the_installed_library() -> None:
    folder = Path(llama_cpp.__file__).parent / "lib"
    ggml = ctypes.CDLL(str(next(folder.glob("libggml-base.*"))))
    ggml.ggml_blck_size.restype = ctypes.c_int64
    ggml.ggml_type_size.restype = ctypes.c_size_t
    ggml.ggml_type_name.restype = ctypes.c_char_p
    assert len(TENSOR_TYPES) > 30
    for type_id, tensor_type in TENSOR_TYPES.items():
        assert ggml.ggml_type_name(type_id).decode().upper() == tensor_type.name
        assert ggml.ggml_blck_size(type_id) == tensor_type.block_elements
        assert ggml.ggml_type_size(type_id) == tensor_type.block_bytes


def write_split(folder: Path) -> Path:
    # llama.cpp can leave the first part without tensors.
    write_gguf(folder / "m-00002-of-00002.gguf", gguf_bytes(SECOND_OF_TWO, [Tensor(), Tensor()]))
    return write_gguf(folder / "m-00001-of-00002.gguf", gguf_bytes(FIRST_OF_TWO, []))


def test_the_parts_of_a_split_model_are_read_together(tmp_path: Path) -> None:
    first = write_split(tmp_path)
    model = read_model(first)
    assert model.parameter_count == 256
    assert model.size_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert model == replace(
        read_gguf(first), parameter_count=256, size_bytes=model.size_bytes, split_count=2
    )


def test_a_split_model_with_a_missing_or_truncated_part_is_refused(tmp_path: Path) -> None:
    first = write_split(tmp_path)
    second = tmp_path / "m-00002-of-00002.gguf"
    second.write_bytes(second.read_bytes()[:-1])
    with pytest.raises(ModelFileError, match=r"00002-of-00002\.gguf is truncated"):
        read_model(first)
    second.unlink()
    with pytest.raises(ModelFileError, match=r"no model file at .*00002-of-00002"):
        read_model(first)
    with pytest.raises(ModelFileError, match="name the first: m-00001"):
        read_model(second)
    with pytest.raises(ModelFileError, match="first of 2 parts by its header, and of 1"):
        read_model(first.rename(tmp_path / "renamed.gguf"))


def test_the_names_of_parts_follow_llama_cpp() -> None:
    assert part_names("q4/m-00001-of-00003.gguf") == [
        "q4/m-00001-of-00003.gguf",
        "q4/m-00002-of-00003.gguf",
        "q4/m-00003-of-00003.gguf",
    ]
    assert part_names("m-00001-of-00000.gguf") == ["m-00001-of-00000.gguf"]
    assert is_later_part("m-00002-of-00003.gguf")
    assert not is_later_part("m-00001-of-00003.gguf")
    assert not is_later_part("m.gguf")


def with_kv(kv_elements: int | None) -> GGUFModel:
    return GGUFModel("x", None, "F16", 0, None, False, 1000, kv_elements_per_token=kv_elements)


@pytest.mark.parametrize(
    ("kv_elements", "kv_type", "size"),
    [(None, "f16", 0), (64, "f16", 10 * 128), (64, "q8_0", 10 * 68), (64, "q4_0", 10 * 36)],
)
def test_the_kv_buffer_is_counted(kv_elements: int | None, kv_type: str, size: int) -> None:
    assert with_kv(kv_elements).kv_bytes(10, kv_type) == size


def test_the_default_model_is_98_mb_and_23_kb_for_each_token() -> None:
    # 30 layers, 3 KV heads of 64 numbers, keys and values, two bytes each.
    read = read_model(default_model_path())
    assert read.kv_bytes(16_384, "f16") == 16_384 * 30 * 3 * 128 * 2
