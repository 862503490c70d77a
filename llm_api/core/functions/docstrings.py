"""What a docstring says of a function and of its parameters: Google, NumPy and reST style."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field

from docstring_parser import ParseError, parse


@dataclass(frozen=True, slots=True)
class Documentation:
    """The prose without its sections, and a line for each parameter that is described."""

    description: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def read_docstring(text: str | None) -> Documentation:
    """The parts of a docstring; one that cannot be parsed is all description. Pure."""
    clean = inspect.cleandoc(text or "")
    try:
        parsed = parse(clean)
    except ParseError:
        return Documentation(clean)
    return Documentation(
        (parsed.description or "").strip(),
        {
            name.strip().lstrip("*"): " ".join(parameter.description.split())
            for parameter in parsed.params
            if parameter.description
            for name in parameter.arg_name.split(",")  # NumPy: `a, b : int`
        },
    )
