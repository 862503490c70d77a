"""A client that tries every endpoint of a running server, and prints what passed.

    python scripts/client_demo.py --base-url http://127.0.0.1:8000 --api-key KEY

One file that needs `httpx2` and `rich`, and nothing of llm_api, so that it can be copied to where
the server is asked from. What it stores goes into a collection of its own, `client-demo`, which it
deletes at the end. The exit code is 1 if anything failed.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import httpx2
from rich.console import Console
from rich.table import Table
from rich.text import Text

COLLECTION = "client-demo"
FILE = "client-demo.txt"
JOB_SECONDS = 60
NOBODY, GIVEN = "no-such-model", "client-demo-model"
QUESTION = "Name three rivers."
HELLO = [{"role": "user", "content": QUESTION}]
DOCUMENTS: dict[str, Any] = {
    "texts": [
        "Docker packs a program with all it needs into an image.",
        "The Danube flows through ten countries into the Black Sea.",
    ],
    "ids": ["docker", "danube"],
    "metadata": [{"source": "docker-docs"}, {"source": "atlas"}],
    "collection": COLLECTION,
}


class WrongError(Exception):
    """The server did not answer as it should. `str(error)` says what it did."""


class NotServedError(Exception):
    """The server lacks what this needs. `str(error)` says what."""


@dataclass(frozen=True)
class Server:
    """A running server. `embedder` is None where it has no model that embeds."""

    http: httpx2.Client
    endpoints: frozenset[str]
    model: str
    embedder: str | None

    def call(self, method: str, path: str, **arguments: Any) -> httpx2.Response:
        """The answer. Raises WrongError for an error, with the server's own sentence."""
        response = self.http.request(method, path, **arguments)
        if response.is_error:
            raise WrongError(f"{response.status_code}: {_message(response)}")
        return response

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of an answer."""
        return self.call("GET", path, params=query).json()

    def post(self, path: str, body: object) -> Any:
        """The JSON of the answer to a JSON body."""
        return self.call("POST", path, json=body).json()

    def refusal(self, method: str, path: str, status: int, body: object = None) -> str:
        """What the server says where it must refuse. Raises WrongError where it does not."""
        response = self.http.request(method, path, json=body)
        expect(response.status_code == status, f"{response.status_code}, not {status}")
        return _message(response)

    def stream(self, path: str, body: object) -> list[str]:
        """The pieces of a streamed answer, as they came."""
        with self.http.stream("POST", path, json=body) as response:
            if response.is_error:
                response.read()
                raise WrongError(f"{response.status_code}: {_message(response)}")
            return list(response.iter_text())


Check: TypeAlias = Callable[[Server], str]
"""Tries one endpoint and says what it saw. Raises WrongError, NotServedError, or HTTPError."""

CHECKS: dict[str, Check] = {}
"""By method and path, in the order in which they are tried."""


def tries(endpoint: str) -> Callable[[Check], Check]:
    """Make a function the check of an endpoint."""

    def register(check: Check) -> Check:
        CHECKS[endpoint] = check
        return check

    return register


def expect(claim: object, otherwise: str) -> None:
    """Raise WrongError where the claim is false."""
    if not claim:
        raise WrongError(otherwise)


@tries("GET /health")
def health(server: Server) -> str:
    body = server.get("/health")
    expect(body["status"] == "healthy", f"status {body['status']}")
    return f"{body['service']} {body['version']}: {body['model']} on {body['backend']}"


@tries("GET /health/ready")
def ready(server: Server) -> str:
    return str(server.get("/health/ready")["status"])


@tries("GET /model-info")
def model_info(server: Server) -> str:
    body = server.get("/model-info")
    known = ("parameters", "quantisation", "context_length", "size_bytes")
    return ", ".join([body["name"], *(f"{name} {body[name]}" for name in known if body[name])])


@tries("GET /config")
def config(server: Server) -> str:
    return f"{len(server.get('/config')['settings'])} settings"


@tries("GET /v1/requests")
def live_requests(server: Server) -> str:
    return f"{len(server.get('/v1/requests')['data'])} are being answered"


@tries("GET /v1/requests/{request_id}")
def live_request(server: Server) -> str:
    return server.refusal("GET", "/v1/requests/req_none", 404)


@tries("GET /v1/cache")
def cache(server: Server) -> str:
    return f"{len(server.get('/v1/cache')['data'])} prefixes are kept"


@tries("DELETE /v1/cache")
def cache_cleared(server: Server) -> str:
    cleared = server.call("DELETE", "/v1/cache", params={"key": "nobody"}).json()
    expect(cleared["object"] == "cache.deleted", "it is not said what was deleted")
    return f"{cleared['deleted']} of nobody"


@tries("GET /v1/engine")
def engine(server: Server) -> str:
    models = server.get("/v1/engine")["models"]
    slots = [len(one["engine"]["slots"]) for one in models if one["engine"] is not None]
    return f"{len(models)} models, {sum(slots)} slots"


@tries("GET /v1/engine/stream")
def engine_stream(server: Server) -> str:
    frames = server.call("GET", "/v1/engine/stream", params={"snapshots": 1}).text.split("\n\n")
    expect(frames[-2] == "data: [DONE]", "the stream broke off")
    return f"{len(json.loads(frames[0].removeprefix('data: '))['requests'])} requests"


@tries("GET /metrics")
def metrics(server: Server) -> str:
    lines = server.call("GET", "/metrics").text.splitlines()
    expect(any(line.startswith("# TYPE ") for line in lines), "it is not in Prometheus' format")
    return f"{sum(not line.startswith('#') for line in lines)} samples"


@tries("POST /generate")
def generate(server: Server) -> str:
    body = server.post("/generate", {"prompt": "The capital of France is", "max_new_tokens": 8})
    expect(body["response"] == body["generated_text"] != "", "no text")
    return f"{body['response']!r} in {body['duration_seconds']:.2f} s"


@tries("POST /chat")
def plain_chat(server: Server) -> str:
    body = server.post("/chat", {"prompt": QUESTION, "max_tokens": 16})
    expect(body["response"], "no text")
    return repr(body["response"])


@tries("POST /chat/stream")
def plain_chat_stream(server: Server) -> str:
    pieces = server.stream("/chat/stream", {"prompt": QUESTION, "max_tokens": 16})
    expect("".join(pieces), "no text")
    return f"{len(pieces)} pieces: {''.join(pieces)!r}"


@tries("GET /v1/models")
def models(server: Server) -> str:
    return ", ".join(one["id"] for one in server.get("/v1/models")["data"])


@tries("GET /v1/models/{model}")
def model(server: Server) -> str:
    return str(server.get(f"/v1/models/{server.model}")["state"])


@tries("POST /v1/models/load")
def load_model(server: Server) -> str:
    return str(server.post("/v1/models/load", {"model": server.model})["state"])


@tries("POST /v1/models/unload")
def unload_model(server: Server) -> str:
    return server.refusal("POST", "/v1/models/unload", 404, {"model": NOBODY})


@tries("POST /v1/models/pull")
def pull_model(server: Server) -> str:
    return server.refusal("POST", "/v1/models/pull", 404, {"model": NOBODY})


@tries("GET /v1/models/pull")
def pulls(server: Server) -> str:
    return f"{len(server.get('/v1/models/pull')['data'])} pulls"


@tries("GET /v1/models/pull/{pull_id}")
def pull(server: Server) -> str:
    return server.refusal("GET", f"/v1/models/pull/{NOBODY}", 404)


@tries("POST /v1/models/pull/{pull_id}/cancel")
def cancel_pull(server: Server) -> str:
    return server.refusal("POST", f"/v1/models/pull/{NOBODY}/cancel", 404)


@tries("DELETE /v1/models/{model}")
def delete_model(server: Server) -> str:
    return server.refusal("DELETE", f"/v1/models/{NOBODY}", 404)


@tries("GET /v1/keys")
def keys(server: Server) -> str:
    body = server.get("/v1/keys")
    return f"{len(body['data'])} keys; {body['problem'] or 'they can be changed here'}"


@tries("POST /v1/keys")
def make_key(server: Server) -> str:
    return server.refusal("POST", "/v1/keys", 400, {"name": "No Name"})


@tries("GET /v1/keys/{name}")
def key(server: Server) -> str:
    return server.refusal("GET", f"/v1/keys/{NOBODY}", 404)


@tries("PATCH /v1/keys/{name}")
def limit_key(server: Server) -> str:
    return server.refusal("PATCH", f"/v1/keys/{NOBODY}", 400, {"concurrency": 0})


@tries("DELETE /v1/keys/{name}")
def revoke_key(server: Server) -> str:
    has_file = server.get("/v1/keys")["problem"] is None
    return server.refusal("DELETE", f"/v1/keys/{NOBODY}", 404 if has_file else 409)


@tries("GET /v1/keys/{name}/usage")
def key_usage(server: Server) -> str:
    return server.refusal("GET", f"/v1/keys/{NOBODY}/usage", 404)


@tries("GET /v1/usage")
def own_usage(server: Server) -> str:
    body = server.get("/v1/usage", days=7)
    return f"{len(body['data'])} days" if body["is_counted"] else "it is not counted"


@tries("GET /v1/organization/usage/completions")
def generated_by_all(server: Server) -> str:
    return _buckets(server, "completions")


@tries("GET /v1/organization/usage/embeddings")
def embedded_by_all(server: Server) -> str:
    return _buckets(server, "embeddings")


def _buckets(server: Server, kind: str) -> str:
    since = int(time.time()) - 86_400
    page = server.get(f"/v1/organization/usage/{kind}", start_time=since)
    return f"{len(page['data'])} days"


@tries("POST /api/pull")
def ollama_pull(server: Server) -> str:
    return server.refusal("POST", "/api/pull", 404, {"model": NOBODY})


@tries("POST /api/copy")
def ollama_copy(server: Server) -> str:
    server.call("POST", "/api/copy", json={"source": server.model, "destination": GIVEN})
    return f"{server.model} is {GIVEN} as well"


@tries("DELETE /api/delete")
def ollama_delete(server: Server) -> str:
    server.call("DELETE", "/api/delete", json={"model": GIVEN})
    return f"{GIVEN} means nothing any more"


@tries("POST /v1/chat/completions")
def chat(server: Server) -> str:
    asked = {"model": server.model, "messages": HELLO, "max_tokens": 16}
    body = server.post("/v1/chat/completions", asked)
    [choice] = body["choices"]
    expect(choice["message"]["content"], "no text")
    streamed = _streamed_chat(server.stream("/v1/chat/completions", {**asked, "stream": True}))
    expect(streamed, "no text in the stream")
    return f"{body['usage']['completion_tokens']} tokens, streamed {streamed!r}"


def _streamed_chat(pieces: list[str]) -> str:
    *frames, done = [line for line in "".join(pieces).splitlines() if line.startswith("data: ")]
    expect(done == "data: [DONE]", f"the stream ended with {done}")
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames]
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


@tries("POST /v1/messages")
def message(server: Server) -> str:
    asked = {"model": server.model, "messages": HELLO, "max_tokens": 16}
    body = server.post("/v1/messages", asked)
    expect(body["content"][0]["text"], "no text")
    events = "".join(server.stream("/v1/messages", {**asked, "stream": True}))
    expect("event: message_stop" in events, "the stream has no end")
    return f"{body['stop_reason']}, {body['usage']['output_tokens']} tokens"


@tries("POST /v1/messages/count_tokens")
def count_tokens(server: Server) -> str:
    asked = {"model": server.model, "messages": HELLO}
    return f"{server.post('/v1/messages/count_tokens', asked)['input_tokens']} tokens"


@tries("POST /v1/responses")
def response(server: Server) -> str:
    body = _respond(server, store=False)
    expect(body["output"][0]["content"][0]["text"], "no text")
    return f"{body['status']}, {body['usage']['output_tokens']} tokens"


def _respond(server: Server, **fields: Any) -> Any:
    asked = {"model": server.model, "input": QUESTION, "max_output_tokens": 16, **fields}
    return server.post("/v1/responses", asked)


@tries("POST /v1/responses/input_tokens")
def input_tokens(server: Server) -> str:
    asked = {"model": server.model, "input": QUESTION}
    return f"{server.post('/v1/responses/input_tokens', asked)['input_tokens']} tokens"


@tries("GET /v1/responses/{response_id}")
def stored_response(server: Server) -> str:
    made = _respond(server)
    expect(server.get(f"/v1/responses/{made['id']}") == made, "it is not what was answered")
    return str(made["id"])


@tries("GET /v1/responses/{response_id}/input_items")
def input_items(server: Server) -> str:
    [item] = server.get(f"/v1/responses/{_respond(server)['id']}/input_items")["data"]
    return str(item["content"][0]["text"])


@tries("DELETE /v1/responses/{response_id}")
def delete_response(server: Server) -> str:
    path = f"/v1/responses/{_respond(server)['id']}"
    expect(server.call("DELETE", path).json()["deleted"], "it is not deleted")
    return "deleted"


@tries("POST /v1/responses/{response_id}/cancel")
def cancel_response(server: Server) -> str:
    made = _respond(server, background=True)
    return str(server.post(f"/v1/responses/{made['id']}/cancel", {})["status"])


def _conversation(server: Server) -> str:
    """The path of a new conversation, with one item in it."""
    item = {"type": "message", "role": "user", "content": QUESTION}
    return f"/v1/conversations/{server.post('/v1/conversations', {'items': [item]})['id']}"


@tries("POST /v1/conversations")
def create_conversation(server: Server) -> str:
    return _conversation(server)


@tries("GET /v1/conversations/{conversation_id}")
def read_conversation(server: Server) -> str:
    return str(server.get(_conversation(server))["id"])


@tries("POST /v1/conversations/{conversation_id}")
def update_conversation(server: Server) -> str:
    return str(server.post(_conversation(server), {"metadata": {"a": "b"}})["metadata"])


@tries("DELETE /v1/conversations/{conversation_id}")
def delete_conversation(server: Server) -> str:
    return str(server.call("DELETE", _conversation(server)).json()["object"])


@tries("GET /v1/conversations/{conversation_id}/items")
def list_items(server: Server) -> str:
    return f"{len(server.get(f'{_conversation(server)}/items')['data'])} items"


@tries("POST /v1/conversations/{conversation_id}/items")
def add_items(server: Server) -> str:
    item = {"type": "message", "role": "assistant", "content": "Three."}
    return f"{len(server.post(f'{_conversation(server)}/items', {'items': [item]})['data'])} items"


def _first_item(server: Server) -> str:
    """The path of the item in a new conversation."""
    path = f"{_conversation(server)}/items"
    return f"{path}/{server.get(path)['data'][0]['id']}"


@tries("GET /v1/conversations/{conversation_id}/items/{item_id}")
def read_item(server: Server) -> str:
    return str(server.get(_first_item(server))["content"][0]["text"])


@tries("DELETE /v1/conversations/{conversation_id}/items/{item_id}")
def delete_item(server: Server) -> str:
    return str(server.call("DELETE", _first_item(server)).json()["object"])


@tries("GET /v1/responses")
def list_threads(server: Server) -> str:
    return f"{len(server.get('/v1/responses')['data'])} threads"


def _thread(server: Server) -> str:
    """The path of a new thread of one response."""
    asked = {"model": server.model, "input": "Hello.", "max_output_tokens": 16}
    return f"/v1/responses/{server.post('/v1/responses', asked)['id']}/thread"


@tries("GET /v1/responses/{response_id}/thread")
def read_thread(server: Server) -> str:
    return f"{len(server.get(_thread(server))['data'])} responses"


@tries("DELETE /v1/responses/{response_id}/thread")
def delete_thread(server: Server) -> str:
    return str(server.call("DELETE", _thread(server)).json()["object"])


@tries("POST /v1/completions")
def completion(server: Server) -> str:
    asked = {"model": server.model, "prompt": "The capital of France is", "max_tokens": 8}
    body = server.post("/v1/completions", asked)
    expect(body["choices"][0]["text"], "no text")
    return repr(body["choices"][0]["text"])


@tries("POST /api/chat")
def ollama_chat(server: Server) -> str:
    asked = {"model": server.model, "messages": HELLO, "options": {"num_predict": 8}}
    lines = "".join(server.stream("/api/chat", asked)).splitlines()
    expect(json.loads(lines[-1])["done"], "the last line is not the last")
    return f"{len(lines)} lines"


@tries("POST /api/generate")
def ollama_generate(server: Server) -> str:
    asked = {"model": server.model, "prompt": "Name a river.", "stream": False}
    body = server.post("/api/generate", {**asked, "options": {"num_predict": 8}})
    expect(body["done"], "the answer is not whole")
    return repr(body["response"])


@tries("POST /api/embed")
def ollama_embed(server: Server) -> str:
    body = server.post("/api/embed", {"model": _embedder(server), "input": ["One.", "Two."]})
    expect(len(body["embeddings"]) == 2, "not a vector for each text")
    return f"{body['prompt_eval_count']} tokens"


@tries("POST /api/embeddings")
def ollama_embeddings(server: Server) -> str:
    body = server.post("/api/embeddings", {"model": _embedder(server), "prompt": "One."})
    return f"{len(body['embedding'])} dimensions"


@tries("GET /api/tags")
def ollama_tags(server: Server) -> str:
    return ", ".join(one["name"] for one in server.get("/api/tags")["models"])


@tries("POST /api/show")
def ollama_show(server: Server) -> str:
    return ", ".join(server.post("/api/show", {"model": server.model})["capabilities"])


@tries("GET /api/ps")
def ollama_ps(server: Server) -> str:
    return f"{len(server.get('/api/ps')['models'])} in memory"


@tries("GET /api/version")
def ollama_version(server: Server) -> str:
    return str(server.get("/api/version")["version"])


@tries("POST /infill")
def infill(server: Server) -> str:
    _needs(server, "fill_in", "the model has no fill-in tokens")
    around = {"input_prefix": "def add(a, b):\n    return ", "input_suffix": "\n", "n_predict": 8}
    return repr(server.post("/infill", {"model": server.model, **around})["content"])


@tries("POST /tokenize")
def tokenize(server: Server) -> str:
    _needs(server, "tokens", "the model's tokens are not known")
    body = server.post("/tokenize", {"model": server.model, "content": "The capital"})
    expect(body["tokens"], "no tokens")
    return f"{len(body['tokens'])} tokens"


@tries("POST /detokenize")
def detokenize(server: Server) -> str:
    _needs(server, "tokens", "the model's tokens are not known")
    given = server.post("/tokenize", {"model": server.model, "content": "The capital"})["tokens"]
    text = server.post("/detokenize", {"model": server.model, "tokens": given})["prompt"]
    expect(text.strip() == "The capital", f"answered {text!r}")
    return repr(text)


@tries("POST /apply-template")
def apply_template(server: Server) -> str:
    _needs(server, "tokens", "the model's tokens are not known")
    turn = {"role": "user", "content": QUESTION}
    prompt = server.post("/apply-template", {"model": server.model, "messages": [turn]})["prompt"]
    expect(QUESTION in prompt, "the question is not in it")
    return f"{len(prompt)} characters"


def _needs(server: Server, ability: str, otherwise: str) -> None:
    able = server.get(f"/v1/models/{server.model}")["capabilities"]["abilities"]
    if ability not in able:
        raise NotServedError(otherwise)


@tries("POST /v1/embeddings")
def embeddings(server: Server) -> str:
    texts = ["The river rose overnight.", "Water levels are up.", "He plays the harp."]
    body = server.post("/v1/embeddings", {"model": _embedder(server), "input": texts})
    near, far, off = [one["embedding"] for one in body["data"]]
    expect(_dot(near, far) > _dot(near, off), "what is alike is not near")
    return f"{len(near)} dimensions"


@tries("POST /v1/rerank")
def rerank(server: Server) -> str:
    texts = ["Cats purr.", "Stocks fell sharply."]
    asked = {"query": "Which animal purrs?", "documents": texts, "mode": "embedding"}
    body = server.post("/v1/rerank", {"model": _embedder(server), **asked})
    expect(body["results"][0]["index"] == 0, "the better text is not the first")
    return f"{body['results'][0]['relevance_score']:.2f} is the best"


@tries("POST /embed")
def embed(server: Server) -> str:
    _embedder(server)
    vectors = server.call("POST", "/embed", json={"inputs": ["One.", "Two."]}).json()
    expect(len(vectors) == 2, "not a vector for each text")
    return f"{len(vectors[0])} dimensions"


@tries("GET /info")
def info(server: Server) -> str:
    _embedder(server)
    return str(server.get("/info")["model_id"])


def _dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@tries("GET /v1/functions")
def functions(server: Server) -> str:
    return f"{len(server.get('/v1/functions')['data'])} functions"


@tries("GET /v1/functions/{name}")
def function(server: Server) -> str:
    return str(server.get(f"/v1/functions/{_function(server)}")["description"]).partition("\n")[0]


@tries("POST /v1/functions/{name}")
def run_function(server: Server) -> str:
    body = server.post(f"/v1/functions/{_function(server)}", {"arguments": {"date": "2026-02-14"}})
    expect(body["result"]["weekday"] == "Saturday", f"answered {body['result']}")
    return str(body["result"])


@tries("POST /mcp")
def mcp(server: Server) -> str:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"accept": "application/json, text/event-stream"}
    response = server.call("POST", "/mcp", json=asked, headers=accept)
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if "{" in line]
    return f"{len(json.loads(lines[-1])['result']['tools'])} tools"


@tries("POST /v1/files")
def keep_file(server: Server) -> str:
    return f"{_file(server)['bytes']} bytes"


@tries("GET /v1/files")
def list_files(server: Server) -> str:
    return f"{len(server.get('/v1/files', limit=100)['data'])} files"


@tries("GET /v1/files/{file_id}")
def describe_file(server: Server) -> str:
    given = _file(server)
    expect(server.get(f"/v1/files/{given['id']}") == given, "the file is another")
    return str(given["filename"])


@tries("GET /v1/files/{file_id}/content")
def read_file(server: Server) -> str:
    content = server.call("GET", f"/v1/files/{_file(server)['id']}/content").text
    expect(content == QUESTION, f"answered {content!r}")
    return repr(content)


@tries("DELETE /v1/files/{file_id}")
def delete_file(server: Server) -> str:
    own = [one["id"] for one in server.get("/v1/files")["data"] if one["filename"] == FILE]
    for id in own:
        _deleted(server.call("DELETE", f"/v1/files/{id}").json())
    return f"{len(own)} deleted"


@tries("POST /v1/uploads")
def begin_upload(server: Server) -> str:
    return str(_upload(server)["status"])


@tries("POST /v1/uploads/{upload_id}/parts")
def add_part(server: Server) -> str:
    return str(_part(server, _upload(server)["id"])["object"])


@tries("POST /v1/uploads/{upload_id}/complete")
def complete_upload(server: Server) -> str:
    id = _upload(server)["id"]
    parts = {"part_ids": [_part(server, id)["id"]]}
    file = server.post(f"/v1/uploads/{id}/complete", parts)["file"]
    server.call("DELETE", f"/v1/files/{file['id']}")
    return f"{file['bytes']} bytes"


@tries("POST /v1/uploads/{upload_id}/cancel")
def cancel_upload(server: Server) -> str:
    return str(server.post(f"/v1/uploads/{_upload(server)['id']}/cancel", None)["status"])


def _file(server: Server) -> Any:
    return server.call(
        "POST", "/v1/files", files={"file": (FILE, QUESTION)}, data={"purpose": "user_data"}
    ).json()


def _upload(server: Server) -> Any:
    new = {"bytes": len(QUESTION), "filename": FILE, "mime_type": "text/plain"}
    return server.post("/v1/uploads", {**new, "purpose": "user_data"})


def _part(server: Server, id: str) -> Any:
    given = {"data": ("part", QUESTION)}
    return server.call("POST", f"/v1/uploads/{id}/parts", files=given).json()


@tries("POST /v1/rag/collections")
def make_collection(server: Server) -> str:
    body = server.post("/v1/rag/collections", {"name": _collection(server)})
    return f"{body['dimension']} dimensions of {body['embedding_model']}"


@tries("GET /v1/rag/collections")
def collections(server: Server) -> str:
    _embedder(server)
    return ", ".join(one["name"] for one in server.get("/v1/rag/collections")["data"])


@tries("POST /v1/rag/documents")
def ingest(server: Server) -> str:
    _embedder(server)
    body = server.post("/v1/rag/documents", DOCUMENTS)
    expect(body["ids"] == DOCUMENTS["ids"], f"stored {body['ids']}")
    return f"stored {', '.join(body['ids'])}"


@tries("GET /v1/rag/documents")
def documents(server: Server) -> str:
    body = server.get("/v1/rag/documents", collection=_collection(server))
    expect(len(body["data"]) >= len(DOCUMENTS["ids"]), "documents are missing")
    return f"{len(body['data'])} documents"


@tries("GET /v1/rag/documents/{document_id}")
def document(server: Server) -> str:
    body = server.get("/v1/rag/documents/docker", collection=_collection(server))
    expect(body["text"] == DOCUMENTS["texts"][0], "the text is another")
    return f"{body['characters']} characters"


@tries("PATCH /v1/rag/documents/{document_id}")
def change_document(server: Server) -> str:
    metadata = {"source": "docker-docs", "year": 2026}
    body = server.call(
        "PATCH",
        "/v1/rag/documents/docker",
        params={"collection": _collection(server)},
        json={"metadata": metadata},
    ).json()
    expect(body["metadata"] == metadata, f"the metadata is {body['metadata']}")
    return str(body["metadata"])


@tries("POST /v1/rag/files")
def files(server: Server) -> str:
    body = server.call(
        "POST",
        "/v1/rag/files",
        files={"files": ("harp.md", b"# Harp\n\nA harp has strings that are plucked.\n")},
        data={"collection": _collection(server)},
    ).json()
    return f"stored {', '.join(body['ids'])}"


@tries("POST /v1/rag/sync")
def sync(server: Server) -> str:
    path = f"{COLLECTION}/guide.md"
    listed = {"source": COLLECTION, "files": [{"path": path, "sha256": "0" * 64}]}
    body = server.post("/v1/rag/sync", {**listed, "collection": _collection(server)})
    expect(body["new"] == [path], f"new are {body['new']}")
    return "1 file is new"


@tries("POST /v1/rag/urls")
def pages(server: Server) -> str:
    """That none is fetched of where no server may ask."""
    asked = {"urls": ["http://169.254.169.254/"], "collection": _collection(server)}
    return server.refusal("POST", "/v1/rag/urls", 400, asked)


@tries("GET /v1/rag/collections/{name}/report")
def report(server: Server) -> str:
    body = server.get(f"/v1/rag/collections/{_collection(server)}/report")
    return f"{body['documents']} documents of {len(body['sources'])} sources"


@tries("GET /v1/rag/jobs/{job_id}")
def job(server: Server) -> str:
    _embedder(server)
    body = server.post("/v1/rag/documents", {**DOCUMENTS, "background": True})
    deadline = time.monotonic() + JOB_SECONDS
    while body["state"] in ("queued", "running") and time.monotonic() < deadline:
        time.sleep(0.1)
        body = server.get(f"/v1/rag/jobs/{body['id']}")
    expect(body["state"] == "done", f"state {body['state']}")
    return f"{body['done']} of {body['total']} documents"


@tries("GET /v1/rag/jobs")
def jobs(server: Server) -> str:
    _embedder(server)
    return f"{len(server.get('/v1/rag/jobs')['data'])} jobs"


@tries("POST /v1/rag/jobs/{job_id}/cancel")
def cancel_job(server: Server) -> str:
    _embedder(server)
    newest = server.get("/v1/rag/jobs")["data"][0]["id"]
    return str(server.post(f"/v1/rag/jobs/{newest}/cancel", None)["state"])


@tries("GET /v1/rag/collections/{name}")
def collection(server: Server) -> str:
    body = server.get(f"/v1/rag/collections/{_collection(server)}")
    return f"{body['documents']} documents, {body['chunks']} chunks"


@tries("POST /v1/rag/search")
def search(server: Server) -> str:
    asked = {"query": "What is Docker?", "collection": _collection(server), "top_k": 1}
    [hit] = server.post("/v1/rag/search", asked)["data"]
    expect(hit["document_id"] == "docker", f"found {hit['document_id']}")
    return f"found {hit['document_id']}"


@tries("POST /v1/rag/chat")
def rag_chat(server: Server) -> str:
    asked = {
        "query": "What does Docker pack?",
        "max_tokens": 48,
        "num_context_docs": 1,
        "collection": _collection(server),
    }
    body = server.post("/v1/rag/chat", asked)
    expect(body["answer"], "no answer")
    expect(body["sources"], "no sources")
    expect(body["usage"]["total_tokens"] > 0, "no usage")
    return f"{body['answer']!r} from {body['sources'][0]['document_id']}"


@tries("POST /v1/rag/evals")
def evals(server: Server) -> str:
    question = {"query": "What is Docker?", "relevant": ["docker"]}
    body = server.post(
        "/v1/rag/evals", {"collection": _collection(server), "questions": [question]}
    )
    return f"best is {body['best']}"


@tries("GET /v1/rag/evals/{eval_id}")
def drafted_evals(server: Server) -> str:
    body = server.get(f"/v1/rag/evals/{_drafted(server)}")
    return f"{body['done']} of {body['total']} steps are done"


@tries("POST /v1/rag/evals/{eval_id}/cancel")
def cancel_evals(server: Server) -> str:
    return str(server.post(f"/v1/rag/evals/{_drafted(server)}/cancel", None)["state"])


def _drafted(server: Server) -> str:
    """The id of evals whose questions are drafted."""
    asked = {"collection": _collection(server), "draft": 10}
    return str(server.post("/v1/rag/evals", asked)["id"])


@tries("DELETE /v1/rag/collections/{name}/tuning")
def delete_tuning(server: Server) -> str:
    name = _collection(server)
    body = server.call("DELETE", f"/v1/rag/collections/{name}/tuning").json()
    expect(body["tuned"] is None, "the collection is still tuned")
    return "searched by the defaults"


@tries("DELETE /v1/rag/documents/{document_id}")
def delete_document(server: Server) -> str:
    where = {"collection": _collection(server)}
    return _deleted(server.call("DELETE", "/v1/rag/documents/docker", params=where).json())


@tries("DELETE /v1/rag/documents")
def delete_documents(server: Server) -> str:
    where = {"collection": _collection(server), "filter": json.dumps({"source": "atlas"})}
    return _deleted(server.call("DELETE", "/v1/rag/documents", params=where).json())


@tries("DELETE /v1/rag/collections/{name}")
def delete_collection(server: Server) -> str:
    return _deleted(server.call("DELETE", f"/v1/rag/collections/{_collection(server)}").json())


def _store(server: Server) -> str:
    """The path of a vector store, the same for all that try it."""
    _embedder(server)
    for one in server.get("/v1/vector_stores", limit=100)["data"]:
        if one["name"] == COLLECTION:
            return f"/v1/vector_stores/{one['id']}"
    return f"/v1/vector_stores/{server.post('/v1/vector_stores', {'name': COLLECTION})['id']}"


def _stored_file(server: Server) -> str:
    """The id of a file that can be attached."""
    given = {"file": ("harp.md", b"# Harp\n\nA harp has strings that are plucked.\n")}
    stored = server.call("POST", "/v1/files", files=given, data={"purpose": "assistants"})
    return str(stored.json()["id"])


def _settled(server: Server, path: str) -> Any:
    """A file or a batch, once it has ended."""
    deadline = time.monotonic() + JOB_SECONDS
    while (body := server.get(path))["status"] == "in_progress" and time.monotonic() < deadline:
        time.sleep(0.1)
    expect(body["status"] == "completed", f"status {body['status']}")
    return body


def _attached(server: Server) -> str:
    """The path of a file that is in the store."""
    store = _store(server)
    files = server.get(f"{store}/files", filter="completed")["data"]
    id = files[0]["id"] if files else _stored_file(server)
    if not files:
        server.post(f"{store}/files", {"file_id": id})
        _settled(server, f"{store}/files/{id}")
    return f"{store}/files/{id}"


def _batch(server: Server) -> str:
    """The path of a batch that has ended."""
    store = _store(server)
    made = server.post(f"{store}/file_batches", {"file_ids": [_stored_file(server)]})
    path = f"{store}/file_batches/{made['id']}"
    _settled(server, path)
    return path


@tries("POST /v1/vector_stores")
def make_store(server: Server) -> str:
    return _store(server)


@tries("GET /v1/vector_stores")
def stores(server: Server) -> str:
    _embedder(server)
    return f"{len(server.get('/v1/vector_stores')['data'])} stores"


@tries("GET /v1/vector_stores/{vector_store_id}")
def read_store(server: Server) -> str:
    return f"{server.get(_store(server))['file_counts']['total']} files"


@tries("POST /v1/vector_stores/{vector_store_id}")
def change_store(server: Server) -> str:
    return str(server.post(_store(server), {"metadata": {"a": "b"}})["metadata"])


@tries("POST /v1/vector_stores/{vector_store_id}/files")
def attach(server: Server) -> str:
    return str(_settled(server, _attached(server))["status"])


@tries("GET /v1/vector_stores/{vector_store_id}/files")
def store_files(server: Server) -> str:
    return f"{len(server.get(f'{_store(server)}/files')['data'])} files"


@tries("GET /v1/vector_stores/{vector_store_id}/files/{file_id}")
def store_file(server: Server) -> str:
    return str(server.get(_attached(server))["filename"])


@tries("POST /v1/vector_stores/{vector_store_id}/files/{file_id}")
def change_attributes(server: Server) -> str:
    return str(server.post(_attached(server), {"attributes": {"year": 2026}})["attributes"])


@tries("GET /v1/vector_stores/{vector_store_id}/files/{file_id}/content")
def store_file_text(server: Server) -> str:
    return f"{len(server.get(f'{_attached(server)}/content')['data'][0]['text'])} characters"


@tries("POST /v1/vector_stores/{vector_store_id}/search")
def search_store(server: Server) -> str:
    _attached(server)
    body = server.post(f"{_store(server)}/search", {"query": "What has strings?"})
    expect(bool(body["data"]), "nothing was found")
    return f"{body['data'][0]['filename']} at {body['data'][0]['score']:.2f}"


@tries("POST /v1/vector_stores/{vector_store_id}/file_batches")
def attach_batch(server: Server) -> str:
    return _batch(server).rpartition("/")[2]


@tries("GET /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}")
def read_batch(server: Server) -> str:
    return f"{server.get(_batch(server))['file_counts']['completed']} completed"


@tries("POST /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel")
def cancel_batch(server: Server) -> str:
    return str(server.post(f"{_batch(server)}/cancel", None)["status"])


@tries("GET /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/files")
def batch_files(server: Server) -> str:
    return f"{len(server.get(f'{_batch(server)}/files')['data'])} files"


@tries("DELETE /v1/vector_stores/{vector_store_id}/files/{file_id}")
def detach(server: Server) -> str:
    return _deleted(server.call("DELETE", _attached(server)).json())


@tries("DELETE /v1/vector_stores/{vector_store_id}")
def delete_store(server: Server) -> str:
    store = _store(server)
    for one in server.get(f"{store}/files")["data"]:
        server.call("DELETE", f"/v1/files/{one['id']}")
    return _deleted(server.call("DELETE", store).json())


def _deleted(body: Any) -> str:
    expect(body["deleted"], "nothing was deleted")
    return "deleted"


def _embedder(server: Server) -> str:
    if server.embedder is None:
        raise NotServedError("no embedding model is served")
    return server.embedder


def _collection(server: Server) -> str:
    _embedder(server)
    return COLLECTION


def _function(server: Server) -> str:
    names = [one["name"] for one in server.get("/v1/functions")["data"]]
    if "get_weekday" not in names:
        raise NotServedError("there is no function get_weekday")
    return "get_weekday"


Result: TypeAlias = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """What became of one endpoint."""

    endpoint: str
    result: Result
    detail: str
    seconds: float = 0.0


def try_all(http: httpx2.Client) -> Iterator[Outcome]:
    """Every check in turn, then the endpoints that no check is for."""
    try:
        server = meet(http)
    except (WrongError, httpx2.HTTPError) as error:
        yield Outcome(str(http.base_url), "failed", _reason(error))
        return
    for endpoint, check in CHECKS.items():
        if endpoint in server.endpoints:
            yield outcome_of(endpoint, partial(check, server))
        else:
            yield Outcome(endpoint, "skipped", "not served")
    for endpoint in sorted(server.endpoints - CHECKS.keys()):
        yield Outcome(endpoint, "skipped", "this client does not know it")


def meet(http: httpx2.Client) -> Server:
    """What the server says of itself. `/mcp` is in no schema: every version has it.

    Raises WrongError or HTTPError.
    """
    server = Server(http, frozenset(), "", None)
    paths = server.get("/openapi.json")["paths"]
    served = [f"{method.upper()} {path}" for path in paths for method in paths[path]]
    cards = server.get("/v1/models")["data"]
    generating = [card["id"] for card in cards if card["type"] == "generation"]
    embedding = [card["id"] for card in cards if card["type"] == "embedding"]
    expect(generating, "no model is served that generates")
    return Server(
        http, frozenset([*served, "POST /mcp"]), generating[0], next(iter(embedding), None)
    )


def outcome_of(endpoint: str, check: Callable[[], str]) -> Outcome:
    """What becomes of a check, whatever it raises."""
    began = time.monotonic()
    result: Result = "failed"
    try:
        detail, result = check(), "passed"
    except NotServedError as error:
        detail, result = str(error), "skipped"
    except (WrongError, httpx2.HTTPError) as error:
        detail = _reason(error)
    except (LookupError, TypeError, ValueError) as error:
        detail = f"an answer of another form: {error!r}"
    return Outcome(endpoint, result, detail, time.monotonic() - began)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _message(response: httpx2.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase


STYLES: dict[Result, str] = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


def main() -> int:
    """Try everything and print the table. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Try every endpoint of a running server.")
    parser.add_argument("--base-url", default="http://127.0.0.1:8000")
    parser.add_argument("--api-key", default="", help="sent as a bearer token")
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS")
    options = parser.parse_args()
    headers = {"authorization": f"Bearer {options.api_key}"} if options.api_key else {}
    with httpx2.Client(base_url=options.base_url, headers=headers, timeout=options.timeout) as http:
        return show(try_all(http))


def show(outcomes: Iterable[Outcome]) -> int:
    """Print them as a table, and their sum. Returns 1 if anything failed, else 0."""
    table = Table(box=None, pad_edge=False)
    for column in ("endpoint", "result", "seconds", "what it said"):
        table.add_column(column, overflow="fold")
    counts = dict.fromkeys(STYLES, 0)
    for outcome in outcomes:
        counts[outcome.result] += 1
        table.add_row(
            outcome.endpoint,
            Text(outcome.result, STYLES[outcome.result]),
            f"{outcome.seconds:.2f}",
            Text("".join(one for one in outcome.detail if one.isprintable())),
        )
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(table)
    console.print(", ".join(f"{count} {result}" for result, count in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
