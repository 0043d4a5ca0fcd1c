"""Rivals of ODM differ from it in the objective, and in nothing else."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmocr.registry import MODELS

from odm_mmocr.checkpoints import load_backbone, load_config
from odm_mmocr.checkpoints.swap import find_network

LEAVES = sorted((Path(__file__).parents[2] / 'configs' / 'rivals').glob('*.py'))
LAPTOP = [path for path in LEAVES if 'laptop' in path.stem]
# Steps of a pipeline that decide on the prompt or draw the label.
OF_ODM = ('DropText', 'NoiseText', 'RandomChoice', 'RenderDestylizedLabel', 'LoadTextScores')
OF_THE_OBJECTIVE = ('model', 'filename', 'real_pipeline', 'train_pipeline', 'train_dataloader')

each_leaf = pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)


def without_steps_of_odm(node):
    if isinstance(node, dict):
        return {key: without_steps_of_odm(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        kept = [n for n in node if not (isinstance(n, dict) and n.get('type') in OF_ODM)]
        return type(node)(without_steps_of_odm(n) for n in kept)
    return node


def test_every_rival_has_a_small_and_a_full_leaf():
    names = {path.stem.partition('_')[0] for path in LEAVES}
    assert {path.stem for path in LEAVES} == {
        f'{name}_pretrain{suffix}' for name in names for suffix in ('', '_laptop_pseudo')
    }


@each_leaf
def test_only_the_objective_differs_from_odm(path):
    cfg, odm = load_config(str(path)), load_config(f'odm_{path.stem.partition("_")[2]}')
    network = find_network(cfg)[0]
    assert network.backbone == odm.model.image_encoder.backbone
    assert cfg.model.data_preprocessor == odm.model.data_preprocessor
    loaders = [c.train_dataloader.to_dict() for c in (cfg, odm)]
    assert loaders[0] == without_steps_of_odm(loaders[0])
    assert without_steps_of_odm(loaders[0]) == without_steps_of_odm(loaders[1])
    for key in {*cfg.keys(), *odm.keys()} - set(OF_THE_OBJECTIVE):
        if key.startswith(('val_', 'test_')) and key != 'val_pipeline' and key != 'val_dataset':
            assert cfg[key] is None
        else:
            assert cfg[key] == odm[key], key


@each_leaf
def test_all_of_a_leaf_trains(path):
    init_default_scope('mmocr')
    model = MODELS.build(load_config(str(path)).model).train()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert all(norm.training for norm in norms)
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize('path', LAPTOP, ids=lambda path: path.stem)
def test_a_run_leaves_the_backbone(path, word_images, tmp_path):
    images = 'train_dataloader.dataset.dataset.datasets.0'
    options = {
        f'{images}.data_root': str(word_images),
        f'{images}.ann_file': 'textspotting_train.json',
        'train_dataloader.batch_size': 4,
        'train_cfg.max_iters': 1,
        'param_scheduler': [],
    }
    cfg = load_config(str(path), options)
    cfg.work_dir = str(tmp_path)
    runner = Runner.from_cfg(cfg)
    network = runner.model if hasattr(runner.model, 'backbone') else runner.model.image_encoder
    before = {key: value.clone() for key, value in network.backbone.state_dict().items()}
    runner.train()
    content = load_backbone(tmp_path / 'backbone_resnet18.pth')
    after = network.backbone.state_dict()
    assert content['meta']['architecture']['depth'] == 18
    assert content['state_dict'].keys() == after.keys()
    assert all(torch.equal(content['state_dict'][key], after[key].cpu()) for key in after)
    moved = [key for key in after if after[key].dim() > 1 and not after[key].equal(before[key])]
    assert 'conv1.weight' in moved
    losses = [
        value.current() for key, value in runner.message_hub.log_scalars.items() if 'loss' in key
    ]
    assert losses
    assert all(value == value and value < 1e4 for value in losses)
