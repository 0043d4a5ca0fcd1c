"""The command line of the check by reading."""

import csv
import json
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip('mmocr')

from odm_mmocr.rendering import render_label

SHAPE = (200, 300)


def box(x, y):
    return np.array([(x, y), (x + 120, y), (x + 120, y + 40), (x, y + 40)])


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('check_labels')


@pytest.fixture
def annotation(tmp_path):
    """An image and the annotation of its words, of which the image has another than told."""
    words = [(box(10, 20), 'Station'), (box(160, 20), 'Market'), (box(10, 120), 'Garden')]
    label = render_label([p for p, _ in words], [t for _, t in words], SHAPE)
    cv2.imwrite(str(tmp_path / 'scene.png'), 255 - label)
    instances = [
        dict(polygon=polygon.ravel().tolist(), text=text, ignore=False)
        for polygon, text in [words[0], (words[1][0], 'Church'), words[2]]
    ]
    data = [dict(img_path='scene.png', height=200, width=300, instances=instances)]
    path = tmp_path / 'words.json'
    path.write_text(json.dumps(dict(metainfo={}, data_list=data)))
    return path


def test_lists_and_pictures_are_written(tool, annotation, tmp_path, capsys):
    pytest.importorskip('rapidocr_onnxruntime')
    out = tmp_path / 'deep' / 'checked'
    assert tool.main([str(annotation), '--read-images', '--out', str(out)]) == 0
    told = capsys.readouterr().out
    assert 'words: 3 read back, 0 misread' in told
    assert '100.00% of 3 words are read back' in told
    assert "instance 1: 'Church' reads 'Market'" in told
    names = {path.name for path in out.iterdir()}
    assert names == {'not_read_back.csv', 'doubtful.csv', 'doubtful.png'}
    with (out / 'doubtful.csv').open(encoding='utf-8', newline='') as file:
        (row,) = csv.DictReader(file)
    assert (row['text'], row['image_read'], row['verdict']) == ('Church', 'Market', 'read back')
    assert cv2.imread(str(out / 'doubtful.png')).shape[1] > 1000


def test_the_exit_status_tells_whether_enough_is_read_back(tool, annotation, capsys):
    pytest.importorskip('rapidocr_onnxruntime')
    assert tool.main([str(annotation), '--min-height', '50']) == 2
    assert 'no word to judge' in capsys.readouterr().err
    data = json.loads(annotation.read_text())
    data['data_list'][0]['instances'][0]['text'] = '\U0010ffff'
    annotation.write_text(json.dumps(data))
    assert tool.main([str(annotation), '--min-share', '0.6']) == 0
    assert tool.main([str(annotation)]) == 1
    assert '66.67% of 3 words' in capsys.readouterr().out


def test_mistakes_end_with_one_line(tool, annotation, tmp_path, monkeypatch, capsys):
    pytest.importorskip('rapidocr_onnxruntime')
    for arguments, message in (
        ([tmp_path / 'absent.json'], 'there is no annotation'),
        ([annotation, '--images', tmp_path / 'absent'], 'there is no folder of images'),
        ([annotation, '--fonts', 'absent.ttf'], 'absent.ttf'),
        ([tmp_path / 'scene.png'], 'is no JSON file'),
    ):
        assert tool.main([str(argument) for argument in arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith('error: ') and message in line
    monkeypatch.setitem(sys.modules, 'rapidocr_onnxruntime', None)
    assert tool.main([str(annotation)]) == 2
    assert 'odm_mmocr[ppocr]' in capsys.readouterr().err


@pytest.mark.parametrize(
    'arguments',
    [['--min-share', '99'], ['--min-height', '0'], ['--num', '-1'], ['--threads', '0']],
)
def test_wrong_numbers_are_refused(tool, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        tool.main(['words.json', *arguments])
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err
