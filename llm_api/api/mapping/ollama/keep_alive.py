"""How long a model stays in memory, as Ollama's requests say it: seconds, or a duration. Pure."""

import re
from collections.abc import Mapping
from typing import Final

from llm_api.core.errors import InvalidRequestError

_SECONDS: Final[Mapping[str, float]] = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0,
}  # fmt: skip
_PIECE: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_DURATION: Final = re.compile(rf"[+-]?(?:{_PIECE.pattern})+", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)


def to_seconds(keep_alive: float | str) -> float:
    """Negative for ever. Raises InvalidRequestError for what is neither number nor duration."""
    if not isinstance(keep_alive, str):
        return keep_alive
    text = keep_alive.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    if not _DURATION.fullmatch(text):
        raise InvalidRequestError(
            "'keep_alive' must be seconds, or a duration such as '5m' or '1h30m'.",
            param="keep_alive",
        )
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PIECE.findall(text))
    return -seconds if text.startswith("-") else seconds
