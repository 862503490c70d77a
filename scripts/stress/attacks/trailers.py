"""A chunked body that has ended, and 100 MB of trailers. Takes no key."""

import asyncio

from scripts.bench.client import HOST
from scripts.stress.attack import Attack, Place
from scripts.stress.case import Outcome

MEGABYTES = 100
TAKEN_MB = 32
"""What may be sent before the server has closed the connection, two sockets' buffers included."""
LINGER_SECONDS = 5.0

_HEAD = (
    b"POST /v1/nothing HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"transfer-encoding: chunked\r\n\r\n0\r\n"
)
_LINES = b"".join(b"x-trailer-%d: %s\r\n" % (number, b"y" * 980) for number in range(1000))


async def strike(place: Place) -> Outcome:
    """Goes on sending whatever is answered meanwhile."""
    _, writer = await asyncio.open_connection(HOST, place.port)
    sent = 0
    try:
        writer.write(_HEAD)
        while sent < MEGABYTES:
            writer.write(_LINES)
            async with asyncio.timeout(LINGER_SECONDS):
                await writer.drain()
            sent += 1
    except TimeoutError:
        return Outcome("neither read nor closed", is_as_claimed=False)
    except OSError:
        return Outcome("closed", sent < TAKEN_MB)
    finally:
        writer.close()
    return Outcome(f"{sent} MB were read", is_as_claimed=False)


ATTACK = Attack(
    "trailers",
    f"{MEGABYTES} MB of trailers, without a key: closed before {TAKEN_MB} MB are read",
    strike,
    growth_mib=64.0,
)
