"""The arguments of one call: checked, and turned into the types that the function asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from llm_api.core.errors import InvalidArgumentsError
from llm_api.core.functions.one_line import one_line

_MAX_FINDINGS = 5


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a function accepts. `names` are its parameters, by the fields of `model`.

    The fields' own names are made up, since a parameter may have a name that a Pydantic model
    cannot have, such as `schema` or `_x`. `optional` are the parameters whose default the function
    fills in itself.
    """

    model: type[BaseModel]
    names: Mapping[str, str]
    optional: frozenset[str]

    def validate(self, arguments: Mapping[str, JsonValue]) -> dict[str, Any]:
        """Keyword arguments for the function. Raises InvalidArgumentsError, naming each."""
        try:
            valid = self.model.model_validate(dict(arguments))
        except ValidationError as error:
            raise self._refusal(error.errors(include_url=False)) from error
        return {
            name: getattr(valid, field)
            for field, name in self.names.items()
            if field in valid.model_fields_set or name not in self.optional
        }

    def _refusal(self, findings: list[ErrorDetails]) -> InvalidArgumentsError:
        said = "; ".join(map(_in_words, findings[:_MAX_FINDINGS]))
        more = "; and more" if len(findings) > _MAX_FINDINGS else ""
        known = ", ".join(self.names.values()) or "none"
        message = f"The arguments do not fit: {said}{more}. The parameters are: {known}."
        return InvalidArgumentsError(one_line(message), param=_path(findings[0]))


def _in_words(finding: ErrorDetails) -> str:
    match finding["type"]:
        case "missing":
            return f"{_path(finding)} is missing"
        case "extra_forbidden":
            return f"{_path(finding)} is not known"
        case _:
            return f"{_path(finding)}: {finding['msg']}"


def _path(finding: ErrorDetails) -> str:
    return ".".join(map(str, finding["loc"]))
