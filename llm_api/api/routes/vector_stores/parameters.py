"""What the routes of vector stores read of paths and queries."""

from typing import Annotated

from fastapi import Depends, Path, Query, Response

from llm_api.core.state.records import Order
from llm_api.core.vector_stores.paging import StoreWindow

StoreId = Annotated[str, Path(max_length=256, examples=["vs_0123"])]
StoreFileId = Annotated[str, Path(max_length=1024, examples=["file-0123"])]
BatchId = Annotated[str, Path(max_length=256, examples=["vsfb_0123"])]

_Cursor = Annotated[str | None, Query(max_length=1024)]
POLL_HEADER = "openai-poll-after-ms"
_POLL_MILLISECONDS = 200


async def get_window(
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Order = "desc",
    after: _Cursor = None,
    before: _Cursor = None,
) -> StoreWindow:
    """The page that is asked for: the newest first, if nothing else is said."""
    return StoreWindow(limit, order, after, before)


PageWindow = Annotated[StoreWindow, Depends(get_window)]


def ask_again_soon(response: Response) -> None:
    """Have OpenAI's SDK ask again before the second is over that it would wait. Mutates it."""
    response.headers[POLL_HEADER] = str(_POLL_MILLISECONDS)
