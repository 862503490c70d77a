"""Files that come in parts: `/v1/uploads`."""

import time
from typing import Annotated, Any, Final
from uuid import uuid4

from fastapi import APIRouter, Path, Request

from llm_api.api.deps import Services
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.files import file_of, to_new_upload, to_part, to_upload
from llm_api.api.models.files import CompleteUpload, CreateUpload, UploadObject, UploadPart
from llm_api.api.uploads import one_file, pieces_of
from llm_api.core.state.file_records import PartRecord

router = APIRouter(prefix="/v1", tags=["Files"], responses=ERROR_RESPONSES)
bodies = APIRouter(route_class=JSONBodyRoute)

UploadId = Annotated[str, Path(max_length=256)]
_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["data"],
                    "properties": {"data": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@bodies.post("/uploads", summary="Begin an upload")
async def create_upload(body: CreateUpload, services: Services) -> UploadObject:
    """Of a file that is larger than one request. It expires in an hour."""
    new = to_new_upload(f"upload_{uuid4().hex}", body, time.time())
    return to_upload(await services.uploads().create(new))


@router.post("/uploads/{upload_id}/parts", summary="Add a part", openapi_extra=_FORM)
async def create_part(upload_id: UploadId, request: Request, services: Services) -> UploadPart:
    """Of 64 MiB at most. Parts may come in any order, and at the same time."""
    uploads = services.uploads()  # before a form is open, which would have to be closed
    async with one_file(request, "data", frozenset()) as (data, _):
        part = PartRecord(f"part_{uuid4().hex}", upload_id, time.time(), data.size or 0, "")
        return to_part(await uploads.add_part(part, pieces_of(data)))


@bodies.post("/uploads/{upload_id}/complete", summary="Complete an upload")
async def complete_upload(
    upload_id: UploadId, body: CompleteUpload, services: Services
) -> UploadObject:
    """Make the file of its parts, in the order in which they are named here."""
    uploads = services.uploads()
    file = file_of(f"file-{uuid4().hex}", await uploads.get(upload_id), time.time())
    return to_upload(*await uploads.complete(upload_id, file, body.part_ids, body.md5))


@router.post("/uploads/{upload_id}/cancel", summary="Cancel an upload")
async def cancel_upload(upload_id: UploadId, services: Services) -> UploadObject:
    """Its parts are deleted, and no more can be added."""
    return to_upload(await services.uploads().cancel(upload_id))


router.include_router(bodies)
