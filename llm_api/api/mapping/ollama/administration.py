"""Pulls in Ollama's form, and the names that its requests have. Pure."""

from collections.abc import Iterator

from llm_api.api.mapping.generation import required
from llm_api.api.models.ollama.administration import OllamaNamed, PullLine
from llm_api.core.errors import DownloadError
from llm_api.core.llm.administration.pulls import Pull

_DIGITS = 12


def named_model(body: OllamaNamed) -> str:
    """The model that a request is about. Raises MissingParameterError."""
    return without_latest(required(body.model or body.name, "model"))


def without_latest(name: str) -> str:
    """The name without the tag that Ollama's clients add to names that have none."""
    return name.removesuffix(":latest")


def to_pull_lines(pull: Pull) -> Iterator[PullLine]:
    """What to say of a pull. Raises DownloadError where it has failed."""
    if pull.state in ("failed", "cancelled"):
        raise DownloadError(pull.error or "The pull was cancelled.")
    for file in pull.files:
        yield PullLine(
            status=f"pulling {file.digest[:_DIGITS]}",
            digest=f"sha256:{file.digest}",
            total=file.size,
            completed=file.done,
        )
    if pull.state == "done":
        for status in ("verifying sha256 digest", "writing manifest", "success"):
            yield PullLine(status=status)
