"""The state as a whole: opened late, by several processes, bounded, each owner's own."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.engine import Connection

from llm_api.core.errors import (
    ConversationNotFoundError,
    InvalidRequestError,
    LLMAPIError,
    ResponseNotFoundError,
    StateFullError,
    StateUnavailableError,
)
from llm_api.core.rag.ingest import each
from llm_api.core.state import liveness, opened, schema, sweep, tables
from llm_api.core.state.conversations import Conversations
from llm_api.core.state.file_records import (
    Content,
    FileRecord,
    NewFile,
    NewUpload,
    PartRecord,
)
from llm_api.core.state.files import Files
from llm_api.core.state.jobs import Jobs
from llm_api.core.state.opened import OwnedState
from llm_api.core.state.options import StateOptions
from llm_api.core.state.records import (
    JobInput,
    NewJob,
    Page,
    PageRequest,
    SourceFailure,
    StoredConversation,
    StoredSync,
    StoredThread,
)
from llm_api.core.state.response_rows import insert_response
from llm_api.core.state.responses import Responses
from llm_api.core.state.schema import NEWEST, current_version
from llm_api.core.state.sources import SourceNotes
from llm_api.core.state.state import State
from llm_api.core.state.threads import Threads
from llm_api.core.state.uploads import Uploads
from tests.core.state.samples import events, ids, items, outcome, response

DAY = 86_400.0


@asynccontextmanager
async def another(options: StateOptions) -> AsyncGenerator[State, None]:
    """The state of another process, or with other options."""
    async with aclosing(State(options)) as state:
        yield state


async def consumed(stream: AsyncGenerator[object, None]) -> None:
    async for _ in stream:
        pass


async def test_nothing_is_written_before_the_first_use(options: StateOptions) -> None:
    async with another(options) as state:
        assert not options.folder.exists()
    with pytest.raises(StateUnavailableError):
        await state.of("alice")


async def test_first_user_that_leaves_while_it_opens_leaves_it_open(
    state: State,
) -> None:
    opening = asyncio.create_task(state.of("alice"))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with asyncio.timeout(0):  # nothing is waited for any more
        own = await state.of("alice")
    await own.responses.save(response("resp_1"), outcome())


async def test_processes_that_start_together_make_the_tables_once(options: StateOptions) -> None:
    async with AsyncExitStack() as stack:
        states = [await stack.enter_async_context(another(options)) for _ in range(4)]
        owned = await asyncio.gather(*(state.of("alice") for state in states))
        await owned[0].responses.save(response("resp_1"), outcome())
        for own in owned:
            assert (await own.responses.get("resp_1")).status == "completed"


async def test_migrations_leave_the_tables_of_the_code(own: OwnedState) -> None:
    def differences(on: Connection) -> object:
        return compare_metadata(MigrationContext.configure(on), tables.METADATA)

    assert await own.responses._shared.read(differences) == []
    assert await own.responses._shared.read(current_version) == NEWEST


async def test_database_of_a_newer_version_is_refused(
    own: OwnedState, options: StateOptions
) -> None:
    def rewrite(on: Connection) -> None:
        on.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    await own.responses._shared.write(rewrite)
    async with another(options) as other:
        with pytest.raises(StateUnavailableError, match="newer version"):
            await other.of("alice")


async def test_database_of_an_older_version_is_brought_up_with_what_is_in_it(
    options: StateOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "NEWEST", "0001")
    values = {"status": "completed", "size": 9, "ended_at": time.time()}
    async with opened._open_database(options) as database:
        await database.write(
            lambda on: insert_response(on, "alice", response("resp_1", "in"), values)
        )
        assert await database.read(current_version) == "0001"
    monkeypatch.undo()
    async with another(options) as state:
        own = await state.of("alice")
        assert ids(await own.responses.history("resp_1")) == ["in"]
        assert await own.responses._shared.read(current_version) == NEWEST


CONTENT = Content("5ha", 3)
A_FILE = NewFile("file-1", "a.txt", "text/plain", "batch", 0.0)
AN_UPLOAD = NewUpload("upload_1", "a.txt", "text/plain", "batch", 3, 0.0, 4e9)
A_PART = PartRecord("part_1", "upload_1", 0.0, 3, "")


async def entries(page: Awaitable[Page[FileRecord] | Page[StoredThread]]) -> object:
    return (await page).entries


# Every method of every store, with the id of what alice has stored.
CALLS: dict[str, Callable[[OwnedState], Awaitable[object]]] = {
    "Responses.get": lambda own: own.responses.get("resp_1"),
    "Responses.start": lambda own: own.responses.start("resp_2", "{}"),
    "Responses.append_events": lambda own: own.responses.append_events("resp_2", events(7)),
    "Responses.finish": lambda own: own.responses.finish("resp_2", outcome()),
    "Responses.delete": lambda own: own.responses.delete("resp_1"),
    "Responses.request_cancel": lambda own: own.responses.request_cancel("resp_2"),
    "Responses.cancel_requested": lambda own: own.responses.cancel_requested("resp_2"),
    "Responses.count_unfinished": lambda own: own.responses.count_unfinished(),
    "Responses.input_items": lambda own: own.responses.input_items("resp_1", PageRequest()),
    "Responses.history": lambda own: own.responses.history("resp_1"),
    "Responses.find_items": lambda own: own.responses.find_items(["a", "b"]),
    "Responses.follow": lambda own: consumed(own.responses.follow("resp_2")),
    "Responses.begin": lambda own: own.responses.begin(response("r", conversation="conv_1")),
    "Responses.save": lambda own: own.responses.save(
        response("r", conversation="conv_1"), outcome()
    ),
    "Threads.list": lambda own: entries(own.threads.list(PageRequest())),
    "Threads.turns": lambda own: own.threads.turns("resp_1"),
    "Threads.delete": lambda own: own.threads.delete("resp_1"),
    "Conversations.create": lambda own: own.conversations.create(
        StoredConversation("conv_1", 0.0, "{}")
    ),
    "Conversations.get": lambda own: own.conversations.get("conv_1"),
    "Conversations.update": lambda own: own.conversations.update("conv_1", '{"x": "y"}'),
    "Conversations.delete": lambda own: own.conversations.delete("conv_1"),
    "Conversations.add_items": lambda own: own.conversations.add_items("conv_1", items("z")),
    "Conversations.items": lambda own: own.conversations.items("conv_1", PageRequest()),
    "Conversations.all_items": lambda own: own.conversations.all_items("conv_1"),
    "Conversations.get_item": lambda own: own.conversations.get_item("conv_1", "c"),
    "Conversations.delete_item": lambda own: own.conversations.delete_item("conv_1", "c"),
    "Jobs.submit": lambda own: own.jobs.submit(NewJob("job_1", "k", "{}", 0.0), each([]), 9),
    "Jobs.get": lambda own: own.jobs.get("job_1"),
    "Jobs.latest": lambda own: own.jobs.latest("k"),
    "Jobs.remarks": lambda own: own.jobs.remarks(["job_1"]),
    "Jobs.request_cancel": lambda own: own.jobs.request_cancel("job_1"),
    "Jobs.unfinished_inputs": lambda own: own.jobs.unfinished_inputs("k"),
    "SourceNotes.failures": lambda own: own.sources.failures("c"),
    "SourceNotes.forget_failures": lambda own: own.sources.forget_failures("c", ["a"]),
    "SourceNotes.remember_failures": lambda own: own.sources.remember_failures("c", []),
    "SourceNotes.syncs": lambda own: own.sources.syncs("c"),
    "SourceNotes.get_sync": lambda own: own.sources.get_sync("c", "docs"),
    "SourceNotes.save_sync": lambda own: own.sources.save_sync("c", StoredSync("docs", 9.0, "{}")),
    "Files.add": lambda own: own.files.add(A_FILE, CONTENT, "no-key", 9),
    "Files.get": lambda own: own.files.get("file-1"),
    "Files.list": lambda own: entries(own.files.list(PageRequest())),
    "Files.delete": lambda own: own.files.delete("file-1"),
    "Uploads.create": lambda own: own.uploads.create(AN_UPLOAD),
    "Uploads.get": lambda own: own.uploads.get("upload_1"),
    "Uploads.add_part": lambda own: own.uploads.add_part(A_PART, CONTENT, "no-key", 9),
    "Uploads.parts": lambda own: own.uploads.parts("upload_1", ["part_1"]),
    "Uploads.complete": lambda own: own.uploads.complete("upload_1", A_FILE, CONTENT, "no-key"),
    "Uploads.cancel": lambda own: own.uploads.cancel("upload_1"),
}
NOTHING: tuple[object, ...] = ([], {}, 0, False, None)
"""What a call may answer that is not refused."""


async def everything(own: OwnedState) -> object:
    """All that an owner can see of what the tests below store."""
    return (
        await own.responses.get("resp_1"),
        await own.responses.get("resp_2"),
        ids(await own.responses.history("resp_2")),
        await own.conversations.get("conv_1"),
        ids(await own.conversations.all_items("conv_1")),
        await own.jobs.get("job_1"),
        await own.jobs.remarks(["job_1"]),
        await own.sources.failures("c"),
        await own.sources.syncs("c"),
        await own.files.get("file-1"),
        await own.uploads.get("upload_1"),
        await own.uploads.parts("upload_1", ["part_1"]),
    )


def test_every_method_of_every_store_is_called() -> None:
    named = {
        f"{store.__name__}.{name}"
        for store in (Responses, Threads, Conversations, Jobs, SourceNotes, Files, Uploads)
        for name, value in vars(store).items()
        if callable(value) and not name.startswith("_")
    }
    assert named == CALLS.keys()


async def test_what_is_stored_does_not_exist_for_another_owner(
    state: State, own: OwnedState
) -> None:
    await own.responses.save(response("resp_1", "a"), outcome("b"))
    await own.responses.begin(response("resp_2", "a2", previous="resp_1", is_background=True))
    await own.responses.append_events("resp_2", events(0))
    await own.conversations.create(StoredConversation("conv_1", 0.0, "{}"), items("c"))
    given = [JobInput("in", "{}", b"body")]
    await own.jobs.submit(NewJob("job_1", "k", "{}", 0.0), each(given), 9)
    queue = await state.queue("k")
    await queue.claim()
    await own.sources.remember_failures("c", [SourceFailure("a", "d", "broken", 1.0)])
    await own.sources.save_sync("c", StoredSync("docs", 1.0, "{}"))
    await own.files.add(A_FILE, CONTENT, await (await state.blobs()).begin(CONTENT), 9)
    await own.uploads.create(AN_UPLOAD)
    await own.uploads.add_part(A_PART, CONTENT, None, 9)
    before = await everything(own)
    for name, call in CALLS.items():
        for owner in ("bob", "", "alice' OR '1'='1"):
            other = await state.of(owner)
            with suppress(LLMAPIError):
                assert await asyncio.wait_for(call(other), 10) in NOTHING, name
    assert await everything(own) == before


async def test_what_a_dead_process_made_is_failed_and_its_items_are_kept(
    options: StateOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "DEAD_AFTER_SECONDS", 0.0)  # of PostgreSQL: at once
    async with another(options) as dead, another(options) as state:
        theirs = await dead.of("alice")
        await theirs.responses.begin(response("resp_1", "in", is_background=True))
        await theirs.responses.append_events("resp_1", events(0, 1))
        if options.url is None:  # what the kernel does when a process ends
            for file in (options.folder / "workers").iterdir():
                file.unlink()
        own = await state.of("alice")
        found = await own.responses.get("resp_1")
        assert (found.status, found.is_lost, found.last_event) == ("failed", True, 1)
        assert [one async for one in own.responses.follow("resp_1", 0)] == [events(1)]
        assert not await theirs.responses.append_events("resp_1", events(2))
        assert not await theirs.responses.finish("resp_1", outcome())


async def test_what_a_living_process_makes_is_left_to_it(
    own: OwnedState, options: StateOptions
) -> None:
    await own.responses.begin(response("resp_1"))
    async with another(options) as other:
        assert (await (await other.of("alice")).responses.get("resp_1")).status == "in_progress"


async def test_old_responses_and_the_events_of_ended_ones_are_forgotten(
    options: StateOptions,
) -> None:
    now = [1_000_000.0]
    async with another(replace(options, days=2, now=lambda: now[0])) as state:
        own = await state.of("alice")
        await own.responses.begin(response("old"))
        await own.responses.finish("old", outcome(), events(0))
        await own.responses.begin(response("unfinished"))
        sweeper = sweeper_of(state)
        now[0] += sweep.EVENTS_KEPT_SECONDS + 1
        await sweeper.forget_old()
        assert (await own.responses.get("old")).last_event is None
        with pytest.raises(InvalidRequestError):
            await consumed(own.responses.follow("old"))
        now[0] += 2 * DAY
        await own.responses.save(response("new"), outcome())
        await sweeper.forget_old()
        with pytest.raises(ResponseNotFoundError):
            await own.responses.get("old")
        assert (await own.responses.get("new")).status == "completed"
        assert (await own.responses.get("unfinished")).status == "in_progress"


def sweeper_of(state: State) -> sweep.Sweeper:
    assert state._open is not None
    return state._open.sweeper


async def test_oldest_responses_make_room(options: StateOptions) -> None:
    now = [1.0]
    async with another(replace(options, max_bytes=100_000, now=lambda: now[0])) as state:
        own = await state.of("alice")
        for number in range(95):
            now[0] += 1
            large = replace(outcome(), body="x" * 1_000)
            await own.responses.save(response(f"resp_{number}"), large)
        with pytest.raises(StateFullError):
            await own.responses.save(response("more"), replace(outcome(), body="x" * 10_000))
        await sweeper_of(state).make_room()
        await own.responses.save(response("more"), replace(outcome(), body="x" * 10_000))
        with pytest.raises(ResponseNotFoundError):
            await own.responses.get("resp_0")
        assert (await own.responses.get("resp_94")).status == "completed"


async def test_what_is_too_large_for_one_write_is_refused(own: OwnedState) -> None:
    body = "x" * (65 * 1024 * 1024)
    with pytest.raises(InvalidRequestError, match="too large"):
        await own.responses.save(response("resp_1"), replace(outcome(), body=body))


async def test_write_that_raises_leaves_nothing_and_the_others_are_kept(own: OwnedState) -> None:
    saves = (
        own.responses.save(
            response(f"resp_{n}", conversation="conv_9" if n % 3 == 0 else None), outcome()
        )
        for n in range(30)
    )
    results = await asyncio.gather(*saves, return_exceptions=True)
    for n, result in enumerate(results):
        if n % 3 == 0:
            assert isinstance(result, ConversationNotFoundError)
            with pytest.raises(ResponseNotFoundError):
                await own.responses.get(f"resp_{n}")
        else:
            assert result is None
            assert (await own.responses.get(f"resp_{n}")).status == "completed"


async def test_database_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder belongs")
    async with another(StateOptions(tmp_path / "state")) as state:
        with pytest.raises(StateUnavailableError):
            await state.of("alice")
        (tmp_path / "state").unlink()
        await (await state.of("alice")).responses.save(response("resp_1"), outcome())


async def test_file_shrinks_when_what_was_in_it_is_gone(tmp_path: Path) -> None:
    async with another(StateOptions(tmp_path, now=lambda: 0.0)) as state:
        own = await state.of("alice")
        large = replace(outcome(), body="x" * 10_000_000)
        for number in range(4):
            await own.responses.save(response(f"resp_{number}"), large)
        for number in range(4):
            await own.responses.delete(f"resp_{number}")
        await sweeper_of(state).forget_old()
    assert (tmp_path / "state.sqlite3").stat().st_size < 12_000_000


@pytest.mark.parametrize("bad", ["\x00", "\ud800"])
async def test_text_that_cannot_be_kept_is_refused_or_found_again(
    own: OwnedState, bad: str
) -> None:
    id = f"resp_{bad}"
    with pytest.raises((ResponseNotFoundError, InvalidRequestError)):
        await own.responses.get(id)
    try:
        await own.responses.save(response(id, f"in{bad}"), outcome())
    except InvalidRequestError:
        return
    assert ids(await own.responses.history(id)) == [f"in{bad}"]
