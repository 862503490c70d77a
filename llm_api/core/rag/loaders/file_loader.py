"""Files to texts, off the event loop and out of this process. What runs there is `worker`."""

import asyncio
import json
from asyncio.subprocess import DEVNULL
from dataclasses import asdict
from types import TracebackType
from typing import Final, Self

from llm_api.core.errors import UnavailableError, UnreadableFileError
from llm_api.core.rag.loaders import worker
from llm_api.core.rag.loaders.kinds import label
from llm_api.core.rag.loaders.loaded import FileLimits, LoadedText
from llm_api.core.utils.child_process import ChildProcess, start_child
from llm_api.core.utils.isolation import isolated_command, isolated_environment

_MAX_HEADER_BYTES: Final = 4 << 20  # metadata, title and warnings, parsed on the event loop
_MAX_SECTION_BYTES: Final = 64 << 20
_UTF8_BYTES: Final = 4  # of one character, at most


class FileLoader:
    """Parses as many files at once as it has processes; the others wait.

    Close it, or use it in `async with`: its processes end then.
    """

    def __init__(self, limits: FileLimits | None = None, *, processes: int = 2) -> None:
        self._limits = limits or FileLimits()
        self._workers = [_Worker(self._limits) for _ in range(processes)]
        # The one that was used last comes first, so that one process is all a quiet server runs.
        self._free: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        for free in self._workers:
            self._free.put_nowait(free)

    async def load(self, data: bytes, name: str, charset: str = "") -> LoadedText:
        """The text of a file. `name` is a label with an extension, never a path that is opened.

        `charset` is what was declared beside the file, and wins where the bytes can be in it.
        Raises `UnreadableFileError`, and `UnavailableError` where no process can be started.
        """
        try:
            return await self._load(data, name, charset)
        except UnreadableFileError as error:
            sentence = f"{error.message[:1].upper()}{error.message[1:]}."
            raise UnreadableFileError(sentence, param=error.param) from error

    async def close(self) -> None:
        for each in self._workers:
            await each.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _load(self, data: bytes, name: str, charset: str) -> LoadedText:
        if not data:
            raise UnreadableFileError("it is empty")
        if len(data) > self._limits.file_bytes:
            raise UnreadableFileError(f"it is larger than {self._limits.file_bytes:,} bytes")
        free = await self._free.get()
        try:
            return await free.load(data, label(name), charset)
        finally:
            self._free.put_nowait(free)


class _Worker:
    """One process: started when a file comes, and anew after a file that gave no text."""

    def __init__(self, limits: FileLimits) -> None:
        self._limits = limits
        self._process: ChildProcess | None = None

    async def load(self, data: bytes, name: str, charset: str) -> LoadedText:
        process = self._process = self._process or await _start(self._limits)
        loaded: LoadedText | None = None
        try:
            async with asyncio.timeout(self._limits.seconds):
                answer = await self._ask(process, worker.encode_request(data, name, charset))
            loaded = answer.loaded
        except TimeoutError as error:
            raise UnreadableFileError(
                f"it takes longer to read than {self._limits.seconds:g} seconds"
            ) from error
        except (OSError, EOFError, ValueError, KeyError) as error:  # it crashed, or does not obey
            raise UnreadableFileError("the parser broke down on it") from error
        finally:
            if loaded is None:
                await self.stop()
        if loaded is None:
            raise UnreadableFileError(answer.reason)
        return loaded

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.end()

    async def _ask(self, process: ChildProcess, request: bytes) -> worker.LoadOutcome:
        process.stdin.write(request)
        await process.stdin.drain()
        header = await process.stdout.readuntil()
        size = worker.size_of(header)
        if size > self._limits.characters * _UTF8_BYTES + _MAX_SECTION_BYTES:
            raise ValueError("more text than the worker may answer")
        body = await process.stdout.readexactly(size)
        return await asyncio.to_thread(worker.decode_answer, header, body)


async def _start(limits: FileLimits) -> ChildProcess:
    try:
        return await start_child(
            *isolated_command(worker.__name__, json.dumps(asdict(limits))),
            stderr=DEVNULL,
            limit=_MAX_HEADER_BYTES,
            has_own_session=True,  # Ctrl-C is the server's to handle
            env=isolated_environment(),
        )
    except OSError as error:
        raise UnavailableError("No process could be started to read the file in.") from error
