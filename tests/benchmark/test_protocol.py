import numpy as np
import pytest

from odm_mmocr.benchmark import Protocol, Recipe, Start
from odm_mmocr.benchmark.protocol import (
    choose_labels,
    final_runs,
    keep_inputs,
    keep_protocol,
    search_runs,
    split_labels,
)


def test_images_held_out_are_never_trained_on_and_always_the_same():
    pool, held = split_labels(1000, 0.1)
    assert len(held) == 100
    assert sorted([*pool, *held]) == list(range(1000))
    again, others = split_labels(1000, 0.1)
    assert (again == pool).all()
    assert (others == held).all()


def test_nothing_is_held_out_on_request():
    pool, held = split_labels(7, 0.0)
    assert sorted(pool) == list(range(7))
    assert not len(held)


def test_larger_shares_contain_smaller_ones_and_seeds_choose_others():
    pool, _ = split_labels(1000, 0.1)
    few, more = choose_labels(pool, 0.1, 0), choose_labels(pool, 0.25, 0)
    assert len(few) == 90
    assert set(few) < set(more) < set(pool)
    assert (few == np.sort(few)).all()
    assert set(few) != set(choose_labels(pool, 0.1, 1))
    assert set(choose_labels(pool, 1.0, 0)) == set(pool)


@pytest.mark.parametrize('fraction', [0, -0.1, 1.1, float('nan')])
def test_share_out_of_range(fraction):
    with pytest.raises(ValueError, match='above 0 and up to 1'):
        choose_labels(np.arange(10), fraction, 0)


def test_share_of_no_image():
    with pytest.raises(ValueError, match='0.01 of 10 images is none'):
        choose_labels(np.arange(10), 0.01, 0)
    with pytest.raises(ValueError, match='holdout 0.01 of 10 images is none'):
        split_labels(10, 0.01)


@pytest.mark.parametrize('factor', [0.0, -1.0, float('nan'), float('inf')])
def test_learning_rate_that_teaches_nothing(factor):
    with pytest.raises(ValueError, match='learning rate factor is above 0'):
        Recipe(factor)


def test_runs_of_the_search_try_every_recipe_for_every_start():
    starts, recipes = [Start('random'), Start('odm', 'x.pth')], [Recipe(0.3), Recipe(1.0)]
    runs = search_runs(starts, (0.1, 1.0), recipes, 5)
    assert len(set(runs)) == 8
    assert {run.seed for run in runs} == {5}
    assert len({run.name for run in runs}) == 8


def test_each_start_goes_on_with_its_own_recipe():
    chosen = {('random', 0.1): Recipe(0.3), ('odm', 0.1): Recipe(1.0)}
    runs = final_runs(chosen, [1, 2])
    assert {(run.start, run.seed, run.recipe.lr_factor) for run in runs} == {
        ('random', 1, 0.3),
        ('random', 2, 0.3),
        ('odm', 1, 1.0),
        ('odm', 2, 1.0),
    }


def test_name_of_a_run_says_what_it_is():
    run = search_runs([Start('odm', 'x')], [0.25], [Recipe(0.3, True)], 2)[0]
    assert run.name == 'odm_25pc_lr0.3-bn-frozen_seed2'


def test_folder_keeps_its_protocol(tmp_path):
    keep_protocol(Protocol('a.py', 100, {'x': (1, 2)}), tmp_path)
    keep_protocol(Protocol('a.py', 100, {'x': (1, 2)}), tmp_path)
    with pytest.raises(ValueError, match='another protocol.*iterations 100, not 200'):
        keep_protocol(Protocol('a.py', 200, {'x': (1, 2)}), tmp_path)
    keep_protocol(Protocol('/elsewhere/a.py', 100, {'x': (1, 2)}), tmp_path)
    with pytest.raises(ValueError, match=r"config 'a\.py', not 'b\.py'"):
        keep_protocol(Protocol('b.py', 100, {'x': (1, 2)}), tmp_path)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(iterations=0), 'at least one'),
        (dict(iterations=3, evaluations=4), 'not more evaluations'),
        (dict(iterations=3, evaluations=1, holdout=1.0), 'below 1'),
    ],
)
def test_protocol_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        Protocol('a.py', **settings)


def test_folder_keeps_what_its_runs_are_made_from(tmp_path):
    keep_inputs({'the config': 'a', 'start odm': 'b'}, tmp_path)
    keep_inputs({'the config': 'a', 'start imagenet': 'c'}, tmp_path)
    with pytest.raises(ValueError, match='another content of: start odm; give another --out'):
        keep_inputs({'the config': 'a', 'start odm': 'x'}, tmp_path)
    with pytest.raises(ValueError, match='start imagenet'):
        keep_inputs({'start imagenet': 'x'}, tmp_path)


def test_protocol_that_was_cut_off(tmp_path):
    (tmp_path / 'protocol.json').write_text('{"config": "a.p')
    with pytest.raises(ValueError, match=r'protocol\.json cannot be read.*remove it'):
        keep_protocol(Protocol('a.py', 100), tmp_path)
