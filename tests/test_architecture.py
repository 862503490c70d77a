"""The laws of imports and of types' names.

Which way imports run, which module may open a heavy library, no cycles; one idea to a type's name.

Looks at source text only, so imports inside functions and under `TYPE_CHECKING` count as well.
"""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

from scripts.structure import PACKAGE, child_of, edges, imported_names, read_modules

SOURCE: Final = Path(__file__).parent.parent / PACKAGE

# What each child of a package may import of its siblings. Every child is in one line.
ARROWS: Final[Mapping[str, Mapping[str, str]]] = {
    "llm_api": {
        "__main__": "cli",
        "cli": "main assembly config core",
        "main": "assembly api config core server workers",
        "assembly": "api config core",
        "workers": "core server",
        "server": "core",
        "api": "core",
        "config": "core",
        "core": "",
    },
    "llm_api.core": {
        "function_loop": "functions llm",
        "access": "embeddings errors llm rag state utils",
        "rag": "embeddings errors llm state utils",
        "vector_stores": "errors files rag state utils",
        "files": "errors state utils",
        "state": "errors utils",
        "embeddings": "errors llm upstream upstream_http utils",
        "llm": "errors upstream upstream_http utils",
        "functions": "errors utils",
        "upstream_http": "errors upstream",
        "upstream": "errors",
        "utils": "errors",
        "errors": "",
    },
    "llm_api.core.llm": {
        "administration": "backend files residency",
        "residency": "gateway backend observation types",
        "gateway": "output prompt backend capabilities collect observation progress types",
        "backends": "engine output prefix_cache prompt backend capabilities collect observation"
        " progress types",
        "tuning": "engine files",
        "engine": "output prefix_cache observation progress types",
        "prefix_cache": "observation types",
        "prompt": "output types",
        "output": "types",
        "files": "",
        "choices": "backend types",
        "shortening": "backend types",
        "collect": "choices types",
        "backend": "capabilities files observation types",
        "capabilities": "types",
        "observation": "",
        "types": "progress",
        "progress": "",
    },
    "llm_api.core.llm.prefix_cache": {
        "inventory": "prefix_cache stored tier",
        "model_prefixes": "prefix_cache speeds stored",
        "prefix_cache": "buffers index state_folder stored tier",
        "state_folder": "state_file stored",
        "state_file index tier buffers": "stored",
        "stored speeds fingerprint": "",
    },
    "llm_api.assembly": {
        "services": "administration embedders files functions local_models models pins plan"
        " prefixes reranker retrieval state",
        "prefixes": "local_models",
        "administration": "embedders local_models plan",
        "plan": "functions local_models",
        "pins": "",
        "models": "local_models",
        "retrieval": "",
        "reranker": "",
        "files": "",
        "state": "",
        "local_models": "pins",
        "functions": "",
        "entrance": "",
        "embedders": "",
    },
    "llm_api.cli": {
        "app": "lazy terminal",
        "rag": "in_process options remote_server terminal",
        "talk": "options remote_server terminal",
        "models": "options remote_server terminal",
        "in_process": "remote_server",
        "serve": "remote_server terminal",
        "optimize": "optimize_auto options terminal",
        "optimize_auto": "terminal",
        "cache": "options remote_server terminal",
        "keys": "options terminal",
        "functions": "options terminal",
        "doctor": "options terminal",
        "remote_server": "",
        "options": "",
        "embed": "options remote_server terminal",
        "lazy": "",
        "terminal": "",
    },
    "llm_api.cli.rag": {
        "ingest": "files ingesting local_library repository server_library watching",
        "watching": "files ingesting",
        "renew": "chunk_bar local_library",
        "ingesting": "chunk_bar files fitness",
        "repository": "files fitness",
        "evaluate": "local_library",
        "server_library": "files",
        "local_library": "files",
        "chunk_bar": "pace",
        "files": "fitness ignored",
        "documents": "",
        "asking": "",
        "report": "",
        "fitness": "",
        "ignored": "",
        "pace": "",
    },
    "llm_api.cli.models": {"hub installed": ""},
    "llm_api.cli.talk": {
        "chat": "commands conversation local_talker server_talker typed_lines",
        "typed_lines": "commands",
        "commands": "conversation",
        "server_talker": "conversation",
        "local_talker": "conversation",
        "conversation": "answer_view",
        "answer_view": "",
    },
    "llm_api.api": {
        "wiring": "built_page deps docs draining engine_watch errors live_requests mcp_on_demand"
        " metrics middleware policy responding routes sse",
        "routes": "answers built_page deps disconnect docs doors draining engine_watch given_files"
        " json_body live_requests mapping messaging models origin progress_frames request_facts"
        " responding"
        " stream_forms text_stream uploads",
        "messaging": "answers deps disconnect file_search given_files mapping models origin"
        " progress_frames request_facts stream_forms",
        "responding": "answers deps disconnect draining file_search given_files mapping models"
        " origin progress_frames request_facts sse",
        "built_page": "middleware",
        "given_files": "",
        "text_stream": "answers errors",
        "draining": "doors errors request_facts stream_forms",
        "answers": "deps disconnect errors mapping models origin progress_frames request_facts"
        " stream_forms",
        "progress_frames": "",
        "stream_forms": "doors errors models sse",
        "http": "errors middleware",
        "docs": "middleware models",
        "mcp_on_demand": "mcp_server",
        "mcp_server": "json_body",
        "uploads": "errors",
        "sse": "errors models",
        "engine_watch": "draining models sse",
        "live_requests": "request_facts",
        "middleware": "deps doors errors ignored live_requests metrics policy request_facts"
        " request_log",
        "json_body": "deps errors ignored request_facts",
        "errors": "disconnect doors models request_facts validation",
        "metrics": "deps request_facts",
        "request_spans": "request_facts",
        "request_log": "request_facts",
        "mapping": "live_requests models",
        "policy": "",
        "validation": "",
        "file_search": "deps mapping models",
        "deps": "document_search request_facts",
        "document_search": "",
        "doors": "",
        "disconnect": "",
        "request_facts": "ignored",
        "origin": "",
        "models": "ignored",
        "ignored": "",
    },
    "llm_api.config": {
        "effective": "config_file model_entry settings",
        "chosen_models": "chosen_backends config_file model_entry settings",
        "config_file": "mcp_servers model_entry problems sections settings yaml_text",
        "chosen_backends": "model_entry sections settings",
        "model_entry": "sections settings",
        "key_book": "keys_file settings",
        "keys_file": "problems sections settings yaml_text",
        "documentation": "settings",
        "settings": "problems sections",
        "mcp_servers": "sections",
        "problems": "",
        "yaml_text": "",
        "sections": "",
    },
    "llm_api.core.access": {
        "documents": "caller metered",
        "metered": "caller",
        "caller": "counters keys limiter usage",
        "redis_counters": "counters",
        "limiter": "counters keys",
        "key_book": "keys",
        "usage": "",
        "counters": "",
        "keys": "",
    },
    "llm_api.core.embeddings": {
        "local": "cache embedder encoder micro_batcher prompts vectors",
        "sentence_transformer": "embedder encoder vectors",
        "cross_encoder gguf_pairs": "embedder reranker",
        "reranker": "embedder encoder micro_batcher",
        "gguf": "embedder encoder vectors",
        "onnx": "bert embedder encoder vectors",
        "bert": "onnx_graph",
        "onnx_graph": "",
        "doctor": "model_files vectors",
        "embedder_registry": "embedder on_demand",
        "prompts": "embedder encoder",
        "micro_batcher": "batch_queue embedder encoder",
        "vectors": "embedder",
        "upstream_embedder": "embedder",
        "on_demand": "embedder",
        "encoder": "embedder",
        "embedder": "",
        "model_files": "",
        "cache": "",
        "batch_queue": "",
    },
    "llm_api.core.files": {
        "uploads": "arriving files",
        "opened": "arriving byte_storage files folder_storage options s3_storage",
        "files": "arriving byte_storage",
        "arriving": "folder_storage",
        "s3_storage": "byte_storage options",
        "folder_storage": "byte_storage",
        "byte_storage options": "",
    },
    "llm_api.core.functions": {
        "plugins": "catalog one_line python_function registry types",
        "python_function": "one_line registry types",
        "builtin": "registry",
        "registry": "arguments spec types",
        "mcp_functions": "catalog mcp_client mcp_servers types",
        "runner": "catalog one_line types",
        "spec": "annotations arguments types",
        "mcp_client": "mcp_listing mcp_results mcp_servers one_line types",
        "catalog": "types",
        "arguments": "one_line",
        "mcp_results": "",
        "mcp_listing": "",
        "mcp_servers": "",
        "types": "",
        "one_line": "",
        "annotations": "",
    },
    "llm_api.core.rag": {
        "reindex": "embed_documents reports retrieval types vector_store",
        "collection_report": "files jobs retrieval sources types vector_store web",
        "sync": "files retrieval sources types vector_store",
        "retrieval": "chunking confined eval_jobs files ingest jobs loaders prepare reports"
        " retrieve rights sources types vector_store web",
        "web": "files identity loaders reports types vector_store",
        "sources": "files",
        "confined": "filters matching rights types vector_store",
        "rights": "filters matching metadata types",
        "matching": "filters metadata types",
        "ingest": "embed_documents prepare reports types vector_store",
        "eval_runner": "context_job context_trial eval_jobs evals evaluation job_loop job_runner"
        " prepare retrieval types",
        "context_job": "context_trial contexts embed_documents eval_jobs evaluation identity"
        " prepare retrieval tuning types",
        "eval_jobs": "context_trial evals vector_store",
        "context_trial": "contexts embed_documents evals evaluation retrieve tuning vector_store",
        "contexts": "prepare types vector_store",
        "evals": "evaluation retrieve tuning vector_store",
        "tuning": "evaluation fusion retrieve vector_store",
        "evaluation": "vector_store",
        "answering": "contexts filters retrieve sentences types vector_store words",
        "embed_documents": "prepare reports vector_store",
        "retrieve": "filters reports vector_store",
        "prepare": "identity metadata reports types vector_store",
        "job_runner": "files job_loop jobs reports retrieval types",
        "jobs": "files reports types web",
        "files": "loaders reports types",
        "stores": "bm25 filters fusion matching metadata types vector_store",
        "fusion": "vector_store",
        "reports": "vector_store",
        "bm25": "vector_store words",
        "chunking": "sentences types",
        "vector_store": "filters types",
        "metadata": "filters types",
        "sentences": "types",
        "loaders": "types",
        "identity": "types",
        "filters": "types",
        "beir": "types",
        "job_loop": "",
        "words": "",
        "types": "",
    },
    "llm_api.core.rag.web": {
        "reading": "fetcher hosts robots",
        "sitemap": "fetcher hosts robots",
        "robots": "fetcher",
        "fetcher": "hosts",
        "hosts": "",
    },
    "llm_api.api.http": {
        "bounded_head": "connection",
        "connection": "answer_cycle framing",
        "answer_cycle": "framing",
        "framing": "",
    },
    "llm_api.api.mapping": {
        "chat_answers": "generation rag",
        "vector_stores": "rag",
        "rag": "chat generation",
        "chat": "generation options reasoning tools",
        "responses": "file_search generation rag tools",
        "anthropic": "file_search generation tools",
        "ollama": "generation tools",
        "tokens": "chat generation",
        "completions": "generation options",
        "file_search": "rag vector_stores",
        "tools plain infill reasoning options rerank": "generation",
        "administration cache embeddings files functions generation keys live models": "",
    },
    "llm_api.api.mapping.anthropic": {
        "turns": "signatures",
        "fold generation models signatures tools": "",
    },
    "llm_api.api.mapping.ollama": {
        "administration answers embed generation keep_alive listing": "",
    },
    "llm_api.api.mapping.rag": {
        "annotations": "chat search",
        "chat evals": "search",
        "documents report search sync": "",
    },
    "llm_api.api.mapping.responses": {
        "threads": "stored",
        "stored": "fold turns",
        "fold": "open_items searched_items tools turns",
        "generation": "tools turns",
        "open_items": "tools",
        "searched_items tools turns": "",
    },
    "llm_api.api.metrics": {
        "exposition": "families requests sharing",
        "sharing": "families",
        "families requests": "",
    },
    "llm_api.api.middleware": {
        "body_limit": "content_encoding",
        "content_encoding gate host_check last_resort rate_limit reporting request_id"
        " served_path tracing": "",
    },
    "llm_api.api.models": {
        "responses": "base chat file_search foreign generation rag tools",
        "chat": "base foreign generation messages options rag reasoning tools",
        "reasoning": "base foreign",
        "rag": "base generation messages",
        "vector_stores": "base chat rag",
        "ollama": "base embeddings foreign generation tools",
        "anthropic": "base file_search foreign generation tools",
        "messages": "base foreign generation tools",
        "embeddings": "base completions",
        "tools": "base foreign generation",
        "tokens": "base completions messages tools",
        "plain": "base generation",
        "completions": "base generation options",
        "options": "base foreign ollama",
        "infill": "base foreign generation",
        "generation": "base foreign",
        "file_search": "base rag",
        "administration cache keys server_info live models files functions rerank": "base",
        "foreign": "",
        "base": "",
    },
    "llm_api.api.models.anthropic": {
        "parameters": "blocks tools",
        "blocks message models tools": "",
    },
    "llm_api.api.models.ollama": {
        "chat embed": "options",
        "administration answers listing options": "",
    },
    "llm_api.api.models.rag": {
        "search documents chat evals sync urls": "fields",
        "fields report": "",
    },
    "llm_api.api.models.responses": {
        "stream_events": "output response",
        "conversations": "items parameters",
        "parameters": "items tools",
        "response": "output",
        "items output threads tools": "",
    },
    "llm_api.api.responding": {
        "preparation": "foreground intake keeping mcp_tools",
        "background": "foreground keeping",
        "foreground": "keeping",
        "following intake keeping mcp_tools": "",
    },
    "llm_api.api.routes": {
        "ollama": "embeddings",
        "administration cache chat completions conversations embeddings files functions infill keys"
        " live messages models page plain rag rerank responses server_info stored_responses"
        " threads tokens"
        " uploads vector_stores": "",
    },
    "llm_api.api.routes.ollama": {
        "chat": "door keep_alive",
        "administration embed listing": "door",
        "door keep_alive": "",
    },
    "llm_api.api.routes.vector_stores": {
        "files stores": "parameters",
        "parameters": "",
    },
    "llm_api.api.routes.rag": {
        "files documents urls": "ingests",
        "chat collections evals ingests report search sync": "",
    },
    "llm_api.config.sections": {
        "server retrieval models gateway functions files embeddings access": "field_types",
        "field_types state": "",
    },
    "llm_api.core.functions.builtin": {
        "dates time_zones weather": "",
    },
    "llm_api.core.functions.builtin.weather": {
        "functions": "choice open_meteo wmo_codes",
        "choice": "answers open_meteo us_states",
        "open_meteo": "answers",
        "answers us_states wmo_codes": "",
    },
    "llm_api.core.llm.backends": {
        "transformers": "drawing engine_backend transformers_loading transformers_runner",
        "openai": "openai_answers openai_flavours openai_requests server_sent told_progress"
        " upstream_backend",
        "openai_answers": "told_progress upstream_backend",
        "llama": "engine_backend",
        "claude": "claude_answers claude_requests upstream_backend",
        "ollama": "ollama_answers ollama_requests upstream_backend",
        "transformers_runner": "drawing transformers_vocabulary",
        "transformers_loading": "transformers_vocabulary",
        "openai_requests": "openai_flavours",
        "stub": "words",
        "markov": "drawing words",
        "engine_backend": "resampling",
        "claude_requests": "claude_schema",
        "ollama_answers claude_answers": "upstream_backend",
        "upstream_backend": "server_sent",
        "claude_schema drawing ollama_requests openai_flavours resampling server_sent told_progress"
        " transformers_vocabulary words": "",
    },
    "llm_api.core.llm.engine": {
        "llama_ranking": "llama_model llama_pooling",
        "llama_pooling": "llama_library llama_model llama_runner plan runner",
        "draft_model": "llama_library llama_model llama_runner model_guesses plan sampling"
        " slots step_costs",
        "mtp": "llama_library llama_model llama_runner model_guesses plan sampling step_costs",
        "scheduler": "draft_counts drafting fair_queue guesses kv_moves model_guesses outlook plan"
        " planner sequence slots step_costs",
        "kv_moves": "plan sequence slots",
        "engine": "compute_thread job outlook pace plan planner runner sequence",
        "outlook": "job pace sequence slots",
        "pace": "plan",
        "batch_scheduler": "fair_queue plan planner sequence",
        "llama_runner": "llama_library llama_model llama_states plan runner sampling step_costs"
        " thread_count",
        "grammar": "llama_model runner",
        "planner": "plan sequence",
        "job": "plan runner sequence",
        "fair_queue": "sequence",
        "sampling": "llama_library plain_draw runner",
        "llama_model": "llama_library",
        "guesses": "model_guesses sequence step_costs",
        "model_guesses": "draft_worth sequence slots step_costs",
        "sequence": "draft_worth drafting plan",
        "runner": "plan",
        "compute_thread draft_counts draft_worth drafting llama_library llama_states plan": "",
        "plain_draw slots": "",
        "step_costs thread_count": "",
    },
    "llm_api.core.llm.files": {
        "installed": "download gguf parts tuned",
        "tuned": "",
        "hub_search": "download hub_names parts",
        "pull_worker": "download",
        "pull_process": "hub_names",
        "download": "gguf hub_names parts",
        "hub_names": "parts",
        "parts": "gguf",
        "memory": "gguf",
        "gguf": "gguf_types",
        "gguf_types": "",
    },
    "llm_api.core.llm.gateway": {
        "counted emulation response_cache routing": "",
    },
    "llm_api.core.llm.gateway.emulation": {
        "backend": "answer checks plan prompts",
        "answer": "checks plan prompts",
        "plan": "checks prompts",
        "checks prompts": "",
    },
    "llm_api.core.llm.gateway.response_cache": {
        "backend": "recorded",
        "memory_answers recorded redis_answers": "",
    },
    "llm_api.core.llm.gateway.routing": {
        "routed": "beginning choice deadlines health replica",
        "choice health fallback": "replica",
        "replica": "breaker",
        "beginning breaker deadlines": "",
    },
    "llm_api.core.llm.output": {
        "enforce": "checking dialect format_size reader schemas",
        "dialect": "answer_grammar call_format formats reader reasoning",
        "machine": "reader",
        "answer_grammar": "call_format call_rules lark pattern reader reasoning",
        "formats": "call_format keyword_arguments pattern tagged_arguments",
        "reader": "arguments call_format marks pattern reasoning schemas",
        "thought_limit": "reasoning",
        "call_rules": "call_format lark pattern schemas",
        "tagged_arguments": "arguments lark marks pattern schemas values",
        "keyword_arguments": "arguments lark schemas values",
        "call_format": "arguments pattern",
        "arguments": "lark",
        "gbnf": "format_size pattern",
        "values checking": "schemas",
        "marks lark regular_lark": "pattern",
        "echoes format_size pattern reasoning schemas": "",
    },
    "llm_api.core.llm.output.checking": {
        "call_judge": "json_validator string_checks",
        "json_validator": "string_checks unevaluated",
        "string_checks unevaluated": "",
    },
    "llm_api.core.llm.output.schemas": {
        "tool_schema": "places sound tidy",
        "tidy": "places sound",
        "enforceable": "places sound string_formats",
        "sound relaxed": "places",
        "places string_formats": "",
    },
    "llm_api.core.llm.prompt": {
        "encode": "carrying fill_in template",
        "fill_in": "",
        "template": "carrying template_process template_wire",
        "template_process": "template_wire template_worker",
        "template_worker": "carrying template_sandbox template_wire traits turns",
        "turns": "traits",
        "template_wire": "carrying",
        "carrying template_sandbox thinking traits volatile": "",
    },
    "llm_api.core.llm.administration": {
        "administration": "book pulls",
        "pulls": "book",
        "book": "",
    },
    "llm_api.core.llm.residency": {
        "model_registry": "keeper plan",
        "keeper": "plan",
        "plan": "",
    },
    "llm_api.core.llm.tuning": {
        "llama_facts": "doctor",
        "choice": "comparison",
        "comparison": "measure",
        "doctor measure quantise": "",
    },
    "llm_api.core.rag.answering": {
        "answer": "citations citer conversation events follow_up grounding manner prompt quotes"
        " rewrite",
        "searching": "citer citing conversation follow_up grounding manner rewrite searches",
        "searches": "citations prompt",
        "citing": "answer_sentences citations citer conversation given manner",
        "citer": "answer_sentences citations overlap support",
        "given": "citations prompt",
        "events": "citations support",
        "support": "differences overlap",
        "differences": "overlap",
        "grounding": "conversation manner prompt",
        "manner": "citations quotes",
        "quotes": "citations overlap support",
        "rewrite": "asking follow_up",
        "drafting expansion": "asking",
        "placing": "asking prompt",
        "answer_sentences asking citations conversation follow_up overlap prompt": "",
    },
    "llm_api.core.rag.loaders": {
        "file_loader": "kinds loaded worker",
        "worker": "load loaded",
        "load": "archive csv_table decode docx epub html json_values kinds loaded mail markdown"
        " notebook ocr open_document outlook pdf pptx rtf source_code xlsx xml_elements",
        "pptx open_document": "archive html loaded",
        "epub": "archive decode html loaded",
        "outlook": "decode loaded mail rtf",
        "xml_elements": "archive decode feed loaded source_code",
        "feed": "archive decode html loaded",
        "mail": "decode html loaded",
        "notebook": "decode json_values loaded markdown",
        "xlsx": "csv_table decode loaded",
        "rtf": "decode loaded",
        "archive": "kinds loaded",
        "pdf": "decode loaded ocr page_layout pdf_forms pdf_page running_heads",
        "kinds": "json_values",
        "docx": "docx_parts html loaded",
        "pdf_page": "decode page_layout ruled_tables",
        "ruled_tables": "page_layout table_text",
        "ocr": "decode loaded page_layout",
        "running_heads": "page_layout",
        "page_layout": "table_text",
        "pdf_forms": "decode",
        "json_values": "decode loaded",
        "html": "decode formulas html_tree loaded page_text",
        "markdown": "loaded page_text",
        "decode": "charsets likely_charset",
        "page_text": "loaded table_text",
        "docx_parts": "archive formulas",
        "source_code csv_table": "loaded",
        "charsets": "likely_charset",
        "formulas html_tree likely_charset loaded table_text": "",
    },
    "llm_api.core.rag.stores": {
        "edge_worker": "calls document_store edge",
        "edge": "catalogue checked_file edge_check edge_points points seal",
        "document_store": "layout points ranking reading writing",
        "edge_check": "edge_points layout points",
        "server": "layout points requests server_points",
        "writing": "layout points reading",
        "edge_points": "catalogue edge_sealing edge_values layout points seal",
        "server_points": "layout points requests server_values",
        "reading": "layout points ranking",
        "edge_sealing": "seal",
        "server_values ranking layout edge_values": "points",
        "catalogue": "checked_file points",
        "seal": "checked_file",
        "edge_process": "calls",
        "calls checked_file edge_index points requests": "",
    },
    "llm_api.core.state": {
        "state": "blobs job_queue opened options usage",
        "opened": "blobs conversations database files job_queue jobs news options postgresql"
        " liveness responses room schema shared sources sqlite store_file_queue store_files sweep"
        " threads uploads usage vector_stores",
        "sweep": "blobs files job_queue jobs liveness shared store_file_queue tables uploads",
        "store_file_queue": "job_queue shared store_files store_records tables",
        "store_files": "records shared store_records tables vector_stores",
        "vector_stores": "records shared store_records tables",
        "uploads": "blobs file_records files records shared tables",
        "files": "blobs file_records records shared tables",
        "blobs": "file_records shared tables",
        "job_queue": "jobs records shared tables",
        "threads": "records response_rows shared tables",
        "responses": "conversation_rows database news pages records response_rows shared tables",
        "jobs sources usage": "records shared tables",
        "conversations": "conversation_rows pages records shared tables",
        "response_rows": "conversation_rows records tables",
        "shared": "database news room",
        "sqlite postgresql": "database",
        "liveness": "database tables",
        "conversation_rows": "records tables",
        "pages": "records",
        "database file_records migrations news options records room schema store_records"
        " tables": "",
    },
    "llm_api.core.state.migrations": {
        "env versions": "",
    },
    "llm_api.core.state.migrations.versions": {
        "r0001_responses r0002_jobs r0003_files r0004_vector_stores r0005_sources r0006_usage"
        " r0007_threads": "",
    },
    "llm_api.core.vector_stores": {
        "batches": "access attaching paging store_files views",
        "store_files": "access attaching counting paging views",
        "stores": "access counting paging views",
        "attaching bringing_in counting": "access views",
        "access": "views",
        "expiry paging views": "",
    },
    "llm_api.core.utils": {
        "background_loop child_process distribution freed_memory isolation jsonl_log logs long_work"
        " machine recent redis_client rotating_file sealing tokens traffic wildcards"
        " work_threads": "",
        "model_names": "wildcards",
    },
}

