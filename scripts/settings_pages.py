"""Writes the table of docs/configuration.md and `.env.example` anew, out of the settings.

python -m scripts.settings_pages
"""

import re
from pathlib import Path

from llm_api.config.documentation import env_example, settings_table

ROOT = Path(__file__).parent.parent


def with_table(page: str) -> str:
    """The page with the table of the settings as they are now between its markers."""
    table = f"<!-- settings:begin -->\n{settings_table()}\n<!-- settings:end -->"
    return re.sub(
        "<!-- settings:begin -->.*<!-- settings:end -->", lambda _: table, page, flags=re.DOTALL
    )


def main() -> None:
    page = ROOT / "docs" / "configuration.md"
    page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")
    (ROOT / ".env.example").write_text(env_example(), encoding="utf-8")


if __name__ == "__main__":
    main()
