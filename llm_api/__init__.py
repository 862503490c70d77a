"""A local LLM API server. What a program may import from here: the decorator of functions."""

from llm_api.core.functions.registry import function_registry

__all__ = ["function_registry"]
