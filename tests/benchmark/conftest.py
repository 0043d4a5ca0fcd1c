"""A detector's config with ten images of its own, and backbones for it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from odm_mmocr.benchmark import Plan, Recipe, Start
from odm_mmocr.checkpoints import load_config
from odm_mmocr.checkpoints.architecture import build_backbone, describe_architecture

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'benchmark'
IMAGES = 10


@pytest.fixture(scope='session')
def dataset(tmp_path_factory) -> Path:
    """A folder of ten images with a word each, and their annotation for training and testing."""
    folder = tmp_path_factory.mktemp('words')
    samples = []
    for number in range(IMAGES):
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
def options(dataset) -> dict:
    """Settings that put these images into the reduced configs, and make their views tiny."""
    return {
        'train_dataloader.dataset.dataset.data_root': str(dataset),
        'train_dataloader.dataset.dataset.pipeline.2.scale': (64, 64),
        'val_dataloader.dataset.data_root': str(dataset),
        'val_dataloader.dataset.indices': 2,
        'train_dataloader.batch_size': 2,
    }


@pytest.fixture(scope='session')
def detector() -> str:
    """Path of the reduced DBNet."""
    return str(CONFIGS / 'dbnet_resnet18_reduced_icdar2015.py')


@pytest.fixture(scope='session')
def bare_weights(detector) -> dict:
    """Weights of a ResNet-18, all of them unlike those that it starts with."""
    backbone = build_backbone(describe_architecture(load_config(detector).model.backbone))
    torch.manual_seed(3)
    return {
        name: torch.rand_like(tensor) if tensor.is_floating_point() else tensor
        for name, tensor in backbone.state_dict().items()
    }


@pytest.fixture(scope='session')
def weights_file(bare_weights, tmp_path_factory) -> Path:
    """These weights as a classifier for ImageNet publishes them."""
    path = tmp_path_factory.mktemp('weights') / 'imagenet.pth'
    torch.save(dict(bare_weights, **{'fc.weight': torch.zeros(1000, 512)}), path)
    return path


@pytest.fixture
def plan(detector, options, weights_file) -> Plan:
    """Random weights against a file, with half and all of the labels."""
    return Plan(
        config=detector,
        starts=[Start('random'), Start('file', str(weights_file))],
        fractions=(0.5, 1.0),
        seeds=(0, 1),
        recipes=(Recipe(0.5), Recipe(1.0)),
        schedule='2',
        options=options,
        evaluations=2,
        holdout=0.2,
    )
