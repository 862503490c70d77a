"""The error envelope. Which error has which status is known by `api/errors.py` alone."""

from pydantic import Field

from llm_api.api.models.base import AnswerModel


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
