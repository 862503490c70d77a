"""A server whose model speaks slowly: a program, so that a test can kill it in mid-sentence.

It says where it listens in its first line.
"""

import socket
import sys
from collections.abc import Sequence

import uvicorn

from llm_api.api.deps import set_services
from llm_api.api.wiring import create_api
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.llm.types import GenerationRequest
from tests.fakes import FakeBackend, FakeModels, FakeServices, Step, spoken

WORDS = tuple(f"word{index} " for index in range(20))


def slowly(_: GenerationRequest) -> Sequence[Step]:
    return spoken(*WORDS, pause_seconds=0.01)


def main() -> None:
    app = create_api(version="0")
    set_services(app, FakeServices(FakeModels([FakeBackend(slowly)]), EmbedderRegistry([])))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stderr.write(f"http://127.0.0.1:{listening.getsockname()[1]} \n")
        sys.stderr.flush()
        uvicorn.Server(uvicorn.Config(app, log_config=None)).run([listening])


if __name__ == "__main__":
    main()
