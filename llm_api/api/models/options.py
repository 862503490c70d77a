"""Ollama's options inside a request of OpenAI's form, as its clients send them to every door."""

from pydantic import Field

from llm_api.api.models import foreign
from llm_api.api.models.base import RequestModel
from llm_api.api.models.ollama.options import Options


class NestedOptions(Options):
    """As at Ollama's own door."""

    IGNORED = foreign.NESTED_OPTIONS


class OptionsParameters(RequestModel):
    """What may be said a second time, in an object of its own."""

    options: NestedOptions | None = Field(
        default=None,
        description="Extension. Ollama's: sampling, `stop` and `num_predict`, as above.",
    )
