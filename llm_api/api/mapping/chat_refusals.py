"""Which chat parameters are refused, and in which words. Pure."""

from collections.abc import Mapping

from llm_api.api.mapping.generation import refuse
from llm_api.api.models.chat import ChatCompletionRequest
from llm_api.api.models.messages import ChatMessage

_NEVER = "is not available on this server."

_PARAMETERS: Mapping[str, str] = {
    "audio": _NEVER,
    "web_search_options": _NEVER,
    "verbosity": _NEVER,
    "moderation": _NEVER,
    "prompt_cache_options": _NEVER,
    "prompt_cache_retention": _NEVER,
}
_MESSAGE_FIELDS: Mapping[str, str] = {
    "audio": _NEVER,
}


def check_parameters(request: ChatCompletionRequest) -> None:
    """Raises UnsupportedParameterError for the first parameter that is not honoured."""
    for name, reason in _PARAMETERS.items():
        if getattr(request, name) is not None:
            refuse(name, reason)
    if request.modalities not in (None, ["text"]):
        refuse("modalities", "is available only as ['text'].")
    if request.service_tier not in (None, "auto", "default"):
        refuse("service_tier", "is available only as 'auto' or 'default'.")
    if request.rag is not None and request.server_tools is not None:
        refuse("server_tools", "is not available together with 'rag'.")
    if request.store:
        refuse("store", "is available only as false: this server stores no answers.")


def check_message(message: ChatMessage, path: str) -> None:
    """Raises UnsupportedParameterError. Empty lists and null say nothing and are let through.

    SDKs send an earlier answer back with all of its fields, most of them null.
    """
    for name, reason in _MESSAGE_FIELDS.items():
        if getattr(message, name) not in (None, []):
            refuse(f"{path}.{name}", reason)
