import csv
import math
from dataclasses import replace

import pytest

from odm_mmocr.benchmark import Recipe, Run
from odm_mmocr.benchmark.ablation_report import (
    draw_ablation,
    format_ablation,
    write_ablation,
    write_detectors,
    write_pretrainings,
)
from odm_mmocr.benchmark.ablation_results import (
    Spread,
    VariantRow,
    spread,
    summarise_drawing,
    summarise_share,
)
from odm_mmocr.benchmark.results import FinishedRun


def made(start, seed, hmean, fraction=0.1):
    values = (0.0, hmean)
    return FinishedRun(
        Run(start, fraction, seed, Recipe()), (1.0, 2.0), values, (0.0, 0.9), (0.0, 0.8), None
    )


# Two pre-trainings of each, detectors with two seeds; one of the variant's is missing.
FULL = {0: 'full-seed0', 1: 'full-seed1'}
LESS = {0: 'less-seed0', 1: 'less-seed1'}
ALONE = {0: 'random', 1: 'random'}
RUNS = [
    made('full-seed0', 5, 0.50),
    made('full-seed0', 6, 0.60),
    made('full-seed1', 5, 0.52),
    made('full-seed1', 6, 0.62),
    made('less-seed0', 5, 0.40),
    made('less-seed0', 6, 0.52),
    made('less-seed1', 6, 0.55),
    made('random', 5, 0.30),
    made('random', 6, 0.40),
    made('less-seed0', 5, 0.99, fraction=1.0),
]


def share(starts, reference=FULL, random='random'):
    return summarise_share(0.1, starts, reference, random, RUNS, [5, 6])


def test_runs_are_compared_pair_by_pair():
    less = share(LESS)
    assert less.values == (0.40, 0.52, 0.55)
    assert less.expected == 4
    assert less.hmean.mean == pytest.approx(0.49)
    assert less.hmean.deviation == pytest.approx(math.sqrt((0.09**2 + 0.03**2 + 0.06**2) / 2))
    # Differences -.10 and -.08 of one pre-training, -.07 of the other: the mean over all runs,
    # .49 - .56, would be another, and so would that of three differences.
    assert less.gain.mean == pytest.approx(-0.08)
    assert less.gain.deviation == pytest.approx(0.02 / math.sqrt(2))
    assert less.gain.count == 2
    # .10 and .12, .15
    assert less.over_random.mean == pytest.approx(0.13)
    assert less.precision == Spread(pytest.approx(0.9), pytest.approx(0), 3)
    assert less.recall.mean == pytest.approx(0.8)


def test_with_one_pretraining_the_detectors_count():
    less = share({0: LESS[0]}, {0: FULL[0]})
    assert less.gain == Spread(pytest.approx(-0.09), pytest.approx(0.02 / math.sqrt(2)), 2)


def test_reference_and_random_are_not_compared_with_themselves():
    assert share(FULL).gain is None
    assert share(FULL).over_random.mean == pytest.approx(0.21)
    alone = share(ALONE)
    assert alone.expected == 2  # once, whatever the number of pre-trainings
    assert alone.over_random is None
    assert alone.gain.mean == pytest.approx(-0.21)
    assert share(LESS, random=None).over_random is None


def test_nothing_made():
    nothing = share({0: 'none-seed0'})
    assert (nothing.hmean, nothing.gain, nothing.values, nothing.expected) == (None, None, (), 2)


def test_spread():
    assert spread([]) is None
    assert spread([0.5]) == Spread(0.5, 0.0, 1)
    assert spread([1.0, 3.0]) == Spread(2.0, math.sqrt(2), 2)


def test_drawing_is_that_of_the_end():
    def result(control, **more):
        return dict(curve={'odm/kept': [[5, 0.1], [10, 0.3]], 'odm/control': [[10, control]],
                           'odm/iou': [[10, 0.7]], **more})  # fmt: skip

    drawn = summarise_drawing([result(0.2), result(0.4)])
    assert list(drawn) == ['control', 'kept']
    assert drawn['control'].mean == pytest.approx(0.3)
    assert drawn['kept'] == Spread(pytest.approx(0.3), pytest.approx(0.0), 2)
    several = summarise_drawing([result(0.2, **{'icdar2015/odm/leak': [[10, 0.9]]})])
    assert list(several) == ['control', 'kept', 'icdar2015/leak']
    assert summarise_drawing([dict(curve={})]) == {}


