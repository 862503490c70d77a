"""How large a demanded format may be: told by its characters, before any work. Pure.

Does not cover JSON Schemas (`json_schema`), nor what a grammar is made of (`output/lark_size`).
"""

from typing import Final, Never, assert_never

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.capabilities import FORMATS
from llm_api.core.llm.types import (
    ChoiceFormat,
    GrammarFormat,
    JSONFormat,
    OutputFormat,
    RegexFormat,
)

MAX_CHARACTERS: Final = 64 * 1024
MAX_CHOICES: Final = 1_000


def check_format_size(output_format: OutputFormat) -> None:
    """Raises InvalidRequestError that names the parameter, for a text that is too long."""
    match output_format:
        case JSONFormat():
            return
        case ChoiceFormat(choices) if len(choices) > MAX_CHOICES:
            _refuse(output_format, f"{len(choices)} choices", f"{MAX_CHOICES} are")
        case ChoiceFormat(choices):
            length = sum(map(len, choices))
        case RegexFormat(text) | GrammarFormat(text):
            length = len(text)
        case other:
            assert_never(other)
    if length > MAX_CHARACTERS:
        _refuse(output_format, f"{length} characters", f"{MAX_CHARACTERS} are")


def _refuse(output_format: OutputFormat, found: str, taken: str) -> Never:
    _, param = FORMATS[type(output_format)]
    raise InvalidRequestError(
        f"'{param}' is too large: it has {found}, and at most {taken} taken.", param=param
    )
