import json
from dataclasses import replace

import pytest
import torch

from odm_mmocr.benchmark import Comparison, Recipe, Start
from odm_mmocr.checkpoints import load_checkpoint


def test_what_is_equal_is_told(plan, tmp_path):
    comparison = Comparison(plan, tmp_path)
    told = comparison.settings
    assert '2 iterations of 2 images' in told['schedule']
    assert told['labels'] == '50 % = 4 images (1.0 epochs), 100 % = 8 images (0.5 epochs)'
    assert told['held out'].startswith('2 training images')
    assert '123.675' in told['normalisation']
    assert 'bare weights' in told['start file']


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(starts=[]), 'needs starts'),
        (dict(starts=[Start('random'), Start('random')]), 'may stand there once'),
        (dict(fractions=(0.1, 0.1)), 'may stand there once'),
        (dict(seeds=()), 'needs seeds'),
        (dict(holdout=0.0), 'holdout must be above 0'),
    ],
)
def test_plan_that_makes_no_sense(plan, settings, message):
    with pytest.raises(ValueError, match=message):
        replace(plan, **settings)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(schedule='long'), 'no schedule'),
        (dict(fractions=(0.01,)), 'is none'),
        (dict(schedule='1'), 'not more evaluations'),
    ],
)
def test_comparison_that_cannot_be_made(plan, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        Comparison(replace(plan, **settings), tmp_path)


def test_schedules(plan, tmp_path):
    lengths = [
        Comparison(replace(plan, schedule=s), tmp_path / s).protocol.iterations
        for s in ('full', 'short')
    ]
    assert lengths == [6000, 600]


def test_one_recipe_needs_no_images_held_out(plan, tmp_path):
    single = replace(plan, recipes=(Recipe(1.0),), holdout=0.0)
    comparison = Comparison(single, tmp_path)
    assert comparison.protocol.holdout == 0
    assert comparison.settings['held out'].startswith('nothing')


@pytest.mark.slow
def test_runs_for_real(plan, tmp_path, bare_weights, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    small = replace(plan, fractions=(0.5,), seeds=(0,), recipes=(Recipe(1.0),))
    told = []
    failures = Comparison(small, tmp_path).run(2, lambda *what: told.append(what))
    assert not failures
    assert sorted(count for _, count, _ in told) == [1, 2]
    table = (tmp_path / 'table.md').read_text()
    assert '| 50 % | random |' in table
    assert '| 50 % | file |' in table
    assert 'Equal for all starts' in table
    assert (tmp_path / 'hmean.png').stat().st_size > 1000
    for name in ('random', 'file'):
        folder = tmp_path / 'runs' / f'{name}_50pc_lr1_seed0'
        result = json.loads((folder / 'result.json').read_text())
        assert [step for step, _ in result['curve']['icdar/hmean']] == [1, 2]
        assert not list(folder.glob('iter_*.pth'))
        log = (folder / 'log.txt').read_text()
        assert ('100 of 100 tensors loaded' in log) == (name == 'file')
        weights = load_checkpoint(folder / 'detector.pth')['state_dict']
        # Two steps of Adam move a weight by about twice the learning rate.
        moved = (weights['backbone.conv1.weight'] - bare_weights['conv1.weight']).abs().max()
        assert (moved < 0.01) == (name == 'file')
        assert torch.isfinite(moved)
    # What is there is not made again.
    Comparison(small, tmp_path).run(1, lambda outcome, *_: told.append(outcome.seconds))
    assert told[-2:] == [0, 0]


@pytest.mark.slow
def test_failed_runs_are_told(plan, tmp_path):
    wrong = {**plan.options, 'train_dataloader.dataset.dataset.pipeline.2.crop': (2.0, 1.0)}
    small = replace(plan, options=wrong, fractions=(0.5,), seeds=(0,), recipes=(Recipe(1.0),))
    with pytest.raises(ValueError, match='every run failed.*crop'):
        Comparison(replace(small, starts=[Start('random')]), tmp_path).run(1, lambda *_: None)
