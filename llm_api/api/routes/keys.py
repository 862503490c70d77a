"""Keys for an administrator, and what keys have used: `/v1/keys`, `/v1/usage`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import StringConstraints

from llm_api.api.deps import CallerServices, Services
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.keys import (
    GroupBy,
    to_buckets,
    to_changes,
    to_key,
    to_key_record,
    to_new_key,
    to_usage_list,
)
from llm_api.api.models.keys import (
    CreateKey,
    DeletedKey,
    KeyAnswer,
    KeyLimits,
    KeyList,
    NewKeyAnswer,
    UsageList,
    UsagePage,
)
from llm_api.core.errors import InvalidRequestError
from llm_api.core.state.records import UsageKind

router = APIRouter(prefix="/v1", tags=["Keys"], responses=ERROR_RESPONSES)
bodies = APIRouter(route_class=JSONBodyRoute)

MAX_DAYS: Final = 366
MAX_BUCKETS: Final = 31
_LATEST: Final = 253_370_764_800
"""The year 9999 in Unix seconds: beyond it there are no dates."""
KeyNamePath = Annotated[str, Path(max_length=64, examples=["alice"])]
Days = Annotated[int, Query(ge=1, le=MAX_DAYS, description="Today included; days are of UTC.")]
Moment = Annotated[int, Query(ge=0, lt=_LATEST, description="Unix seconds.")]
Names = Annotated[
    Sequence[Annotated[str, StringConstraints(max_length=512)]], Query(max_length=256)
]
Groups = Annotated[Sequence[GroupBy], Query(max_length=8)]


@router.get("/keys", summary="List the keys")
async def list_keys(services: Services) -> KeyList:
    """Who has one and what it permits, never a secret; and whether keys can be changed here."""
    keys = services.keys()
    data = [to_key(one, keys.defaults) for one in await keys.all()]
    return KeyList(object="list", data=data, problem=await keys.problem())


@bodies.post(
    "/keys",
    summary="Make a key",
    status_code=HTTPStatus.CREATED,
    response_model=NewKeyAnswer,
)
async def create_key(body: CreateKey, services: Services) -> Response:
    """Its secret is in this answer and nowhere else: the server keeps a hash. It holds at once."""
    keys = services.keys()
    maker = services.caller.key
    made = await keys.create(to_key_record(body, maker), maker)
    headers = {"location": f"/v1/keys/{body.name}", "cache-control": "no-store"}
    text = to_new_key(made, keys.defaults).to_json()
    return Response(text, HTTPStatus.CREATED, headers, "application/json")


@router.get("/keys/{name}", summary="Describe one key")
async def retrieve_key(name: KeyNamePath, services: Services) -> KeyAnswer:
    """What it permits, without its secret."""
    keys = services.keys()
    return to_key(await keys.get(name), keys.defaults)


@bodies.patch("/keys/{name}", summary="Change the limits of a key")
async def change_key(name: KeyNamePath, body: KeyLimits, services: Services) -> KeyAnswer:
    """They hold for the next request. What a key may do does not change: make another one."""
    keys = services.keys()
    return to_key(await keys.limit(name, **to_changes(body)), keys.defaults)


@router.delete("/keys/{name}", summary="Revoke a key")
async def revoke_key(name: KeyNamePath, services: Services) -> DeletedKey:
    """Requests that are being answered go on; the next one is refused.

    The last key with the scope `admin` stays (409).
    """
    await services.keys().revoke(name)
    return DeletedKey(name=name, object="key", deleted=True)


@router.get("/keys/{name}/usage", summary="See what a key has used")
async def key_usage(name: KeyNamePath, services: Services, days: Days = 30) -> UsageList:
    """By day and model; of a key that was revoked as well, for as long as it is kept."""
    used = await services.usage().of(name, days)
    if not used:
        await services.keys().get(name)
    return to_usage_list(used, is_counted=services.counts_usage)


@router.get("/usage", summary="See what this key has used")
async def own_usage(services: Services, days: Days = 30) -> UsageList:
    """By day and model."""
    return to_usage_list(await services.own_usage(days), is_counted=services.counts_usage)


@dataclass(frozen=True, slots=True)
class AskedUsage:
    """Which days, keys and models, and by what they are grouped; empty names stand for all."""

    days: Sequence[date]
    next_page: str | None
    group_by: Sequence[GroupBy]
    keys: Sequence[str]
    models: Sequence[str]


async def asked_usage(  # noqa: PLR0913, PLR0917 - as OpenAI's clients send them
    start_time: Moment,
    end_time: Annotated[int | None, Query(ge=1, lt=_LATEST)] = None,
    bucket_width: Literal["1d"] = "1d",
    group_by: Groups = (),
    group_by_list: Annotated[Groups, Query(alias="group_by[]")] = (),
    api_key_ids: Names = (),
    api_key_ids_list: Annotated[Names, Query(alias="api_key_ids[]")] = (),
    models: Names = (),
    models_list: Annotated[Names, Query(alias="models[]")] = (),
    limit: Annotated[int, Query(ge=1, le=MAX_BUCKETS)] = 7,
    page: Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}-\d{2}$")] = None,
) -> AskedUsage:
    """What is asked for. A list is `models=a&models=b`, or `models[]=...`, as the SDK sends it.

    Raises InvalidRequestError for a page that is none.
    """
    try:
        first = _day_of(start_time) if page is None else date.fromisoformat(page)
    except ValueError as error:
        raise InvalidRequestError("There is no such page.", param="page") from error
    today = datetime.now(UTC).date()
    last = min(today if end_time is None else _day_of(end_time - 1), today)
    count = min(limit, max(0, (last - first).days + 1))
    days = [first + timedelta(number) for number in range(count)]
    after = first + timedelta(count)
    return AskedUsage(
        days,
        after.isoformat() if count and after <= last else None,
        (*group_by, *group_by_list),
        (*api_key_ids, *api_key_ids_list),
        (*models, *models_list),
    )


Asked = Annotated[AskedUsage, Depends(asked_usage)]


@router.get(
    "/organization/usage/completions",
    summary="See what all keys have generated",
    response_model_exclude_unset=True,
)
async def completions_usage(asked: Asked, services: Services) -> UsagePage:
    """As OpenAI's `admin.organization.usage`: by days of UTC; a key's id is its name."""
    return await _usage_page("generate", asked, services)


@router.get(
    "/organization/usage/embeddings",
    summary="See what all keys have embedded",
    response_model_exclude_unset=True,
)
async def embeddings_usage(asked: Asked, services: Services) -> UsagePage:
    """As above."""
    return await _usage_page("embed", asked, services)


async def _usage_page(kind: UsageKind, asked: AskedUsage, services: CallerServices) -> UsagePage:
    usage = services.usage()
    used = await usage.between(asked.days[0], asked.days[-1]) if asked.days else ()
    chosen = [
        one
        for one in used
        if one.kind == kind
        and (not asked.keys or one.owner in asked.keys)
        and (not asked.models or one.model in asked.models)
    ]
    return UsagePage(
        object="page",
        data=to_buckets(chosen, asked.days, kind, asked.group_by),
        has_more=asked.next_page is not None,
        next_page=asked.next_page,
    )


def _day_of(seconds: int) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()


router.include_router(bodies)
