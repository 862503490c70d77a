"""What a deployed server must be able to do, in the order in which it is asked."""

import time
from itertools import pairwise
from typing import Final

from scripts.deployment.checking import Check, Failed, Skipped, require
from scripts.deployment.server import JSON, DeployedServer, body_of

_DOCKER = "Docker is a platform that packs a program with all it needs into a container."
_TEXTS = [
    _DOCKER,
    "The Danube flows through ten countries into the Black Sea.",
    "A violin has four strings, tuned in fifths.",
]


def health(server: DeployedServer) -> str:
    """Without a key: alive, and ready for a generation."""
    alive = body_of(server.anonymous.get("/health"))
    require(alive["status"] == "healthy", f"status is {alive['status']}")
    ready = body_of(server.anonymous.get("/health/ready"))
    require(ready["status"] == "ready", f"status is {ready['status']}")
    return f"version {alive['version']}, ready"


def auth(server: DeployedServer) -> str:
    """Without a key, or with a wrong one, nothing is served."""
    if not server.has_key:
        require(server.anonymous.get("/v1/models").status_code != 401, "a key is needed: --api-key")
        raise Skipped("no key is given, and none is needed")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"x-api-key": "wrong"}):
        response = server.anonymous.get("/v1/models", headers=headers)
        require(response.status_code == 401, f"{headers} is answered {response.status_code}")
        error = response.json()["error"]
        require(error["code"] == "invalid_api_key", f"the code is {error['code']}")
    server.get("/v1/models")
    return "401 without the key, 200 with it"


def models(server: DeployedServer) -> str:
    return f"generates: {server.model}"


def errors(server: DeployedServer) -> str:
    """A mistake is answered in OpenAI's envelope."""
    body = {"model": "no-such-model", "messages": [{"role": "user", "content": "Hello!"}]}
    response = server.http.post("/v1/chat/completions", json=body)
    error = response.json()["error"]
    require(
        (response.status_code, error["code"]) == (404, "model_not_found"),
        f"an unknown model is answered {response.status_code} {error['code']}",
    )
    return "404 model_not_found for an unknown model"


def chat(server: DeployedServer) -> str:
    answer = server.post(
        "/v1/chat/completions",
        model=server.model,
        messages=[{"role": "user", "content": "Name three rivers."}],
        max_tokens=32,
    )
    text, usage = answer["choices"][0]["message"]["content"], answer["usage"]
    require(bool(text.strip()), "the answer is empty")
    require(0 < usage["completion_tokens"] <= 32, f"usage is {usage}")
    return f"{usage['completion_tokens']} tokens: {_short(text)}"


def streaming(server: DeployedServer) -> str:
    """The text comes as it is made. A proxy that gathers it shows here."""
    began = time.monotonic()
    text, moments = "", []
    for chunk in server.stream(
        "/v1/chat/completions",
        model=server.model,
        messages=[{"role": "user", "content": "Count from one to twenty, in words."}],
        max_tokens=64,
    ):
        moments.append(time.monotonic() - began)
        text += "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
    require(bool(text.strip()), "the stream has no text")
    require(len(moments) > 4, f"only {len(moments)} events")
    require(
        sum(later - earlier > 0.0005 for earlier, later in pairwise(moments)) >= 2,
        "all events come at once: something gathers them on the way",
    )
    return f"{len(moments)} events, the first after {moments[0]:.2f} s, all after {moments[-1]:.2f}"


def embeddings(server: DeployedServer) -> str:
    """Texts that mean the same are nearer to each other than to another."""
    answer = server.post(
        "/v1/embeddings",
        model=server.needs_embedder(),
        input=["The river rose overnight.", "Water levels are up.", "He plays the harp."],
    )
    river, water, harp = (one["embedding"] for one in answer["data"])
    near, far = _dot(river, water), _dot(river, harp)
    require(near > far, f"similar texts are at {near:.2f}, different ones at {far:.2f}")
    return f"{len(river)} dimensions, {near:.2f} for like, {far:.2f} for unlike"


