import json
from pathlib import Path

import pytest
import torch

from odm_mmocr.evaluation.step_parts import Cost
from odm_mmocr.evaluation.step_worker import LargestBatch, LoaderSpeed, Memory
from odm_mmocr.evaluation.train_speed import StepSpeed

CONFIG = 'odm_pretrain_quickstart.py'


@pytest.fixture
def tool(load_tool):
    return load_tool('benchmark_train_step')


@pytest.fixture
def run(tool, as_command):
    """Run the tool in this process."""
    return as_command(tool)


@pytest.fixture
def measured(tool, monkeypatch):
    """Contenders and arguments that the tool gives to `measure_steps`, which measures nothing."""
    given = []

    def measure(contenders, *arguments):
        given.append((contenders, arguments))
        flops = dict(backbone=Cost(3e9, 6e9), head=Cost(1e9, 2e9))
        parts = dict(backbone=Cost(0.2, 0.4), optimizer=Cost(0.2))
        return [
            StepSpeed(
                contender.name,
                setting,
                [number * seconds for seconds in (2.0, 4.0, 8.0)],
                Memory(number * 2 * 10**9, 10**9),
                flops,
                parts,
                LoaderSpeed(0.5, 0.25, 0.2),
                LargestBatch(48, 12.0, Memory(10**9, 0)),
            )
            for number, (contender, setting) in enumerate(contenders, 1)
        ]

    monkeypatch.setattr(tool, 'measure_steps', measure)
    return given


def cells(told, first):
    """Cells of the table row that begins with a name."""
    row = next(line for line in told.splitlines() if line.startswith(f'| {first} |'))
    return [cell.strip() for cell in row.strip('|').split('|')]


def test_contenders_and_their_table(run, measured, capsys, tmp_path):
    out = tmp_path / 'new' / 'figures.json'
    run(CONFIG, 'model.a=1', '--against', CONFIG, 'b.py', 'model.x=[1,2]', 'model.y=None',
        '--cfg-options', 'model.z=2', '--size', '320x640', '--threads', '1', '--parts',
        '--peak-tflops', '0.024', '--json', out)  # fmt: skip
    (contenders, arguments), *_ = measured
    assert arguments == (2, 5, 1, True, False, False)
    assert [c.config for c, _ in contenders] == [CONFIG, CONFIG, 'b.py']
    options = [{'model.a': 1}, {}, {'model.x': [1, 2], 'model.y': None}]
    assert [c.options for c, _ in contenders] == [{'model.z': 2, **o} for o in options]
    assert {(s.size, s.threads) for _, s in contenders} == {((320, 640), 1)}
    told = capsys.readouterr().out
    assert f'1 threads, PyTorch {torch.__version__}; batch 4, fp32, 5 x 2 steps' in told
    assert 'all configs with model.z=2' in told
    row = cells(told, 'odm_pretrain_quickstart model.a=1')
    assert row[1:] == ['1 (0.75 to 1.5)', '2.00', '1.00', '4.0', '0.012', '50.0%', '', '', '']
    row = cells(told, 'b model.x=[1, 2] model.y=None')
    assert row[-3:] == ['3.00', '3.00 to 3.00', '33%, above idle 20%']
    assert told.count('part by part') == 3
    assert cells(told, 'backbone') == ['backbone', '3.00', '75.0%', '200', '400', '600', '75.0%']
    assert cells(told, 'optimizer')[-4:] == ['200', '0', '200', '25.0%']
    assert '0.5 img/s, 25.0% of the time' in told
    assert 'the largest batch that fits is 48, 12 img/s, 1.00 GB' in told
    figures = json.loads(out.read_text())
    assert figures[0]['seconds'] == [2, 4, 8]


def test_cost_over_sizes(run, measured, capsys):
    run(CONFIG, '--sizes', '320x640', '736x1280', '--batch-size', 5)
    assert [s.size for _, s in measured[0][0]] == [(320, 640), (736, 1280)]
    assert len({id(c) for c, _ in measured[0][0]}) == 1
    row = cells(capsys.readouterr().out, '320x640')
    assert row[1:] == ['1.02', '4 (3 to 6)', '3.91', '2.00', '0.98', '4.0']


def test_reference_kinds(run, measured, tmp_path):
    run(CONFIG, '--reference', tmp_path, '--reference-kinds', 'reference', 'reference+craft',
        '--craft-weights', 'craft.pth')  # fmt: skip
    contenders = [contender for contender, _ in measured[0][0][1:]]
    assert [c.name for c in contenders] == ['reference', 'reference+craft']
    assert contenders[1].craft_weights == Path('craft.pth')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['none.py'], r'no config none\.py'),
        ([CONFIG, '--against', 'none.py'], r'no config none\.py'),
        ([CONFIG, '--size', '100x512'], 'size 100x512: both must be multiples of 32'),
        ([CONFIG, '--precision', 'fp16'], "'fp16' needs device='cuda'"),
        ([CONFIG, '--threads', '0'], 'threads=0: at least 1'),
        ([CONFIG, '--reference', 'none'], 'none is no clone of the reference .* git clone'),
        pytest.param(
            [CONFIG, '--device', 'cuda'],
            'finds no CUDA device',
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason='has CUDA'),
        ),
    ],
)
def test_mistakes_end_with_one_line(run, arguments, message):
    with pytest.raises(SystemExit, match=f'^error: .*{message}[^\n]*$'):
        run(*arguments)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([CONFIG, '--batch-size', '0'], '--batch-size 0: at least 1'),
        ([CONFIG, '--repeats', '0'], '--repeats 0: at least 1'),
        ([CONFIG, '--size', '512'], '512 is no size: HEIGHTxWIDTH'),
        ([CONFIG, 'b.py'], 'b.py: further configs stand after --against'),
        (['a=1'], 'a=1 stands before any config'),
        ([CONFIG, '--sizes', '64x64', '--against', CONFIG], 'without --against'),
        ([CONFIG, '--compile', '--parts'], '--compile'),
        ([CONFIG, '--largest-batch'], 'needs --device cuda'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(run, capsys, arguments, message):
    with pytest.raises(SystemExit):
        run(*arguments)
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_whole_run(run, capsys):
    run(CONFIG, '--against', CONFIG, 'model.loss_word=None', '--size', '64x64', '--batch-size', 2,
        '--repeats', 2, '--steps', 1, '--threads', 1, '--parts', '--with-loader')  # fmt: skip
    told = capsys.readouterr().out
    assert told.count('| loss_word |') == 1
    assert told.count('| backbone |') == 2
    assert 'of the time spent waiting for a batch' in told