# Who may not import what, beyond that. A name covers everything below it.
FORBIDDEN: Final[Mapping[str, tuple[str, ...]]] = {
    "llm_api.core": ("fastapi", "starlette", "sse_starlette", "pydantic_settings"),
}

# What only one part of a package may import.
RESERVED: Final[Mapping[str, tuple[str, str]]] = {
    "llm_api.core.llm": ("llm_api.core.rag", "llm_api.core.rag.answering"),
}

# Types of the wire. Each may have the name of the domain type that it carries, and each of its
# packages the names that one protocol gives.
WIRE: Final = "llm_api.api.models"

# Heavy libraries, and the only modules that import them.
DOORS: Final[Mapping[str, frozenset[str]]] = {
    "llama_cpp": frozenset(f"llm_api.core.llm.engine.{name}" for name in ("llama_library",)),
    "aiohttp": frozenset({"llm_api.core.upstream_http"}),
    "huggingface_hub": frozenset(
        {
            "llm_api.core.embeddings.model_files",
            "llm_api.core.llm.files.download",
        }
    ),
    "torch": frozenset(
        {
            "llm_api.core.embeddings.cross_encoder",
            "llm_api.core.embeddings.sentence_transformer",
            "llm_api.core.llm.backends.transformers_loading",
            "llm_api.core.llm.backends.transformers_runner",
        }
    ),
    "onnxruntime": frozenset({"llm_api.core.embeddings.onnx"}),
    "transformers": frozenset(
        {
            "llm_api.core.embeddings.sentence_transformer",
            "llm_api.core.llm.backends.transformers_loading",
            "llm_api.core.llm.backends.transformers_vocabulary",
        }
    ),
    "tokenizers": frozenset(
        {
            "llm_api.core.embeddings.onnx",
            "llm_api.core.embeddings.sentence_transformer",
            "llm_api.core.llm.backends.transformers_vocabulary",
        }
    ),
    "sentence_transformers": frozenset(
        {"llm_api.core.embeddings.sentence_transformer", "llm_api.core.embeddings.cross_encoder"}
    ),
    "jinja2": frozenset({"llm_api.core.llm.prompt.template_sandbox"}),
    "llguidance": frozenset({"llm_api.core.llm.engine.grammar"}),
    **dict.fromkeys(
        ("jsonschema", "referencing"),
        frozenset({"llm_api.core.llm.output.checking.json_validator"}),
    ),
    "regex": frozenset({"llm_api.core.llm.output.checking.string_checks"}),
    "redis": frozenset(
        {
            "llm_api.core.access.redis_counters",
            "llm_api.core.llm.gateway.response_cache.redis_answers",
            "llm_api.core.utils.redis_client",
        }
    ),
    "sqlalchemy": frozenset(
        f"llm_api.core.state.{name}"
        for name in (
            "blobs",
            "conversation_rows",
            "conversations",
            "database",
            "files",
            "job_queue",
            "jobs",
            "migrations",
            "migrations.versions.r0001_responses",
            "migrations.versions.r0002_jobs",
            "migrations.versions.r0006_usage",
            "migrations.versions.r0007_threads",
            "migrations.versions.r0005_sources",
            "migrations.versions.r0003_files",
            "migrations.versions.r0004_vector_stores",
            "pages",
            "postgresql",
            "liveness",
            "response_rows",
            "responses",
            "schema",
            "sources",
            "sqlite",
            "store_file_queue",
            "store_files",
            "sweep",
            "tables",
            "threads",
            "uploads",
            "usage",
            "vector_stores",
        )
    ),
    "alembic": frozenset(
        f"llm_api.core.state.{name}"
        for name in (
            "migrations.env",
            "migrations.versions.r0001_responses",
            "migrations.versions.r0002_jobs",
            "migrations.versions.r0005_sources",
            "migrations.versions.r0003_files",
            "migrations.versions.r0004_vector_stores",
            "migrations.versions.r0006_usage",
            "migrations.versions.r0007_threads",
            "schema",
        )
    ),
    "obstore": frozenset({"llm_api.core.files.s3_storage"}),
    "pathspec": frozenset({"llm_api.cli.rag.ignored"}),
    "watchfiles": frozenset({"llm_api.cli.rag.watching"}),
    "cryptography": frozenset({"llm_api.core.utils.sealing"}),
    "yaml": frozenset({"llm_api.config.yaml_text"}),
    "docstring_parser": frozenset({"llm_api.core.functions.spec"}),
    "prometheus_client": frozenset(
        f"llm_api.api.metrics.{name}" for name in ("exposition", "families", "sharing")
    ),
    "opentelemetry": frozenset({"llm_api.api.request_spans"}),
    "structlog": frozenset({"llm_api.core.utils.logs"}),
    "mcp": frozenset(
        {
            "llm_api.core.functions.mcp_client",
            "llm_api.core.functions.mcp_listing",
            "llm_api.core.functions.mcp_results",
            "llm_api.api.mcp_server",
        }
    ),
    "charset_normalizer": frozenset({"llm_api.core.rag.loaders.likely_charset"}),
    "markdown_it": frozenset({"llm_api.core.rag.loaders.markdown"}),
    "selectolax": frozenset(
        {f"llm_api.core.rag.loaders.{module}" for module in ("formulas", "html", "html_tree")}
    ),
    "pypdfium2": frozenset(
        {f"llm_api.core.rag.loaders.{module}" for module in ("pdf", "pdf_page", "pdf_forms")}
    ),
    "mammoth": frozenset({"llm_api.core.rag.loaders.docx"}),
    "openpyxl": frozenset({"llm_api.core.rag.loaders.xlsx"}),
    "striprtf": frozenset({"llm_api.core.rag.loaders.rtf"}),
    "rapidocr": frozenset({"llm_api.core.rag.loaders.ocr"}),
    "PIL": frozenset({"llm_api.core.rag.loaders.ocr"}),
    "olefile": frozenset({"llm_api.core.rag.loaders.outlook"}),
    "qdrant_edge": frozenset(
        f"llm_api.core.rag.{name}"
        for name in (
            "bm25",
            "stores.edge",
            "stores.edge_index",
            "stores.edge_points",
            "stores.edge_values",
        )
    ),
    "qdrant_client": frozenset(
        f"llm_api.core.rag.stores.{name}"
        for name in ("requests", "server", "server_points", "server_values")
    ),
}

