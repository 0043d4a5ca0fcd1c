"""Fixtures that tests of several rooms share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """The folder of shared data sets: $ODM_SHARED_DATA, else `shared/data` beside the repository.

    Skips the test, with the reason, where there is no such folder.
    """
    given = os.environ.get('ODM_SHARED_DATA')
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / 'shared' / 'data'
    if not folder.is_dir():
        pytest.skip(f'shared data sets are not at {folder} (set ODM_SHARED_DATA to their folder)')
    return folder


@pytest.fixture(scope='session')
def japanese() -> Path:
    """The IPAex Gothic font that the package matplotlib-fontja carries."""
    package = pytest.importorskip('matplotlib_fontja', reason='the extra "tests" has a CJK font')
    return Path(package.__file__).parent / 'fonts' / 'ipaexg.ttf'


BACKBONES = {
    'resnet18': dict(type='mmdet.ResNet', depth=18, norm_eval=False),
    'resnet50': dict(type='mmdet.ResNet', depth=50, norm_eval=False),
    'clip-resnet50': dict(type='CLIPResNet', norm_eval=False),
}


def make_training_checkpoint(backbone: dict, **preprocessor) -> dict:
    """What a training of ODM with that backbone saves, without building the rest of ODM."""
    import torch
    from mmengine.config import Config
    from mmocr.registry import MODELS

    cfg = dict(
        model=dict(
            type='ODM',
            image_encoder=dict(type='ODMImageEncoder', backbone=backbone),
            data_preprocessor=dict(type='ODMDataPreprocessor', **preprocessor),
        )
    )
    weights = MODELS.build(dict(backbone)).state_dict()
    for key, value in weights.items():
        if key.endswith('running_mean'):
            value.uniform_(-1, 1)
    return dict(
        state_dict={
            **{f'image_encoder.backbone.{key}': value for key, value in weights.items()},
            'image_encoder.pool.weight': torch.ones(2),
            'head.logits.weight': torch.ones(3),
        },
        meta=dict(cfg=Config(cfg).pretty_text, iter=1234, epoch=0),
    )


@pytest.fixture(scope='session')
def backbone_file(tmp_path_factory):
    """Function from a name (`resnet18`, `resnet50`, `clip-resnet50`) to an exported backbone."""
    from odm_mmocr.checkpoints import export_backbone

    folder = tmp_path_factory.mktemp('backbones')

    def export(name: str) -> Path:
        path = folder / f'backbone_{name}.pth'
        if not path.exists():
            export_backbone(make_training_checkpoint(BACKBONES[name]), path)
        return path

    return export


@pytest.fixture(scope='session')
def training_checkpoint():
    """The function :func:`make_training_checkpoint`."""
    return make_training_checkpoint
