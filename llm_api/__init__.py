"""A local LLM API server. What a program may import from here: the decorator of functions."""

from typing import TYPE_CHECKING

__all__ = ["function_registry"]

if TYPE_CHECKING:
    from llm_api.core.functions.registry import function_registry
else:

    def __getattr__(name: str) -> object:
        """Import the decorator when it is asked for: pydantic takes longer than `--help` should."""
        if name != "function_registry":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from llm_api.core.functions.registry import function_registry  # noqa: PLC0415

        return function_registry
