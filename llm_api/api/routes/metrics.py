"""`/metrics`, for Prometheus."""

from fastapi import APIRouter, Request, Response

router = APIRouter(tags=["Health"])


@router.get(
    "/metrics",
    summary="What is going on?",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """Counts and times since the start, in Prometheus' text format or in OpenMetrics'.

    With several workers, those of each, told apart by the label `worker`.
    """
    accept = request.headers.get("accept", "")
    text, content_type = await request.app.state.exposition.render(accept)
    return Response(text, media_type=content_type)
