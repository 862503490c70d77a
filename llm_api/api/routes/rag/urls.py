"""Web pages as documents: `POST /v1/rag/urls`."""

import asyncio
from collections.abc import Sequence
from typing import Final

import httpx2
from fastapi import APIRouter, Request, Response

from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.models.rag.documents import IngestAnswer
from llm_api.api.models.rag.urls import UrlsRequest
from llm_api.api.routes.rag.ingests import INGEST_RESPONSES, Intake, ingest
from llm_api.core.errors import InvalidRequestError, UpstreamTimeoutError
from llm_api.core.rag.ingest import each
from llm_api.core.rag.jobs import page_input
from llm_api.core.rag.metadata import check_metadata
from llm_api.core.rag.reports import Report
from llm_api.core.rag.web.fetcher import Web
from llm_api.core.rag.web.hosts import page_url, site_of
from llm_api.core.rag.web.reading import PageToIngest
from llm_api.core.rag.web.robots import Robots
from llm_api.core.rag.web.sitemap import sitemap_urls

SMALL_PAGES: Final = 8
"""What is fetched at the same time. More is a job."""
SITEMAP_SECONDS: Final = 60.0

router = APIRouter(prefix="/v1/rag", tags=["Documents"], route_class=JSONBodyRoute)


@router.post(
    "/urls",
    summary="Store web pages to be found again",
    response_model=IngestAnswer,
    responses=INGEST_RESPONSES,
)
async def create_pages(request: Request, body: UrlsRequest, services: Services) -> Response:
    """Fetch pages, or those of a sitemap, and store them under the URLs they were found at.

    Which hosts are asked, the settings say. A page that has not changed is left as it is.
    """
    retrieval = services.retrieval()
    retrieval.rights.require_write(body.collection)
    check_metadata(body.metadata)
    urls = await until_disconnect(request, _urls(body, retrieval.web))
    pages = [PageToIngest(url, body.metadata) for url in urls]

    async def work(report: Report) -> None:
        await retrieval.ingest_pages(body.collection, pages, lambda _, outcome: report(outcome))

    intake = Intake(
        body.collection,
        urls,
        work,
        "urls",
        lambda: each(map(page_input, pages)),
        len(pages) > SMALL_PAGES if body.background is None else body.background,
    )
    return await ingest(request, services.owner, retrieval, intake)


async def _urls(body: UrlsRequest, web: Web) -> Sequence[str]:
    """The pages that are asked for, each once. Raises InvalidRequestError for one that may not be.

    What a sitemap's host does is raised as it is.
    """
    if (body.urls is None) == (body.sitemap is None):
        raise InvalidRequestError("Send either 'urls' or 'sitemap'.", param="urls")
    if body.sitemap is None:
        given = enumerate(body.urls or ())
        return [*dict.fromkeys(str(_permitted(web, url, f"urls[{n}]")) for n, url in given)]
    sitemap = _permitted(web, body.sitemap, "sitemap")
    try:
        async with asyncio.timeout(SITEMAP_SECONDS), web.fetching() as fetcher:
            found = await sitemap_urls(fetcher, Robots(fetcher), sitemap, body.limit)
    except TimeoutError as error:
        raise UpstreamTimeoutError("The sitemap did not come in time.") from error
    except InvalidRequestError as error:
        raise InvalidRequestError(error.message, param="sitemap") from error
    if not found:
        raise InvalidRequestError("The sitemap names no page of its own host.", param="sitemap")
    return found


def _permitted(web: Web, text: str, param: str) -> httpx2.URL:
    try:
        url = page_url(text)
        web.rules.check(site_of(url))
    except InvalidRequestError as error:
        raise InvalidRequestError(error.message, param=param) from error
    return url
