import json
import os

import cv2
import numpy as np
import pytest


@pytest.fixture
def run(load_tool, as_command, monkeypatch):
    """Run the tool in this process."""
    monkeypatch.setenv('OMP_NUM_THREADS', os.environ.get('OMP_NUM_THREADS', ''))  # put back after
    module = load_tool('benchmark_data')
    # For the other tests of this process.
    monkeypatch.setattr(module, 'use_one_core', lambda: None)

    return as_command(module)


@pytest.fixture
def annotations(tmp_path):
    """One image of noise with one word."""
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    cv2.imwrite(str(tmp_path / 'a.jpg'), image)
    polygon = [10, 10, 90, 10, 90, 40, 10, 40]
    instance = dict(polygon=polygon, bbox=[10, 10, 90, 40], bbox_label=0, ignore=False, text='word')
    sample = dict(img_path='a.jpg', height=96, width=128, instances=[instance])
    path = tmp_path / 'textspotting.json'
    metainfo = dict(task_name='textspotting', category=[dict(id=0, name='text')])
    path.write_text(json.dumps(dict(metainfo=metainfo, data_list=[sample])))
    return path


def test_figures_of_annotated_images(run, annotations, tmp_path, capsys):
    out = tmp_path / 'new' / 'figures.json'
    run('--annotations', annotations, '--parts', 'labels', 'pipeline', '--size', 96, 64,
        '--repeats', 2, '--samples', 2, '--json', out)  # fmt: skip
    told = capsys.readouterr().out
    assert 'labels at 96x64: 1 readable words in 1 images' in told
    assert 'training pipeline of odm_pretrain_icdar2015.py' in told
    assert all(step in told for step in ('LoadImageFromFile', 'WarpScene', 'rest'))
    assert 'strips._render_strip' in told
    figures = json.loads(out.read_text())
    assert set(figures) == {'labels', 'pipeline', 'caches'}
    assert figures['labels']['ratio']['later passes']['process']['median'] > 0
    assert sum(figures['pipeline']['shares'].values()) == pytest.approx(1, abs=0.3)


def test_synthesizer_alone(run, capsys):
    run('--parts', 'synthesizer', '--repeats', 1, '--samples', 1)
    told = capsys.readouterr().out
    assert 'synthesizer at 512x512, 8 words an image' in told
    assert 'labels at' not in told
    assert 'pipeline' not in told


def test_batches_of_a_collate_function(run, tmp_path, capsys):
    out = tmp_path / 'figures.json'
    collate = 'train_dataloader.collate_fn.type=packed_collate'
    config = 'odm_pretrain_quickstart.py'
    run('--parts', 'batches', '--config', config, '--repeats', 1, '--json', out,
        '--cfg-options', collate)  # fmt: skip
    assert f'batches of 8 for {config} by packed_collate' in capsys.readouterr().out
    assert json.loads(out.read_text())['batches']['process']['median'] > 0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--annotations', 'none.json'], r'none\.json'),
        (['--parts', 'pipeline', '--config', 'none.py'], r'no config none\.py'),
        (['--parts', 'labels', '--num', '1', '--fonts', 'none.ttf'], r"font 'none\.ttf'"),
    ],
)
def test_mistakes_end_with_one_line(run, arguments, message):
    with pytest.raises(SystemExit, match=f'^error: .*{message}'):
        run(*arguments)


@pytest.mark.parametrize('arguments', [['--repeats', '0'], ['--size', '0', '64']])
def test_numbers_below_one_are_refused(run, capsys, arguments):
    with pytest.raises(SystemExit):
        run(*arguments)
    assert f'{arguments[0]} 0: at least 1' in capsys.readouterr().err
