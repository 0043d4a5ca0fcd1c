import json
from dataclasses import replace

import pytest
import torch
from mmengine.registry import init_default_scope
from mmocr.registry import MODELS

from odm_mmocr.benchmark import Pretraining, Variant, load_plan
from odm_mmocr.benchmark.pretraining_config import (
    build_pretraining_config,
    check_pretraining,
    keep_made_from,
    made_from,
)

PSEUDO = 'train_dataloader.dataset.dataset'


@pytest.fixture
def build(ablation_plan, tmp_path):
    """Function from a variant's settings to the config of its pre-training."""

    def build(options=None, seed=0, shared=None, pretrain=None, **words):
        plan = replace(ablation_plan, shared=shared or {})
        if pretrain:
            plan = replace(plan, pretrain=pretrain)
        return build_pretraining_config(
            plan, Variant('x', options or {}, **words), seed, str(tmp_path)
        )

    return build


def test_variant_is_validated_as_the_base(build):
    base = build()
    fonts = 'train_dataloader..RenderDestylizedLabel.fonts'
    changed = build({'train_dataloader..DropText.ratio': (0, 0), fonts: ['DejaVuSerif.ttf']})
    assert changed.train_dataloader != base.train_dataloader
    assert changed.val_dataloader == base.val_dataloader
    assert changed.val_evaluator == base.val_evaluator
    assert base.val_dataloader.dataset.dataset.epoch_length == 4  # the plan's options reach it
    assert base.test_dataloader is None


def test_other_config_with_the_same_model_is_validated_as_the_base_too(build):
    other = build(config='odm_pretrain_laptop.py')
    assert other.train_dataloader.batch_size == 16  # the plan's options are of the base alone
    assert other.val_dataloader == build().val_dataloader


def test_model_that_cannot_draw_is_not_validated(build, detector):
    shared = {'train_dataloader.batch_size': 3, 'val_dataloader.batch_size': 1}
    rival = build(config=detector, shared=shared)
    assert rival.val_dataloader is None
    assert rival.val_evaluator is None
    assert rival.val_cfg is None
    assert rival.train_dataloader.batch_size == 3
    assert build(shared=shared).val_dataloader.batch_size == 1


def test_schedule_is_scaled_to_the_length(build):
    cfg = build(iterations=170)  # a tenth
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (170, 85)
    assert [s.get('begin', 0) for s in cfg.param_scheduler] == [0, 5]
    assert cfg.param_scheduler[0].end == 5
    assert cfg.default_hooks.checkpoint.interval == 85
    assert cfg.default_hooks.logger.interval == 25
    own = build(pretrain=Pretraining('odm_pretrain_quickstart.py'))
    assert (own.train_cfg.max_iters, own.train_cfg.val_interval) == (1700, 425)
    assert own.default_hooks.checkpoint.interval == 425


def test_more_evaluations_than_iterations(build):
    with pytest.raises(ValueError, match='1 iterations with 2 evaluations'):
        build(iterations=1)


def test_seeds_differ_in_weights_and_data_and_leave_the_validation_alone(build):
    first, second = build(), build(seed=2)
    assert (first.randomness.seed, second.randomness.seed) == (0, 2)
    assert first.train_dataloader.dataset.dataset.seed == 0
    assert second.train_dataloader.dataset.dataset.seed == 2000
    assert second.train_dataloader.dataset.seed == 2000
    assert second.val_dataloader == first.val_dataloader
    pretrain = Pretraining('odm_pretrain_laptop_pseudo.py')
    mixed = build(seed=1, pretrain=pretrain).train_dataloader.dataset.dataset
    assert (mixed.seed, mixed.datasets[1].seed) == (1000, 1002)
    assert 'seed' not in mixed.datasets[0]


def test_backbone_is_exported_once_at_the_end(build):
    cfg = build()
    assert 'BackboneExportHook' not in [hook.type for hook in cfg.custom_hooks]
    assert len(cfg.custom_hooks) > 2
    assert cfg.recalibrate == 1


def test_wrong_option_names_the_variant(build):
    with pytest.raises(ValueError, match="variant 'x': option model.los_seg.*'loss_seg'"):
        build({'model.los_seg': 1})
    with pytest.raises(ValueError, match="variant 'x': option model.loss_seg"):
        build(config='dbnet_resnet18_reduced_icdar2015.py', shared={'model.loss_seg': None})


