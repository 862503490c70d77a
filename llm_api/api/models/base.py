"""What every wire model has in common, and the envelope of errors. Knows no resource.

Pydantic collects every finding, and a few megabytes can hold a million of them: seconds on the
event loop and gigabytes of memory. So lists of requests carry `fail_fast`, and objects are
counted before they are looked into.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from llm_api.api.ignored import Foreign, current_bearing

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


def _refused(name: str, foreign: Foreign) -> PydanticCustomError:
    return PydanticCustomError("refused_parameter", "{told}", {"param": name, "told": foreign.told})


class RequestModel(BaseModel):
    """What a client sends: no unknown field, no type that is merely similar, no NaN.

    A field in `IGNORED` is taken off before validation, whatever its type, and noted where it asks
    for something. It may be declared as well: then a value that asks for nothing stays. Where the
    request's `Bearing` takes unknown fields, they are treated the same.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    IGNORED: ClassVar[Mapping[str, Foreign]] = {}
    _honoured: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        names = {field.alias or name for name, field in cls.model_fields.items()}
        cls._honoured = frozenset(names - cls.IGNORED.keys())

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        shown = handler.resolve_ref_schema(schema).setdefault("properties", {})
        for name, foreign in cls.IGNORED.items():
            shown.setdefault(name, {"description": foreign.told})
        return schema

    @model_validator(mode="before")
    @classmethod
    def _bear(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if len(value) > MAX_FIELDS:
            raise PydanticCustomError("too_long", f"Object should have at most {MAX_FIELDS} fields")
        others = value.keys() - cls._honoured
        return cls._without_ignored(value, others) if others else value

    @classmethod
    def _without_ignored(cls, value: dict[str, Any], others: set[str]) -> dict[str, Any]:
        """The fields that are left, of which `others` are not honoured. Notes what is ignored."""
        bearing = current_bearing()
        takes_unknown = bearing is not None and bearing.takes_unknown
        declared = cls.model_fields
        is_strict = cls.model_config.get("extra") == "forbid"
        kept, ignored = {}, []
        for name, one in value.items():
            foreign = cls.IGNORED.get(name)
            if name not in others or (foreign is None and not (takes_unknown and is_strict)):
                kept[name] = one
            elif foreign is None or foreign.asks(one):
                if foreign is not None and foreign.is_binding:
                    raise _refused(name, foreign)
                ignored.append(name)
            elif name in declared:
                kept[name] = one
        if bearing is not None:
            bearing.ignored.note(ignored)
        return kept


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


class MessageErrorBody(AnswerModel):
    """What went wrong, in Anthropic's words."""

    type: str = Field(description="The family of the error.", examples=["not_found_error"])
    message: str = Field(description="One sentence that says what to do.")


class MessageErrorEnvelope(AnswerModel):
    """The body of an answer in Anthropic's form that is not a success."""

    type: Literal["error"]
    error: MessageErrorBody
    request_id: str | None = None


class OllamaError(AnswerModel):
    """The body of an answer in Ollama's form that is not a success."""

    error: str = Field(description="One sentence that says what to do.")
