"""A model as a person names it: one GGUF file, or the first of the parts it was split into."""

import re
from dataclasses import replace
from pathlib import Path

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.files.gguf import UNKNOWN, GGUFModel, read_gguf

# llama.cpp's LLM_SPLIT format: it finds the other parts beside the first by this name alone.
_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


def part_names(filename: str) -> list[str]:
    """The names of all files of the model whose (first) file has this name. Pure.

    Raises ModelFileError if the name is that of a later part.
    """
    match = _PART.fullmatch(filename)
    if match is None or int(match["count"]) == 0:
        return [filename]
    stem, count = match["stem"], int(match["count"])
    names = [f"{stem}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)]
    if filename != names[0]:
        raise ModelFileError(f"{filename} is one part of a split model; name the first: {names[0]}")
    return names


def is_later_part(filename: str) -> bool:
    """Whether this is a part of a split model, and not the first. Pure."""
    match = _PART.fullmatch(filename)
    return match is not None and int(match["number"]) != 1


def read_model(path: Path) -> GGUFModel:
    """Verify every file of a model and tell what they hold together. Blocks.

    Raises ModelFileError with one sentence that names the file that is absent or wrong.
    """
    names = part_names(path.name)
    first = read_gguf(path)
    if first.split_count != len(names):
        raise ModelFileError(
            f"{path} is the first of {first.split_count} parts by its header, and of "
            f"{len(names)} by its name; keep the names that the parts were published under."
        )
    others = [read_gguf(path.with_name(name)) for name in names[1:]]
    return replace(
        first,
        parameter_count=sum(part.parameter_count for part in [first, *others]),
        has_mtp=any(part.has_mtp for part in [first, *others]),
        size_bytes=sum(part.size_bytes for part in [first, *others]),
        quantisation=first.quantisation
        if first.quantisation != UNKNOWN or not others
        else others[0].quantisation,
    )
