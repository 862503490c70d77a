"""The state as the settings have it."""

from llm_api.config.settings import Settings
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State


def new_state(settings: Settings) -> State:
    """Opens nothing yet. The caller closes it."""
    url = settings.database_url
    options = StateOptions(
        folder=settings.data_dir / "state",
        url=None if url is None else url.get_secret_value(),
        days=settings.responses_days,
        usage_days=settings.usage_days,
        max_bytes=settings.state_max_bytes,
    )
    return State(options)