def rows():
    full = VariantRow(
        'full',
        (share(FULL),),
        {'control': Spread(0.25, 0.05, 2), 'leak': Spread(math.nan, 0.0, 1)},
        2,
        2000,
        Spread(61.4, 2.0, 2),
    )
    less = VariantRow('less', (share(LESS),), {}, 1, 1000, Spread(30.0, 0.0, 1), 'why | it\nfailed')
    gone = VariantRow('gone', (share({0: 'gone-seed0'}),), {}, 0, None, None, 'x' * 200)
    return [full, less, gone, VariantRow('random', (share(ALONE),), {}, 0, None, None)]


def test_table_for_people():
    lines = format_ablation(rows(), 'full').splitlines()
    assert len({line.count('|') for line in lines}) == 1
    table = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    head, _, full, less, gone, random = table
    column = {name: number for number, name in enumerate(head)}
    assert head[:5] == ['variant', 'hmean, 10 % of the labels', 'over full', 'over random', 'runs']
    assert full[:5] == ['full', '0.560 ± 0.059', '—', '+21.0 ± 1.4', '4 of 4']
    assert less[1:5] == ['0.490 ± 0.079', '-8.0 ± 1.4', '+13.0 ± 2.8', '3 of 4']
    assert full[column['control']] == '0.250 ± 0.050'
    assert full[column['leak']] == '—'  # not a number
    assert full[column['pre-trainings'] : column['failed']] == ['2', '2000', '61']
    assert less[column['failed']] == 'why / it failed'
    assert gone[1:5] == ['—', '—', '—', '0 of 2']
    assert len(gone[column['failed']]) < 130
    assert random[1] == '0.350 ± 0.071'
    assert random[column['iterations']] == '—'


def test_table_without_random_and_without_detectors():
    full = rows()[0]
    bare = VariantRow('full', (), full.drawing, 1, 10, Spread(1.0, 0.0, 1))
    head = format_ablation([bare], 'full').splitlines()[0]
    assert head.startswith('| variant | control | leak | pre-trainings |')
    alone = VariantRow('full', (share(FULL, random=None),), {}, 1, 10, None)
    assert 'over random' not in format_ablation([alone], 'full')


def test_files_hold_the_same(tmp_path):
    write_ablation(rows(), tmp_path / 'table.csv')
    write_detectors([('less', run) for run in RUNS[4:6]], tmp_path / 'detectors.csv')
    result = dict(curve={'odm/kept': [[5, 0.1], [10, 0.3]]})
    write_pretrainings([('full', 1, result)], tmp_path / 'pretrainings.csv')
    read = {}
    for path in tmp_path.glob('*.csv'):
        with open(path, newline='') as file:
            read[path.stem] = list(csv.DictReader(file))
    full, less, gone, random = read['table']
    assert (full['hmean'], full['gain'], full['over_random']) == ('0.5600', '', '0.2100')
    assert (less['gain'], less['gain_sd'], less['runs']) == ('-0.0800', '0.0141', '3')
    assert less['failed'] == 'why | it\nfailed'
    assert (gone['hmean'], gone['control'], gone['iterations']) == ('', '', '')
    assert (random['variant'], random['seconds']) == ('random', '')
    assert [row['hmean'] for row in read['detectors']] == ['0.4000', '0.5200']
    assert read['detectors'][0]['start'] == 'less-seed0'
    assert read['pretrainings'][1] == dict(
        variant='full', seed='1', iteration='10', metric='odm/kept', value='0.3000'
    )
    write_detectors([], tmp_path / 'none.csv')
    assert not (tmp_path / 'none.csv').exists()


def test_plot_has_a_panel_for_each_share_and_a_line_for_each_variant():
    two = [
        replace(row, shares=(row.shares[0], replace(row.shares[0], fraction=1.0))) for row in rows()
    ]
    figure = draw_ablation(two, 'full', 'a title')
    first, second = figure.axes
    assert (first.get_title(), second.get_title()) == ('10 % of the labels', '100 % of the labels')
    assert [t.get_text() for t in first.get_yticklabels()] == ['full', 'less', 'gone', 'random']
    # Every run of a variant is a point at its height; one that has none is left out.
    dots = [line for line in first.lines if line.get_marker() == '.']
    assert [sorted(line.get_xdata()) for line in dots] == [
        [0.5, 0.52, 0.6, 0.62],
        [0.4, 0.52, 0.55],
        [0.3, 0.4],
    ]
    assert [set(line.get_ydata()) for line in dots] == [{0}, {1}, {3}]
    bars = [container for container in first.containers if container.has_xerr]
    (low, high), _ = bars[1].lines[2][0].get_segments()[0].T
    assert (low, high) == (pytest.approx(0.49 - 0.0794, abs=1e-4), pytest.approx(0.5694, abs=1e-4))
    assert first.get_ylim()[0] > first.get_ylim()[1]  # the first variant is at the top
    assert figure.get_suptitle() == 'a title'
