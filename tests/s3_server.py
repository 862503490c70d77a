"""A server that speaks S3, for tests: moto's, which judges requests as Amazon's does."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from scripts.bench.process import free_port

BUCKET = "files-of-a-test"


@contextmanager
def running_s3() -> Iterator[str]:
    """The URL of a server with an empty bucket. What it keeps ends with it."""
    port = free_port()
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _make_bucket(url)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _make_bucket(url: str) -> None:
    for _ in range(300):
        try:
            httpx2.put(f"{url}/{BUCKET}", content=b"").raise_for_status()
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("moto's server did not start within 30 seconds")
