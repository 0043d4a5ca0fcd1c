import json
import os

import pytest


@pytest.fixture
def module(load_tool, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', os.environ.get('OMP_NUM_THREADS', ''))  # put back after
    return load_tool('benchmark_index')


@pytest.fixture
def run(module, as_command):
    return as_command(module)


@pytest.fixture
def starts(module, monkeypatch):
    """The starts that were measured, each as annotation file, its lines, and further arguments."""
    made = []

    def measure(annotation, *args):
        made.append((annotation.name, len(annotation.read_text().splitlines()), *args))
        return module.StartCost(1000, *map(float, range(1, 9)))

    monkeypatch.setattr(module, 'measure_start', measure)
    return made


def test_generated_annotation_is_measured_and_deleted(run, starts, tmp_path, capsys):
    out = tmp_path / 'new' / 'figures.json'
    folder = tmp_path / 'scratch'
    folder.mkdir()
    run('--entries', 1000, '--workers', 3, '--samples', 9, '--folder', folder, '--json', out,
        '--types', 'IndexedOCRDataset', 'OCRDataset', '--start-method', 'spawn')  # fmt: skip
    told = capsys.readouterr().out
    assert starts == [
        ('generated.json', 1002, kind, 3, 9, 'spawn', None)
        for kind in ('IndexedOCRDataset', 'IndexedOCRDataset', 'OCRDataset', 'OCRDataset')
    ]
    assert '| OCRDataset, start 2 | 1.0 | 2.0 | 3.0 | 4 | 5 | 6 | 7 | 8 |' in told
    assert not os.listdir(folder)
    figures = json.loads(out.read_text())
    assert [one['start'] for one in figures] == [1, 2, 1, 2]
    assert figures[2]['type'] == 'OCRDataset' and figures[2]['peak_megabytes'] == 6


def test_lines(run, starts, tmp_path):
    run('--entries', 10, '--lines', '--starts', 1, '--folder', tmp_path)
    assert starts == [('generated.jsonl', 11, 'IndexedOCRDataset', 8, 20000, 'fork', None)]


def test_own_annotation_stays(run, starts, tmp_path):
    path = tmp_path / 'own.json'
    path.write_text('{}')
    run('--annotation', path, '--starts', 1)
    assert starts[0][0] == 'own.json' and path.exists()


def test_errors(run, module, monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run('--workers', 0)
    assert '--workers 0: at least 1' in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        run('--annotation', tmp_path / 'none.json')
    assert stop.value.code == 2
    assert 'none.json' in capsys.readouterr().err