def documents(server: DeployedServer) -> str:
    """What was stored is there, and the same again changes nothing."""
    server.needs_embedder()
    stored = _store(server)
    require(stored["failed"] == 0, f"not stored: {stored['documents']}")
    require(_store(server)["ids"] == stored["ids"], "the same texts have other ids")
    listed = server.get(f"/v1/rag/documents?collection={server.collection}")["data"]
    require(
        sorted(one["id"] for one in listed) == sorted(stored["ids"]),
        f"{len(stored['ids'])} are stored, {len(listed)} are listed",
    )
    server.has_documents = True
    return f"{len(listed)} stored, twice, and listed once"


def _store(server: DeployedServer) -> JSON:
    return server.post(
        "/v1/rag/documents",
        texts=_TEXTS,
        metadata=[{"source": "deployment-check", "number": n} for n in range(len(_TEXTS))],
        collection=server.collection,
    )


def search(server: DeployedServer) -> str:
    server.needs_documents()
    hits = server.post(
        "/v1/rag/search", query="What is Docker?", top_k=2, collection=server.collection
    )["data"]
    require(bool(hits), "nothing is found")
    require(hits[0]["text"] == _DOCKER, f"the best hit is {_short(hits[0]['text'])}")
    return f"{len(hits)} found, the right one first, score {hits[0]['score']:.2f}"


def rag_chat(server: DeployedServer) -> str:
    """An answer with its sources, whole and streamed."""
    server.needs_documents()
    question = {
        "query": "What is Docker?",
        "max_tokens": 64,
        "num_context_docs": 2,
        "collection": server.collection,
    }
    answer = server.post("/v1/rag/chat", **question)
    require(bool(answer["answer"].strip()), "the answer is empty")
    require(answer["sources"][0]["text"] == _DOCKER, "the first source is another one")
    require(answer["usage"]["total_tokens"] > 0, f"usage is {answer['usage']}")
    events = [event["event"] for event in server.stream("/v1/rag/chat", **question)]
    require(events[0] == "sources", f"the stream begins with {events[0]}")
    require(events[-1] == "usage", f"the stream ends with {events[-1]}")
    return f"{len(answer['sources'])} sources: {_short(answer['answer'])}"


def functions(server: DeployedServer) -> str:
    """One is run by itself, and one by the model's call."""
    ran = server.post("/v1/functions/get_weekday", arguments={"date": "2026-02-14"})
    require("Saturday" in str(ran["result"]), f"2026-02-14 is said to be {ran['result']}")
    answer = server.post(
        "/v1/chat/completions",
        model=server.model,
        messages=[{"role": "user", "content": "Which weekday is 2026-02-14?"}],
        tool_choice="required",
        server_tools=["get_weekday"],
        max_tokens=128,
    )
    calls = answer["choices"][0]["message"]["server_tool_calls"]
    require(bool(calls), "the model has called nothing")
    return f"get_weekday: Saturday; the model's calls: {len(calls)}"


def metrics(server: DeployedServer) -> str:
    """Prometheus can read what has been counted meanwhile."""
    response = server.http.get("/metrics")
    require(response.status_code == 200, f"GET /metrics: {response.status_code}")
    lines = response.text.splitlines()
    samples = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
    counted = [name for name, value in samples if "_total" in name and float(value) > 0]
    require(any(line.startswith("# TYPE ") for line in lines), "it is not in Prometheus' format")
    require(bool(counted), "nothing has been counted")
    return f"{len(samples)} samples"


def clean_up(server: DeployedServer) -> str:
    """The collection of these checks goes; so do its documents."""
    server.needs_documents()
    path = f"/v1/rag/collections/{server.collection}"
    deleted = body_of(server.http.delete(path))
    require(deleted["deleted"], f"the answer is {deleted}")
    require(server.http.get(path).status_code == 404, "it is still there")
    return f"{server.collection} is deleted"


def _dot(one: list[float], other: list[float]) -> float:
    if len(one) != len(other):
        raise Failed("vectors of different lengths")
    return sum(a * b for a, b in zip(one, other, strict=True))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 40 else f"{line[:39]}…")


CHECKS: Final = (
    Check("health", health),
    Check("auth", auth),
    Check("models", models),
    Check("errors", errors),
    Check("chat", chat),
    Check("streaming", streaming),
    Check("embeddings", embeddings),
    Check("documents", documents),
    Check("search", search),
    Check("RAG chat", rag_chat),
    Check("functions", functions),
    Check("metrics", metrics),
    Check("clean up", clean_up),
)
