import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from odm_mmocr.apis import (
    build_model,
    evaluate_model,
    figures_table,
    predict_samples,
    validation_samples,
)

CONFIG = Path(__file__).parents[2] / 'configs' / 'odm_pretrain_quickstart.py'


@pytest.fixture(scope='module')
def cfg():
    cfg = Config.fromfile(CONFIG)
    cfg.val_dataloader.update(num_workers=0, batch_size=4)
    cfg.val_dataloader.dataset.dataset.epoch_length = 6
    return cfg


@pytest.fixture(scope='module')
def model(cfg):
    return build_model(cfg)


def test_initial_weights_depend_on_the_seed_alone(cfg, model):
    torch.rand(1)
    again = build_model(cfg)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_predictions_do_not_depend_on_the_batch(cfg, model):
    samples = validation_samples(cfg, 3)
    maps = predict_samples(model, samples)
    assert [m.shape for m in maps] == [s['inputs'].shape[1:] for s in samples]
    assert 'pred_destylized' not in samples[0]['data_samples']
    one_by_one = predict_samples(model, samples, batch_size=1)
    np.testing.assert_allclose(maps, one_by_one, atol=1e-4)


def test_figures_are_those_of_the_predictions(cfg, model):
    figures = evaluate_model(model, cfg)
    samples = validation_samples(cfg, 6)
    label = np.stack([s['data_samples'].gt_destylized.label[0] for s in samples]) >= 30
    drawn = np.stack(predict_samples(model, samples)) >= 0.5
    assert figures['odm/kept'] == pytest.approx((drawn & label).sum() / label.sum(), abs=1e-3)
    assert set(figures) >= {'odm/leak', 'odm/precision', 'odm/recall', 'odm/fscore'}


def test_a_checkpoint_of_another_network_is_named(cfg, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'backbone.weight': torch.zeros(1)}), path)
    with pytest.raises(ValueError, match=r'other\.pth is of another model.*backbone\.weight'):
        build_model(cfg, path)


def test_several_data_sets_have_figures_of_their_own(cfg, model):
    both = copy.deepcopy(cfg)
    parts = [dict(cfg.val_dataloader.dataset.dataset, epoch_length=n) for n in (4, 2)]
    both.val_dataloader.dataset.dataset = dict(
        type='ConcatDataset', datasets=parts, verify_meta=False
    )
    both.val_evaluator = dict(
        type='MultiDatasetsEvaluator', metrics=cfg.val_evaluator, dataset_prefixes=['four', 'two']
    )
    together = evaluate_model(model, both)
    first = copy.deepcopy(cfg)
    first.val_dataloader.dataset.dataset.epoch_length = 4
    # The seeds of the second part's transforms are others than if it stood alone.
    assert {f'four/{name}': value for name, value in evaluate_model(model, first).items()} == (
        pytest.approx({name: v for name, v in together.items() if name.startswith('four')})
    )
    assert 0 <= together['two/odm/kept'] <= 1


def test_table_has_a_column_for_each_checkpoint():
    table = figures_table(
        dict(before={'odm/kept': 0.25}, after={'odm/kept': 0.5, 'odm/read': 1.0})
    ).splitlines()
    assert [line.split() for line in table] == [
        ['before', 'after'],
        ['odm/kept', '0.250', '0.500'],
        ['odm/read', 'nan', '1.000'],
    ]
    assert len({len(line) for line in table}) == 1
