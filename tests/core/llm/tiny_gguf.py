"""Writes GGUF files small enough for tests: valid ones, and ones that lie where told to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import TypeAlias

Value: TypeAlias = int | str | list[str]


@dataclass(frozen=True, slots=True)
class Tensor:
    """F32 unless told otherwise; `size` is what is written, whatever the shape says."""

    shape: tuple[int, ...] = (32, 4)
    type_id: int = 0
    size: int = 32 * 4 * 4


DEFAULTS: Mapping[str, Value] = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "general.file_type": 0,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
    "tokenizer.chat_template": "{{ messages }}",
    "llama.context_length": 512,
}


FIRST_OF_TWO: Mapping[str, Value | None] = {"split.no": 0, "split.count": 2}
# llama.cpp's gguf-split writes nothing else into the later parts.
SECOND_OF_TWO: Mapping[str, Value | None] = {
    **dict.fromkeys(DEFAULTS),
    "split.no": 1,
    "split.count": 2,
}


def text(value: str) -> bytes:
    data = value.encode()
    return pack("<Q", len(data)) + data


def entry(key: str, value: Value) -> bytes:
    match value:
        case str():
            return text(key) + pack("<I", 8) + text(value)
        case int():
            return text(key) + pack("<II", 4, value)
        case list():
            head = text(key) + pack("<IIQ", 9, 8, len(value))
            return head + b"".join(text(item) for item in value)


def gguf_bytes(
    values: Mapping[str, Value | None] | None = None,
    tensors: Sequence[Tensor] = (Tensor(),),
    *,
    version: int = 3,
    alignment: int = 32,
) -> bytes:
    """A whole file. `values` replace or extend the defaults; None leaves a key out."""
    chosen = {**DEFAULTS, **(values or {})}
    entries = [entry(key, value) for key, value in chosen.items() if value is not None]
    if alignment != 32:
        entries.append(entry("general.alignment", alignment))
    header = pack("<4sIQQ", b"GGUF", version, len(tensors), len(entries)) + b"".join(entries)
    data = b""
    for index, tensor in enumerate(tensors):
        data += b"\0" * (-len(data) % alignment)
        header += text(f"blk.{index}.weight") + pack("<I", len(tensor.shape))
        header += pack(f"<{len(tensor.shape)}Q", *tensor.shape)
        header += pack("<IQ", tensor.type_id, len(data))
        data += bytes(tensor.size)
    return header + b"\0" * (-len(header) % alignment) + data


def large_gguf_bytes(megabytes: int) -> bytes:
    """A valid file of about this size, with contents that differ from place to place."""
    rows = megabytes * 1_000_000 // 4096
    whole = bytearray(gguf_bytes(tensors=[Tensor((1024, rows), 0, rows * 4096)]))
    start = len(whole) - rows * 4096
    for row in range(rows):
        whole[start + row * 4096 : start + row * 4096 + 8] = pack("<Q", row)
    return bytes(whole)


def write_gguf(path: Path, data: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gguf_bytes() if data is None else data)
    return path
