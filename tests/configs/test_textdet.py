"""Every detector config, beside the stock config that it inherits."""

import copy
import functools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmocr.registry import MODELS

from odm_mmocr.checkpoints import load_checkpoint, load_config, swap_backbone
from odm_mmocr.checkpoints.architecture import describe_architecture, name_architecture
from odm_mmocr.checkpoints.configs import config_folders

FOLDER = Path(__file__).resolve().parents[2] / 'configs' / 'textdet'
# The quick start trains something else than its stock config, from a file given by --backbone.
LEAVES = [p for p in sorted(FOLDER.glob('*/[!_]*_odm_*.py')) if 'quickstart' not in p.stem]
LEAVES = [path for path in LEAVES if path.parent.name != '_base_']
SIDE = 160

# Networks that differ from the stock ones, because the file's do: a ResNet-50 with the strides of
# torchvision's, a ResNet-18 with its stem.
STRIDES = {'model.backbone.style': 'pytorch'}
STEM = {'model.backbone.deep_stem': False, 'model.backbone.stem_channels': 64}
ADAPTED = {
    'drrg_resnet50_odm_ctw1500': STRIDES,
    'panet_resnet18_odm_ctw1500': STEM,
    'panet_resnet18_odm_icdar2015': STEM,
    'panet_resnet50_odm_icdar2017': STRIDES,
    'psenet_resnet50_odm_ctw1500': STRIDES,
    'textsnake_resnet50_odm_ctw1500': STRIDES,
}
# MMOCR's config of that name reads a variable that its base has not, so the leaf makes a DBNet of a
# DBNet++.
WITHOUT_STOCK = 'dbnet_resnet50-dcnv2_odm_synthtext'
ADAPTED[WITHOUT_STOCK] = {
    'model.neck.asf_cfg.attention_type': None,
    'model.det_head.postprocessor.epsilon_ratio': None,
}
BROKEN_STOCK = 'dbnet/dbnet_resnet50-dcnv2_fpnc_100k_synthtext.py'

each_leaf = pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)


# Read only: several tests look at the same config.
read_config = functools.cache(load_config)


def stock_name(path: Path) -> str:
    """What a leaf inherits, as `mmocr::textdet/…`."""
    (name,) = re.findall(r"'(mmocr::textdet/.*)'", path.read_text(encoding='utf-8'))
    return name


def network(cfg):
    """The config of what has the backbone, also within a wrapper."""
    return cfg.model if 'backbone' in cfg.model else cfg.model.cfg


def settings(node, place=''):
    """Pairs of dotted key and value, without the scopes that MMEngine notes where it inherits."""
    if isinstance(node, dict):
        items = [(key, value) for key, value in node.items() if key != '_scope_']
    elif isinstance(node, (list, tuple)):
        items = enumerate(node)
    else:
        yield place, node
        return
    for key, value in items:
        yield from settings(value, f'{place}.{key}' if place else str(key))


def differences(first, second):
    first, second = dict(settings(first)), dict(settings(second))
    return {
        key: second.get(key)
        for key in [*first, *second]
        if (key in first, first.get(key)) != (key in second, second.get(key))
    }


def sample():
    """What a pipeline holds before it packs: one image with an upright and a tilted word."""
    polygons = [
        np.array(quad, np.float32)
        for quad in ([15, 20, 140, 20, 140, 60, 15, 60], [20, 90, 130, 105, 126, 140, 16, 125])
    ]
    boxes = [[*p.reshape(4, 2).min(0), *p.reshape(4, 2).max(0)] for p in polygons]
    return dict(
        img=np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8),
        img_path='drawn.png',
        img_shape=(SIDE, SIDE),
        ori_shape=(SIDE, SIDE),
        scale_factor=(1.0, 1.0),
        flip=False,
        flip_direction=None,
        gt_polygons=polygons,
        gt_bboxes=np.array(boxes, np.float32),
        gt_bboxes_labels=np.zeros(2, np.int64),
        gt_ignored=np.zeros(2, bool),
    )


def test_each_stock_config_has_one_leaf():
    (folder,) = [folder / 'textdet' for folder in config_folders('mmocr')]
    stock = {
        f'mmocr::textdet/{path.relative_to(folder).as_posix()}'
        for path in folder.glob('*/[!_]*.py')
        if path.parent.name != '_base_'
    }
    inherited = [stock_name(path) for path in LEAVES if path.stem != WITHOUT_STOCK]
    assert len(LEAVES) == 33
    assert set(inherited) == stock - {f'mmocr::textdet/{BROKEN_STOCK}'}
    assert len(inherited) == len(set(inherited))


