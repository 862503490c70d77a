"""The embedding server that many write first: `SentenceTransformer.encode` behind FastAPI.

`python -m scripts.bench.plain_embedder --host HOST --port PORT --threads N`. Default numerics and
batch size, an ordinary function as the route. Answers like `/v1/embeddings` in base64, so that
the same client asks both; nothing else of that protocol.
"""

import argparse
import json
from base64 import b64encode
from typing import Annotated

import torch
import uvicorn
from fastapi import Body, FastAPI, Response
from sentence_transformers import SentenceTransformer

from llm_api.core.embeddings.model_files import DEFAULT_NAME, installed_default


def create_app(model: SentenceTransformer) -> FastAPI:
    app = FastAPI()

    @app.get("/v1/models")
    def models() -> dict[str, list[dict[str, str]]]:
        return {"data": [{"id": DEFAULT_NAME}]}

    @app.post("/v1/embeddings")
    def embeddings(input: Annotated[str | list[str], Body(embed=True)]) -> Response:
        texts = [input] if isinstance(input, str) else input
        vectors = model.encode(texts, batch_size=32, show_progress_bar=False)
        data = [
            {"index": index, "embedding": b64encode(vector.tobytes()).decode()}
            for index, vector in enumerate(vectors)
        ]
        return Response(json.dumps({"data": data}), media_type="application/json")

    return app


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = SentenceTransformer(str(installed_default()), local_files_only=True)
    uvicorn.run(create_app(model), host=given.host, port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
