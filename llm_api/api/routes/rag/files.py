"""Files as documents: `POST /v1/rag/files`."""

from collections.abc import AsyncGenerator

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData, UploadFile

from llm_api.api.deps import Services
from llm_api.api.json_body import parse_json_text
from llm_api.api.models.rag.documents import IngestAnswer
from llm_api.api.models.rag.fields import DEFAULT_COLLECTION
from llm_api.api.routes.rag.ingests import INGEST_RESPONSES, Intake, ingest, is_large
from llm_api.api.uploads import read_form
from llm_api.core.errors import InvalidRequestError, MissingParameterError
from llm_api.core.rag.files import FileToIngest, declared_charset, document_id
from llm_api.core.rag.jobs import file_input
from llm_api.core.rag.metadata import check_metadata
from llm_api.core.rag.reports import Report
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.types import Metadata
from llm_api.core.state.records import JobInput

MAX_FILES = 1_000

router = APIRouter(prefix="/v1/rag", tags=["Documents"])

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "Text, Markdown, HTML, PDF, DOCX, PPTX, XLSX,"
                            " OpenDocument, EPUB, RTF, EML, CSV, JSON, notebooks, code.",
                        },
                        "collection": {"type": "string", "default": DEFAULT_COLLECTION},
                        "metadata": {
                            "type": "string",
                            "description": "A JSON object, for every file.",
                        },
                        "background": {
                            "type": "boolean",
                            "description": "Run it as a job, or wait.",
                        },
                    },
                }
            }
        },
    }
}
_FIELDS = frozenset({"files", "file", "collection", "metadata", "background"})


@router.post(
    "/files",
    summary="Store files to be found again",
    response_model=IngestAnswer,
    responses=INGEST_RESPONSES,
    openapi_extra=_FORM,
)
async def create_files(request: Request, services: Services) -> Response:
    """Read, cut, embed and store files. A file's name is its document's id.

    So a changed file replaces what was stored of it. A file that cannot be read is reported by
    name; the others are stored. What of a file could not be read, such as a scanned page, is named
    in its `warnings`. A part's `charset` wins over what the file says itself.
    """
    retrieval = services.retrieval()  # before a form is open, which would have to be closed
    form = await read_form(request, max_files=MAX_FILES)
    try:
        intake = _to_intake(form, retrieval, services.owner)
        return await ingest(request, services.owner, retrieval, intake)
    finally:
        await form.close()


def _to_intake(form: FormData, retrieval: Retrieval, owner: str) -> Intake:
    """What the form, which has to stay open, asks for. Raises InvalidRequestError."""
    collection = _text(form, "collection") or DEFAULT_COLLECTION
    uploads = _uploads(form)
    metadata = _metadata(_text(form, "metadata"))
    files = [
        FileToIngest(
            document_id(one.filename or ""),
            one.read,
            metadata,
            declared_charset(one.content_type or ""),
        )
        for one in uploads
    ]
    _check_distinct(files)
    background = _boolean(form, "background")
    size = sum(one.size or 0 for one in uploads)
    is_job = is_large(len(files), size) if background is None else background

    async def work(report: Report) -> None:
        await retrieval.ingest_files(owner, collection, files, report)

    async def inputs() -> AsyncGenerator[JobInput, None]:
        for file in files:
            yield await file_input(file)

    ids = [file.id for file in files]
    return Intake(collection, ids, work, "files", inputs, is_job)


def _uploads(form: FormData) -> list[UploadFile]:
    """The files. Raises InvalidRequestError for fields that mean nothing here."""
    for name in form:
        if name not in _FIELDS:
            raise InvalidRequestError(
                f"The field '{name}' is not known; there are {', '.join(sorted(_FIELDS))}.",
                param=name,
            )
    given = [*form.getlist("files"), *form.getlist("file")]
    uploads = [one for one in given if isinstance(one, UploadFile)]
    if not uploads or len(uploads) < len(given):
        raise MissingParameterError(
            "Send at least one file in the field 'files', with a name.", param="files"
        )
    return uploads


def _check_distinct(files: list[FileToIngest]) -> None:
    seen: set[str] = set()
    for file in files:
        if file.id in seen:
            raise InvalidRequestError(
                f"Two files are named '{file.id}': a name is a document's id.", param="files"
            )
        seen.add(file.id)


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequestError(f"'{name}' is a file where a text belongs.", param=name)
    return value


def _boolean(form: FormData, name: str) -> bool | None:
    value = _text(form, name)
    if value is None:
        return None
    if value not in ("true", "false"):
        raise InvalidRequestError(f"'{name}' must be true or false.", param=name)
    return value == "true"


def _metadata(text: str | None) -> Metadata:
    if text is None:
        return {}
    value = parse_json_text(text, "metadata")
    if not isinstance(value, dict) or not all(map(_is_value, value.values())):
        raise InvalidRequestError(
            "'metadata' must be an object of texts, numbers, booleans, or lists of them.",
            param="metadata",
        )
    check_metadata(value)
    return value


def _is_value(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str | int | float | bool) for item in value)
    return value is None or isinstance(value, str | int | float | bool)
