"""A LangChain chain over this server: retrieve, put into a prompt, answer."""

import sys

import httpx2
from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_openai import ChatOpenAI

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
TEXTS = ["Basalt forms when lava cools quickly.", "Granite forms when magma cools slowly."]
httpx2.post(f"{url}/v1/rag/documents", json={"texts": TEXTS, "collection": "rocks"}, timeout=60)


def retrieve(question: str) -> list[Document]:
    """The chunks that may answer."""
    body = {"query": question, "collection": "rocks", "top_k": 2}
    hits = httpx2.post(f"{url}/v1/rag/search", json=body, timeout=60).raise_for_status().json()
    return [Document(hit["text"], metadata=hit["metadata"]) for hit in hits["data"]]


def joined(documents: list[Document]) -> str:
    """Their texts, a line each."""
    return "\n".join(document.page_content for document in documents)


model = httpx2.get(f"{url}/v1/models").json()["data"][0]["id"]
chain = (
    {"facts": RunnableLambda(retrieve) | joined, "question": RunnablePassthrough()}
    | ChatPromptTemplate.from_template("Facts:\n{facts}\n\nQuestion: {question}")
    | ChatOpenAI(
        base_url=f"{url}/v1",
        api_key="unused",  # type: ignore[arg-type]  # a text is taken as well
        model=model,
        max_completion_tokens=60,
    )
    | StrOutputParser()
)
print(chain.invoke("How does basalt form?"))
