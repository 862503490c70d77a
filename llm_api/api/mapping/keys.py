"""Keys and what they have used, between the wire and the domain. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, TypeAlias

from llm_api.api.models.keys import (
    CreateKey,
    KeyAnswer,
    KeyLimits,
    LimitsInForce,
    NewKeyAnswer,
    UsageBucket,
    UsageDayAnswer,
    UsageList,
    UsageResult,
)
from llm_api.core.access.key_book import KeyRecord, MadeKey
from llm_api.core.access.keys import USER_SCOPES, ApiKey, Limits
from llm_api.core.errors import InvalidRequestError
from llm_api.core.state.records import UsageDay, UsageKind

LIMITS: Final = tuple(field.name for field in fields(Limits))
GroupBy: TypeAlias = Literal["api_key_id", "model", "project_id", "user_id"]


def to_key_record(body: CreateKey, maker: ApiKey) -> KeyRecord:
    """Raises InvalidRequestError for a filter that is none."""
    scopes = USER_SCOPES & maker.scopes if body.scopes is None else frozenset(body.scopes)
    if not scopes:
        raise InvalidRequestError("Say which scopes the key is to have.", param="scopes")
    record = KeyRecord(
        body.name,
        scopes,
        None if body.models is None else tuple(body.models),
        body.collections,
        body.filter,
        Limits(**{name: getattr(body, name) for name in LIMITS}),
    )
    _ = record.documents
    return record


def to_changes(body: KeyLimits) -> Mapping[str, int | None]:
    """The limits that were sent."""
    return {name: getattr(body, name) for name in LIMITS if name in body.model_fields_set}


def to_key(record: KeyRecord, defaults: Limits) -> KeyAnswer:
    own = record.limits
    return KeyAnswer(
        object="key",
        name=record.name,
        origin=record.origin,
        scopes=sorted(record.scopes),
        models=None if record.models is None else [*record.models],
        collections=None if record.collections is None else dict(record.collections),
        filter=None if record.filter is None else dict(record.filter),
        requests_per_minute=own.requests_per_minute,
        tokens_per_minute=own.tokens_per_minute,
        tokens_per_day=own.tokens_per_day,
        concurrency=own.concurrency,
        in_force=LimitsInForce(
            requests_per_minute=own.requests_per_minute or defaults.requests_per_minute,
            tokens_per_minute=own.tokens_per_minute or defaults.tokens_per_minute,
            tokens_per_day=own.tokens_per_day or defaults.tokens_per_day,
            concurrency=own.concurrency or defaults.concurrency,
        ),
        created=record.created,
    )


def to_new_key(made: MadeKey, defaults: Limits) -> NewKeyAnswer:
    return NewKeyAnswer(**dict(to_key(made.record, defaults)), secret=made.secret)


def to_usage_list(used: Sequence[UsageDay], *, is_counted: bool) -> UsageList:
    return UsageList(object="list", data=[_day(one) for one in used], is_counted=is_counted)


def _day(used: UsageDay) -> UsageDayAnswer:
    return UsageDayAnswer(
        object="usage.day",
        date=used.day,
        key=used.owner,
        model=used.model,
        kind=used.kind,
        requests=used.requests,
        prompt_tokens=used.prompt_tokens,
        completion_tokens=used.completion_tokens,
        cached_tokens=used.cached_tokens,
    )


def to_buckets(
    used: Iterable[UsageDay], days: Sequence[date], kind: UsageKind, group_by: Collection[GroupBy]
) -> list[UsageBucket]:
    """A bucket for each day, with a sum for each group in it."""
    by_day: dict[date, dict[tuple[str | None, str | None], list[UsageDay]]] = {}
    for one in used:
        group = (
            one.owner if "api_key_id" in group_by else None,
            one.model if "model" in group_by else None,
        )
        by_day.setdefault(one.day, {}).setdefault(group, []).append(one)
    return [
        UsageBucket(
            object="bucket",
            start_time=_seconds(day),
            end_time=_seconds(day + timedelta(1)),
            results=[_result(kind, *group, rows) for group, rows in by_day.get(day, {}).items()],
        )
        for day in days
    ]


def _result(
    kind: UsageKind, key: str | None, model: str | None, rows: Sequence[UsageDay]
) -> UsageResult:
    result = UsageResult(
        object="organization.usage.embeddings.result",
        input_tokens=sum(row.prompt_tokens for row in rows),
        num_model_requests=sum(row.requests for row in rows),
        project_id=None,
        user_id=None,
        api_key_id=key,
        model=model,
    )
    if kind == "embed":
        return result
    more = {
        "object": "organization.usage.completions.result",
        "output_tokens": sum(row.completion_tokens for row in rows),
        "input_cached_tokens": sum(row.cached_tokens for row in rows),
    }
    return result.model_copy(update=more)


def _seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
