"""Writes a computation as an ONNX model: nodes, weights and shapes as a protocol buffer.

Knows as much of the format as that takes (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto):
the package `onnx` would bring 30 MB for these lines. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from struct import pack
from typing import Final

import numpy as np
from numpy.typing import NDArray

FLOAT, INT32 = 1, 6
"""Types of elements: `TensorProto.DataType`."""

MICROSOFT = "com.microsoft"
"""The domain of the operators that ONNX Runtime adds to the standard's."""

_IR_VERSION = 10
_OPSETS: Final = {"": 20, MICROSOFT: 1}
_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT = 1, 2

Shape = Sequence[int | str]
"""Lengths of the dimensions; a name stands for one that differs from call to call."""


class Graph:
    """Nodes in the order in which they are computed. Each returns the name of what it makes."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._weights: list[bytes] = []
        self._inputs: list[bytes] = []

    def input(self, name: str, element: int, shape: Shape) -> str:
        self._inputs.append(_bytes(11, _value(name, element, shape)))
        return name

    def weight(self, array: NDArray[np.float32]) -> str:
        name = f"w{len(self._weights)}"
        tensor = [
            *(_number(1, length) for length in array.shape),
            _number(2, FLOAT),
            _text(8, name),
            _bytes(9, np.ascontiguousarray(array, dtype="<f4").tobytes()),
        ]
        self._weights.append(_bytes(5, b"".join(tensor)))
        return name

    def node(
        self, operator: str, inputs: Iterable[str], domain: str = "", **attributes: int | float
    ) -> str:
        name = f"n{len(self._nodes)}"
        fields = [
            *(_text(1, one) for one in inputs),
            _text(2, name),
            _text(4, operator),
            *(_bytes(5, _attribute(*one)) for one in attributes.items()),
            _text(7, domain),
        ]
        self._nodes.append(_bytes(1, b"".join(fields)))
        return name

    def model(self, outputs: Mapping[str, Shape]) -> bytes:
        """The whole model. `outputs` are of type FLOAT."""
        said = [_bytes(12, _value(name, FLOAT, shape)) for name, shape in outputs.items()]
        graph = b"".join([*self._nodes, _text(2, "graph"), *self._weights, *self._inputs, *said])
        opsets = [
            _bytes(8, _text(1, domain) + _number(2, version)) for domain, version in _OPSETS.items()
        ]
        return b"".join([_number(1, _IR_VERSION), *opsets, _bytes(7, graph)])


def _value(name: str, element: int, shape: Shape) -> bytes:
    dimensions = (
        _bytes(1, _number(1, one) if isinstance(one, int) else _text(2, one)) for one in shape
    )
    tensor = _number(1, element) + _bytes(2, b"".join(dimensions))
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _attribute(name: str, value: float) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, _ATTRIBUTE_INT)
    return _text(1, name) + _key(2, 5) + pack("<f", value) + _number(20, _ATTRIBUTE_FLOAT)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _key(field, 2) + _varint(len(value)) + value


def _number(field: int, value: int) -> bytes:
    return _key(field, 0) + _varint(value)


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first. `value` >= 0."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])
