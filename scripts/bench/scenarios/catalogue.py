"""All scenarios, in the order of the table."""

from scripts.bench.scenarios.constrained import JSON_SCHEMA
from scripts.bench.scenarios.embeddings import (
    EXACTNESS,
    MANY_PASSAGES,
    QUERY_MEANWHILE,
    SENTENCE_SIMILARITY,
    SINGLE_SENTENCES,
)
from scripts.bench.scenarios.endurance import SHORT_REQUESTS
from scripts.bench.scenarios.gateway import ADDED_TIME, MANY_STREAMS, STUB_RATE
from scripts.bench.scenarios.interference import LONG_PROMPT
from scripts.bench.scenarios.many_conversations import CONVERSATIONS_IN_TURN
from scripts.bench.scenarios.responses import NEXT_RESPONSE, RESPONSE_RATES
from scripts.bench.scenarios.retrieval import INGEST, SECOND_QUESTION
from scripts.bench.scenarios.shared_prefix import FOLLOW_UP_TURN, ONE_SYSTEM_PROMPT
from scripts.bench.scenarios.throughput import EIGHT_STREAMS, ONE_STREAM

SCENARIOS = (
    ONE_STREAM,
    EIGHT_STREAMS,
    ONE_SYSTEM_PROMPT,
    LONG_PROMPT,
    FOLLOW_UP_TURN,
    SHORT_REQUESTS,
    SINGLE_SENTENCES,
    MANY_PASSAGES,
    QUERY_MEANWHILE,
    EXACTNESS,
    SENTENCE_SIMILARITY,
    JSON_SCHEMA,
    ADDED_TIME,
    STUB_RATE,
    MANY_STREAMS,
    INGEST,
    SECOND_QUESTION,
    RESPONSE_RATES,
    NEXT_RESPONSE,
    CONVERSATIONS_IN_TURN,
)
