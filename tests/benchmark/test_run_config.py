import copy
import json

import pytest
from mmocr.registry import DATASETS, MODELS

from odm_mmocr.benchmark import Protocol, Recipe, Run, Start
from odm_mmocr.benchmark.run_config import (
    build_run_config,
    full_iterations,
    load_annotated,
    load_detector,
    name_data,
)
from odm_mmocr.benchmark.starts import prepare_start
from odm_mmocr.checkpoints import load_config

STOCK = 'mmocr::textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015.py'
PANET = 'mmocr::textdet/panet/panet_resnet18_fpem-ffm_600e_icdar2015.py'


def build(config, options=None, backbone=None, images=1000, **settings):
    run = dict(start='a', fraction=0.1, seed=3, recipe=Recipe(0.3)) | settings
    protocol = Protocol(config, 600, options or {}, evaluations=4, holdout=0.1)
    return build_run_config(protocol, Run(**run), backbone, images, 'work')


def test_length_of_a_stock_schedule():
    cfg = load_config(STOCK)
    assert full_iterations(cfg, 1000) == 1200 * 63  # batches of 16
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=77)
    assert full_iterations(cfg, 1000) == 77


def test_schedule_is_compressed_as_a_whole():
    cfg = build(STOCK)
    assert cfg.train_cfg == dict(type='ResumableIterTrainLoop', max_iters=600, val_interval=150)
    (schedule,) = cfg.param_scheduler
    assert (schedule.type, schedule.end, schedule.by_epoch) == ('PolyLR', 600, False)
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.3 * 0.007)


def test_schedule_in_iterations_and_warm_up(detector):
    warm_up, cosine = build(detector).param_scheduler
    assert (warm_up.begin if 'begin' in warm_up else 0, warm_up.end) == (0, 30)
    assert cosine.begin == 30


def test_milestones():
    options = {'param_scheduler': [dict(type='MultiStepLR', milestones=[400, 800], end=1200)]}
    (schedule,) = build(STOCK, options).param_scheduler
    assert (schedule.milestones, schedule.end) == ([200, 400], 600)


def test_schedule_so_short_that_a_step_would_be_none():
    options = {'param_scheduler': [dict(type='StepLR', step_size=1, end=1200)]}
    (schedule,) = build(STOCK, options).param_scheduler
    assert schedule.step_size == 1


def test_schedule_of_another_kind():
    with pytest.raises(ValueError, match='ExponentialLR'):
        build(STOCK, {'param_scheduler': [dict(type='ExponentialLR', gamma=0.9)]})


def test_labels_of_the_run_and_images_held_out():
    cfg = build(STOCK)
    trained = cfg.train_dataloader.dataset.dataset.indices
    held = cfg.test_dataloader.dataset.indices
    assert (len(trained), len(held)) == (90, 100)
    assert not set(trained) & set(held)
    assert cfg.test_dataloader.dataset.ann_file == 'textdet_train.json'
    assert cfg.val_dataloader.dataset.ann_file == 'textdet_test.json'
    assert 'indices' not in cfg.val_dataloader.dataset
    test_pipeline = cfg.val_dataloader.dataset.pipeline
    assert cfg.test_dataloader.dataset.pipeline == test_pipeline != cfg.train_pipeline


def test_images_held_out_of_a_filtered_annotation_are_not_trained_on(tmp_path):
    # COCO's format: what has no word is left out in training, but not in testing.
    images = [dict(id=i, file_name=f'{i}.png', height=50, width=50) for i in range(12)]
    word = dict(category_id=1, bbox=[5, 5, 20, 9], area=180, iscrowd=0)
    words = [dict(word, id=i, image_id=i) for i in range(3, 12)]
    content = dict(images=images, annotations=words, categories=[dict(id=1, name='text')])
    (tmp_path / 'coco.json').write_text(json.dumps(content))
    data = dict(type='IcdarDataset', data_root=str(tmp_path), ann_file='coco.json', _delete_=True)
    options = {
        'train_dataloader.dataset': dict(data, filter_cfg=dict(filter_empty_gt=True), pipeline=[]),
        'val_dataloader.dataset': dict(data, test_mode=True, pipeline=[]),
    }
    count = len(load_annotated(load_config(STOCK, options).train_dataloader))
    assert count == 9
    protocol = Protocol(STOCK, 600, options, evaluations=4, holdout=0.4)
    cfg = build_run_config(protocol, Run('a', 1.0, 0, Recipe()), None, count, 'work')
    trained, held = (
        {sample['img_path'] for sample in DATASETS.build(dataset)}
        for dataset in (cfg.train_dataloader.dataset.dataset, cfg.test_dataloader.dataset)
    )
    assert (len(trained), len(held)) == (5, 4)
    assert not trained & held


