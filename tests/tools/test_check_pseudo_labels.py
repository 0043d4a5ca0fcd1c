"""The command line that judges readings by a ground truth."""

import json

import pytest

BOX = '10,10,90,10,90,40,10,40'


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('check_pseudo_labels')


@pytest.fixture
def folder(tmp_path):
    import cv2
    import numpy as np

    cv2.imwrite(str(tmp_path / 'img_1.png'), np.zeros((60, 120, 3), np.uint8))
    (tmp_path / 'gt').mkdir()
    (tmp_path / 'gt' / 'gt_img_1.txt').write_text(f'{BOX},open\n')
    words = [dict(text='Open', polygon=[float(n) for n in BOX.split(',')], score=0.97)]
    record = dict(index=0, img_path='img_1.png', height=60, width=120, words=words)
    (tmp_path / 'r.jsonl').write_text(json.dumps(record) + '\n')
    return tmp_path


def test_prints_and_writes_the_figures(tool, folder, capsys):
    figures = folder / 'figures.json'
    arguments = [folder / 'r.jsonl', folder / 'gt', '--images', folder, '--json', figures]
    assert tool.main([*map(str, arguments)]) == 0
    told = capsys.readouterr().out
    assert '| chosen | the chosen filters | 1 | 1.000 | 1.000 | 1.000 | 1.000 |' in told
    rows = json.loads(figures.read_text())
    assert len(rows) == len(told.splitlines()) - 2
    assert rows[0] | dict(found=1, right=1, located=1, annotated=1) == rows[0]


def test_wrong_input_is_one_line(tool, folder, capsys):
    for arguments, message in (
        ((folder / 'none.jsonl', folder / 'gt', '--images', folder), 'none.jsonl'),
        ((folder / 'r.jsonl', folder / 'none'), 'there is no annotation'),
        ((folder / 'img_1.png', folder / 'gt', '--images', folder), 'img_1.png:1 is no line'),
    ):
        assert tool.main([*map(str, arguments)]) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(img_path=None), '"img_path"'),
        (dict(height=None), '"height"'),
        (dict(words=None), 'a list "words"'),
        (dict(words=[dict(text='open')]), 'word 0'),
    ],
)
def test_readings_of_another_kind_are_one_line(tool, folder, capsys, change, message):
    record = json.loads((folder / 'r.jsonl').read_text())
    record = {key: value for key, value in (record | change).items() if value is not None}
    (folder / 'r.jsonl').write_text(json.dumps(record) + '\n')
    assert tool.main([str(folder / 'r.jsonl'), str(folder / 'gt'), '--images', str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f'error: {folder / "r.jsonl"}') and message in line
