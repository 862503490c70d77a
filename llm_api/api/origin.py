"""Who gave an answer, and what it does not hold to: the headers that say so. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import punctuation
from urllib.parse import quote

from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.types import ServedBy

BACKEND_HEADER = "x-llm-api-backend"
FALLBACK_HEADER = "x-llm-api-fallback"
CACHE_HEADER = "x-cache"
UNENFORCED_HEADER = "x-llm-api-unenforced"


@dataclass(frozen=True, slots=True)
class AnswerOrigin:
    """`model` is the model that answered, not the one that was asked where those differ."""

    model: str
    headers: Mapping[str, str]


def unenforced(names: Iterable[str]) -> dict[str, str]:
    """The header that names functions of which calls break their schemas, or may; if there are any.

    Names of functions are letters, digits, `_` and `-`.
    """
    said = _joined(names)
    return {UNENFORCED_HEADER: said} if said else {}


def origin(asked: ModelCard, served_by: Iterable[ServedBy | None]) -> AnswerOrigin:
    """The origin of an answer by what is known of each choice; None is the model's own backend.

    Choices of one answer may come from several backends: then all are named. It is a hit of the
    cache only if all of them are.
    """
    by = [one or ServedBy(asked.backend) for one in served_by]
    headers = {BACKEND_HEADER: _joined(one.backend for one in by)}
    if fallbacks := _joined(one.fallback for one in by if one.fallback):
        headers[FALLBACK_HEADER] = quote(fallbacks, safe=punctuation + " ")
    uses = {one.cache for one in by}
    if uses != {None}:
        headers[CACHE_HEADER] = "hit" if uses == {"hit"} else "miss"
    return AnswerOrigin(_joined(one.fallback or asked.id for one in by), headers)


def _joined(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
