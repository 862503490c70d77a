"""Ollama's options inside a request of OpenAI's form, as if they stood beside them. Pure."""

from typing import Any, TypeVar

from llm_api.api.mapping.generation import same_meaning
from llm_api.api.models.chat import ChatCompletionRequest
from llm_api.api.models.completions import CompletionRequest
from llm_api.api.models.generation import SamplingParameters
from llm_api.api.models.options import NestedOptions

Generating = TypeVar("Generating", ChatCompletionRequest, CompletionRequest)


def with_options(request: Generating) -> Generating:
    """The request with what its `options` say. Raises InvalidRequestError for two values of one."""
    if request.options is None:
        return request
    said: dict[str, Any] = {
        name: getattr(request.options, name) for name in SamplingParameters.model_fields
    }
    said["stop"] = request.options.stop
    if isinstance(seed := request.options.seed, int) and seed < 0:
        said["seed"] = None  # Ollama's way to say: any
    update = {
        name: same_meaning(name, getattr(request, name), f"options.{name}", value)
        for name, value in said.items()
    }
    length = _length(request.options)
    update["n_predict"] = same_meaning(
        "n_predict", request.n_predict, "options.num_predict", length
    )
    return request.model_copy(update=update)


def _length(options: NestedOptions) -> int | None:
    """Tokens of the answer; none, or fewer, are no limit to Ollama."""
    if options.num_predict is None:
        return None
    return options.num_predict if options.num_predict > 0 else -1
