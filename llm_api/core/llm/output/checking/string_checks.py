"""Whether a text matches a pattern, or a format of JSON Schema, within a time bound.

Rust's regex engine takes linear time, and no look-around. A pattern that it refuses goes to a
backtracking engine, which gives up when the time is over, and lets other threads run meanwhile.
"""

from functools import cache, lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, Final

import regex
from pydantic_core import SchemaError, SchemaValidator, core_schema

from llm_api.core.llm.output.schemas.string_formats import PATTERNS

_LONGEST_TRACKED: Final = 1000
"""Characters of a backtracking pattern: to compile a longer one is not bounded."""

_LONGEST_HOST: Final = 253

CHECKED_FORMATS: Final = frozenset({*PATTERNS, "ipv4", "ipv6", "regex"})


class UncheckableError(Exception):
    """Whether a value is valid cannot be said: the message tells why."""


def matches(pattern: str, text: str) -> bool:
    """Whether `pattern`, in Rust's syntax, is found in `text`. Raises UncheckableError."""
    try:
        return _compiled(pattern).isinstance_python(text)
    except SchemaError as error:
        raise UncheckableError(f"a pattern is refused: {' '.join(str(error).split())}") from error


def is_found(pattern: str, text: str, seconds: float) -> bool:
    """Whether a pattern, which may look around, is found in `text` within so many seconds.

    Raises UncheckableError.
    """
    try:
        return matches(pattern, text)
    except UncheckableError:
        tracked = _tracked(pattern)
    try:
        return tracked.search(text, timeout=seconds, concurrent=True) is not None
    except TimeoutError as error:
        raise UncheckableError("a pattern takes too long") from error


def has_format(name: str, text: str) -> bool:
    """Whether a text has one of CHECKED_FORMATS."""
    match name:
        case "ipv4" | "ipv6":
            return _is_address(IPv4Address if name == "ipv4" else IPv6Address, text)
        case "regex":
            return _is_pattern(text)
        case "hostname" | "idn-hostname" if len(text) > _LONGEST_HOST:
            return False
        case _:
            return _format(name).isinstance_python(text)


@lru_cache(maxsize=8)  # a compiled pattern takes up to 12 MB
def _compiled(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


@cache
def _format(name: str) -> SchemaValidator:
    return _compiled.__wrapped__(rf"\A(?:{PATTERNS[name]})\z")


def _tracked(pattern: str) -> Any:
    if len(pattern) > _LONGEST_TRACKED:
        raise UncheckableError(f"a pattern is longer than {_LONGEST_TRACKED} characters")
    try:
        return regex.compile(pattern, cache_pattern=False)
    except (regex.error, RecursionError, ValueError, OverflowError) as error:
        raise UncheckableError(f"a pattern is refused: {error}") from error


def _is_pattern(text: str) -> bool:
    try:
        is_found(text, "", 0.1)
    except UncheckableError:
        return False
    return True


def _is_address(kind: type[IPv4Address | IPv6Address], text: str) -> bool:
    try:
        kind(text)
    except AddressValueError:
        return False
    return "%" not in text