# Reading the environment is the settings' business alone; OpenMP takes its own from nowhere else,
# and a process that is ours gets ours.
ENVIRONMENT: Final = ("os.environ", "os.environb", "os.getenv")
MAY_READ_ENVIRONMENT: Final = {
    "llm_api.config.settings",
    "llm_api.core.llm.engine.llama_library",
    "llm_api.core.utils.isolation",
}


@cache
def the_package() -> Mapping[str, ast.Module]:
    return read_modules(SOURCE)


def without_main_block(tree: ast.Module) -> ast.Module:
    """The module as others import it: `if __name__ == "__main__"` never runs then."""
    body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'")
    ]
    return ast.Module(body, tree.type_ignores)


def environment_reads(tree: ast.Module) -> set[str]:
    attributes = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return (attributes | set(imported_names(tree))) & set(ENVIRONMENT)


def is_below(name: str, ancestor: str) -> bool:
    return name == ancestor or name.startswith(f"{ancestor}.")


@cache
def arrows_of(package: str) -> dict[str, set[str]]:
    """Each child of a package, with the siblings that it may import."""
    return {
        child: set(siblings.split())
        for children, siblings in ARROWS[package].items()
        for child in children.split()
    }


def foreign_siblings(module: str, names: set[str]) -> Iterator[str]:
    """What a module imports of its siblings at any level without a line that allows it."""
    for package in ARROWS:
        child = child_of(package, module)
        if child is None:
            continue
        arrows = arrows_of(package)
        if child not in arrows:
            yield f"{package} says nothing of {child}"
            continue
        for sibling in {child_of(package, name) for name in names} & arrows.keys() - {child}:
            if sibling not in arrows[child]:
                yield f"imports {package}.{sibling}"


