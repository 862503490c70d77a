"""What hosts ask of programs that fetch pages: `robots.txt` (RFC 9309), kept for one round."""

import asyncio
from collections import defaultdict
from typing import Final
from urllib.robotparser import RobotFileParser

import httpx2

from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.web.fetcher import AGENT, Fetcher, PageStatusError

MAX_BYTES: Final = 500 * 1024
"""As much as the RFC has programs read."""
MAX_DELAY_SECONDS: Final = 5.0


class Robots:
    """What the hosts of one round allow. A host that cannot say is not asked for pages."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._said: dict[str, RobotFileParser | None] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def check(self, url: httpx2.URL) -> None:
        """Raises InvalidRequestError for a page that is not to be fetched, and what a fetch does.

        Waits as long as the host wants to pass between two pages, within reason.
        """
        site = str(url.copy_with(raw_path=b"/robots.txt", fragment=None))
        async with self._turns[site]:
            if site not in self._said:
                self._said[site] = await self._read(httpx2.URL(site))
            rules = self._said[site]
            if rules is None:
                return
            if not rules.can_fetch(AGENT, str(url)):
                raise InvalidRequestError(f"The robots.txt of {url.host} disallows it.")
            if delay := rules.crawl_delay(AGENT):
                await asyncio.sleep(min(float(delay), MAX_DELAY_SECONDS))

    async def _read(self, url: httpx2.URL) -> RobotFileParser | None:
        """None where the host has none."""
        try:
            page = await self._fetcher.fetch(url, max_bytes=MAX_BYTES)
        except PageStatusError as error:
            if error.is_not_there:
                return None
            raise
        rules = RobotFileParser()
        rules.parse((page.data or b"").decode("utf-8", "replace").splitlines())
        return rules
