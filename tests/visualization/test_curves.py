import csv
import json

import numpy as np
import pytest

from odm_mmocr.visualization.curves import (
    LOSS,
    METRIC,
    OTHER,
    RATE,
    choose_keys,
    draw_curves,
    read_run,
    smooth_values,
    write_csv,
)


def train(step, **values):
    return dict(lr=0.1, base_lr=0.1, data_time=0.0, time=1.0, iter=step, step=step, **values)


@pytest.fixture
def write_log(tmp_path):
    """Function (timestamp, lines, end) that writes a log and returns its work directory."""

    def write(timestamp, lines, end='', name='run'):
        path = tmp_path / name / timestamp / 'vis_data' / 'scalars.json'
        path.parent.mkdir(parents=True)
        path.write_text(''.join(json.dumps(line) + '\n' for line in lines) + end)
        return tmp_path / name

    return write


def values(run, name):
    steps, logged = run.curves[name].points()
    return dict(zip(steps.tolist(), logged.tolist()))


def test_a_resumed_run_goes_on_where_the_later_start_begins(write_log):
    write_log('20260101_000000', [train(i, loss=float(i)) for i in (10, 20, 30, 40)])
    folder = write_log('20260102_000000', [train(i, loss=-float(i)) for i in (25, 30)])
    run = read_run(folder)
    # What the first start did after its last checkpoint is no part of the run.
    assert values(run, 'loss') == {10: 10, 20: 20, 25: -25, 30: -30}
    assert run.problems == []


def test_metrics_stand_at_their_iteration_however_they_are_logged(write_log):
    by_iteration = [train(10, loss=1.0), dict({'odm/kept': 0.5, 'time': 9.0}, step=12)]
    by_epoch = [train(10, loss=1.0), dict({'odm/kept': 0.5}, step=1), train(20), {
        'odm/kept': 0.7, 'step': 2
    }]  # fmt: skip
    run = read_run(write_log('20260101_000000', by_iteration, name='a'))
    assert values(run, 'odm/kept') == {12: 0.5}
    assert values(run, 'time') == {10: 1.0}
    run = read_run(write_log('20260101_000000', by_epoch, name='b'))
    assert values(run, 'odm/kept') == {10: 0.5, 20: 0.7}


def test_a_validation_alone_changes_nothing(write_log):
    write_log('20260101_000000', [train(10, loss=1.0)])
    folder = write_log('20260102_000000', [dict({'odm/kept': 0.5}, step=0)])
    assert set(read_run(folder).curves) == {'loss', 'lr', 'base_lr', 'time', 'data_time'}


def test_half_a_line_and_what_is_not_finite_are_left_out(write_log):
    lines = [train(10, loss=float('nan'), grad_norm=float('inf')), train(20, loss=2.0, note='x')]
    folder = write_log('20260101_000000', lines, end='{"loss": 3.0, "it')
    run = read_run(folder)
    assert values(run, 'loss') == {20: 2.0}
    assert 'grad_norm' not in run.curves and 'note' not in run.curves
    (problem,) = run.problems
    assert 'scalars.json:3' in problem and 'half written' in problem
    path = next(folder.glob('*/vis_data/scalars.json'))
    path.write_text('[1]\n"text"\n{"loss": 1}\n' + json.dumps(train(5, loss=1.0)) + '\n')
    run = read_run(folder)
    assert values(run, 'loss') == {5: 1.0}
    assert len(run.problems) == 3 and 'half written' not in run.problems[0]


