"""The configs of the bench: each trains and tests on the spotting annotations it names."""

from pathlib import Path

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmocr.registry import METRICS, MODELS

from odm_mmocr.benchmark import Start
from odm_mmocr.benchmark.starts import prepare_start
from odm_mmocr.checkpoints import load_config, swap_backbone

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'benchmark'


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=lambda path: path.stem)
def test_trains_and_tests(path, word_images, weights_file, tmp_path):
    cfg = load_config(
        str(path),
        {
            'train_dataloader.dataset.dataset.data_root': str(word_images),
            'train_dataloader.batch_size': 2,
            'val_dataloader.dataset.data_root': str(word_images),
        },
    )
    start, _ = prepare_start(Start('file', str(weights_file)), cfg, tmp_path)
    swap_backbone(cfg, start.file)
    init_default_scope('mmocr')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    before = model.backbone.conv1.weight.clone()
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))
    assert batch['inputs'][0].shape == (3, 192, 192)
    model.train()
    losses = model.train_step(batch, optimizer)
    assert all(value.isfinite() for value in losses.values())
    assert not torch.equal(before, model.backbone.conv1.weight)
    model.eval()
    metric = METRICS.build(dict(cfg.val_evaluator))
    with torch.no_grad():
        samples = model.val_step(next(iter(Runner.build_dataloader(cfg.val_dataloader))))
    metric.process(None, [sample.to_dict() for sample in samples])
    assert 'icdar/hmean' in metric.evaluate(size=1)
