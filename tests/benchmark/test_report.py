import csv

from odm_mmocr.benchmark import Recipe, Run
from odm_mmocr.benchmark.report import (
    describe_doubts,
    draw_comparison,
    format_table,
    write_runs,
    write_table,
)
from odm_mmocr.benchmark.results import FinishedRun, summarise

RECIPE = Recipe(0.5)


def made(start, hmean, seed, recipe=RECIPE):
    values = tuple(hmean)
    epochs = tuple(4.0 * (i + 1) for i in range(len(values)))
    return FinishedRun(Run(start, 0.1, seed, recipe), epochs, values, values, values, 0.25)


RUNS = [
    made('random', [0.2, 0.4], 0),
    made('random', [0.2, 0.5], 1),
    made('odm', [0.5, 0.6], 0),
    made('odm', [0.5, 0.6], 1),
]


def test_table_for_people():
    lines = format_table(summarise(RUNS), 'icdar', 0.01).splitlines()
    assert len(lines) == 4
    assert len({line.count('|') for line in lines}) == 1
    assert lines[2].startswith('| icdar | 10 % | random | 0.450 ± 0.071 |')
    assert '|  | 8.0 of 8.0 | 2 | 0.005, learning |' in lines[2]
    assert '| 0.600 ± 0.000 |' in lines[3]
    assert '| +15.0 ± 7.1 | 4.0 of 8.0 |' in lines[3]


def test_table_of_one_seed_claims_no_spread():
    text = format_table(summarise(RUNS[2:3]), 'icdar', 0.01)
    assert '±' not in text
    assert '| 0.600 |' in text
    assert '| — of 8.0 |' in text


def test_frozen_statistics_are_told():
    text = format_table(summarise([made('a', [0.1], 0, Recipe(1.0, True))]), 'icdar', 0.01)
    assert 'frozen statistics' in text


def test_files_hold_the_same(tmp_path):
    write_table(summarise(RUNS), 'icdar', tmp_path / 'table.csv')
    write_runs(RUNS, tmp_path / 'runs.csv')
    with open(tmp_path / 'table.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['start'] for row in rows] == ['random', 'odm']
    assert rows[1]['gain'] == '0.1500'
    assert rows[0]['hmean_sd'] == '0.0707'
    with open(tmp_path / 'runs.csv', newline='') as file:
        points = list(csv.DictReader(file))
    assert len(points) == 8
    assert [point['holdout_hmean'] for point in points[:2]] == ['', '0.2500']
    assert (points[1]['epoch'], points[1]['hmean']) == ('8.00', '0.4000')


def test_doubts():
    factors = [Recipe(0.3), Recipe(1.0), Recipe(3.0)]
    rows = summarise([made(f'a{r.lr_factor:g}', [0.1], 0, r) for r in factors])
    assert describe_doubts(rows, factors, ['a run: its reason']).splitlines() == [
        '- a0.3, 10 %: the best learning rate is the lowest that was tried',
        '- a3, 10 %: the best learning rate is the highest that was tried',
        '- failed: a run: its reason',
    ]
    assert describe_doubts(rows[:1], factors[:1], []) == ''


def test_plot_has_a_panel_for_each_share_and_a_curve_for_each_start():
    figure = draw_comparison(RUNS, 'title')
    (panel,) = figure.axes
    assert [line.get_ydata().tolist() for line in panel.lines] == [[0.2, 0.45], [0.5, 0.6]]
    assert panel.get_title() == '10 % of the labels'
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ['random', 'odm']
