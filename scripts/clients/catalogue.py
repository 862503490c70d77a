"""All clients, in the order of the table. Another is a folder, and one line here."""

from typing import Final

from scripts.clients.case import Client, node_client, python_client
from scripts.clients.claude_code.client import CLAUDE_CODE
from scripts.clients.codex.client import CODEX, CODEX_FULL
from scripts.clients.opencode.client import OPENCODE

CLIENTS: Final[tuple[Client, ...]] = (
    python_client("openai_python", "openai", '"previous_response_id"', '"conversation"'),
    node_client("openai_js", "openai", '"previous_response_id"'),
    python_client("openai_agents", "openai-agents", '"transfer_to_spanish_agent"', "conv_"),
    python_client("langchain", "langchain-openai", '"previous_response_id"'),
    node_client("ai_sdk", "@ai-sdk/openai", '"item_reference"'),
    python_client("ollama_python", "ollama", '"tool_name"', "/api/generate"),
    node_client("ollama_js", "ollama", '"tool_name"', "/api/version"),
    python_client("langchain_ollama", "langchain-ollama", '"think"', '"format"'),
    python_client("llama_index", "llama-index-llms-ollama", '"tool_call_id"', "/api/show"),
    python_client("anthropic_python", "anthropic", "count_tokens", '"signature"'),
    node_client("anthropic_js", "@anthropic-ai/sdk", "count_tokens", '"signature"'),
    python_client("langchain_anthropic", "langchain-anthropic", "count_tokens"),
    node_client("ai_sdk_anthropic", "@ai-sdk/anthropic", '"signature"'),
    python_client("cohere", "cohere", "/v2/rerank", "/v1/rerank"),
    CLAUDE_CODE,
    CODEX,
    CODEX_FULL,
    OPENCODE,
)
