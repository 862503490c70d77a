"""What a model hub offers: repositories by words, and their GGUF files with sizes. Asks the hub."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Literal, TypeAlias

from llm_api.core.errors import NotOnHubError
from llm_api.core.llm.files.download import LISTING, Hub, explained, hub_endpoint
from llm_api.core.llm.files.hub_names import USUAL
from llm_api.core.llm.files.parts import is_later_part, part_names

Fitness: TypeAlias = Literal["fits", "tight", "too large"]

PREFERRED: Final = (USUAL, "Q4_K_S", "Q5_K_M", "Q4_0", "IQ4_NL", "IQ4_XS", "Q5_K_S", "Q6_K", "Q8_0")
"""What a file is taken by if none is named: small, and little worse than the original."""
SMALLER: Final = ("Q3_K_L", "Q3_K_M", "IQ3_M", "Q3_K_S", "Q2_K")
"""Where none of those fits: worse, and better than none."""
_QUANTISATION: Final = re.compile(
    r"(?:^|[-._/])((?:I?Q\d|BF16|F16|F32|TQ\d|MXFP4)[A-Z0-9_]*?)(?:-\d{5}-of-\d{5})?\.gguf$",
    re.IGNORECASE,
)
_BESIDE_WEIGHTS: Final = 500_000_000
"""Bytes for a short context and the steps."""


@dataclass(frozen=True, slots=True)
class OfferedRepository:
    """One that holds GGUF files; how often it was fetched of late."""

    repo_id: str
    downloads: int
    likes: int


@dataclass(frozen=True, slots=True)
class OfferedFile:
    """A model in a repository: its (first) file, and the bytes of all its parts."""

    filename: str
    quantisation: str
    size: int


def search_repositories(words: str, limit: int) -> list[OfferedRepository]:
    """Those with GGUF files whose names have these words, the most fetched first. Blocks.

    Raises DownloadError.
    """
    hub = Hub(words, hub_endpoint(None))
    with explained(hub, LISTING, Path()):
        found = hub.listed(
            "/api/models", search=words, filter="gguf", sort="downloads", limit=limit
        )
        return [
            OfferedRepository(str(one["id"]), one.get("downloads") or 0, one.get("likes") or 0)
            for one in islice(found, limit)
        ]


def offered_files(repo_id: str) -> list[OfferedFile]:
    """The models of a repository, the smallest first. Blocks. Raises DownloadError."""
    hub = Hub(repo_id, hub_endpoint(None))
    with explained(hub, LISTING, Path()):
        sizes = hub.sizes()
    models = [
        name
        for name in sizes
        if name.endswith(".gguf") and not is_later_part(name) and "mmproj" not in name
    ]
    files = [
        OfferedFile(
            name, quantisation_of(name), sum(sizes.get(part, 0) for part in part_names(name))
        )
        for name in models
    ]
    if not files:
        raise NotOnHubError(f"The repository {repo_id} has no GGUF file.")
    return sorted(files, key=lambda one: one.size)


def quantisation_of(filename: str) -> str:
    """As the file's name tells it; "" where it does not. Pure."""
    found = _QUANTISATION.search(filename)
    return found[1].upper() if found else ""


def fitness(size: int, total: int, available: int) -> Fitness:
    """Whether weights of this size can be served by a machine with this memory. Pure."""
    if size + _BESIDE_WEIGHTS > total:
        return "too large"
    return "fits" if size + _BESIDE_WEIGHTS <= available else "tight"


def sensible_file(files: Sequence[OfferedFile], total: int) -> OfferedFile:
    """The first of the preferred quantisations that the machine can bear. Pure.

    Where none is known by its name, the smallest of all. `files` is not empty.
    """
    by_quantisation: defaultdict[str, list[OfferedFile]] = defaultdict(list)
    for one in files:
        by_quantisation[one.quantisation].append(one)
    for name in (*PREFERRED, *SMALLER):
        for one in by_quantisation[name]:
            if fitness(one.size, total, total) != "too large":
                return one
    return min(files, key=lambda one: one.size)
