"""Fixtures that tests of several rooms share."""

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType

import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def default_scope():
    """Leaves MMEngine's default scope as it was: a runner sets one for the whole process."""
    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


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
def load_script():
    """Function from the path of a script outside any package to a fresh module of it."""
    return _load_script


def _load_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f'odm_script_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def word_images(tmp_path_factory) -> Path:
    """A folder of ten images with a word each, and their annotation for training and testing."""
    import cv2
    import numpy as np

    folder = tmp_path_factory.mktemp('words')
    samples = []
    for number in range(10):
        image = np.full((96, 128, 3), 60, np.uint8)
        x, y = 10 + 4 * number, 20 + 3 * number
        cv2.rectangle(image, (x, y), (x + 60, y + 24), (220, 220, 220), -1)
        cv2.imwrite(str(folder / f'{number}.png'), image)
        corners = [x, y, x + 60, y, x + 60, y + 24, x, y + 24]
        word = dict(
            polygon=corners, bbox=[x, y, x + 60, y + 24], bbox_label=0, ignore=False, text='word'
        )
        samples.append(dict(img_path=f'{number}.png', height=96, width=128, instances=[word]))
    category = [dict(id=0, name='text')]
    metainfo = dict(dataset_type='TextSpottingDataset', task_name='textspotting', category=category)
    for split in ('train', 'test'):
        content = dict(metainfo=metainfo, data_list=samples)
        (folder / f'textspotting_{split}.json').write_text(json.dumps(content))
    return folder


@pytest.fixture(scope='session')
def japanese() -> Path:
    """The IPAex Gothic font that the package matplotlib-fontja carries."""
    package = pytest.importorskip('matplotlib_fontja', reason='the extra "tests" has a CJK font')
    return Path(package.__file__).parent / 'fonts' / 'ipaexg.ttf'


FUZZED_TEXTS = [
    'word', '', ' ', 'x' * 500, '\x00', '\ud800', '😀', '汉字', 'سلام', 'e\u0301\u0302', '\u200d',
    '-', '|', 'A\u0301\u0301\u0301',
    '\u202e', '\uffff', 'ẞ', '٣', 'א', '1\n2', '\ufe0f', '日本ー', 'ab 12', '👨‍👩‍👧', 'नि',
]  # fmt: skip


@pytest.fixture(scope='session')
def fuzz():
    """Function from a generator to a broken annotation: polygon, text, boxes of characters."""
    import numpy as np

    angle = np.deg2rad(np.linspace(200, 340, 7))
    circle = np.stack((np.cos(angle), np.sin(angle)), -1)
    arc = (np.concatenate((150 * circle, 100 * circle[::-1])) + (200, 240)).ravel()
    quad = np.array([80, 160, 320, 170, 318, 220, 82, 214], float)

    def draw(rng: np.random.Generator) -> tuple:
        size = int(rng.choice([0, 1, 2, 3, 4, 6, 7, 8, 8, 8, 8, 10, 12, 28, 28]))
        points = rng.uniform(-100, 500, size)
        kind = rng.integers(10)
        if kind == 0 and size:
            points[rng.integers(size)] = rng.choice([np.nan, np.inf, -np.inf, 1e9, -1e9, 1e300])
        elif kind == 1:
            points = points.round(-2)
        elif kind == 2:
            points = points * 1000
        elif kind == 3:
            points = arc + rng.normal(0, 8, 28)
        elif kind == 4:
            points = quad + rng.normal(0, 30, 8)
        elif kind == 5:
            points = np.roll(arc, 2 * rng.integers(14)) * rng.choice([1e-3, 0.1, 1, 50])
        elif kind == 6:
            points = np.repeat(quad.reshape(4, 2), rng.integers(1, 4), axis=0).ravel()
        text = FUZZED_TEXTS[rng.integers(len(FUZZED_TEXTS))]
        boxes = None
        if rng.random() < 0.3:
            scale = rng.choice([0.01, 1, 1, 1, 1e7])
            boxes = scale * np.tile(quad.reshape(4, 2), (len(text), 1, 1))
            boxes = boxes + rng.normal(0, rng.choice([0, 5, 60]), boxes.shape)
            if rng.random() < 0.3 and boxes.size:
                boxes.flat[rng.integers(boxes.size)] = rng.choice([np.nan, np.inf, 1e300])
            boxes = boxes[: rng.integers(len(text) + 1)] if rng.random() < 0.2 else boxes
        return points, text, boxes

    return draw


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


class _Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f'touch {self.marker}',)


@pytest.fixture
def payload(tmp_path):
    """An object that runs a command when it is unpickled, which must not have run at the end."""
    marker = tmp_path / 'ran'
    yield _Payload(marker)
    assert not marker.exists()
