"""What a page answers: documents, refusals in one sentence, and the reading of what it is sent."""

from typing import Final, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from agent.adapters.web.not_now import NotNow

BODY_MAX_BYTES: Final = 65_536

T = TypeVar("T")


def document(content: object, status: int = 200) -> Response:
    """Anything that msgspec encodes, as JSON that nobody keeps."""
    return Response(
        msgspec.json.encode(content),
        status,
        headers={"Cache-Control": "no-store"},
        media_type="application/json",
    )


def refusal(status: int, words: str, headers: dict[str, str] | None = None) -> Response:
    answer = document({"error": words}, status)
    answer.headers.update(headers or {})
    return answer


async def sent(request: Request, kind: type[T]) -> T:
    """The JSON document in the request's body.

    Raises:
        NotNow: it is none, longer than BODY_MAX_BYTES, or did not come to its end.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise NotNow(415, "send JSON, with Content-Type: application/json")
    body = await _body(request)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotNow(400, f"the request is not what is expected: {error}") from error


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > BODY_MAX_BYTES:
                raise NotNow(413, f"the request is longer than {BODY_MAX_BYTES} bytes")
    except ClientDisconnect as error:
        raise NotNow(400, "the request broke off") from error
    return bytes(body)


def on_not_now(_: Request, error: Exception) -> Response:
    assert isinstance(error, NotNow)
    return refusal(error.status, error.words, error.headers)


_WORDS: Final = {
    404: "there is nothing at this address",
    405: "this address does not take that method",
}


def on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return refusal(error.status_code, _WORDS.get(error.status_code, error.detail), headers)


def on_bug(_: Request, __: Exception) -> Response:
    """The exception itself goes on to the server's log."""
    return refusal(500, "this page failed, and the log of its host says how")
