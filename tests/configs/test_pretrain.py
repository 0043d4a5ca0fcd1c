from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmocr.registry import DATASETS, MODELS

import odm_mmocr  # noqa: F401, registers

CONFIGS = Path(__file__).parents[2] / 'configs'
PRETRAIN = sorted(CONFIGS.glob('odm_pretrain*.py'))
PACKAGES = dict(
    CRAFTFeatures=['easyocr_en_models'], PPOCRFeatures=['onnx2torch', 'rapidocr_onnxruntime']
)
SYNTHESIZED = [path for path in PRETRAIN if 'icdar' not in path.stem]


def load(path):
    init_default_scope('mmocr')
    cfg = Config.fromfile(path)
    if cfg.model.loss_ocr:
        for package in PACKAGES[cfg.model.loss_ocr.features.type]:
            pytest.importorskip(package)
    return cfg


def test_names_are_unique():
    # mim looks a config up by its name alone.
    names = [path.name for path in CONFIGS.rglob('*.py')]
    assert len(names) == len(set(names))


@pytest.mark.parametrize('path', PRETRAIN, ids=lambda path: path.stem)
def test_model_builds_and_batch_norm_trains(path):
    model = MODELS.build(load(path).model).train()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert all(norm.training for norm in norms)
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize('path', SYNTHESIZED, ids=lambda path: path.stem)
def test_a_batch_trains_a_step(path):
    cfg = load(path)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model = MODELS.build(cfg.model).train()
    batch = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]))
    losses = model(**batch, mode='loss')
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    first = next(model.image_encoder.backbone.parameters())
    assert first.grad.abs().sum() > 0


@pytest.mark.parametrize('path', SYNTHESIZED, ids=lambda path: path.stem)
def test_validation_measures_leaks_and_repeats_itself(path):
    cfg = load(path)
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    samples = [dataset[i]['data_samples'] for i in range(4)]
    again = dataset[3]['data_samples']
    assert torch.equal(samples[3].gt_destylized.label, again.gt_destylized.label)
    assert any(s.gt_destylized.dropped.max() > 200 for s in samples)
    assert any(not s.prompt.shown[: len(s.prompt.texts)].all() for s in samples)
