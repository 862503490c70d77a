"""Keys with limited rights: what is on its way into a store is seen by who will see it there."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.api.deps import set_services
from llm_api.api.policy import Access
from llm_api.api.wiring import create_api
from llm_api.assembly.retrieval import open_vector_store
from llm_api.core.access.documents import documents_of
from llm_api.core.access.keys import ApiKey, Keyring, digest_of
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.rag.filters import EVERYTHING, Filter, parse_filter
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.rights import DocumentRights, Right
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from llm_api.core.vector_stores.bringing_in import bringing_files_in
from tests.api.keyed import talking_to
from tests.core.rag.fakes import IN_MEMORY, FakeEmbedder, retrieval_over
from tests.core.vector_stores.shelf import until
from tests.fakes import FakeBackend, FakeModels, FakeServices

SHARED = "/v1/vector_stores/shared"


def key(name: str, right: Right, filter: Filter = EVERYTHING) -> ApiKey:
    rights = DocumentRights({"shared": right, "vs_*": "write"}, filter)
    return ApiKey(name, digest_of(f"sk-{name}"), documents=rights)


KEYS = (
    key("owner", "write"),
    key("reader", "read"),
    key("red", "write", parse_filter({"team": "red"})),
    key("blue", "write", parse_filter({"team": "blue"})),
)


@dataclass
class Office:
    """A server whose store `shared` takes files in only while it `runs`."""

    clients: dict[str, httpx2.AsyncClient] = field(default_factory=dict)

    async def ask(self, who: str, method: str, path: str, **body: Any) -> httpx2.Response:
        return await self.clients[who].request(method, path, **body)

    async def attach(self, who: str, **more: Any) -> str:
        """The id of a new file of this key, on its way into the store."""
        file = {"file": ("a.txt", f"The words of {who}.".encode())}
        stored = await self.ask(who, "POST", "/v1/files", files=file, data={"purpose": "user_data"})
        id = str(stored.json()["id"])
        attached = await self.ask(who, "POST", f"{SHARED}/files", json={"file_id": id, **more})
        assert attached.is_success, attached.text
        return id

    async def listed(self, who: str) -> set[str]:
        files = (await self.ask(who, "GET", f"{SHARED}/files")).json()["data"]
        counts = (await self.ask(who, "GET", SHARED)).json()["file_counts"]
        assert counts["total"] == len(files)
        return {one["id"] for one in files}


@asynccontextmanager
async def office(folder: Path, *, runs: bool) -> AsyncGenerator[Office, None]:
    access = Access(keyring=Keyring(KEYS), allowed_hosts=None)
    async with (
        open_vector_store(IN_MEMORY) as store,
        FileLoader(processes=1) as loader,
        aclosing(State(StateOptions(folder / "state"))) as state,
    ):
        retrieval = retrieval_over(store, FakeEmbedder(), loader, state)
        services = FakeServices(
            FakeModels([FakeBackend()]),
            EmbedderRegistry([]),
            retrieval=retrieval,
            state=state,
            models_dir=folder,
        )
        app = create_api(version="0", access=access)
        set_services(app, services)
        async with talking_to_all(app) as clients:
            made = await clients["owner"].post("/v1/rag/collections", json={"name": "shared"})
            assert made.is_success
            if not runs:
                yield Office(clients)
                return

            async with bringing_files_in(
                state,
                services.files,
                retrieval,
                lambda owner: documents_of(access.caller(owner), retrieval),
            ):
                yield Office(clients)


@asynccontextmanager
async def talking_to_all(app: FastAPI) -> AsyncGenerator[dict[str, httpx2.AsyncClient], None]:
    async with (
        talking_to(app, authorization="Bearer sk-owner") as owner,
        talking_to(app, authorization="Bearer sk-reader") as reader,
        talking_to(app, authorization="Bearer sk-red") as red,
        talking_to(app, authorization="Bearer sk-blue") as blue,
    ):
        yield {"owner": owner, "reader": reader, "red": red, "blue": blue}


async def test_files_on_their_way_are_seen_by_who_will_see_them(tmp_path: Path) -> None:
    async with office(tmp_path, runs=False) as desk:
        red = await desk.attach("red")
        owners = await desk.attach("owner")
        reds = await desk.attach("owner", attributes={"team": "red"})
        assert await desk.listed("owner") == await desk.listed("reader") == {red, owners, reds}
        assert await desk.listed("red") == {red, reds}
        assert await desk.listed("blue") == set()
        for who, status in (("red", 200), ("blue", 404)):
            answer = await desk.ask(who, "GET", f"{SHARED}/files/{red}")
            assert answer.status_code == status


async def test_files_come_in_with_the_rights_of_who_attached_them(tmp_path: Path) -> None:
    async with office(tmp_path, runs=True) as desk:
        red = await desk.attach("red")
        foreign = await desk.attach("red", attributes={"team": "blue"})

        async def have_ended() -> bool:
            store = (await desk.ask("owner", "GET", SHARED)).json()
            return bool(store["status"] == "completed")

        await until(have_ended)
        mine = (await desk.ask("red", "GET", f"{SHARED}/files/{red}")).json()
        assert (mine["status"], mine["attributes"]) == ("completed", {"team": "red"})
        failed = (await desk.ask("red", "GET", f"{SHARED}/files/{foreign}")).json()
        assert (failed["status"], failed["last_error"]["code"]) == ("failed", "server_error")
        assert await desk.listed("owner") == {red, foreign}
        assert await desk.listed("blue") == {foreign}
        found = await desk.ask("blue", "POST", f"{SHARED}/search", json={"query": "words of red"})
        assert found.json()["data"] == []


@pytest.mark.parametrize(
    ("who", "method", "path", "body"),
    [
        ("reader", "POST", "", {"name": "x"}),
        ("reader", "DELETE", "", None),
        ("reader", "POST", "/files", {"file_id": "FILE"}),
        ("reader", "POST", "/file_batches", {"file_ids": ["FILE"]}),
        ("reader", "POST", "/files/FILE", {"attributes": {}}),
        ("reader", "DELETE", "/files/FILE", None),
        ("reader", "POST", "/file_batches/BATCH/cancel", None),
        ("red", "POST", "", {"expires_after": {"anchor": "last_active_at", "days": 1}}),
        ("red", "DELETE", "", None),
    ],
)
async def test_what_a_key_may_not_change_stays(
    tmp_path: Path, who: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    async with office(tmp_path, runs=False) as desk:
        mine = await desk.attach("owner")
        batch = await desk.ask("owner", "POST", f"{SHARED}/file_batches", json={"file_ids": [mine]})
        before = (await desk.ask("owner", "GET", SHARED)).json()
        # A reader attaches files of its own.
        own = await desk.ask(
            who, "POST", "/v1/files", files={"file": ("b.txt", b"b")}, data={"purpose": "user_data"}
        )
        is_attaching = path in ("/files", "/file_batches")
        file = own.json()["id"] if is_attaching else mine
        url = f"{SHARED}{path}".replace("FILE", file).replace("BATCH", batch.json()["id"])
        sent = None if body is None else {k: _named(v, file) for k, v in body.items()}
        answer = await desk.ask(who, method, url, json=sent)
        assert answer.status_code == 403, answer.text
        after = (await desk.ask("owner", "GET", SHARED)).json()
        assert after == before
        assert await desk.listed("owner") == {mine}


def _named(value: Any, file: str) -> Any:
    if isinstance(value, list):
        return [file for _ in value]
    return file if value == "FILE" else value
