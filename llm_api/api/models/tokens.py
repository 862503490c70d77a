"""Text as tokens and back, and conversations as text: llama.cpp's server's form, and vLLM's.

The two are told apart by their fields: `content` is llama.cpp's, `prompt` and `messages` vLLM's.
"""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from llm_api.api.models.base import AnswerModel, ModelName, RequestModel, at_most
from llm_api.api.models.completions import MAX_PROMPT_TOKENS, TokenId
from llm_api.api.models.messages import ChatMessage
from llm_api.api.models.tools import MAX_TOOLS, Tool

OptionalModel = Annotated[
    ModelName | None,
    Field(description="A model's id or alias. Default: the first of this server's."),
]


class ConversationFields(RequestModel):
    """A conversation as the model's chat template gets it. Null means absent."""

    model: OptionalModel = None
    messages: Annotated[list[ChatMessage], Field(min_length=1, fail_fast=True)] | None = Field(
        default=None, examples=[[{"role": "user", "content": "Hello"}]]
    )
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    chat_template_kwargs: Annotated[dict[str, Any], at_most(64)] | None = None
    add_generation_prompt: bool | None = Field(
        default=None, description="Only true is available: the text ends where the answer begins."
    )


class TemplateRequest(ConversationFields):
    """A conversation to be laid out as the model reads it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"messages": [{"role": "user", "content": "Hello"}]}]}
    )


class TemplateAnswer(AnswerModel):
    prompt: str = Field(description="What the chat template makes of the conversation.")


class TokenizeRequest(ConversationFields):
    """A text, or a conversation, to make tokens of: one of `content`, `prompt`, `messages`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"content": "Hello"}]})

    content: str | None = Field(default=None, description="A text, in llama.cpp's form.")
    add_special: bool | None = Field(
        default=None, description="With `content`: add BOS or EOS as the model has them."
    )
    parse_special: bool | None = Field(
        default=None, description="With `content`: read control tokens' texts. Default true."
    )
    with_pieces: bool | None = Field(
        default=None, description="With `content`: what each token stands for as well."
    )
    prompt: str | None = Field(default=None, description="A text, in vLLM's form.")
    add_special_tokens: bool | None = Field(
        default=None, description="With `prompt`: as `add_special`, but true by default."
    )
    return_token_strs: bool | None = Field(
        default=None, description="With `prompt` or `messages`: the tokens' texts as well."
    )


class TokenPiece(AnswerModel):
    """A token; `piece` is a list of bytes where these are no whole characters."""

    id: int
    piece: str | list[int]


class TokenList(AnswerModel):
    """llama.cpp's answer."""

    tokens: list[int] | list[TokenPiece]


class CountedTokens(AnswerModel):
    """vLLM's answer."""

    count: int
    max_model_len: int | None = Field(description="The model's context, where it is known.")
    tokens: list[int]
    token_strs: list[str] | None = None


class DetokenizeRequest(RequestModel):
    """Tokens to make text of. With `model` the answer is vLLM's, without it llama.cpp's."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tokens": [19556]}]})

    model: OptionalModel = None
    tokens: Annotated[list[TokenId], Field(max_length=MAX_PROMPT_TOKENS, fail_fast=True)]


class DetokenizedContent(AnswerModel):
    """llama.cpp's answer."""

    content: str


class DetokenizedPrompt(AnswerModel):
    """vLLM's answer."""

    prompt: str