def violations(modules: Mapping[str, ast.Module]) -> list[str]:
    """Every broken law as `module: what it does`."""
    found = []
    for module, tree in modules.items():
        names = set(imported_names(tree))
        banned = {
            prefix
            for ancestor, prefixes in FORBIDDEN.items()
            if is_below(module, ancestor)
            for prefix in prefixes
        }
        banned |= {library for library, doors in DOORS.items() if module not in doors}
        banned |= {
            name
            for name, (whole, part) in RESERVED.items()
            if is_below(module, whole) and not is_below(module, part)
        }
        found += [
            f"{module}: imports {prefix}"
            for prefix in sorted(banned)
            if any(is_below(name, prefix) for name in names)
        ]
        found += [f"{module}: {broken}" for broken in sorted(foreign_siblings(module, names))]
        if "." in names:
            found.append(f"{module}: imports relatively")
        if module not in MAY_READ_ENVIRONMENT and environment_reads(tree):
            found.append(f"{module}: reads the environment")
    return found


def cycle(modules: Mapping[str, ast.Module]) -> list[str]:
    """One import cycle as a path that ends where it began, or nothing."""
    graph = {
        module: {
            name
            for name in imported_names(without_main_block(tree))
            if name in modules and name != module
        }
        for module, tree in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_module_keeps_the_laws() -> None:
    assert violations(the_package()) == []


def test_no_module_imports_itself_through_others() -> None:
    assert cycle(the_package()) == []


def test_every_child_has_a_line_and_no_arrow_is_left_without_an_import() -> None:
    for package in ARROWS:
        assert edges(the_package(), package) == arrows_of(package), package


def test_every_package_of_several_children_has_its_arrows() -> None:
    packages = {name.rpartition(".")[0] for name in the_package()} - {""}
    assert {name for name in packages if len(edges(the_package(), name)) > 1} == ARROWS.keys()


def shared_type_names(modules: Mapping[str, ast.Module]) -> set[str]:
    """The names that several public classes have: anywhere, or in one package of the wire. Pure."""
    names = Counter(
        (module.rpartition(".")[0] if is_below(module, WIRE) else PACKAGE, node.name)
        for module, tree in modules.items()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    return {f"{package}: {name}" for (package, name), count in names.items() if count > 1}


def test_name_of_a_type_stands_for_one_idea() -> None:
    assert shared_type_names(the_package()) == set()


def test_types_of_one_name_are_found(tmp_path: Path) -> None:
    files = {
        "core/a.py": "class Job:\n    class Inner: ...\nclass _Part: ...",
        "core/b.py": "class Job: ...\nclass _Part: ...\nclass Inner: ...",
        "api/models/jobs.py": "class Job: ...\nclass Answer: ...",
        "api/models/x/jobs.py": "class Job: ...\nclass Other: ...",
        "api/models/x/others.py": "class Other: ...",
    }
    assert shared_type_names(fake_package(tmp_path, files)) == {
        "llm_api: Job",
        "llm_api.api.models.x: Other",
    }


def test_the_whole_package_is_read() -> None:
    assert {PACKAGE, "llm_api.config.settings", "llm_api.core.errors"} <= the_package().keys()


def fake_package(folder: Path, files: Mapping[str, str]) -> dict[str, ast.Module]:
    source = folder / PACKAGE
    for name, text in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_modules(source)


@pytest.mark.parametrize(
    ("file", "text", "broken"),
    [
        ("core/errors.py", "import fastapi", ["llm_api.core.errors: imports fastapi"]),
        ("core/__init__.py", "import fastapi.x", ["llm_api.core: imports fastapi"]),
        (
            "core/errors.py",
            "from starlette.types import X",
            ["llm_api.core.errors: imports starlette"],
        ),
        ("core/errors.py", "from llm_api import api", ["llm_api.core.errors: imports llm_api.api"]),
        (
            "core/utils/logs.py",
            "def f():\n    from llm_api.config.settings import Settings",
            ["llm_api.core.utils.logs: imports llm_api.config"],
        ),
        (
            "core/errors.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import llm_api.cli",
            ["llm_api.core.errors: imports llm_api.cli"],
        ),
        (
            "core/llm/types.py",
            "import llm_api.core.rag.x",
            ["llm_api.core.llm.types: imports llm_api.core.rag"],
        ),
        (
            "core/functions/types.py",
            "import llm_api.core.llm.types",
            ["llm_api.core.functions.types: imports llm_api.core.llm"],
        ),
        (
            "core/rag/types.py",
            "import llm_api.core.llm.types",
            ["llm_api.core.rag.types: imports llm_api.core.llm"],
        ),
        (
            "assembly/models.py",
            "import llm_api.main",
            ["llm_api.assembly.models: imports llm_api.main"],
        ),
        ("new.py", "", ["llm_api.new: llm_api says nothing of new"]),
        ("core/llm/new.py", "", ["llm_api.core.llm.new: llm_api.core.llm says nothing of new"]),
        (
            "core/llm/output/lark.py",
            "import llm_api.core.llm.output.reader",
            ["llm_api.core.llm.output.lark: imports llm_api.core.llm.output.reader"],
        ),
        (
            "core/llm/engine/job.py",
            "import llm_api.core.llm.backends.llama",
            ["llm_api.core.llm.engine.job: imports llm_api.core.llm.backends"],
        ),
        (
            "api/models/base.py",
            "import llm_api.assembly.x",
            ["llm_api.api.models.base: imports llm_api.assembly"],
        ),
        (
            "api/models/base.py",
            "import llm_api.main",
            ["llm_api.api.models.base: imports llm_api.main"],
        ),
        ("cli.py", "import llama_cpp", ["llm_api.cli: imports llama_cpp"]),
        ("cli.py", "from llama_cpp import x", ["llm_api.cli: imports llama_cpp"]),
        ("server.py", "import_module('llama_cpp')", ["llm_api.server: imports llama_cpp"]),
        (
            "server.py",
            "importlib.import_module('llama_cpp.x')",
            ["llm_api.server: imports llama_cpp"],
        ),
        (
            "core/rag/types.py",
            "import qdrant_edge",
            ["llm_api.core.rag.types: imports qdrant_edge"],
        ),
        ("main.py", "import redis.asyncio", ["llm_api.main: imports redis"]),
        ("main.py", "import huggingface_hub.errors", ["llm_api.main: imports huggingface_hub"]),
        ("api/models/base.py", "from . import b", ["llm_api.api.models.base: imports relatively"]),
        ("cli.py", "import os\nx = os.environ['A']", ["llm_api.cli: reads the environment"]),
        ("cli.py", "from os import getenv", ["llm_api.cli: reads the environment"]),
    ],
)
def test_broken_law_is_found(tmp_path: Path, file: str, text: str, broken: list[str]) -> None:
    assert violations(fake_package(tmp_path, {file: text})) == broken


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("core/errors.py", "import fastapi_like, os.path"),
        ("core/llm/engine/llama_library.py", "import llama_cpp"),
        ("core/llm/files/download.py", "from huggingface_hub import x"),
        ("core/rag/stores/server.py", "from qdrant_client import models"),
        ("core/rag/answering/prompt.py", "import llm_api.core.llm.types"),
        ("api/models/base.py", "import fastapi\nfrom llm_api.core.function_loop import y"),
        ("config/settings.py", "import os\nos.environ"),
        ("core/errors.py", "text = 'import fastapi'"),
    ],
)
def test_lawful_module_is_left_alone(tmp_path: Path, file: str, text: str) -> None:
    assert violations(fake_package(tmp_path, {file: text})) == []


def test_cycle_is_found_through_functions_and_packages(tmp_path: Path) -> None:
    files = {
        "a.py": "from llm_api import b",
        "b.py": "def f():\n    from llm_api.sub.c import x",
        "sub/c.py": "import llm_api.a",
    }
    found = cycle(fake_package(tmp_path, files))
    assert set(found) == {"llm_api.a", "llm_api.b", "llm_api.sub.c"}
    assert found[0] == found[-1]


def test_what_runs_only_as_a_program_is_no_cycle(tmp_path: Path) -> None:
    files = {
        "main.py": 'if __name__ == "__main__":\n    import llm_api.cli',
        "cli.py": "import llm_api.main",
    }
    assert cycle(fake_package(tmp_path, files)) == []


def test_shared_dependency_is_no_cycle(tmp_path: Path) -> None:
    files = {"a.py": "import llm_api.b, llm_api.c", "b.py": "import llm_api.c", "c.py": ""}
    assert cycle(fake_package(tmp_path, files)) == []
