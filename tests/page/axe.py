"""What axe-core finds in a page that some people cannot use."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """One line for each violation of WCAG AA: its rule, and the elements."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}}).response
    return [
        f"{one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
        for one in found["violations"]
    ]


def check_accessible(page: Page) -> None:
    """Raises AssertionError with the violations. What moves has arrived: motion is reduced."""
    page.emulate_media(reduced_motion="reduce")
    if found := violations(page):
        raise AssertionError("\n".join(found))
