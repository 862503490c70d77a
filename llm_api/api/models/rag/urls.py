"""Web pages that are to be stored, by their URLs or by a sitemap."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from llm_api.api.models.base import RequestModel
from llm_api.api.models.rag.fields import DEFAULT_COLLECTION, CollectionName, Metadata

MAX_URLS = 10_000

PageURL = Annotated[str, StringConstraints(min_length=1, max_length=2_048)]


class UrlsRequest(RequestModel):
    """Pages to fetch, read and store."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"urls": ["https://wiki.local/install.html"]}]}
    )

    urls: Annotated[list[PageURL], Field(fail_fast=True)] | None = Field(
        default=None, min_length=1, max_length=MAX_URLS
    )
    sitemap: PageURL | None = Field(
        default=None, description="Instead of `urls`: a sitemap, or an index of such."
    )
    limit: int = Field(
        default=1_000, ge=1, le=MAX_URLS, description="Pages of the sitemap, the first ones."
    )
    collection: CollectionName = Field(
        default=DEFAULT_COLLECTION, description="It is made if it is not there."
    )
    metadata: Metadata = Field(default={}, description="For every page.")
    background: bool | None = Field(
        default=None, description="Run it as a job, or wait. Default: a job where it is large."
    )