@pytest.mark.parametrize(
    ('indices', 'allowed'),
    [
        (list(range(100, 200)), range(100, 200)),
        (100, range(100)),
        (-100, range(-100, 0)),
    ],
)
def test_part_of_an_annotation(indices, allowed):
    cfg = build(STOCK, {'train_dataloader.dataset.indices': indices}, images=100, fraction=1.0)
    trained = cfg.train_dataloader.dataset.dataset.indices
    held = cfg.test_dataloader.dataset.indices
    assert sorted([*trained, *held]) == list(allowed)


def test_nothing_held_out():
    run = Run('a', 1.0, 0, Recipe())
    cfg = build_run_config(Protocol(STOCK, 10, holdout=0.0), run, None, 1000, 'work')
    assert cfg.test_dataloader is None
    assert len(cfg.train_dataloader.dataset.dataset.indices) == 1000


def test_all_layers_learn_whatever_the_stock_config_freezes():
    assert load_config('mmocr::textdet/panet/panet_resnet50_fpem-ffm_600e_icdar2017.py')
    cfg = build(PANET)
    assert cfg.model.backbone.frozen_stages == -1
    assert cfg.model.backbone.norm_eval is False
    frozen = build(PANET, recipe=Recipe(1.0, frozen_statistics=True))
    assert frozen.model.backbone.norm_eval is True


def test_starts_differ_in_nothing_but_the_backbone(detector, weights_file, tmp_path):
    start, _ = prepare_start(Start('b', str(weights_file)), load_config(detector), tmp_path)
    random, loaded = build(detector), build(detector, backbone=start.file)
    assert random.model.backbone.pop('init_cfg') is None
    assert random.model.backbone.pop('zero_init_residual') is False
    assert loaded.model.backbone.pop('init_cfg').checkpoint == start.file
    assert random.to_dict() == loaded.to_dict()


def test_random_weights_leave_no_residual_branch_at_zero(detector):
    network = MODELS.build(build(detector).model)
    network.init_weights()
    scales = [m.weight for name, m in network.backbone.named_modules() if name.endswith('bn2')]
    assert scales
    assert all((scale == 1).all() for scale in scales)


def test_backbone_whose_statistics_cannot_be_frozen(detector):
    options = {
        'model.backbone': dict(_delete_=True, type='mmdet.SwinTransformer', embed_dims=24),
        'model.neck.in_channels': [24, 48, 96, 192],
    }
    cfg = build(detector, options)
    assert 'norm_eval' not in cfg.model.backbone
    assert 'zero_init_residual' not in cfg.model.backbone
    MODELS.build(cfg.model)
    with pytest.raises(ValueError, match=r'SwinTransformer has no norm_eval.*batch_norm'):
        build(detector, options, recipe=Recipe(1.0, frozen_statistics=True))


def test_seed_decides_labels_weights_and_data(detector):
    first, second = build(detector), build(detector, seed=4)
    assert first.randomness.seed == 3
    assert first.train_dataloader.dataset.seed == 3
    indices = [c.train_dataloader.dataset.dataset.indices for c in (first, second)]
    assert indices[0] != indices[1]


def test_the_options_of_the_protocol_stay_as_they_are(detector, options):
    before = copy.deepcopy(options)
    build(detector, options, images=10, fraction=0.5)
    assert options == before


def test_number_of_training_images(detector, options):
    assert len(load_annotated(load_config(detector, options).train_dataloader)) == 10


def test_annotation_that_is_missing(detector):
    cfg = load_config(detector, {'train_dataloader.dataset.dataset.data_root': 'no'})
    with pytest.raises(FileNotFoundError):
        load_annotated(cfg.train_dataloader)


def test_generated_images_are_named_so(detector, options, word_images, tmp_path):
    own = load_annotated(load_config(detector, options).val_dataloader)
    assert name_data(own) == word_images.name
    content = json.loads((word_images / 'textspotting_test.json').read_text())
    content['metainfo']['generated'] = dict(by='a program')
    (tmp_path / 'textspotting_test.json').write_text(json.dumps(content))
    cfg = load_config(detector, {'val_dataloader.dataset.data_root': str(tmp_path)})
    assert name_data(load_annotated(cfg.val_dataloader)) == f'{tmp_path.name} (generated)'


def test_config_that_evaluates_nothing():
    synthtext = 'mmocr::textdet/dbnet/dbnet_resnet18_fpnc_100k_synthtext.py'
    with pytest.raises(ValueError, match='synthtext.py has no val_dataloader, val_evaluator'):
        load_detector(synthtext)


def test_option_that_the_config_does_not_take():
    with pytest.raises(ValueError, match='does not take'):
        load_detector(STOCK, {'train_pipeline.99.type': 'x'})


def test_several_annotation_files():
    parts = [dict(type='OCRDataset', ann_file=name, pipeline=[]) for name in 'ab']
    concat = dict(_delete_=True, type='ConcatDataset', datasets=parts)
    with pytest.raises(ValueError, match='one annotation file, the config has 2'):
        build(STOCK, {'train_dataloader.dataset': concat})
