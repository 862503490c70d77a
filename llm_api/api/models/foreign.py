"""Every parameter of other servers that requests here may carry though it changes nothing.

One table for each object in which such a parameter stands. What is honoured or refused is declared
by the models themselves; the two tables in docs/clients.md are compared with all of it.
"""

from collections.abc import Mapping
from typing import Final

from llm_api.api.ignored import Foreign

_CACHED: Final = Foreign("prefixes are kept by themselves")

MARKS: Final[Mapping[str, Foreign]] = {"cache_control": _CACHED}
"""On a message, a part of one, or a tool."""

GENERATION: Final[Mapping[str, Foreign]] = {
    "cache_control": _CACHED,
    "keep_alive": Foreign("the settings say how long a model stays in memory"),
}
"""On a request that generates."""
