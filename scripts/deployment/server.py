"""A server under check: its address, its key, and what the checks have found out so far."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import uuid4

import httpx2

from scripts.deployment.checking import Failed, Skipped, require

JSON = dict[str, Any]


@dataclass
class DeployedServer:
    """`http` sends the key; `anonymous` does not. Documents go into a collection of its own."""

    http: httpx2.Client
    anonymous: httpx2.Client
    has_key: bool
    collection: str = field(default_factory=lambda: f"deployment-check-{uuid4().hex[:8]}")
    has_documents: bool = False

    def get(self, path: str) -> JSON:
        """The body of a successful answer. Raises Failed."""
        return body_of(self.http.get(path))

    def post(self, path: str, **fields: Any) -> JSON:
        """The same."""
        return body_of(self.http.post(path, json=fields))

    def stream(self, path: str, **fields: Any) -> Iterator[JSON]:
        """The data of a stream's events, with the event's name as `event` where it has one.

        Raises Failed for a stream that ends without saying that it is complete.
        """
        name = ""
        with self.http.stream("POST", path, json={**fields, "stream": True}) as response:
            if response.status_code != 200:
                response.read()
                body_of(response)
            for line in response.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line == "data: [DONE]":
                    return
                elif line.startswith("data: "):
                    data = json.loads(line.removeprefix("data: "))
                    require("error" not in data, f"an error in the stream: {data.get('error')}")
                    yield {**data, "event": name} if name else data
        raise Failed("the stream ends without [DONE]")

    @cached_property
    def _models(self) -> list[JSON]:
        return list(self.get("/v1/models")["data"])

    @property
    def model(self) -> str:
        """The first model that generates. Raises Failed."""
        names = self._names("generation")
        require(bool(names), "no model that generates is listed")
        return names[0]

    def needs_embedder(self) -> str:
        """The first model that embeds. Raises Skipped."""
        names = self._names("embedding")
        if not names:
            raise Skipped("no model that embeds is served")
        return names[0]

    def _names(self, kind: str) -> list[str]:
        return [str(one["id"]) for one in self._models if one["type"] == kind]

    def needs_documents(self) -> None:
        """Raises Skipped where none could be stored."""
        if not self.has_documents:
            raise Skipped("no documents are stored")


def body_of(response: httpx2.Response) -> JSON:
    """The JSON of a successful answer. Raises Failed with the server's own words."""
    require(
        response.status_code == 200,
        f"{response.request.method} {response.request.url.path}: {response.status_code}"
        f" {response.text[:160]}",
    )
    body: JSON = response.json()
    return body