def test_panels_are_losses_then_metrics_then_rate(write_log):
    metrics = {'odm/kept': 0.5, 'icdar2015/odm/best_small_iou': 0.5, 'odm/read_large': 0.5}
    lines = [train(10, loss_seg=1.0, loss=1.0, grad_norm=3.0), dict(metrics, step=10)]
    run = read_run(write_log('20260101_000000', lines))
    assert choose_keys([run]) == ['loss', 'loss_seg', 'odm/kept', 'lr', 'grad_norm']
    kinds = [run.curves[name].kind for name in choose_keys([run])]
    assert kinds == [LOSS, LOSS, METRIC, RATE, OTHER]
    asked = ['time', 'odm/*', 'loss_*']
    assert choose_keys([run], asked) == ['loss_seg', 'odm/kept', 'odm/read_large', 'time']
    with pytest.raises(ValueError, match=r"no curve fits 'odn/\*'; there are base_lr, .*odm/kept"):
        choose_keys([run], ['loss', 'odn/*'])


def test_smoothing_keeps_constants_and_begins_at_the_first_value():
    np.testing.assert_allclose(smooth_values(np.full(5, 3.0), 0.9), 3)
    logged = np.array([1.0, 2.0, 0.0])
    np.testing.assert_allclose(smooth_values(logged, 0), logged)
    np.testing.assert_allclose(smooth_values(logged, 0.5), [1, 5 / 3, 5 / 7])


def test_every_run_has_its_colour_in_every_panel(write_log):
    first = read_run(write_log('1', [train(10, loss=1.0), train(20, loss=2.0)], name='a'))
    lines = [train(10, loss=3.0), dict({'odm/kept': 0.5}, step=10), train(20, loss=1.0)]
    second = read_run(write_log('1', lines, name='b'))
    figure = draw_curves(dict(a=first, b=second), ['loss', 'odm/kept'], smooth=0.5)
    losses, kept = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ['loss', 'odm/kept']
    pale, dark, _, other = losses.get_lines()
    assert pale.get_ydata().tolist() == [1, 2] and pale.get_alpha() < 1
    assert dark.get_ydata().tolist() == pytest.approx([1, 5 / 3])
    assert dark.get_color() != other.get_color() == kept.get_lines()[0].get_color()
    (legend,) = figure.legends
    shown = {t.get_text(): h.get_color() for t, h in zip(legend.texts, legend.legend_handles)}
    assert shown == dict(a=dark.get_color(), b=other.get_color())
    with pytest.raises(ValueError, match=r'smooth=1: from 0 to below 1'):
        draw_curves(dict(a=first), ['loss'], smooth=1)


def test_the_table_has_the_numbers_as_they_were_logged(write_log, tmp_path):
    run = read_run(write_log('1', [train(20, loss=1 / 3), train(30, loss=2.0)]))
    write_csv({'a, b': run}, ['loss', 'lr'], tmp_path / 'out.csv')
    with open(tmp_path / 'out.csv', newline='') as file:
        rows = list(csv.reader(file))
    assert rows[0] == ['run', 'key', 'iteration', 'value']
    assert rows[1][:3] == ['a, b', 'loss', '20'] and float(rows[1][3]) == 1 / 3
    assert len(rows) == 5


def test_folders_without_logs_are_named(tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'file').write_text('')
    with pytest.raises(FileNotFoundError, match='none does not exist'):
        read_run(tmp_path / 'none')
    with pytest.raises(FileNotFoundError, match='empty has no log of a training'):
        read_run(tmp_path / 'empty')
    with pytest.raises(NotADirectoryError, match='file is a file'):
        read_run(tmp_path / 'file')


def test_numbers_that_no_picture_holds_are_left_out(tmp_path):
    folder = tmp_path / 'a' / 'vis_data'
    folder.mkdir(parents=True)
    huge = '9' * 400
    lines = [
        '{"loss": 1, "iter": 1, "step": 1}',
        f'{{"loss": {huge}, "iter": 2, "step": 2}}',
        f'{{"loss": 1, "iter": {huge}, "step": 3}}',
        '{"loss": 1, "iter": Infinity, "step": 3}',
        '{"loss": 1, "iter": -1, "step": 3}',
        '[' * 100_000,
    ]
    (folder / 'scalars.json').write_text('\n'.join(lines))
    run = read_run(tmp_path)
    assert run.curves['loss'].values == {1: 1.0}
    assert len(run.problems) == 4
