"""The command line of ODMInferencer."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip('mmocr')

from mmengine.config import Config

from odm_mmocr.apis import build_model

CONFIG = Path(__file__).parents[2] / 'configs' / 'odm_pretrain_quickstart.py'


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    cfg = Config.fromfile(CONFIG)
    path = tmp_path_factory.mktemp('run') / 'iter_1.pth'
    meta = dict(cfg=cfg.pretty_text)
    torch.save(dict(meta=meta, state_dict=build_model(cfg).state_dict()), path)
    return path


@pytest.fixture
def infer(load_tool, as_command, weights):
    run = as_command(load_tool('infer'))
    return lambda *arguments: run(*arguments, '--weights', weights, '--device', 'cpu')


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for name in 'ab':
        cv2.imwrite(str(folder / f'{name}.png'), np.full((96, 128, 3), 90, np.uint8))
    return folder


def test_predictions_and_pictures_are_written(infer, images, tmp_path, capsys):
    out = tmp_path / 'results'
    infer(images, '--out-dir', out, '--save-pred', '--save_vis', '--words', 'open', 'exit')
    names = {str(path.relative_to(out)) for path in out.rglob('*.*')}
    assert names == {
        *(f'preds/{name}.{suffix}' for name in 'ab' for suffix in ('json', 'png')),
        *(f'vis/{name}.jpg' for name in 'ab'),
    }
    told = json.loads((out / 'preds' / 'b.json').read_text())
    assert [word['text'] for word in told['words']] == ['open', 'exit']
    assert f'2 images, results in {out}' in capsys.readouterr().out


def test_words_of_each_image_come_from_a_file(infer, images, tmp_path, capsys):
    words = tmp_path / 'words.json'
    words.write_text(json.dumps({'a.png': ['taxi'], 'b.png': []}))
    infer(images, '--words-file', words, '--out-dir', '', '--print-result')
    told = capsys.readouterr().out
    assert 'a.png: taxi 0.' in told and 'b.png: no words' in told
    assert not (tmp_path / 'results').exists()


def test_mistakes_end_with_one_line(infer, images, tmp_path):
    (images / 'c.png').write_bytes(b'')
    (tmp_path / 'words.json').write_text('{')
    for arguments, message in (
        ([images / 'absent.png', '--words', 'open'], 'absent.png does not exist'),
        ([images, '--words', 'open'], 'c.png is empty'),
        ([images / 'a.png', '--words', 'new york'], 'holds a blank'),
        ([images / 'a.png', '--words-file', tmp_path / 'words.json'], 'is no JSON file'),
        ([images / 'a.png', '--words', 'open', '--model', 'absent'], 'no config absent'),
        ([images / 'a.png', '--words', 'open', '--scale', '1'], 'expected 32'),
    ):
        with pytest.raises(SystemExit) as caught:
            infer(*arguments, '--out-dir', tmp_path / 'results')
        assert caught.value.code.startswith('error: ') and message in caught.value.code
        assert '\n' not in caught.value.code


def test_bad_images_can_be_skipped(infer, images, tmp_path, capsys):
    (images / 'c.png').write_bytes(b'')
    infer(images, '--words', '--skip-bad', '--out-dir', tmp_path / 'results')
    assert '2 images, 1 skipped' in capsys.readouterr().out
