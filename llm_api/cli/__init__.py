"""The command line: `llm-api` and `python -m llm_api`. One module per command."""

from llm_api.cli.app import main

__all__ = ["main"]
