"""The process that holds the embedded store. It serves calls until its standard input ends.

The engine's Python binding holds the interpreter while it works: 0.15 seconds for a flush. In the
server's process every stream would stand still that long.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from llm_api.core.errors import LLMAPIError, VectorStoreError
from llm_api.core.rag.stores.calls import Answer, Call, encode, read
from llm_api.core.rag.stores.document_store import DocumentStore
from llm_api.core.rag.stores.edge import open_edge
from llm_api.core.utils.logs import configure_logs

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_store(folder: Path | None) -> AsyncGenerator[DocumentStore, None]:
    """The store in a folder; without one, in a folder that goes when it closes."""
    if folder is None:
        with TemporaryDirectory(prefix="llm-api-") as name:
            async with open_edge(Path(name), is_durable=False) as engine:
                yield DocumentStore(engine)
        return
    async with open_edge(folder, is_durable=True) as engine:
        store = DocumentStore(engine)
        await store.recover(older_than_seconds=0)
        yield store


async def serve(folder: Path | None, answers: int) -> None:
    """Answer the calls on standard input into the file descriptor `answers`."""
    reader = await _standard_input()
    try:
        async with open_store(folder) as store, asyncio.TaskGroup() as tasks:
            _send(answers, Answer(0))
            while isinstance(call := await read(reader), Call):
                tasks.create_task(_serve_call(store, call, answers))
    except LLMAPIError as error:
        _send(answers, Answer(0, error=error))


async def _serve_call(store: DocumentStore, call: Call, answers: int) -> None:
    try:
        value = await getattr(store, call.method)(*call.arguments)
    except LLMAPIError as error:
        _send(answers, Answer(call.number, error=error))
    except Exception:
        log.exception("%s failed", call.method)
        failure = VectorStoreError("The vector store failed on this; the log says why.")
        _send(answers, Answer(call.number, error=failure))
    else:
        _send(answers, Answer(call.number, value))


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    return reader


def _send(answers: int, answer: Answer) -> None:
    """Blocks until the other end has read it; is silent if there is none any more."""
    data = memoryview(encode(answer))
    try:
        while data:
            data = data[os.write(answers, data) :]
    except BrokenPipeError:
        pass


def main(folder: str) -> None:
    """Serve the store in `folder`, or one in memory if that is empty."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the server decides when this ends
        signal.signal(number, signal.SIG_IGN)
    configure_logs("INFO")
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints, does not answer
    asyncio.run(serve(Path(folder) if folder else None, answers))


if __name__ == "__main__":
    main(sys.argv[1])
