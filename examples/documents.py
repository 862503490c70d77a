"""Documents are stored, a question is asked, and the answer cites the very words."""

import sys

import httpx2

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
TEXTS = [
    "The lighthouse of Alexandria was about 100 metres high. An earthquake destroyed it in 1303.",
    "The Colossus of Rhodes stood for 54 years. It was a statue of the sun god Helios.",
]

with httpx2.Client(base_url=url, timeout=60) as client:
    stored = client.post("/v1/rag/documents", json={"texts": TEXTS, "collection": "wonders"})
    stored.raise_for_status()
    answer = client.post(
        "/v1/rag/chat",
        json={
            "query": "What destroyed the lighthouse of Alexandria?",
            "collection": "wonders",
            "max_tokens": 60,
            "temperature": 0,
        },
    )
    body = answer.raise_for_status().json()
    print(body["answer"])
    for source in body["sources"]:
        print(f"  [{source['number']}] {source['text'][:60]}")
    for citation in body["citations"]:
        print(f"  cited: {citation}")
