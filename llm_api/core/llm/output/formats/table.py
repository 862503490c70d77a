"""Every tool-call format, and how a chat template shows that its model writes it."""

from typing import Final

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.formats.hermes import HERMES

FALLBACK: Final = (HERMES,)
"""What a model without a format of its own is taught in the prompt."""


def recognise_formats(template_source: str) -> tuple[CallFormat, ...]:
    """The formats of a model, the one that it was trained on first."""
    return FALLBACK
