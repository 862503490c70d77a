"""Vectors of inputs seen before: as many as are allowed, the longest unused leaving first."""

from collections import OrderedDict
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray


class VectorCache:
    """Keeps at most `capacity` vectors, by a digest: the texts themselves are not kept."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._vectors: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._vectors)

    def get(self, key: bytes) -> NDArray[np.float32] | None:
        vector = self._vectors.get(key)
        if vector is not None:
            self._vectors.move_to_end(key)
        return vector

    def put(self, key: bytes, vector: NDArray[np.float32]) -> None:
        """Keep a copy, so that a view does not keep a whole batch alive."""
        if not self._capacity:
            return
        self._vectors[key] = vector.copy()
        self._vectors.move_to_end(key)
        while len(self._vectors) > self._capacity:
            self._vectors.popitem(last=False)


def cache_key(*parts: str) -> bytes:
    """The same for the same parts alone. Pure."""
    digest = blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.digest()
