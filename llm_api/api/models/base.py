"""What every wire model has in common, and the envelope of errors. Knows no resource.

Pydantic collects every finding, and a few megabytes can hold a million of them: seconds on the
event loop and gigabytes of memory. So lists of requests carry `fail_fast`, and objects are
counted before they are looked into.
"""

from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

DEFAULT_MODEL_EXAMPLE = "SmolLM2-135M-Instruct.Q4_1"


def text_or_list(value: object) -> str | None:
    """The tag of a union of a text and a list: one finding about a wrong value, not two."""
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else None


MAX_FIELDS = 256

ModelName = Annotated[str, StringConstraints(min_length=1, max_length=512)]


def at_most(count: int) -> BeforeValidator:
    """Refuses an object of more than `count` properties before they are validated."""

    def check(value: object) -> object:
        if isinstance(value, dict) and len(value) > count:
            raise PydanticCustomError("too_long", f"Object should have at most {count} properties")
        return value

    return BeforeValidator(check)


def at_most_nested(count: int) -> BeforeValidator:
    """Refuses JSON of more than `count` values, nested ones included, before validation."""

    def check(value: object) -> object:
        rest: list[Any] = [value]
        seen = 0
        while rest:
            item = rest.pop()
            if not isinstance(item, dict | list):
                continue
            seen += len(item)
            if seen > count:
                raise PydanticCustomError(
                    "too_long", f"Value should have at most {count} values, nested ones included"
                )
            rest.extend(item.values() if isinstance(item, dict) else item)
        return value

    return BeforeValidator(check)


class RequestModel(BaseModel):
    """What a client sends: no unknown field, no type that is merely similar, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _is_of_bearable_size(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > MAX_FIELDS:
            raise PydanticCustomError("too_long", f"Object should have at most {MAX_FIELDS} fields")
        return value


class AnswerModel(BaseModel):
    """What the server sends. `EVENT` names it in a stream of typed events.

    Serialised with `exclude_unset`: a field that was passed is present, null included, and a
    field that was not passed is absent. Fields without a default are always present.
    """

    EVENT: ClassVar[str | None] = None

    def to_json(self) -> str:
        """The JSON text, compact."""
        return self.model_dump_json(exclude_unset=True)


class ErrorBody(AnswerModel):
    """What went wrong. All four keys are always present."""

    message: str = Field(description="One sentence that says what to do.")
    type: str = Field(description="The family of the error.", examples=["invalid_request_error"])
    param: str | None = Field(
        description="The parameter at fault, as a path.", examples=["messages[0].content"]
    )
    code: str | None = Field(
        description="The error's stable name.", examples=["unsupported_parameter"]
    )


class ErrorEnvelope(AnswerModel):
    """The body of every answer that is not a success."""

    error: ErrorBody
