"""A detector's config with ten images of its own, and backbones for it."""

from pathlib import Path

import pytest
import torch

from odm_mmocr.benchmark import (
    AblationPlan,
    Finetuning,
    Plan,
    Pretraining,
    Recipe,
    Start,
    Variant,
)
from odm_mmocr.checkpoints import load_config
from odm_mmocr.checkpoints.architecture import build_backbone, describe_architecture

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'benchmark'
TINY_PRETRAINING = {
    'train_dataloader.batch_size': 2,
    'val_dataloader.batch_size': 2,
    'val_dataloader.dataset.dataset.epoch_length': 4,
}


@pytest.fixture(scope='session')
def options(word_images) -> dict:
    """Settings that put these images into the reduced configs, and make their views tiny."""
    return {
        'train_dataloader.dataset.dataset.data_root': str(word_images),
        'train_dataloader.dataset.dataset.pipeline.2.scale': (64, 64),
        'val_dataloader.dataset.data_root': str(word_images),
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


@pytest.fixture
def ablation_plan(detector, options) -> AblationPlan:
    """Two tiny pre-trainings and random weights, with half of the labels."""
    return AblationPlan(
        'tiny',
        Pretraining(
            'odm_pretrain_quickstart.py', TINY_PRETRAINING, 4, evaluations=2, recalibrate=1
        ),
        [
            Variant('full'),
            Variant('without L_bc', {'model.loss_contrastive': None}),
            Variant('random', random=True),
        ],
        Finetuning(detector, options, (0.5,), (0, 1), (1.0,), schedule=2, evaluations=1),
    )
