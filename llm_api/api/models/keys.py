"""API keys as an administrator sees and makes them, and what they have used."""

from datetime import date
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from llm_api.api.models.base import (
    AnswerModel,
    ModelName,
    RequestModel,
    at_most,
    at_most_nested,
)
from llm_api.core.access.key_book import KeyOrigin
from llm_api.core.access.keys import Scope
from llm_api.core.rag.rights import Right
from llm_api.core.state.records import UsageKind

Amount = Annotated[int, Field(ge=1, le=10**15)]
KeyName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
CollectionPattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_*-]{1,64}$")]


class KeyLimits(RequestModel):
    """What is to change. A limit of null is the server's default; one that is not sent stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tokens_per_day": 100000}]})

    requests_per_minute: Amount | None = None
    tokens_per_minute: Amount | None = None
    tokens_per_day: Amount | None = None
    concurrency: Amount | None = Field(default=None, description="Requests at the same time.")


class CreateKey(KeyLimits):
    """A new key. It may do no more than the one that makes it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "alice", "scopes": ["generate"], "tokens_per_day": 100000}]
        }
    )

    name: KeyName = Field(description="Who gets it; what is counted and stored goes by it.")
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=8)] | None = Field(
        default=None, description="Unless said: all but `admin` that your own key has."
    )
    models: Annotated[list[ModelName], Field(min_length=1, max_length=256)] | None = Field(
        default=None, description="Ids or aliases. Unless said: every model."
    )
    collections: (
        Annotated[dict[CollectionPattern, Right], at_most(256), Field(min_length=1)] | None
    ) = Field(
        default=None,
        description="Names, or patterns such as `team-*`. Unless said: every collection.",
    )
    filter: Annotated[dict[str, JsonValue], at_most_nested(2048)] | None = Field(
        default=None, description="What the metadata of documents have to fulfil, as in a search."
    )


class LimitsInForce(AnswerModel):
    """What bounds a key: its own limits, else the server's. Null is without limit."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    concurrency: int | None


class KeyAnswer(AnswerModel):
    """A key without its secret. Its own limits are null where the server's defaults hold."""

    object: Literal["key"]
    name: str = Field(examples=["alice"])
    origin: KeyOrigin = Field(
        description="`settings`: the `API_KEY` of the server, which only they change."
    )
    scopes: list[Scope]
    models: list[str] | None = Field(description="Null: every model.")
    collections: dict[str, Right] | None = Field(description="Null: every collection.")
    filter: dict[str, JsonValue] | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    concurrency: int | None
    in_force: LimitsInForce
    created: date | None


class NewKeyAnswer(KeyAnswer):
    """A key that was just made, with its secret, which is nowhere else."""

    secret: str = Field(examples=["sk-llm-..."])


class KeyList(AnswerModel):
    """Every key of this server."""

    object: Literal["list"]
    data: list[KeyAnswer]
    problem: str | None = Field(description="Why no key can be made or changed; null if it can.")


class DeletedKey(AnswerModel):
    """A key that opens nothing any more."""

    name: str
    object: Literal["key"]
    deleted: Literal[True]


class UsageDayAnswer(AnswerModel):
    """What a key has used of one model on one day of UTC."""

    object: Literal["usage.day"]
    date: date
    key: str
    model: str
    kind: UsageKind
    requests: int = Field(description="HTTP requests that asked the model, however often.")
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = Field(description="Of the prompt's: shared, not computed.")


class UsageList(AnswerModel):
    """What was used, the oldest day first."""

    object: Literal["list"]
    data: list[UsageDayAnswer]
    is_counted: bool = Field(
        description="False where the server asks for no key, or `USAGE_DAYS` is 0."
    )


class UsageResult(AnswerModel):
    """The sum of one bucket and of one of its groups, as OpenAI has it."""

    object: Literal["organization.usage.completions.result", "organization.usage.embeddings.result"]
    input_tokens: int
    num_model_requests: int
    output_tokens: int | None = None
    input_cached_tokens: int | None = None
    project_id: None = None
    user_id: None = None
    api_key_id: str | None = Field(default=None, description="The key's name, where grouped by.")
    model: str | None = Field(default=None, description="Where grouped by.")


class UsageBucket(AnswerModel):
    """A day of UTC."""

    object: Literal["bucket"]
    start_time: int
    end_time: int
    results: list[UsageResult]


class UsagePage(AnswerModel):
    """Buckets, the oldest first."""

    object: Literal["page"]
    data: list[UsageBucket]
    has_more: bool
    next_page: str | None
