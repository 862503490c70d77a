"""About how many tokens a text has, where the vocabulary is not known here. Pure."""

import math
from typing import Final

BYTES_PER_TOKEN: Final = 3.0
"""English has about 4 bytes a token, other languages and code 2 to 3.5."""


def estimate_tokens(text: str) -> int:
    return math.ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN)
