"""Which models stand in for which: names to ids, and no way back to where it began. Pure."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from llm_api.config.settings import ConfigurationError

STUB: Final = "stub"
"""A fallback of this name needs no entry: it is the backend `stub`."""


def check_fallbacks(fallbacks: Mapping[str, Sequence[str]], places: Mapping[str, str]) -> None:
    """Raises ConfigurationError for a fallback that is no model, or that leads back to its own.

    Both are by the ids of the models; `places` are where the person named them.
    """
    for model, names in fallbacks.items():
        for index, name in enumerate(names):
            if name not in fallbacks:
                near = get_close_matches(name, fallbacks, n=1, cutoff=0.7)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ConfigurationError(
                    f"{places[model]}.fallbacks[{index}]: no model is named {name!r}{hint}"
                )
    for model in fallbacks:
        _walk((model,), fallbacks, places)


def _walk(
    path: tuple[str, ...], fallbacks: Mapping[str, Sequence[str]], places: Mapping[str, str]
) -> None:
    for name in fallbacks[path[-1]]:
        if name in path:
            circle = " → ".join((*path[path.index(name) :], name))
            raise ConfigurationError(f"{places[path[0]]}.fallbacks: go in a circle: {circle}")
        _walk((*path, name), fallbacks, places)
