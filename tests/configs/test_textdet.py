from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from mmocr.registry import MODELS

from odm_mmocr.checkpoints import load_checkpoint, load_config

FOLDER = Path(__file__).resolve().parents[2] / 'configs' / 'textdet'
ALL = sorted(FOLDER.rglob('*.py'))
# The others wait for --backbone.
LEAVES = [path for path in ALL if 'ODMPretrained' in path.read_text(encoding='utf-8')]


def test_names_are_unique_among_all_configs():
    names = [path.name for path in FOLDER.parent.rglob('*.py')]
    assert len(LEAVES) >= 4
    assert len(names) == len(set(names))


@pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)
def test_leaf_starts_from_its_backbone(path, backbone_file, monkeypatch):
    default = load_config(str(path)).model.backbone.init_cfg.checkpoint
    name = default.removeprefix('backbone_').removesuffix('.pth')
    file = backbone_file(name)
    monkeypatch.setenv('ODM_BACKBONE', str(file))
    backbone = load_config(str(path)).model.backbone
    assert backbone.init_cfg.checkpoint == str(file)
    init_default_scope('mmocr')
    network = MODELS.build(backbone)
    network.init_weights()
    weights = load_checkpoint(file)['state_dict']
    assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize('path', ALL, ids=lambda path: path.stem)
def test_leaf_builds_without_a_backbone_file(path):
    cfg = load_config(str(path), {'model.backbone.init_cfg': None})
    init_default_scope('mmocr')
    MODELS.build(cfg.model)
