"""Models pulled, loaded, named and deleted while they are served, against a hub of this machine."""

import asyncio
import subprocess
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from llm_api.core.errors import (
    InvalidRequestError,
    JobNotFoundError,
    LLMAPIError,
    ModelInUseError,
    ModelNotFoundError,
    NotOnHubError,
)
from llm_api.core.llm.administration import pulls
from llm_api.core.llm.administration.administration import (
    AdministrationOptions,
    DeletedModel,
    ModelAdministration,
)
from llm_api.core.llm.administration.book import ModelBook, PulledModel
from llm_api.core.llm.administration.pulls import Pull
from llm_api.core.llm.files.parts import read_model
from llm_api.core.llm.residency.keeper import KeptModel
from llm_api.core.llm.residency.model_registry import ModelRegistry
from llm_api.core.llm.types import GenerationRequest, TextPrompt
from llm_api.core.utils.isolation import isolated_command, same_environment
from tests.core.llm.fake_models import FakeModel, settle
from tests.core.llm.hub_stand_in import Faults, Hub, running_hub
from tests.core.llm.tiny_gguf import gguf_bytes, large_gguf_bytes
from tests.fakes import CARD
from tests.live import PATIENCE_SECONDS

REPO, FILE = "owner/tiny-GGUF", "tiny.Q4_K_M.gguf"
ID = "tiny.Q4_K_M"
LARGE = large_gguf_bytes(24)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running_hub() as hub:
        hub.files[REPO, FILE] = gguf_bytes()
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


def kept(model: PulledModel, file: Path) -> KeptModel:
    """As the server would serve it: with what its header says, and any backend."""
    card = replace(CARD, id=model.id, aliases=model.aliases, file=read_model(file))
    return replace(FakeModel(model.id).kept(), card=card)


class Served:
    """A server's models: `own` that its settings name, and those that are pulled."""

    def __init__(self, folder: Path, *, may_pull: bool = True) -> None:
        self.folder = folder
        self.own = FakeModel("own")
        book = ModelBook(folder / "models.json")
        self.registry = ModelRegistry([self.own.kept()], given=lambda: book.contents().aliases)
        named = {folder / "owner--own" / "own.gguf": "own"}
        options = AdministrationOptions(folder, named, may_pull)
        self.administration = ModelAdministration(self.registry, book, options, kept)

    @property
    def ids(self) -> list[str]:
        return [card.id for card in self.registry.cards()]

    async def pull(self, name: str = f"{REPO}/{FILE}") -> Pull:
        """A pull, followed to its end."""
        begun, _ = await self.administration.pull(name)
        return await self.end_of(begun.id)

    async def end_of(self, pull_id: str) -> Pull:
        looks = [look async for look in self.administration.pulls.follow(pull_id)]
        return looks[-1]


@asynccontextmanager
async def serving(folder: Path, *, may_pull: bool = True) -> AsyncGenerator[Served, None]:
    served = Served(folder, may_pull=may_pull)
    async with aclosing(served.registry), served.administration.running():
        yield served


def has_models(folder: Path) -> bool:
    """Whether a file lies there that could be taken for a whole model."""
    return any(path.name[0] != "." for path in folder.rglob("*.gguf"))


async def generate(registry: ModelRegistry, name: str) -> int:
    request = GenerationRequest(TextPrompt("Hello"), 5)
    return len([event async for event in registry.resolve(name).generate(request)])


