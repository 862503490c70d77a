"""How requests say whether, how hard and how long a model is to think: every name in use."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, JsonValue, StringConstraints, Tag

from llm_api.api.models import foreign
from llm_api.api.models.base import RequestModel, at_most_nested

Word = Annotated[str, StringConstraints(max_length=64)]
Budget = Annotated[int, Field(ge=-1, le=2**31 - 1)]


class Reasoning(RequestModel):
    """OpenRouter's form."""

    IGNORED = foreign.REASONING

    effort: Word | None = Field(default=None, description="As `reasoning_effort`.")
    max_tokens: Budget | None = Field(default=None, description="As `reasoning_budget`.")
    enabled: bool | None = Field(default=None, description="As `enable_thinking`.")


class Thinking(RequestModel):
    """Anthropic's form, which DeepSeek and GLM have as well."""

    IGNORED = foreign.THINKING

    type: Literal["enabled", "disabled", "adaptive", "auto"] | None = None
    budget_tokens: Budget | None = Field(default=None, description="As `reasoning_budget`.")


def _switch_or_effort(value: Any) -> str | None:
    if isinstance(value, bool):
        return "switch"
    return "effort" if isinstance(value, str) else None


Think = Annotated[
    Annotated[bool, Tag("switch")] | Annotated[Word, Tag("effort")],
    Discriminator(
        _switch_or_effort,
        custom_error_type="invalid_type",
        custom_error_message="Input should be true, false or an effort such as 'low'",
    ),
]


class ReasoningParameters(RequestModel):
    """What is said of thinking. A model that does not think is not changed by any of it."""

    reasoning_effort: Word | None = Field(
        default=None,
        description="`none`, `minimal`, `low`, `medium`, `high`, or what the model's chat template"
        " knows. A template that knows only a switch is told on or off.",
    )
    think: Think | None = Field(
        default=None, description="Extension. On, off, or an effort, as Ollama has it."
    )
    enable_thinking: bool | None = Field(default=None, description="Extension. On or off.")
    thinking: Thinking | None = Field(default=None, description="Extension. As Anthropic has it.")
    reasoning: Reasoning | None = Field(
        default=None, description="Extension. As OpenRouter has it."
    )
    reasoning_budget: Budget | None = Field(
        default=None, description="Extension. Tokens of thought at most; -1: as many as it takes."
    )
    thinking_budget: Budget | None = Field(
        default=None, description="Extension. Another name for `reasoning_budget`, as are the next."
    )
    thinking_budget_tokens: Budget | None = None
    thinking_token_budget: Budget | None = None
    verbosity: Word | None = Field(
        default=None, description="Only for models whose chat template knows it."
    )
    chat_template_kwargs: Annotated[dict[str, JsonValue], at_most_nested(1024)] | None = Field(
        default=None,
        description="Extension. Variables for the model's chat template.",
        examples=[{"enable_thinking": False}],
    )
