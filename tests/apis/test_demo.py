import os
import re
import socket
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

gradio = pytest.importorskip('gradio', reason='the extra "demo" is not installed')

from odm_mmocr.apis import demo  # noqa: E402
from odm_mmocr.apis.inferencer import ODMInferencer  # noqa: E402

CONFIG = Path(__file__).parents[2] / 'configs' / 'odm_pretrain_quickstart.py'


@pytest.fixture(scope='module')
def cfg():
    return Config.fromfile(CONFIG)


@pytest.fixture(scope='module')
def inferencer(cfg, tmp_path_factory):
    with pytest.warns(UserWarning, match='untrained'):
        untrained = ODMInferencer(cfg, device='cpu')
    path = tmp_path_factory.mktemp('run') / 'iter_7.pth'
    meta = dict(cfg=cfg.pretty_text, iter=7, experiment_name='small_20260102_030405')
    torch.save(dict(state_dict=untrained.model.state_dict(), meta=meta), path)
    return ODMInferencer(weights=path, device='cpu')


@pytest.fixture
def warned(monkeypatch):
    """What is logged."""
    messages = []
    monkeypatch.setattr(demo, 'print_log', lambda message, **_: messages.append(message))
    return messages


def write_header(path: Path, width: int, height: int) -> None:
    """A PNG file that says its size and then has no pixels."""
    header = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunks = [
        struct.pack('>I', len(chunk) - 4) + chunk + struct.pack('>I', zlib.crc32(chunk))
        for chunk in (header, b'IDAT')
    ]
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + b''.join(chunks))


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('open, exit', ['open', 'exit']),
        ('open\nexit\r\n\n taxi ', ['open', 'exit', 'taxi']),
        (' ,, \n', []),
        ('open,open,Open', ['open', 'Open']),
        ("o'clock 7:30-8", ["o'clock", '7:30-8']),
    ],
)
def test_typed_words_are_split(text, words):
    assert demo.split_words(text) == words


class TestExamples:
    def test_are_like_the_images_of_the_training(self, cfg):
        examples = demo.synthesize_examples(cfg, 3)
        assert [example.image.shape for example in examples] == [(96, 128, 3)] * 3
        for example in examples:
            assert example.words
            assert set(example.words) <= set(cfg.words)
        assert not np.array_equal(examples[0].image, examples[1].image)

    def test_depend_on_the_seed_alone(self, cfg):
        first, again = demo.synthesize_examples(cfg, 1), demo.synthesize_examples(cfg, 1)
        other = demo.synthesize_examples(cfg, 1, seed=1)
        assert np.array_equal(first[0].image, again[0].image)
        assert not np.array_equal(first[0].image, other[0].image)

    @pytest.mark.slow
    def test_of_a_training_on_photographs_have_the_usual_size(self):
        (example,) = demo.synthesize_examples(Config(dict(train_dataloader=None)), 1)
        assert example.image.shape == (512, 512, 3)

    def test_of_a_folder_come_by_name(self, tmp_path):
        for name, value in (('b', 200), ('a', 100)):
            cv2.imwrite(str(tmp_path / f'{name}.png'), np.full((20, 30, 3), value, np.uint8))
        first, second = demo.load_examples(tmp_path)
        assert (first.image == 100).all()
        assert (second.image == 200).all()
        assert first.words == ()
        assert len(demo.load_examples(tmp_path, most=1)) == 1

    def test_of_a_folder_are_those_that_browsers_show_and_no_larger(self, tmp_path):
        cv2.imwrite(str(tmp_path / 'a.tif'), np.zeros((20, 30, 3), np.uint8))
        with pytest.raises(FileNotFoundError, match=r'has no image of \.png'):
            demo.load_examples(tmp_path)
        cv2.imwrite(str(tmp_path / 'b.JPG'), np.zeros((1500, 3000, 3), np.uint8))
        (example,) = demo.load_examples(tmp_path, side=1200)
        assert example.image.shape == (600, 1200, 3)

    def test_of_no_folder_are_refused(self, tmp_path):
        with pytest.raises(FileNotFoundError, match='nowhere is no folder'):
            demo.load_examples(tmp_path / 'nowhere')

    def test_damaged_file_is_left_out_and_named(self, tmp_path, warned):
        (tmp_path / 'broken.png').write_bytes(b'no picture')
        with pytest.raises(FileNotFoundError, match='that can be read'):
            demo.load_examples(tmp_path)
        cv2.imwrite(str(tmp_path / 'whole.png'), np.full((20, 30, 3), 100, np.uint8))
        warned.clear()
        (example,) = demo.load_examples(tmp_path, most=1)
        assert (example.image == 100).all()
        (message,) = warned
        assert 'broken.png is damaged or no image' in message

    @pytest.mark.parametrize('size', [(8001, 10), (10, 8001), (7000, 7000), (30000, 30000)])
    def test_size_is_checked_before_anything_is_decoded(self, tmp_path, warned, size):
        write_header(tmp_path / 'bomb.png', *size)
        with pytest.raises(FileNotFoundError, match='that can be read'):
            demo.load_examples(tmp_path)
        (message,) = warned
        assert re.search(r'bomb\.png (has \d+x\d+ pixels|is too large)', message)


def test_page_says_which_model_answers(inferencer):
    assert demo.describe_model(inferencer) == {
        'checkpoint': 'iter_7.pth',
        'iteration': '7',
        'config': 'small',
        'backbone': 'resnet18',
        'parameters': '12.8 M',
        'image size': '128 pixels',
        'device': 'cpu',
    }


def test_no_function_is_open_to_clients(inferencer):
    page = demo.build_demo(inferencer)
    functions = list(page.fns.values())
    assert functions
    assert {function.api_visibility for function in functions} == {'private'}
    assert {function.concurrency_id for function in functions} == {'model'}
    assert not page.analytics_enabled


def test_files_of_the_page_are_its_own_and_go_with_it(monkeypatch):
    monkeypatch.setenv('GRADIO_TEMP_DIR', 'before')
    with demo.private_uploads() as folder:
        assert os.environ['GRADIO_TEMP_DIR'] == str(folder)
        assert folder.stat().st_mode & 0o077 == 0
        (folder / 'upload.png').touch()
    assert not folder.exists()
    assert os.environ['GRADIO_TEMP_DIR'] == 'before'


def test_taken_port_is_named(inferencer):
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f'127.0.0.1:{port} cannot be used'):
            demo.launch_demo(demo.build_demo(inferencer), port=port)
