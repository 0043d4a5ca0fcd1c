import itertools
import math

import pytest

from odm_mmocr.benchmark import Outcome, Recipe, Run
from odm_mmocr.benchmark.results import (
    FinishedRun,
    choose_recipes,
    finished_run,
    mean_and_deviation,
    summarise,
)

RECIPE = Recipe()


def made(start, hmean, fraction=0.1, seed=0, recipe=RECIPE, holdout=0.5):
    epochs = tuple(10.0 * (i + 1) for i in range(len(hmean)))
    precision = tuple(0.9 for _ in hmean)
    return FinishedRun(
        Run(start, fraction, seed, recipe), epochs, tuple(hmean), precision, precision, holdout
    )


def test_epochs_are_counted_in_the_images_of_the_run():
    curve = {f'icdar/{name}': [[50, 0.1], [100, 0.2]] for name in ('hmean', 'precision', 'recall')}
    result = dict(curve=curve, holdout={'icdar/hmean': 0.4}, images=80, batch_size=8)
    run = finished_run(Outcome(Run('a', 0.1, 0, Recipe()), result))
    assert run.epochs == (5.0, 10.0)
    assert run.hmean == (0.1, 0.2)
    assert run.holdout == 0.4


def test_evaluation_without_hmean():
    result = dict(curve={'coco/bbox_mAP': [[1, 0.5]]}, holdout={}, images=8, batch_size=8)
    with pytest.raises(ValueError, match='no hmean, precision, recall; it gives coco/bbox_mAP'):
        finished_run(Outcome(Run('a', 0.1, 0, Recipe()), result))


def test_recipe_is_chosen_on_the_images_held_out_not_on_the_test_images():
    slow, fast = Recipe(0.3), Recipe(3.0)
    runs = [
        made('a', [0.9], recipe=slow, holdout=0.5),
        made('a', [0.1], recipe=fast, holdout=0.6),
        made('b', [0.1], recipe=slow, holdout=0.6),
        made('b', [0.9], recipe=fast, holdout=0.5),
        made('b', [0.9], fraction=1.0, recipe=fast, holdout=None),
    ]
    assert choose_recipes(runs) == {('a', 0.1): fast, ('b', 0.1): slow, ('b', 1.0): fast}


def test_recipe_that_has_diverged_is_not_chosen():
    slow, fast = Recipe(0.3), Recipe(3.0)
    runs = [
        made('a', [0.0], recipe=fast, holdout=float('nan')),
        made('a', [0.0], recipe=slow, holdout=0.0),
    ]
    assert choose_recipes(runs) == choose_recipes(runs[::-1]) == {('a', 0.1): slow}


def test_of_equal_recipes_the_same_one_is_chosen_in_any_order():
    recipes = Recipe(3.0), Recipe(0.3), Recipe(0.3, frozen_statistics=True)
    runs = [made('a', [0.0], recipe=recipe, holdout=0.0) for recipe in recipes]
    for order in itertools.permutations(runs):
        assert choose_recipes(order) == {('a', 0.1): Recipe(0.3)}


@pytest.mark.parametrize('values', [[math.nan], [0.5, math.nan], [math.nan, math.nan]])
def test_mean_of_what_is_no_number(values):
    assert all(map(math.isnan, mean_and_deviation(values)))


def test_rows_by_hand():
    runs = [
        made('random', [0.1, 0.2, 0.4], seed=0),
        made('random', [0.1, 0.3, 0.6], seed=1),
        made('odm', [0.4, 0.5, 0.7], seed=0),
        made('odm', [0.5, 0.6, 0.7], seed=1),
        made('odm', [0.2, 0.3, 0.4], fraction=1.0),
    ]
    random, odm, alone = summarise(runs)
    assert (random.start, random.seeds, random.gain) == ('random', 2, None)
    assert random.hmean == pytest.approx((0.5, 0.02**0.5))  # .4 and .6: variance of a sample .02
    assert random.epochs_to_random == 30
    assert odm.hmean == pytest.approx((0.7, 0))
    assert odm.gain == pytest.approx((0.2, 0.02**0.5))  # .3 and .1
    # Means .45, .55, .7: at least .5 for the first time at the second evaluation.
    assert odm.epochs_to_random == 20
    assert odm.epochs == 30
    assert (alone.fraction, alone.seeds, alone.gain, alone.epochs_to_random) == (1.0, 1, None, None)
    assert alone.hmean[1] == 0


def test_start_that_never_gets_there():
    rows = summarise([made('random', [0.1, 0.5]), made('bad', [0.1, 0.4])])
    assert rows[1].epochs_to_random is None
    assert rows[1].gain == (pytest.approx(-0.1), 0)


def test_gain_is_taken_seed_by_seed():
    """A start's second seed has other labelled images; random weights lack a run with them."""
    runs = [made('random', [0.2]), made('odm', [0.2]), made('odm', [0.4], seed=1)]
    assert summarise(runs)[1].gain == (0, 0)
    assert summarise(runs[:1] + runs[2:])[1].gain is None


def test_nothing_is_not_reached_at_once():
    rows = summarise([made('random', [0.0, 0.0]), made('odm', [0.0, 0.3])])
    assert [row.epochs_to_random for row in rows] == [None, None]