async def test_pulled_model_is_served_at_once_and_after_a_restart(hub: Hub, tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        pull = await served.pull(f"hf.co/{REPO}:Q4_K_M")
        size = len(hub.files[REPO, FILE])
        assert (pull.state, pull.model, pull.done, pull.total) == ("done", ID, size, size)
        for name in (ID, f"{REPO}/{FILE}", f"hf.co/{REPO}:Q4_K_M"):
            assert served.registry.resolve(name).card.id == ID
        assert await generate(served.registry, ID)
    async with serving(tmp_path) as again:
        assert again.ids == ["own", ID]
        assert await generate(again.registry, f"{REPO}/{FILE}")
        assert (await again.pull()).model == ID  # nothing is pulled twice
        assert again.ids == ["own", ID]
    assert hub.transfers == 1


async def test_model_is_pulled_once_at_a_time(hub: Hub, tmp_path: Path) -> None:
    hub.files[REPO, FILE] = LARGE
    hub.faults.seconds_per_chunk = 0.01
    async with serving(tmp_path) as served:
        first, is_new = await served.administration.pull(f"{REPO}/{FILE}")
        second, is_second_new = await served.administration.pull(REPO)
        assert (is_new, is_second_new, second.id) == (True, False, first.id)
        assert [one.id for one in served.administration.pulls.all()] == [first.id]
        assert (await served.end_of(first.id)).state == "done"
    assert hub.transfers == 1


async def test_cut_transfer_goes_on_where_it_stopped(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls, "PAUSES_SECONDS", (0.05,) * 100)
    hub.files[REPO, FILE] = LARGE
    hub.faults.cut_after = 15_000_000  # the next transfer, and all that follow, are refused
    hub.faults.fail_storage_after = 1
    async with serving(tmp_path) as served:
        begun, _ = await served.administration.pull(REPO)
        while hub.transfers < 2:
            await asyncio.sleep(0.01)
        arrived = served.administration.pulls.get(begun.id)
        assert 0 < arrived.done < arrived.total == len(LARGE)
        assert not has_models(tmp_path)
        assert ID not in served.ids
        hub.faults = Faults()
        assert (await served.end_of(begun.id)).state == "done"
    assert hub.ranges[-1] == f"bytes={arrived.done}-"


async def test_pull_goes_on_after_a_restart(hub: Hub, tmp_path: Path) -> None:
    hub.files[REPO, FILE] = LARGE
    hub.faults.seconds_per_chunk = 0.02
    async with serving(tmp_path) as served:
        begun, _ = await served.administration.pull(REPO)
        while not served.administration.pulls.get(begun.id).done:
            await asyncio.sleep(0.01)
    hub.faults = Faults()
    async with serving(tmp_path) as again:
        assert (await again.end_of(begun.id)).state == "done"
        assert again.ids == ["own", ID]
    assert hub.ranges[-1] is not None  # not from the start
    async with serving(tmp_path) as third:
        assert third.administration.pulls.all() == []


async def test_cancelled_pull_ends_and_is_not_begun_again(hub: Hub, tmp_path: Path) -> None:
    hub.files[REPO, FILE] = LARGE
    hub.faults.seconds_per_chunk = 0.5
    async with serving(tmp_path) as served:
        begun, _ = await served.administration.pull(REPO)
        while served.administration.pulls.get(begun.id).state == "queued":
            await asyncio.sleep(0.01)
        with pytest.raises(ModelInUseError, match="being pulled"):
            await served.administration.delete(f"owner--tiny-GGUF/{FILE}")
        assert (await served.administration.pulls.cancel(begun.id)).state == "cancelled"
        assert (await served.end_of(begun.id)).state == "cancelled"
        again, is_new = await served.administration.pull(REPO)
        assert is_new
        assert (await served.administration.pulls.cancel(again.id)).state == "cancelled"
        assert served.ids == ["own"]
        with pytest.raises(JobNotFoundError):
            await served.administration.pulls.cancel("pull_of_nobody")
    async with serving(tmp_path) as later:
        assert later.administration.pulls.all() == []


async def test_what_the_hub_does_not_have_is_told_with_the_candidates(
    hub: Hub, tmp_path: Path
) -> None:
    async with serving(tmp_path) as served:
        with pytest.raises(NotOnHubError, match=FILE):
            await served.administration.pull(f"{REPO}/other.gguf")
        with pytest.raises(NotOnHubError, match=FILE):
            await served.administration.pull(f"{REPO}:Q8_0")
        with pytest.raises(NotOnHubError, match="no repository"):
            await served.administration.pull("owner/unknown")
        assert served.administration.pulls.all() == []
    assert hub.transfers == 0


async def test_file_that_is_no_model_is_never_served(hub: Hub, tmp_path: Path) -> None:
    hub.files[REPO, FILE] = b"no model at all"
    async with serving(tmp_path) as served:
        pull = await served.pull()
        assert (pull.state, pull.model) == ("failed", None)
        assert FILE in pull.error
        assert str(tmp_path) not in pull.error
        assert served.ids == ["own"]
    assert not has_models(tmp_path)


async def test_several_processes_pull_nothing(hub: Hub, tmp_path: Path) -> None:
    async with serving(tmp_path, may_pull=False) as served:
        with pytest.raises(InvalidRequestError, match="WORKERS"):
            await served.administration.pull(REPO)
    assert hub.requests == []


async def test_deleted_model_frees_its_file_and_its_names(hub: Hub, tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        await served.pull()
        await served.administration.name(ID, "gpt-4")
        assert await generate(served.registry, "gpt-4")
        with pytest.raises(ModelInUseError, match="unload it first"):
            await served.administration.delete(ID)
        await served.administration.unload("gpt-4")
        deleted = await served.administration.delete(f"{REPO}/{FILE}")
        assert (deleted.id, deleted.freed_bytes) == (ID, len(hub.files[REPO, FILE]))
        for name in (ID, "gpt-4"):
            with pytest.raises(ModelNotFoundError):
                served.registry.resolve(name)
        assert not has_models(tmp_path)
    async with serving(tmp_path) as again:
        assert again.ids == ["own"]


def put_models(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gguf_bytes())


async def test_only_models_of_the_folder_that_no_setting_names_are_deleted(
    tmp_path: Path,
) -> None:
    folder, outside = tmp_path / "models", tmp_path / "outside.gguf"
    own, by_hand = folder / "owner--own" / "own.gguf", folder / "by-hand" / "a.gguf"
    put_models(own, by_hand, outside, by_hand.with_name("a-00002-of-00002.gguf"))
    (folder / "link.gguf").symlink_to(outside)
    async with serving(folder) as served:
        refused: dict[str, type[LLMAPIError]] = {
            "own": ModelInUseError,
            "owner--own/own.gguf": ModelInUseError,
            "by-hand/../owner--own/own.gguf": ModelInUseError,
            "link.gguf": InvalidRequestError,
            "../outside.gguf": InvalidRequestError,
            str(outside): InvalidRequestError,
            "by-hand/a-00002-of-00002.gguf": InvalidRequestError,
            "nothing.gguf": ModelNotFoundError,
            "by-hand": ModelNotFoundError,
        }
        for name, error in refused.items():
            with pytest.raises(error):
                await served.administration.delete(name)
        freed = len(gguf_bytes())
        assert await served.administration.delete("by-hand/a.gguf") == DeletedModel(
            "by-hand/a.gguf", freed
        )
    assert (outside.exists(), own.exists(), by_hand.exists()) == (True, True, False)


async def test_names_are_given_moved_and_taken(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, serving(tmp_path) as other:
        await served.administration.name("own", "gpt-4:latest")
        assert other.registry.resolve("gpt-4:latest").card.id == "own"
        assert "gpt-4:latest" in other.registry.cards()[0].aliases
        for alias in ("own", "own-alias", "", "with space", "a" * 201):
            with pytest.raises(InvalidRequestError):
                await served.administration.name("own", alias)
        with pytest.raises(ModelNotFoundError):
            await served.administration.name("unknown", "gpt-5")
        assert await other.administration.delete("gpt-4:latest") == DeletedModel("gpt-4:latest")
        with pytest.raises(ModelNotFoundError):
            served.registry.resolve("gpt-4:latest")


async def test_model_is_loaded_and_unloaded_when_asked(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        await served.administration.load("own-alias", is_pinned=True)
        assert (served.registry.state("own"), served.registry.is_pinned("own")) == ("loaded", True)
        await served.administration.unload("own")
        assert (served.registry.state("own"), served.registry.is_pinned("own")) == (
            "unloaded",
            False,
        )
        assert served.own.opened[0].is_closed
        await served.administration.unload("own")  # it is not there, as was asked


async def test_unload_waits_for_answers_or_gives_up(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        request = GenerationRequest(TextPrompt("Hello"), 5)
        async with aclosing(served.registry.resolve("own").generate(request)) as events:
            await anext(events)
            with pytest.raises(ModelInUseError, match="1 requests"):
                await served.administration.unload("own", wait_seconds=0.01)
            assert served.registry.state("own") == "loaded"
            unloading = asyncio.create_task(served.administration.unload("own"))
            await settle()
            assert not unloading.done()
        await unloading
        assert served.registry.state("own") == "unloaded"


def test_process_that_pulls_ends_with_its_server(hub: Hub, tmp_path: Path) -> None:
    hub.files[REPO, FILE] = LARGE
    hub.faults.seconds_per_chunk = 1
    command = isolated_command("llm_api.core.llm.files.pull_worker", REPO, FILE, "", str(tmp_path))
    environment = same_environment()
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [*command, "pull"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as worker:
        assert worker.stdout is not None
        assert b"found" in worker.stdout.readline()
        assert worker.stdin is not None
        worker.stdin.close()
        assert worker.wait(timeout=PATIENCE_SECONDS) == 1
