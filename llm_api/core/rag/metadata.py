"""Metadata as a store can find it: what it must be like, and the keys it is filtered by. Pure."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote

from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.filters import MAX_INTEGER, parse_date
from llm_api.core.rag.types import Metadata, MetadataValue, Scalar

MAX_FIELDS = 64
MAX_NAME = 256
MAX_ITEMS = 256
MAX_TEXT = 16_384
MAX_CHARACTERS = 65_536
"""Of all names and values together: each chunk of a document carries what it is filtered by."""
_LONGEST_TAG = 512


def check_metadata(metadata: Metadata) -> None:
    """Raise InvalidRequestError, with the path as `param`, for what cannot be kept and found."""
    if len(metadata) > MAX_FIELDS:
        raise _refusal(f"Metadata has at most {MAX_FIELDS} fields.", "metadata")
    for name, value in metadata.items():
        if not 1 <= len(name) <= MAX_NAME or not is_unicode(name):
            raise _refusal(f"A field's name has 1 to {MAX_NAME} characters.", "metadata")
        if isinstance(value, list) and len(value) > MAX_ITEMS:
            raise _refusal(f"A list has at most {MAX_ITEMS} items.", f"metadata.{name}")
        for scalar in scalars(value):
            _check_scalar(scalar, f"metadata.{name}")
    size = sum(_size(name, value) for name, value in metadata.items())
    if size > MAX_CHARACTERS:
        raise _refusal(f"Metadata has at most {MAX_CHARACTERS} characters in all.", "metadata")


def _check_scalar(value: Scalar, path: str) -> None:
    if isinstance(value, str) and (len(value) > MAX_TEXT or not is_unicode(value)):
        raise _refusal(f"A text is valid Unicode of at most {MAX_TEXT} characters.", path)
    if isinstance(value, float) and not math.isfinite(value):
        raise _refusal("A number is finite.", path)
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise _refusal("An integer has at most 64 bits.", path)


def _size(name: str, value: MetadataValue) -> int:
    """Characters: each value of a field is found by its name."""
    return sum(len(name) + len(str(scalar)) for scalar in scalars(value))


def scalars(value: MetadataValue) -> Iterator[Scalar]:
    """The values of a field one by one: none, one, or those of a list."""
    if isinstance(value, list):
        yield from value
    elif value is not None:
        yield value


def tag(field: str, value: Scalar) -> str:
    """The keyword that stands for one value of a field: the same if and only if both are equal.

    Readable, so that a look into the store tells something; a long one ends in its hash.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = f"{quote(field, safe='')}={json.dumps(value, ensure_ascii=False)}"
    if len(text) <= _LONGEST_TAG:
        return text
    return f"{text[:_LONGEST_TAG]}#{sha256(text.encode()).hexdigest()}"


def presence_tag(field: str) -> str:
    """The keyword of every document whose field has a value: no value's own, as it is no JSON."""
    return f"{quote(field, safe='')}=*"


@dataclass(frozen=True, slots=True)
class Keys:
    """All that one document's metadata can be found by. Numbers and dates are by `path_name`."""

    tags: list[str]
    numbers: dict[str, list[float]]
    dates: dict[str, list[float]]


def keys(metadata: Metadata) -> Keys:
    """What a comparison with each field of this metadata can look at."""
    found = Keys([], {}, {})
    for field, values in metadata.items():
        if any(True for _ in scalars(values)):
            found.tags.append(presence_tag(field))
        for value in scalars(values):
            found.tags.append(tag(field, value))
            if isinstance(value, str):
                if (moment := parse_date(value)) is not None:
                    found.dates.setdefault(path_name(field), []).append(moment)
            elif not isinstance(value, bool):
                found.numbers.setdefault(path_name(field), []).append(float(value))
    return found


def path_name(field: str) -> str:
    """A field's name as part of a path in a payload: without quotes, and with no special sign."""
    return quote(field, safe="")


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: it has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refusal(message: str, path: str) -> InvalidRequestError:
    return InvalidRequestError(message, param=path)
