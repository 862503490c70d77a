"""Model cards, domain to wire, for Anthropic's clients. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from llm_api.api.models.anthropic.models import ModelEntry, ModelPage
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backend import ModelCard

DEFAULT_LIMIT: Final = 20


def to_model_entry(card: ModelCard) -> ModelEntry:
    """One model. Prompt and answer share its context."""
    return ModelEntry(
        id=card.id,
        type="model",
        display_name=card.id,
        created_at=f"{datetime.fromtimestamp(card.created, UTC):%Y-%m-%dT%H:%M:%SZ}",
        max_input_tokens=card.context_length,
        max_tokens=card.context_length,
    )


def to_model_page(
    cards: Sequence[ModelCard], limit: int, after_id: str | None, before_id: str | None
) -> ModelPage:
    """Those behind one model, or before another. Raises InvalidRequestError for an unknown one."""
    ids = [card.id for card in cards]
    first = 0 if after_id is None else _position(ids, after_id, "after_id") + 1
    last = len(ids) if before_id is None else _position(ids, before_id, "before_id")
    if before_id is not None and after_id is None:
        first = max(0, last - limit)
    shown = cards[first : min(last, first + limit)]
    has_more = first > 0 if before_id is not None and after_id is None else first + limit < last
    entries = [to_model_entry(card) for card in shown]
    return ModelPage(
        data=entries,
        has_more=has_more,
        first_id=entries[0].id if entries else None,
        last_id=entries[-1].id if entries else None,
    )


def _position(ids: Sequence[str], wanted: str, param: str) -> int:
    if wanted not in ids:
        raise InvalidRequestError(f"'{param}' is no model of this server: {wanted}.", param=param)
    return ids.index(wanted)
