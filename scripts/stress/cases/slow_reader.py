"""A reader that takes a byte a second of an answer of many megabytes."""

import asyncio
import json
import socket

from scripts.bench.client import HOST
from scripts.bench.messages import post_request
from scripts.stress.case import ECHO, MODEL, Case, Outcome, Target
from scripts.stress.talk import CHAT, ask, chat, watched_memory

READERS = 4
WORDS = 60_000
SECONDS = 6


async def run(target: Target) -> Outcome:
    """The echo, which would have said all of it at once. Its prompts take memory as well."""
    body = chat(ECHO, "word " * WORDS, WORDS, stream=True)
    request = post_request(HOST, CHAT, json.dumps(body).encode())
    async with watched_memory(target.server) as memory:
        reading = [asyncio.create_task(_read_slowly(target.port, request)) for _ in range(READERS)]
        await asyncio.sleep(1)
        others = [(await ask(target.port, CHAT, chat(MODEL))).status for _ in range(5)]
        taken = await asyncio.gather(*reading)
    megabytes = READERS * await _whole_answer(target.port, request) / 1e6
    return Outcome(
        f"{min(taken)} bytes taken of {megabytes:.0f} MB, memory +{memory.grown_mib:.0f} MiB;"
        f" others: {', '.join(map(str, others))}",
        memory.grown_mib < megabytes / 2 and set(others) == {200} and min(taken) > 0,
    )


async def _read_slowly(port: int, request: bytes) -> int:
    """A byte a second, through a buffer as small as the system lets it be; how many came."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        await loop.sock_connect(connection, (HOST, port))
        await loop.sock_sendall(connection, request)
        taken = 0
        for _ in range(SECONDS):
            taken += len(await asyncio.wait_for(loop.sock_recv(connection, 1), 10))
            await asyncio.sleep(1)
        return taken


async def _whole_answer(port: int, request: bytes) -> int:
    """The bytes of the same answer to who takes all of it."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(request)
        size, tail = 0, b""
        while not tail.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"):
            data = await asyncio.wait_for(reader.read(1 << 20), 30)
            size, tail = size + len(data), (tail + data)[-64:]
            if not data:
                break
        return size
    finally:
        writer.close()


CASE = Case(
    "slow readers",
    f"{READERS} readers of a byte a second ({ECHO}): their answers are not piled up, others flow",
    run,
)
