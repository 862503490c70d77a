"""Which prompt a request's inputs get, and which adapter computes them. Pure."""

from dataclasses import dataclass, replace

from llm_api.core.embeddings.embedder import EmbeddingRequest, InputType
from llm_api.core.embeddings.encoder import EncoderFacts
from llm_api.core.errors import UnsupportedParameterError

_NAMES: dict[InputType, tuple[str, ...]] = {
    "query": ("query", "retrieval.query", "search_query"),
    "document": ("document", "passage", "retrieval.passage", "search_document", "corpus"),
}
"""What models call the prompt of an input type, in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """The text put before each input, and what the model's own code is told."""

    prompt: str = ""
    adapter: str | None = None


def with_prefixes(
    facts: EncoderFacts, query_prefix: str | None, document_prefix: str | None
) -> EncoderFacts:
    """The facts with prompts of the user's own in place of the model's. None keeps the model's."""
    given: dict[InputType, str | None] = {"query": query_prefix, "document": document_prefix}
    own = {
        _name_of(input_type, facts): prefix
        for input_type, prefix in given.items()
        if prefix is not None
    }
    return replace(facts, prompts={**facts.prompts, **own})


def known_tasks(facts: EncoderFacts) -> tuple[str, ...]:
    """Everything that a request may name as its task."""
    return tuple(dict.fromkeys([*facts.adapters, *facts.prompts]))


def choose_treatment(request: EmbeddingRequest, facts: EncoderFacts) -> Treatment:
    """The prompt and adapter of `task`, else of `input_type`, else the model's defaults.

    A model without a prompt for an input type treats it like any other text: it was trained so.
    Raises UnsupportedParameterError for a task that the model does not have.
    """
    tasks = known_tasks(facts)
    if request.task is not None:
        if request.task not in tasks:
            known = f"it has {', '.join(tasks)}" if tasks else "it has none"
            raise UnsupportedParameterError(
                f"The model has no task '{request.task}'; {known}.", param="task"
            )
        return _of(request.task, facts)
    if request.input_type is None:
        return Treatment(facts.default_prompt)
    return _of(_name_of(request.input_type, facts), facts)


def _name_of(input_type: InputType, facts: EncoderFacts) -> str:
    """What this model calls the prompt of an input type; our own name where it has none."""
    tasks = known_tasks(facts)
    return next((name for name in _NAMES[input_type] if name in tasks), input_type)


def _of(name: str, facts: EncoderFacts) -> Treatment:
    return Treatment(facts.prompts.get(name, ""), name if name in facts.adapters else None)