@each_leaf
def test_leaf_is_small_and_named_after_what_it_builds(path):
    lines = path.read_text(encoding='utf-8').splitlines()
    assert 3 <= len([line for line in lines if not line.lstrip().startswith('#')]) <= 10
    detector, backbone, odm, dataset = path.stem.split('_')
    cfg = read_config(str(path))
    scope = 'mmocr' if 'backbone' in cfg.model else 'mmdet'
    built = name_architecture(describe_architecture(network(cfg).backbone, scope))
    assert (backbone, odm) == (built, 'odm')
    assert dataset in str(cfg.train_dataloader.dataset).replace('_', '').lower()
    stock = stock_name(path)
    assert stock.rpartition('/')[2].startswith(f'{detector}_') or path.stem == WITHOUT_STOCK


@each_leaf
def test_leaf_changes_nothing_but_the_start(path):
    cfg, stock = read_config(str(path)), read_config(stock_name(path))
    changed = differences(stock.to_dict(), cfg.to_dict())
    place = 'model' if 'backbone' in cfg.model else 'model.cfg'
    start = {
        key: changed.pop(key) for key in list(changed) if key.startswith(f'{place}.backbone.init')
    }
    assert start[f'{place}.backbone.init_cfg.type'] == 'ODMPretrained'
    assert changed.pop('custom_imports.imports.0') == 'odm_mmocr'
    assert changed.pop('custom_imports.allow_failed_imports') is False
    changed.pop('load_from', None)
    assert changed == ADAPTED.get(path.stem, {})
    assert cfg.load_from is None
    for download in ('http:', 'https:', 'torchvision:'):
        assert download not in str(cfg.model)


def test_leaf_without_a_stock_config_is_the_detector_that_it_says():
    one, other = (
        load_config(f'dbnet_resnet50-dcnv2_odm_{name}.py') for name in ('synthtext', 'icdar2015')
    )
    assert differences(one.model, other.model) == {}


@each_leaf
def test_leaf_loads_its_backbone_whole_and_trains(path, backbone_file):
    if path.parent.name == 'drrg':
        pytest.importorskip('lanms', reason='DRRG makes its targets with the package lanms-neo')
    cfg = copy.deepcopy(read_config(str(path)))
    init_cfg = network(cfg).backbone.init_cfg
    file = backbone_file(init_cfg.checkpoint.removeprefix('backbone_').removesuffix('.pth'))
    init_cfg.checkpoint = str(file)
    init_default_scope('mmocr')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    detector = getattr(model, 'wrapped_model', model)

    weights, loaded = load_checkpoint(file)['state_dict'], detector.backbone.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())
    assert {key.split('.')[-2] for key in loaded.keys() - weights.keys()} <= {'conv_offset'}

    wrapped = detector is not model
    pack = Compose(cfg.train_pipeline[-2 if wrapped else -1 :])
    data = model.data_preprocessor(pseudo_collate([pack(sample())]), training=True)
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    model.train()
    loss, log = model.parse_losses(model(**data, mode='loss'))
    assert all(value.isfinite().all() for value in log.values())
    optimizer.update_params(loss)
    moved = {
        key.partition('backbone.')[1] or 'head'
        for key, value in model.named_parameters()
        if not torch.equal(value, before[key])
    }
    assert moved == {'backbone.', 'head'}
    assert all(value.isfinite().all() for value in model.parameters())


@pytest.mark.parametrize(
    'name', ['dbnet_resnet18_odm_icdar2015.py', 'mask-rcnn_resnet50_odm_icdar2015.py']
)
def test_leaf_works_without_a_file_and_with_another(name, backbone_file, monkeypatch):
    init_default_scope('mmocr')
    cfg = load_config(name)
    network(cfg).backbone.init_cfg = None
    MODELS.build(cfg.model)
    cfg = load_config(name)
    file = backbone_file('resnet18' if 'resnet18' in name else 'resnet50')
    swap_backbone(cfg, file)
    assert network(cfg).backbone.init_cfg.checkpoint == str(file)
    monkeypatch.setenv('ODM_BACKBONE', 'other.pth')
    assert network(load_config(name)).backbone.init_cfg.checkpoint == 'other.pth'


def test_quick_start_builds_without_a_file():
    init_default_scope('mmocr')
    MODELS.build(load_config('dbnet_resnet18_odm_quickstart.py').model)
