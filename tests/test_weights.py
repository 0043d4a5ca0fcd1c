"""The weights that the repository carries."""

import hashlib
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from mmocr.registry import MODELS

from odm_mmocr.checkpoints import load_checkpoint

FOLDER = Path(__file__).resolve().parents[1] / 'weights'
CARD = (FOLDER / 'README.md').read_text(encoding='utf-8')
FILES = sorted(FOLDER.glob('*.pth'))


def test_every_file_has_its_card():
    assert FILES
    for path in FILES:
        assert f'## `{path.name}`' in CARD


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_file_is_what_its_card_says_and_starts_a_backbone(path):
    assert hashlib.sha256(path.read_bytes()).hexdigest() in CARD
    content = load_checkpoint(path)
    meta = content['meta']
    assert meta['precision'] == 'float16'
    assert f'{meta["iteration"]} iterations' in CARD
    init_default_scope('mmocr')
    network = MODELS.build(
        dict(
            meta['architecture'],
            init_cfg=dict(type='ODMPretrained', checkpoint=str(path)),
        )
    )
    network.init_weights()
    loaded = network.state_dict()
    for key, value in content['state_dict'].items():
        assert torch.equal(loaded[key], value.to(loaded[key].dtype)), key
    network.eval()
    with torch.no_grad():
        stages = network(torch.randn(1, 3, 64, 96))
    # A network whose statistics do not fit its weights would explode or fade away.
    assert all(0.01 < stage.std() < 100 for stage in stages)