def test_what_can_be_made(build, detector):
    check_pretraining(build(), detector)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'model.text_controller.match': False}, 'loss_word needs text_controller.match'),
        ({'train_dataloader..DropText.ratio': (0.5, 0.1)}, 'DropText'),
        ({'train_dataloader..RenderDestylizedLabel.fonts': 'gone.ttf'}, 'gone.ttf'),
        ({'model.image_encoder.backbone.depth': 50}, 'layer1'),
        ({'model.data_preprocessor.mean': [0, 0, 0]}, r'pre-trained with mean=\[0, 0, 0\]'),
    ],
)
def test_what_cannot_be_made_is_told_before(build, detector, options, message):
    with pytest.raises(ValueError, match=message):
        check_pretraining(build(options), detector)


def test_missing_annotation_is_told_before_unless_nothing_is_taken_of_it(build):
    pretrain = Pretraining('odm_pretrain_laptop_pseudo.py')
    none = {f'{PSEUDO}.ratios': [0, 1, 0], 'val_dataloader.dataset.dataset.ann_file': ''}
    check_pretraining(build(pretrain=replace(pretrain, options=none)), None)
    some = {**none, f'{PSEUDO}.ratios': [1, 1, 0]}
    with pytest.raises(FileNotFoundError, match=r'pseudo_labelled/annotations\.json does'):
        check_pretraining(build(pretrain=replace(pretrain, options=some)), None)


def test_what_it_is_made_from(build, tmp_path, word_images):
    shared = {
        'val_dataloader.dataset.dataset.ann_file': 'textspotting_test.json',
        'val_dataloader.dataset.dataset.data_root': str(word_images),
        'val_dataloader.dataset.dataset.type': 'OCRDataset',
    }
    made = made_from(build(shared=shared))
    keep_made_from(made, tmp_path)
    (tmp_path / 'iter_2.pth').touch()
    keep_made_from(json.loads(json.dumps(made)), tmp_path)
    keep_made_from(made_from(build(shared={**shared, 'work_dir': 'elsewhere'})), tmp_path)
    with pytest.raises(ValueError, match=r'loss_contrastive\.loss_weight 0\.1, not none; '):
        keep_made_from(made_from(build({'model.loss_contrastive': None}, shared=shared)), tmp_path)
    with pytest.raises(ValueError, match=r'train_cfg\.max_iters 4, not 8'):
        keep_made_from(made_from(build(iterations=8, shared=shared)), tmp_path)
    with pytest.raises(ValueError, match=r'randomness\.seed 0, not 1'):
        keep_made_from(made_from(build(seed=1, shared=shared)), tmp_path)


def test_what_failed_at_its_start_may_be_made_from_something_else(build, tmp_path):
    keep_made_from(made_from(build(iterations=8)), tmp_path)
    (tmp_path / 'failure.txt').write_text('no such model')
    keep_made_from(made_from(build(iterations=4)), tmp_path)
    (tmp_path / 'iter_2.pth').touch()
    with pytest.raises(ValueError, match=r'train_cfg\.max_iters 4, not 8.* or delete that folder'):
        keep_made_from(made_from(build(iterations=8)), tmp_path)


def test_of_files_the_content_counts_and_not_the_place(build, tmp_path):
    def made(folder, content):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / 'a.json').write_text(content)
        inner = 'val_dataloader.dataset.dataset'
        file = {f'{inner}.ann_file': 'a.json', f'{inner}.data_root': str(tmp_path / folder)}
        return made_from(build(shared={**file, 'load_from': str(tmp_path / folder / 'a.json')}))

    keep_made_from(made('one', 'x'), tmp_path)
    (tmp_path / 'result.json').touch()
    keep_made_from(made('other', 'x'), tmp_path)
    with pytest.raises(ValueError, match=r'another content of the file .*load_from') as told:
        keep_made_from(made('one', 'y'), tmp_path)
    assert 'ann_file' in str(told.value)
    gone = made('one', 'x')
    (name,) = [name for name in gone if name.endswith('ann_file')]
    del gone[name]
    keep_made_from(gone, tmp_path)  # what is made can be kept without its data


def test_drawing_without_text_controller_does_not_depend_on_the_prompt(tmp_path):
    plan = load_plan('ablation_modules.py')
    init_default_scope('mmocr')
    images = torch.rand(1, 3, 64, 64)
    one, other = torch.randint(1, 90, (2, 1, 2, 25))
    mask = torch.ones(1, 2, dtype=torch.bool)
    for name, listens in (('full', True), ('without Text-Controller', False)):
        (variant,) = plan.choose([name])
        torch.manual_seed(0)
        settings = build_pretraining_config(plan, variant, 0, str(tmp_path)).model
        model = MODELS.build(dict(settings, loss_ocr=None)).eval()
        with torch.no_grad():
            drawn = [
                model.encode_and_draw(images, tokens, shown, shown)['logits']
                for tokens, shown in ((one, mask), (other, mask), (one, ~mask))
            ]
        assert torch.equal(drawn[0], drawn[1]) != listens
        assert torch.equal(drawn[0], drawn[2]) != listens
