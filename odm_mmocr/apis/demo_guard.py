"""What the page of the demo app may ask this machine for."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UPLOAD = '/gradio_api/upload'
FORM = 2**16  # bytes that a form adds to the file in it
MAX_MESSAGE = 2**20  # bytes of a request that uploads nothing
# What the page needs. Gradio answers much more: it fetches URLs, proxies, documents its API.
_ROUTES = re.compile(
    r'/|/(config|favicon\.ico|manifest\.json|theme\.css)'
    r'|/(assets|static|svelte)/.+'
    r'|/gradio_api/(startup-events|queue/join|queue/data|upload|upload_progress|cancel|reset)'
    r'|/gradio_api/heartbeat/\w+'
    r'|/gradio_api/file=(?P<file>.+)'
)


class RequestGuard:
    """ASGI middleware that lets through what the page needs.

    Any other route is answered by 404; a request of another page, or for, or with, the path of a
    file that is not in the folder of uploads, or a URL, by 403; too long a request by 413; an
    upload that does not say its length by 411.

    Args:
        app: The application behind it.
        folder: Where uploads and answers lie.
        max_file_size: Bytes of an upload, also of one of several files.
    """

    def __init__(self, app: ASGIApp, folder: str | os.PathLike, max_file_size: int) -> None:
        self.app = app
        self.folder = Path(folder).resolve()
        self.max_file_size = max_file_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope['type'] == 'http':
            headers = dict(scope['headers'])
            refusal = _check_origin(headers) or self._check_route(scope['path'])
            if refusal is None and scope['path'] == UPLOAD:
                refusal = self._check_upload(headers)
            elif refusal is None and scope['method'] == 'POST':
                body = await _read(receive)
                refusal = self._check_message(body)
                receive = _replay(body, receive)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _check_route(self, path: str) -> Response | None:
        route = _ROUTES.fullmatch(path)
        if route is None:
            return PlainTextResponse('there is nothing here', 404)
        if route['file'] and not self._holds(route['file']):
            return PlainTextResponse('this file was not uploaded', 403)
        return None

    def _check_upload(self, headers: Mapping[bytes, bytes]) -> Response | None:
        length = headers.get(b'content-length')
        # A server that reads in chunks does not look at the length.
        if length is None or b'transfer-encoding' in headers:
            return PlainTextResponse('an upload says its length', 411)
        if int(length) > self.max_file_size + FORM:
            return PlainTextResponse(f'an upload has at most {self.max_file_size} bytes', 413)
        return None

    def _check_message(self, body: bytes) -> Response | None:
        if len(body) > MAX_MESSAGE:
            return PlainTextResponse(f'a message has at most {MAX_MESSAGE} bytes', 413)
        try:
            paths = list(_find_paths(json.loads(body or b'null')))
        except (ValueError, RecursionError):
            return PlainTextResponse('a message is JSON', 400)
        if not all(map(self._holds, paths)):
            return PlainTextResponse('this file was not uploaded', 403)
        return None

    def _holds(self, path: object) -> bool:
        try:
            return Path(path).resolve().is_relative_to(self.folder)
        except (TypeError, ValueError, OSError):  # no string, a null byte, too long
            return False


def _check_origin(headers: Mapping[bytes, bytes]) -> Response | None:
    """Refuse what another page asks for in the browser of a user."""
    origin = headers.get(b'origin')
    if origin is not None and origin.partition(b'://')[2] != headers.get(b'host'):
        return PlainTextResponse('this is for the page itself', 403)
    return None


def _find_paths(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        if value.get('path') is not None:
            yield value['path']
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _find_paths(part)


async def _read(receive: Receive) -> bytes:
    """The body of a request, cut off where it is too long."""
    body, more = b'', True
    while more and len(body) <= MAX_MESSAGE:
        message = await receive()
        body += message.get('body', b'')
        more = message.get('more_body', False)
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    """A channel from which the body comes once more, before what follows it."""
    pending = [dict(type='http.request', body=body, more_body=False)]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again
