import json
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch

from odm_mmocr.benchmark import Comparison, Recipe, Start, comparison
from odm_mmocr.benchmark.execution import Executor
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
        (dict(seeds=(0, -1)), 'a seed is 0 or more, not -1'),
        (dict(fractions=(0.1, 0.1000001)), 'fractions: 10, 10; each may stand there once'),
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
        (dict(holdout=0.01), 'holdout 0.01 of 10 images is none'),
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


def test_test_images_that_are_trained_on_are_told(plan, tmp_path, word_images):
    assert (
        '2 OF THEM ARE TRAINING IMAGES' in Comparison(plan, tmp_path / 'a').settings['test images']
    )
    others = json.loads((word_images / 'textspotting_test.json').read_text())
    for sample in others['data_list']:
        sample['img_path'] = f'other/{sample["img_path"]}'
    (tmp_path / 'textspotting_test.json').write_text(json.dumps(others))
    options = {**plan.options, 'val_dataloader.dataset.data_root': str(tmp_path)}
    told = Comparison(replace(plan, options=options), tmp_path / 'b').settings['test images']
    assert 'TRAINING' not in told


def test_start_whose_file_has_changed(plan, tmp_path, bare_weights):
    path = tmp_path / 'x.pth'
    torch.save(bare_weights, path)
    changing = replace(plan, starts=[Start('x', str(path))])
    Comparison(changing, tmp_path / 'out')
    Comparison(replace(changing, starts=plan.starts), tmp_path / 'out')
    torch.save({name: tensor * 2 for name, tensor in bare_weights.items()}, path)
    with pytest.raises(ValueError, match='another content of: start x'):
        Comparison(changing, tmp_path / 'out')


def test_annotation_that_has_changed(plan, tmp_path, word_images):
    content = json.loads((word_images / 'textspotting_train.json').read_text())
    path = tmp_path / 'train.json'
    options = {**plan.options, 'train_dataloader.dataset.dataset.ann_file': str(path)}
    path.write_text(json.dumps(content))
    Comparison(replace(plan, options=options), tmp_path / 'out')
    content['data_list'].reverse()
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='another content of: the training annotation'):
        Comparison(replace(plan, options=options), tmp_path / 'out')


def test_what_no_run_could_be_made_with_is_told_at_once(plan, tmp_path):
    options = {**plan.options, 'param_scheduler': [dict(type='ExponentialLR', gamma=0.9)]}
    with pytest.raises(ValueError, match='ExponentialLR'):
        Comparison(replace(plan, options=options), tmp_path)


def test_what_speaks_against_the_table_stands_below_it(plan, tmp_path, monkeypatch):
    script = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
if 'file' in folder.name:
    sys.exit('no memory')
curve = {f'icdar/{name}': [[1, 0.1], [2, 0.2]] for name in ('hmean', 'precision', 'recall')}
result = dict(curve=curve, holdout={'icdar/hmean': 0.3}, images=4, batch_size=2)
(folder / 'result.json').write_text(json.dumps(result))
"""
    command = (sys.executable, '-c', script)
    monkeypatch.setattr(comparison, 'Executor', partial(Executor, command=command))
    failures = Comparison(replace(plan, fractions=(0.5,)), tmp_path).run(1, lambda *_: None)
    assert len(failures) == 2  # each recipe of the file
    table = (tmp_path / 'table.md').read_text()
    assert '| 50 % | random | 0.200 ± 0.000 |' in table
    assert '| file |' not in table
    assert '- random, 50 %: the best learning rate is the lowest that was tried' in table
    assert '- failed: file_50pc_lr1_seed0: exit status 1: no memory' in table


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
