"""What the header of a GGUF file says, believed only after it is checked against the file.

llama.cpp maps a model into memory: a file shorter than its header promises ends the process
with SIGBUS at the first missing page, so it has to be found here. Knows the format
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), nothing of llama.cpp.

Checked: magic, version, every count and length against the bytes that are left, and the end of
every tensor against the end of the file. The work is bounded for any input: at most `MAX_ITEMS`
small reads (about two seconds), and `MAX_KEYS` short values in memory.
Not checked: the weights themselves, and whether llama.cpp knows the architecture. The size of a
tensor of a type newer than `gguf_types` is taken as one byte; llama.cpp refuses what it does not
know by itself.
"""

import os
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.files.gguf_types import (
    ARRAY,
    FILE_TYPES,
    SCALARS,
    STRING,
    TENSOR_TYPES,
    TensorType,
)

MAX_ITEMS = 4_000_000
MAX_KEYS = 10_000
MAX_TENSORS = 200_000
MAX_NAME_BYTES = 1024
MAX_TEXT_BYTES = 4096
MAX_TEMPLATE_BYTES = 262_144
MAX_DIMENSIONS = 4
DEFAULT_ALIGNMENT = 32
UNKNOWN = "unknown"
_TEMPLATE: Final = "tokenizer.chat_template"
_MTP: Final = ".nextn.eh_proj.weight"

MTP_ARCHITECTURES: Final = frozenset({"glm4moe"})
"""Those whose layers that guess ahead are known to run."""

MTP_UNUSED: Final = (
    "the file has MTP layers, which are used of these architectures alone:"
    f" {', '.join(sorted(MTP_ARCHITECTURES))}; a draft model can guess ahead instead"
)

# ggml's blocks of 32 elements: 32 numbers and, where quantised, two bytes of scale.
BYTES_OF_32_ELEMENTS: Final[Mapping[str, int]] = {"f16": 64, "q8_0": 34, "q4_0": 18}

_U32, _U64 = Struct("<I"), Struct("<Q")


@dataclass(frozen=True, slots=True)
class GGUFModel:
    """One verified file, or all parts of a split model together.

    `quantisation` is llama.cpp's name for the mix ("Q4_K_M"), else that of the tensor type that
    fills most bytes. `context_length` is what the model was trained for, None if not said.
    `metadata` are the values of its header, without lists and long texts but the chat template.
    `has_mtp`: whether it has layers that guess ahead.
    `kv_elements_per_token` is how many numbers its KV buffer holds for one token: at most, where
    layers differ; None where the header does not say, as with purely recurrent models.
    """

    architecture: str
    name: str | None
    quantisation: str
    parameter_count: int
    context_length: int | None
    has_chat_template: bool
    size_bytes: int
    split_count: int = 1
    kv_elements_per_token: int | None = None
    has_mtp: bool = False
    metadata: Mapping[str, int | float | bool | str] = field(
        default_factory=dict, compare=False, repr=False
    )

    @property
    def chat_template(self) -> str:
        """The template in the file; empty where it has none, or one that is absurdly long."""
        return str(self.metadata.get(_TEMPLATE, ""))

    @property
    def can_use_mtp(self) -> bool:
        """Whether its layers that guess ahead can be used here: of architectures that were tried.

        llama.cpp ends the process over a layer that is not as it expects. Hybrid models, whose
        memory cannot be cut, are not drafted for.
        """
        return self.has_mtp and self.architecture in MTP_ARCHITECTURES

    @property
    def has_unused_mtp(self) -> bool:
        return self.has_mtp and not self.can_use_mtp

    def kv_bytes(self, tokens: int, precision: str) -> int:
        """Bytes of a KV buffer of so many tokens, at most; 0 where the header has no layout."""
        elements = (self.kv_elements_per_token or 0) * tokens
        return elements * BYTES_OF_32_ELEMENTS[precision] // 32


