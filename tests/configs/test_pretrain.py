import json
from pathlib import Path

import cv2
import numpy as np
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
PREPARED = ('icdar2015', 'totaltext', 'ctw1500', 'synthtext', 'lsvt')
RUNNABLE = [path for path in PRETRAIN if not path.stem.endswith(PREPARED)]
# The model of odm_pretrain_pseudo.py is that of odm_pretrain.py.
TRAINABLE = [path for path in RUNNABLE if path.stem != 'odm_pretrain_pseudo']
PSEUDO = [path for path in PRETRAIN if 'pseudo' in path.stem]
TRAIN, VAL = (f'{split}_dataloader.dataset.dataset' for split in ('train', 'val'))


@pytest.fixture(scope='session')
def pseudo_labelled(tmp_path_factory):
    """Annotation file of four images full of words with scores."""
    folder = tmp_path_factory.mktemp('pseudo labelled')
    rng = np.random.default_rng(0)
    data_list = []
    for number in range(4):
        image = np.full((480, 640, 3), 90, np.uint8)
        instances = []
        for x in range(10, 600, 70):
            for y in range(10, 450, 30):
                text = ''.join(rng.choice(list('abcdefgh'), 5))
                cv2.putText(image, text, (x, y + 16), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255,) * 3)
                box = [x, y, x + 60, y + 20]
                polygon = [x, y, x + 60, y, x + 60, y + 20, x, y + 20]
                instance = dict(polygon=polygon, bbox=box, bbox_label=0, ignore=False, text=text)
                instances.append(dict(instance, score=0.5, detection_score=0.9))
        cv2.imwrite(str(folder / f'{number}.png'), image)
        info = dict(img_path=f'{number}.png', height=480, width=640, instances=instances)
        data_list.append(info)
    file = folder / 'pseudo.json'
    file.write_text(json.dumps(dict(metainfo=dict(task_name='textspotting'), data_list=data_list)))
    return file


def load(path, pseudo_labelled=None):
    init_default_scope('mmocr')
    cfg = Config.fromfile(path)
    if pseudo_labelled and path in PSEUDO:
        use_images(cfg, f'{TRAIN}.datasets.0', pseudo_labelled)
        if cfg.val_dataloader.dataset.dataset.type == 'OCRDataset':
            use_images(cfg, VAL, pseudo_labelled)
    if cfg.model.loss_ocr:
        for package in PACKAGES[cfg.model.loss_ocr.features.type]:
            pytest.importorskip(package)
    return cfg


def use_images(cfg, dataset, file):
    cfg.merge_from_dict(
        {f'{dataset}.data_root': str(file.parent), f'{dataset}.ann_file': file.name}
    )


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


@pytest.mark.parametrize('path', TRAINABLE, ids=lambda path: path.stem)
def test_a_batch_trains_a_step(path, pseudo_labelled):
    cfg = load(path, pseudo_labelled)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model = MODELS.build(cfg.model).train()
    batch = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]))
    losses = model(**batch, mode='loss')
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    first = next(model.image_encoder.backbone.parameters())
    assert first.grad.abs().sum() > 0


@pytest.mark.parametrize('name', PREPARED)
def test_prepared_data_sets_are_read(name, pseudo_labelled):
    cfg = load(CONFIGS / f'odm_pretrain_{name}.py')
    for split in (TRAIN, VAL):
        dataset = cfg
        for key in split.split('.'):
            dataset = dataset[key]
        if dataset.type == 'SynthesizedSceneText':
            continue
        assert dataset.data_root == f'data/{name}'
        use_images(cfg, split, pseudo_labelled)
        if name == 'lsvt':  # its font is not everywhere
            cfg.merge_from_dict({f'{split}.pipeline.6.fonts': None})
        loader = cfg.train_dataloader if split == TRAIN else cfg.val_dataloader
        sample = DATASETS.build(loader.dataset)[0]['data_samples']
        assert sample.gt_destylized.label.max() > 200
    assert cfg.model.text_controller.vocabulary == cfg.vocabulary


@pytest.mark.parametrize('path', RUNNABLE, ids=lambda path: path.stem)
def test_validation_measures_leaks_and_repeats_itself(path, pseudo_labelled):
    cfg = load(path, pseudo_labelled)
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    samples = [dataset[i]['data_samples'] for i in range(4)]
    again = dataset[3]['data_samples']
    assert torch.equal(samples[3].gt_destylized.label, again.gt_destylized.label)
    assert any(s.gt_destylized.dropped.max() > 200 for s in samples)
    assert any(not s.prompt.shown[: len(s.prompt.texts)].all() for s in samples)


@pytest.mark.parametrize('path', PSEUDO, ids=lambda path: path.stem)
def test_pseudo_labelled_images_weigh_by_score_among_synthesized_ones(path, pseudo_labelled):
    dataset = DATASETS.build(load(path, pseudo_labelled).train_dataloader.dataset)
    samples = [dataset[i]['data_samples'] for i in range(10)]
    synthesized = [s for s in samples if 'synthesized/' in s.img_path]
    assert 0 < len(synthesized) < 10
    assert all('weight' not in s.gt_destylized for s in synthesized)
    real = [s for s in samples if 'pseudo labelled' in s.img_path]
    assert len(real) == 10 - len(synthesized)
    assert {tuple(s.gt_destylized.weight.unique().tolist()) for s in real} == {(128, 255)}


@pytest.mark.parametrize('path', PSEUDO, ids=lambda path: path.stem)
def test_scores_and_shares_of_pseudo_labels_can_be_set(path, pseudo_labelled):
    cfg = load(path, pseudo_labelled)
    use_images(cfg, f'{TRAIN}.datasets.2', pseudo_labelled)
    cfg.merge_from_dict(
        {
            f'{TRAIN}.ratios': [0.5, 0, 0.5],
            f'{TRAIN}.datasets.0.pipeline.7.score_power': 0,
        }
    )
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    weighed = [dataset[i]['data_samples'].gt_destylized.get('weight') for i in range(10)]
    # Those that count as labelled here have scores too.
    assert 0 < sum(weight is None for weight in weighed) < 10
    cfg = load(path)
    cfg.merge_from_dict({f'{TRAIN}.ratios': [0, 1, 0]})  # without any file
    assert len(DATASETS.build(cfg.train_dataloader.dataset)) >= 2000


@pytest.mark.parametrize('path', PRETRAIN, ids=lambda path: path.stem)
def test_learning_rate_ends_where_the_training_ends(path):
    # Whatever max_iters is set to on the command line.
    schedule = Config.fromfile(path).param_scheduler
    assert 'end' not in schedule[-1]
    assert all('end' in part for part in schedule[:-1])
