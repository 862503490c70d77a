"""JSON that comes as the text of a field: of a form, or of a query."""

import json
from typing import Any

from llm_api.core.errors import InvalidRequestError


def parse_json_text(text: str, name: str) -> Any:
    """Raises InvalidRequestError that names the field."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"'{name}' is not valid JSON.", param=name) from error