def read_gguf(path: Path, *, called: str | None = None) -> GGUFModel:
    """Verify one file and tell what it holds. Blocks; reads the header only.

    Raises ModelFileError with one sentence that names the file (or what it is `called`) and
    what is wrong with it.
    """
    name = called or str(path)
    try:
        # Looked at before it is opened: opening a FIFO would wait for a writer.
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileError(f"{name} is not a file; name the .gguf file itself.")
        with path.open("rb") as file:
            return _Header(file, os.fstat(file.fileno()).st_size).read()
    except FileNotFoundError as error:
        raise ModelFileError(f"There is no model file at {name}.") from error
    except OSError as error:
        raise ModelFileError(f"{name} cannot be read: {error.strerror}.") from error
    except _InvalidError as error:
        raise ModelFileError(f"{name} {error}.") from error


class _InvalidError(Exception):
    """What is wrong, as the rest of a sentence that begins with the file's path."""


class _Header:
    """Walks one header from front to back. Owns the position in `file`."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._items_left = MAX_ITEMS
        self._values: dict[str, int | float | bool | str] = {}
        self._keys: set[str] = set()
        self._has_mtp = False

    def read(self) -> GGUFModel:
        tensor_count, key_count = self._preamble()
        for _ in range(key_count):
            self._entry()
        return self._summary(*self._tensors(tensor_count))

    def _preamble(self) -> tuple[int, int]:
        magic = self._file.read(4)
        if magic != b"GGUF":
            raise _InvalidError(f"is no GGUF file: it begins with {magic!r}, not with b'GGUF'")
        version = self._number(_U32)
        if version & 0xFFFF == 0:
            raise _InvalidError("is a big-endian GGUF file, which this machine cannot run")
        if version not in (2, 3):
            raise _InvalidError(f"has GGUF version {version}; versions 2 and 3 can be read")
        tensor_count, key_count = self._number(_U64), self._number(_U64)
        if tensor_count > MAX_TENSORS or key_count > MAX_KEYS:
            raise _InvalidError(
                f"is damaged: its header claims {tensor_count} tensors and {key_count} keys"
            )
        return tensor_count, key_count

    def _entry(self) -> None:
        key = self._name()
        self._keys.add(key)
        value_type = self._number(_U32)
        if value_type == ARRAY:
            self._skip_array()
        elif value_type == STRING:
            text = self._text(MAX_TEMPLATE_BYTES if key == _TEMPLATE else MAX_TEXT_BYTES)
            if text is not None:
                self._values[key] = text
        elif value_type in SCALARS:
            (self._values[key],) = SCALARS[value_type].unpack(self._take(SCALARS[value_type].size))
        else:
            raise _InvalidError(f"is damaged: the key {key!r} has the unknown type {value_type}")

    def _tensors(self, count: int) -> tuple[int, Counter[str]]:
        """Returns the number of parameters, and the bytes that each tensor type fills."""
        parameters = 0
        end = 0
        bytes_of_type: Counter[str] = Counter()
        alignment = self._alignment()
        for _ in range(count):
            name = self._name()
            self._has_mtp = self._has_mtp or name.endswith(_MTP)
            dimension_count = self._number(_U32)
            if dimension_count > MAX_DIMENSIONS:
                raise _InvalidError(f"is damaged: tensor {name!r} has {dimension_count} dimensions")
            shape = [self._number(_U64) for _ in range(dimension_count)]
            type_id, offset = self._number(_U32), self._number(_U64)
            tensor_type = TENSOR_TYPES.get(type_id) or TensorType(f"type {type_id}", 1, 0)
            elements = prod(shape)
            if offset % alignment or (shape and shape[0] % tensor_type.block_elements):
                raise _InvalidError(f"is damaged: tensor {name!r} is misplaced or misshapen")
            size = elements // tensor_type.block_elements * tensor_type.block_bytes
            parameters += elements
            bytes_of_type[tensor_type.name] += size
            end = max(end, offset + max(size, 1))
        if count:
            header_size = self._file.tell()
            self._require(header_size + -header_size % alignment + end)
        return parameters, bytes_of_type

    def _summary(self, parameters: int, bytes_of_type: Counter[str]) -> GGUFModel:
        split_count = self._integer("split.count") or 1
        architecture = self._string("general.architecture")
        if architecture is None:
            # Of a split model only the first part carries more than `split.*`.
            if split_count == 1 or not self._integer("split.no"):
                raise _InvalidError("is no model: its header does not name an architecture")
            architecture = UNKNOWN
        # The first part of a split model may hold the metadata alone.
        if not bytes_of_type and split_count == 1:
            raise _InvalidError("is no model: it holds no tensors")
        most_bytes = max(bytes_of_type, key=lambda name: bytes_of_type[name], default=UNKNOWN)
        file_type = self._integer("general.file_type")
        return GGUFModel(
            architecture=architecture,
            name=self._string("general.name"),
            quantisation=most_bytes if file_type is None else FILE_TYPES.get(file_type, most_bytes),
            parameter_count=parameters,
            context_length=self._integer(f"{architecture}.context_length"),
            has_chat_template=_TEMPLATE in self._keys,
            size_bytes=self._size,
            split_count=split_count,
            kv_elements_per_token=self._kv_elements(architecture),
            has_mtp=self._has_mtp,
            metadata=self._values,
        )

    def _kv_elements(self, architecture: str) -> int | None:
        """A key and a value for each KV head of each layer.

        Where the heads are listed layer by layer, the list is skipped like every array, and all
        attention heads are counted.
        """
        layers = self._integer(f"{architecture}.block_count")
        heads = self._integer(f"{architecture}.attention.head_count")
        width = self._integer(f"{architecture}.embedding_length")
        if not layers or not heads or not width:
            return None
        kv_heads = self._integer(f"{architecture}.attention.head_count_kv") or heads
        key_length = self._integer(f"{architecture}.attention.key_length") or width // heads
        value_length = self._integer(f"{architecture}.attention.value_length") or width // heads
        return layers * kv_heads * (key_length + value_length)

    def _alignment(self) -> int:
        alignment = self._integer("general.alignment")
        if alignment is None:
            return DEFAULT_ALIGNMENT
        if alignment < 1 or alignment & (alignment - 1):
            raise _InvalidError(
                f"is damaged: its alignment is {alignment}, which is no power of two"
            )
        return alignment

    def _integer(self, key: str) -> int | None:
        value = self._values.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def _string(self, key: str) -> str | None:
        value = self._values.get(key)
        return value if isinstance(value, str) else None

    def _skip_array(self) -> None:
        item_type, count = self._number(_U32), self._number(_U64)
        if item_type in SCALARS:
            self._skip(count * SCALARS[item_type].size)
        elif item_type == STRING:
            if count > self._size // _U64.size:
                raise _InvalidError(f"is damaged: its header claims a list of {count} strings")
            for _ in range(count):
                self._skip(self._number(_U64))
        else:
            # llama.cpp reads no arrays of arrays either.
            raise _InvalidError(f"is damaged: it holds an array of the unknown type {item_type}")

    def _name(self) -> str:
        length = self._number(_U64)
        if length > MAX_NAME_BYTES:
            raise _InvalidError(f"is damaged: its header claims a name of {length} bytes")
        return self._take(length).decode("utf-8", errors="replace")

    def _text(self, longest: int) -> str | None:
        """A string value; one that is too long to matter here is skipped, and None."""
        length = self._number(_U64)
        if length > longest:
            self._skip(length)
            return None
        return self._take(length).decode("utf-8", errors="replace")

    def _number(self, layout: Struct) -> int:
        (value,) = layout.unpack(self._take(layout.size))
        return int(value)

    def _take(self, count: int) -> bytes:
        self._items_left -= 1
        if self._items_left < 0:
            raise _InvalidError(f"is damaged: its header holds more than {MAX_ITEMS} items")
        data = self._file.read(count)
        if len(data) < count:
            self._require(self._file.tell() + count - len(data))
            raise _InvalidError("became shorter while it was read")
        return data

    def _skip(self, count: int) -> None:
        self._require(self._file.tell() + count)
        self._file.seek(count, os.SEEK_CUR)

    def _require(self, end: int) -> None:
        if end > self._size:
            raise _InvalidError(
                f"is truncated or damaged: it has {self._size} bytes and its header describes "
                f"at least {end}; fetch it again"
            )
