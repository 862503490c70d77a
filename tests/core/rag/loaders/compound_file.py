"""Compound files ([MS-CFB]), as Outlook's messages are, made by hand."""

import struct
from collections.abc import Mapping
from typing import Final

_SECTOR, _MINI, _CUTOFF = 512, 64, 4096
_END, _FREE, _NONE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFF
_ROOT, _STORAGE, _STREAM = 5, 1, 2
MAGIC: Final = bytes.fromhex("d0cf11e0a1b11ae1")


class _Sectors:
    """Data in sectors of one size, and which sector follows which."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.data = b""
        self.chain: list[int] = []

    def put(self, data: bytes) -> int:
        """Returns the first sector."""
        if not data:
            return _END
        first, count = len(self.chain), -(-len(data) // self.size)
        self.data += data.ljust(count * self.size, b"\0")
        self.chain += [*range(first + 1, first + count), _END]
        return first


def compound_file(streams: Mapping[str, bytes]) -> bytes:
    """A file of these streams; `a/b` is the stream b in the storage a."""
    sectors, minis = _Sectors(_SECTOR), _Sectors(_MINI)
    folders: dict[str, list[tuple[str, int, int, int]]] = {"": []}
    for path, data in streams.items():
        folder, _, name = path.rpartition("/")
        where = sectors if len(data) >= _CUTOFF else minis
        folders.setdefault(folder, []).append((name, _STREAM, where.put(data), len(data)))
    entries = _entries(folders, sectors.put(minis.data), len(minis.data))
    links = struct.pack(f"<{len(minis.chain)}I", *minis.chain)
    first_link = sectors.put(links.ljust(-(-len(links) // _SECTOR) * _SECTOR, b"\xff"))
    directory = sectors.put(b"".join(entries))
    tables = next(n for n in range(1, 110) if n * 128 >= len(sectors.chain) + n)
    table = [*sectors.chain, *[0xFFFFFFFD] * tables]
    places = [*range(len(sectors.chain), len(sectors.chain) + tables)]
    header = MAGIC + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIII", 0, tables, directory, 0, _CUTOFF)
    header += struct.pack("<IIII", first_link, len(links) and -(-len(links) // _SECTOR), _END, 0)
    header += struct.pack("<109I", *places, *[_FREE] * (109 - tables))
    fat = struct.pack(f"<{tables * 128}I", *table, *[_FREE] * (tables * 128 - len(table)))
    return header + sectors.data + fat


def _entries(
    folders: Mapping[str, list[tuple[str, int, int, int]]], minis: int, size: int
) -> list[bytes]:
    """The root, then what is in it, then what is in its storages; siblings one after the other."""
    named = [*folders[""], *((name, _STORAGE, 0, 0) for name in folders if name)]
    entries = [_entry("Root Entry", _ROOT, minis, size, child=1)]
    child = 1 + len(named)
    for place, (name, kind, start, length) in enumerate(named, 1):
        after = place + 1 if place < len(named) else _NONE
        inner = folders[name] if kind == _STORAGE else []
        entries.append(_entry(name, kind, start, length, after, child if inner else _NONE))
        child += len(inner)
    for folder, inner in folders.items():
        for place, (name, kind, start, length) in enumerate(inner if folder else (), 1):
            after = len(entries) + 1 if place < len(inner) else _NONE
            entries.append(_entry(name, kind, start, length, after))
    return entries


def _entry(
    name: str, kind: int, start: int, size: int, after: int = _NONE, child: int = _NONE
) -> bytes:
    wide = name.encode("utf-16-le")
    head = wide.ljust(64, b"\0") + struct.pack("<HBB", len(wide) + 2, kind, 1)
    return head + struct.pack("<III36xIQ", _NONE, after, child, start, size)
