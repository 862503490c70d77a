"""Text that only repeats calls and results, where an answer was expected. Pure.

Covers: JSON objects in the form of a call, also broken, alone or in a list or fence; a result word
by word; the marks that stand around calls and results in many prompts. Does not cover: what is said
in words.
"""

import json
import re
from collections.abc import Sequence
from typing import Final

_BEGINNINGS: Final = ("{", "[{", "```json", "```\n{", "<tool", "</tool")
_FENCE: Final = re.compile(r"```(?:json)?\s*(.*?)\s*(?:```)?", re.DOTALL)
_MARK: Final = re.compile(r"</?tool[a-z_]*>")
_BROKEN_CALL: Final = re.compile(
    r"""[\[{\s]+"name"\s*:\s*"[^"]*"\s*,\s*"(arguments|parameters)"\s*:"""
)
_ARGUMENTS: Final = ("arguments", "parameters")


def may_say_nothing(text: str) -> bool:
    """Whether an answer that begins so may yet turn out to be a repetition, or nothing."""
    begun = text.lstrip()
    return any(begun.startswith(one) or one.startswith(begun) for one in _BEGINNINGS)


def says_nothing(text: str, results: Sequence[str]) -> bool:
    """Whether a whole answer is empty, or nothing but calls and what the functions returned."""
    bare = _MARK.sub(" ", text).strip()
    fenced = _FENCE.fullmatch(bare)
    bare = fenced[1] if fenced else bare
    if _BROKEN_CALL.match(bare) and not _has_value(bare):
        return True
    known = [json_meaning(result) for result in results]
    while bare:
        try:
            value, end = json.JSONDecoder().raw_decode(bare)
        except (ValueError, RecursionError):
            return False
        if not _is_call(value) and json_meaning(bare[:end]) not in known:
            return False
        bare = bare[end:].strip()
    return True


def json_meaning(text: str) -> str:
    """The value of a JSON text in one notation, 1.0 as 1; the text itself where it is none."""
    try:
        return json.dumps(json.loads(text, parse_float=_number), sort_keys=True)
    except (ValueError, RecursionError):
        return text


def _has_value(text: str) -> bool:
    """Whether a text begins with a JSON value that is whole."""
    try:
        json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() else value


def _is_call(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_call, value))
    if not isinstance(value, dict):
        return False
    return isinstance(value.get("name"), str) and any(name in value for name in _ARGUMENTS)
