import json

import pytest

pytest.importorskip('gradio', reason='the extra "demo" is not installed')

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from odm_mmocr.apis.demo_guard import FORM, MAX_MESSAGE, UPLOAD, RequestGuard

JOIN = '/gradio_api/queue/join'


async def echo(request: Request) -> Response:
    return Response(await request.body() or b'through')


@pytest.fixture
def client(tmp_path):
    app = Starlette(routes=[Route('/{path:path}', echo, methods=['GET', 'POST'])])
    (tmp_path / 'uploads').mkdir()
    return TestClient(RequestGuard(app, tmp_path / 'uploads', max_file_size=1000))


def file(path) -> dict:
    return dict(path=path, meta={'_type': 'gradio.FileData'})


@pytest.mark.parametrize(
    'path', ['/', '/config', '/theme.css', '/assets/index.js', '/gradio_api/heartbeat/a1']
)
def test_what_the_page_needs_comes_through(client, path):
    assert client.get(path).text == 'through'


@pytest.mark.parametrize(
    'path',
    [
        '/gradio_api/info',
        '/gradio_api/proxy=https://example.org/',
        '/gradio_api/call/draw',
        '/gradio_api/upload/more',
        '/docs',
        '/monitoring',
        '/assets/',
    ],
)
def test_any_other_route_is_not_there(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    'path',
    [
        '/etc/passwd',
        '{folder}/../secret.png',
        '{folder}x/secret.png',
        'uploads/a.png',
        'https://example.org/a.png',
        'file:///etc/passwd',
        'a' * 5000,
        '\0',
    ],
)
def test_only_uploaded_files_can_be_named(client, tmp_path, path):
    path = path.format(folder=tmp_path / 'uploads')
    message = dict(data=[None, [{'deep': file(path)}]])
    assert client.post(JOIN, json=message).status_code == 403
    if '\0' not in path:
        assert client.get(f'/gradio_api/file={path}').status_code == 403


def test_link_out_of_the_folder_is_followed_before_it_is_judged(client, tmp_path):
    (tmp_path / 'uploads' / 'link').symlink_to('/etc/passwd')
    path = str(tmp_path / 'uploads' / 'link')
    assert client.post(JOIN, json=dict(data=[file(path)])).status_code == 403


@pytest.mark.parametrize('path', [3, ['/etc/passwd'], True])
def test_path_that_is_no_text_is_refused(client, path):
    assert client.post(JOIN, json=dict(data=[file(path)])).status_code == 403


def test_uploaded_file_comes_through_and_the_message_arrives_whole(client, tmp_path):
    path = str(tmp_path / 'uploads' / 'a.png')
    message = json.dumps(dict(data=[file(path), file(None), 'x' * 100_000]))
    assert client.post(JOIN, content=message).text == message
    assert client.get(f'/gradio_api/file={path}').text == 'through'


def test_upload_is_bounded_however_many_files_it_has(client):
    assert client.post(UPLOAD, content=bytes(1000 + FORM)).status_code == 200
    assert client.post(UPLOAD, content=bytes(1001 + FORM)).status_code == 413
    assert client.post(UPLOAD, content=iter([b'no', b'length'])).status_code == 411
    both = {'content-length': '10', 'transfer-encoding': 'chunked'}
    assert client.post(UPLOAD, content=bytes(5000), headers=both).status_code == 411


@pytest.mark.parametrize(
    ('origin', 'status'),
    [
        ('http://testserver', 200),
        ('http://testserver:81', 403),
        ('https://example.org', 403),
        ('null', 403),
        ('http://[', 403),
        ('http://testserver@example.org', 403),
    ],
)
def test_other_pages_are_refused(client, origin, status):
    for answer in (
        client.post(UPLOAD, content=b'x', headers=dict(origin=origin)),
        client.post(JOIN, json=[], headers=dict(origin=origin)),
        client.get('/config', headers=dict(origin=origin)),
    ):
        assert answer.status_code == status


def test_long_message_is_refused(client):
    assert client.post(JOIN, json=['x' * MAX_MESSAGE]).status_code == 413


@pytest.mark.parametrize('body', [b'{', b'\xff', b'[' * 100_000])
def test_message_that_is_no_json_is_refused(client, body):
    assert client.post(JOIN, content=body).status_code == 400
