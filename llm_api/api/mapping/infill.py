"""Text to fill in, wire to domain and back, in llama.cpp's form. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llm_api.api.mapping.generation import given_or, to_sampling, to_stop, wire_progress
from llm_api.api.models.base import AnswerModel
from llm_api.api.models.infill import (
    ChosenFields,
    InfillAnswer,
    InfillRequest,
    InfillTimings,
)
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.collect import Completion
from llm_api.core.llm.progress import Progress
from llm_api.core.llm.types import (
    Addition,
    ContextFile,
    FillInPrompt,
    Finished,
    GenerationRequest,
    TextDelta,
    Usage,
)

_NAMELESS = "tmp"


def to_infill_request(request: InfillRequest, defaults: GenerationDefaults) -> GenerationRequest:
    """A window around the cursor: what does not fit is left out, the farthest first."""
    prompt = FillInPrompt(
        prefix=request.input_prefix + (request.prompt or ""),
        suffix=request.input_suffix,
        files=tuple(
            ContextFile(given_or(file.filename, _NAMELESS), file.text)
            for file in request.input_extra or []
        ),
        is_windowed=True,
        param="input_suffix",
    )
    most = given_or(request.n_predict, defaults.max_tokens)
    return GenerationRequest(
        prompt=prompt,
        max_tokens=None if most == -1 else most,
        sampling=to_sampling(request, defaults, choice=0),
        stop=to_stop(request.stop),
        ignore_eos=bool(request.ignore_eos),
        retention=request.prompt_cache_retention,
    )


@dataclass(frozen=True, slots=True)
class InfillWriter:
    """Writes the answer of one model."""

    model: str
    response_fields: Sequence[str] | None

    def whole(self, completions: Sequence[Completion]) -> AnswerModel:
        [completion] = completions
        answer = self._end(completion.text, completion.finished)
        return answer if self.response_fields is None else chosen(answer, self.response_fields)

    @property
    def has_steady_text(self) -> bool:
        """Nothing else is told of a piece of text."""
        return True

    def opening(self, index: int) -> None:
        """Nothing is shown before the text."""

    def progress(self, progress: Progress) -> InfillAnswer:
        """A frame that adds nothing."""
        return InfillAnswer(
            index=0, content="", stop=False, prompt_progress=wire_progress(progress)
        )

    def delta(self, index: int, delta: Addition) -> InfillAnswer:
        if not isinstance(delta, TextDelta):
            raise TypeError(f"{type(delta).__name__} in a text that was filled in")
        return InfillAnswer(index=index, content=delta.text, stop=False)

    def closing(self, index: int, finished: Finished) -> InfillAnswer:
        return self._end("", finished)

    def usage(self, usage: Usage) -> None:
        """The last frame has told it."""

    def _end(self, text: str, finished: Finished) -> InfillAnswer:
        usage, timings = finished.usage, finished.timings
        return InfillAnswer(
            index=0,
            content=text,
            stop=True,
            model=self.model,
            tokens_predicted=usage.completion_tokens,
            tokens_evaluated=usage.prompt_tokens,
            tokens_cached=usage.prompt_tokens + usage.completion_tokens,
            stop_type="limit" if finished.reason == "length" else "eos",
            timings=InfillTimings(
                cache_n=usage.cached_tokens,
                prompt_n=usage.prompt_tokens - usage.cached_tokens,
                prompt_ms=round(timings.prefill_seconds * 1000, 3),
                predicted_n=usage.completion_tokens,
                predicted_ms=round(timings.decode_seconds * 1000, 3),
            ),
        )


def chosen(answer: InfillAnswer, paths: Sequence[str]) -> ChosenFields:
    """The fields at these paths, those that there are: `timings/prompt_n` is one within another."""
    known: dict[str, Any] = answer.model_dump(exclude_unset=True)
    inner = {f"timings/{name}": value for name, value in known["timings"].items()}
    values = known | inner
    return ChosenFields(**{path: values[path] for path in paths if path in values})
