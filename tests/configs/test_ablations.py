"""The plans of ablations: each variant is a pre-training that is there and differs as it says."""

from pathlib import Path

import pytest

from odm_mmocr.benchmark import load_plan
from odm_mmocr.benchmark.pretraining_config import build_pretraining_config, made_from
from odm_mmocr.checkpoints import find_config

PLANS = sorted((Path(__file__).resolve().parents[2] / 'configs' / 'ablations').glob('*.py'))
# Of a mixture's pipelines, of the sampler and of the model.
TRANSFORMS = {
    'without Drop-Text': ('DropText', 'ratio', (0.0, 0.0)),
    'without Noise-Text': ('NoiseText', 'ratio', (0.0, 0.0)),
    'label in a serif font': ('RenderDestylizedLabel', 'fonts', ['DejaVuSerif.ttf']),
}


@pytest.mark.parametrize('path', PLANS, ids=lambda path: path.stem)
def test_variants_differ_from_the_base_in_training_alone(path):
    plan = load_plan(str(path))
    assert plan.finetune is None or plan.finetune.compared([plan.reference.start(0)]).config
    assert plan.reference.options == {}
    made = {}
    for variant in plan.variants:
        if not variant.pretrains:
            continue
        if variant.config:
            find_config(variant.config)
        cfg = build_pretraining_config(plan, variant, 0, 'out')
        assert cfg.train_cfg.max_iters == plan.pretrain.iterations
        made[variant.name] = cfg
    base = made[plan.reference.name]
    assert base.model.loss_ocr.type == 'OCRLPIPSLoss'
    assert base.load_from is None
    seen = []
    for name, cfg in made.items():
        settings = {k: v for k, v in made_from(cfg).items() if not k.startswith('file ')}
        assert settings not in seen, f'{name} is another variant by another name'
        seen.append(settings)
        if cfg.model.type == base.model.type:
            assert cfg.val_dataloader == base.val_dataloader
        else:
            assert cfg.val_dataloader is None
        for key in ('batch_size', 'sampler'):
            assert cfg.train_dataloader[key] == base.train_dataloader[key]
        assert cfg.optim_wrapper == base.optim_wrapper
        assert cfg.param_scheduler == base.param_scheduler


@pytest.mark.parametrize('path', PLANS, ids=lambda path: path.stem)
def test_transforms_are_changed_in_every_pipeline(path):
    plan = load_plan(str(path))
    for variant in plan.variants:
        if variant.name not in TRANSFORMS:
            continue
        kind, setting, value = TRANSFORMS[variant.name]
        data = build_pretraining_config(plan, variant, 0, 'out').train_dataloader.dataset.dataset
        parts = data.get('datasets', [data])
        found = [t[setting] for d in parts for t in d.pipeline if t.type == kind]
        assert found == [value] * len(parts)
