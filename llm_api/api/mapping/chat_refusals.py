"""Which chat parameters are refused, and in which words. Pure."""

from collections.abc import Mapping

from llm_api.api.mapping.generation import refuse
from llm_api.api.models.chat import ChatCompletionRequest, ChatMessage

_NOT_YET = "is not available yet."
_NEVER = "is not available on this server."

_PARAMETERS: Mapping[str, str] = {
    "tools": _NOT_YET,
    "functions": _NOT_YET,
    "audio": _NEVER,
    "web_search_options": _NEVER,
    "verbosity": _NEVER,
    "moderation": _NEVER,
    "prompt_cache_options": _NEVER,
    "prompt_cache_retention": _NEVER,
}
_MESSAGE_FIELDS: Mapping[str, str] = {
    "tool_calls": _NOT_YET,
    "function_call": _NOT_YET,
    "tool_call_id": _NOT_YET,
    "audio": _NEVER,
    "refusal": _NEVER,
    "annotations": _NEVER,
}


def check_parameters(request: ChatCompletionRequest) -> None:
    """Raises UnsupportedParameterError for the first parameter that is not honoured."""
    for name, reason in _PARAMETERS.items():
        if getattr(request, name) is not None:
            refuse(name, reason)
    for name in ("tool_choice", "function_call"):
        if getattr(request, name) not in (None, "none"):
            refuse(name, "is not available yet, except as 'none'.")
    if request.response_format is not None and request.response_format.type != "text":
        refuse("response_format", "is not available yet, except as {'type': 'text'}.")
    if request.response_format is not None and request.response_format.json_schema is not None:
        refuse("response_format.json_schema", _NOT_YET)
    if request.modalities not in (None, ["text"]):
        refuse("modalities", "is available only as ['text'].")
    if request.service_tier not in (None, "auto", "default"):
        refuse("service_tier", "is available only as 'auto' or 'default'.")
    if request.store:
        refuse("store", "is available only as false: this server stores no answers.")


def check_message(message: ChatMessage, path: str) -> None:
    """Raises UnsupportedParameterError. Empty lists and null say nothing and are let through.

    SDKs send an earlier answer back with all of its fields, most of them null.
    """
    if message.role in ("tool", "function"):
        refuse(f"{path}.role", f"is '{message.role}', which {_NOT_YET}")
    for name, reason in _MESSAGE_FIELDS.items():
        if getattr(message, name) not in (None, []):
            refuse(f"{path}.{name}", reason)
