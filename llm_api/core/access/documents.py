"""Documents as one caller reaches them: within the rights of its key, its tokens counted."""

from llm_api.core.access.caller import Caller
from llm_api.core.access.metered import MeteredEmbedder
from llm_api.core.rag.retrieval import Retrieval


def documents_of(caller: Caller, retrieval: Retrieval) -> Retrieval:
    """The retrieval of one caller, which `retrieval` is the whole of."""
    confined = retrieval.within(caller.key.documents)
    return confined.through(MeteredEmbedder(retrieval.embedder, caller))
