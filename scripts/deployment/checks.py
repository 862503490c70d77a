"""What a deployed server must be able to do, in the order in which it is asked.

What the client shows endpoint by endpoint is taken from it; here is what concerns the whole: keys,
proxies that gather a stream, calls the model makes, what is counted.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Final, TypeAlias

import httpx2

from scripts.client_demo import (
    CHECKS,
    COLLECTION,
    NotServedError,
    Outcome,
    Server,
    WrongError,
    expect,
    meet,
    outcome_of,
)


@dataclass(frozen=True)
class Deployment(Server):
    """A server, asked without its key as well: `anonymous`. `has_key` says whether one is known."""

    anonymous: httpx2.Client
    has_key: bool


Check: TypeAlias = Callable[[Deployment], str]


def check_all(http: httpx2.Client, anonymous: httpx2.Client, *, has_key: bool) -> Iterator[Outcome]:
    """The outcome of every check, in order. `http` sends the key, if there is one."""
    try:
        met = meet(http)
    except (WrongError, httpx2.HTTPError, LookupError, TypeError, ValueError) as error:
        yield Outcome(str(http.base_url), "failed", f"this is no such server: {error!r}")
        return
    deployment = Deployment(http, met.endpoints, met.model, met.embedder, anonymous, has_key)
    for name, check in DEPLOYMENT_CHECKS.items():
        yield outcome_of(name, partial(check, deployment))


def _endpoints(*endpoints: str) -> Check:
    """The client's own checks of these endpoints, as one."""
    return lambda deployment: "; ".join(CHECKS[endpoint](deployment) for endpoint in endpoints)


def health(deployment: Deployment) -> str:
    """Without a key: alive, and ready for a generation."""
    for path in ("/health", "/health/ready"):
        status = deployment.anonymous.get(path).status_code
        expect(status == 200, f"{path} without a key is answered {status}")
    return _endpoints("GET /health", "GET /health/ready")(deployment)


def auth(deployment: Deployment) -> str:
    """Without a key, or with a wrong one, nothing is served."""
    if not deployment.has_key:
        raise NotServedError("no key is given, and none is needed")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"x-api-key": "wrong"}):
        response = deployment.anonymous.get("/v1/models", headers=headers)
        expect(response.status_code == 401, f"{headers} is answered {response.status_code}")
        code = response.json()["error"]["code"]
        expect(code == "invalid_api_key", f"the code is {code}")
    return "401 without the key or with another"


def errors(deployment: Deployment) -> str:
    """A mistake is answered in OpenAI's envelope."""
    body = {"model": "no-such-model", "messages": [{"role": "user", "content": "Hello!"}]}
    response = deployment.http.post("/v1/chat/completions", json=body)
    code = response.json()["error"]["code"]
    expect(
        (response.status_code, code) == (404, "model_not_found"),
        f"an unknown model is answered {response.status_code} {code}",
    )
    return "404 model_not_found for an unknown model"


def streaming(deployment: Deployment) -> str:
    """The text comes as it is made. A proxy that gathers it shows here."""
    question = [{"role": "user", "content": "Count from one to twenty, in words."}]
    body = {"model": deployment.model, "messages": question, "max_tokens": 64}
    began = time.monotonic()
    moments = [time.monotonic() - began for _ in _events(deployment, "/v1/chat/completions", body)]
    expect(len(moments) > 4, f"only {len(moments)} events")
    steps = sum(later - earlier > 0.0005 for earlier, later in pairwise(moments))
    expect(steps > 1, "all events come at once: something gathers them on the way")
    return f"{len(moments)} events, the first after {moments[0]:.2f} s, all after {moments[-1]:.2f}"


def rag_chat(deployment: Deployment) -> str:
    """An answer with its sources, whole and streamed."""
    seen = _endpoints("POST /v1/rag/chat")(deployment)
    body = {"query": "What does Docker pack?", "max_tokens": 48, "collection": COLLECTION}
    names = [name for name, _ in _events(deployment, "/v1/rag/chat", body)]
    expect(names[0] == "sources", f"the stream begins with {names[0]}")
    expect("text" in names, "the stream has no text")
    expect(names[-1] == "usage", f"the stream ends with {names[-1]}")
    return seen


def functions(deployment: Deployment) -> str:
    """One is run by itself, and one by the model's call."""
    _endpoints("POST /v1/functions/{name}")(deployment)
    body = {
        "model": deployment.model,
        "messages": [{"role": "user", "content": "Which weekday is 2026-02-14?"}],
        "tool_choice": "required",
        "server_tools": ["get_weekday"],
        "max_tokens": 128,
    }
    answer = deployment.post("/v1/chat/completions", body)
    calls = answer["choices"][0]["message"]["server_tool_calls"]
    expect(calls, "the model has called nothing")
    return f"get_weekday: Saturday; the model's calls: {len(calls)}"


def metrics(deployment: Deployment) -> str:
    """Prometheus can read what has been counted meanwhile."""
    lines = deployment.call("GET", "/metrics").text.splitlines()
    samples = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
    expect(any(line.startswith("# TYPE ") for line in lines), "it is not in Prometheus' format")
    counted = [name for name, value in samples if "_total" in name and float(value) > 0]
    expect(counted, "nothing has been counted")
    return f"{len(samples)} samples"


def _events(deployment: Deployment, path: str, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The events of a stream as they come: name, "" for none, and data.

    Raises WrongError for an error in it, and for an end that does not say that it is one.
    """
    name = ""
    with deployment.http.stream("POST", path, json={**body, "stream": True}) as response:
        expect(response.status_code == 200, f"answered {response.status_code}")
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line == "data: [DONE]":
                return
            elif line.startswith("data: "):
                data = json.loads(line.removeprefix("data: "))
                expect("error" not in data, f"an error in the stream: {data.get('error')}")
                yield name, data
    raise WrongError("the stream ends without [DONE]")


DEPLOYMENT_CHECKS: Final[dict[str, Check]] = {
    "health": health,
    "auth": auth,
    "errors": errors,
    "chat": _endpoints("POST /v1/chat/completions"),
    "streaming": streaming,
    "embeddings": _endpoints("POST /v1/embeddings"),
    "documents": _endpoints("POST /v1/rag/documents", "GET /v1/rag/documents"),
    "search": _endpoints("POST /v1/rag/search"),
    "RAG chat": rag_chat,
    "functions": functions,
    "metrics": metrics,
    "clean up": _endpoints("DELETE /v1/rag/collections/{name}"),
}
"""By name, in their order."""
