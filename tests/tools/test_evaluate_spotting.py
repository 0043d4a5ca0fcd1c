"""The command line that measures end-to-end spotting."""

import json

import cv2
import numpy as np
import pytest

BOX = '10,10,90,10,90,40,10,40'


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('evaluate_spotting')


@pytest.fixture
def folder(tmp_path):
    for name in ('img_1', 'img_2'):
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.zeros((60, 120, 3), np.uint8))
        (tmp_path / f'gt_{name}.txt').write_text(f'{BOX},Open\n')
    word = dict(polygon=[float(n) for n in BOX.split(',')], score=0.9, text='op3n')
    data = [
        dict(img_path='img_1.png', instances=[word]),
        dict(img_path='img_2.png', instances=[dict(word, text='open')]),
    ]
    (tmp_path / 'spotted.json').write_text(json.dumps(dict(data_list=data)))
    (tmp_path / 'words.txt').write_text('open\nexit\n')
    return tmp_path


def test_kept_predictions_are_measured(tool, folder, capsys):
    arguments = ['--annotations', folder, '--predictions', folder / 'spotted.json']
    arguments += ['--lexicon', f'generic={folder}/words.txt', '--json', folder / 'figures.json']
    assert tool.main([*map(str, arguments)]) == 0
    told = capsys.readouterr().out
    assert '| end-to-end, no lexicon | 0.500 | 0.500 | 0.500 |' in told
    assert '| end-to-end, generic | 1.000 | 1.000 | 1.000 |' in told
    figures = json.loads((folder / 'figures.json').read_text())
    assert figures['detection_hmean'] == figures['best_generic_hmean'] == 1
    assert tool.main([*map(str, arguments), '--first', '1', '--word-spotting']) == 0
    assert '| word spotting, no lexicon | 0.000 |' in capsys.readouterr().out


def test_true_boxes_are_read_and_kept(tool, folder, monkeypatch):
    class Reader:
        def __init__(self, threads, turn):
            assert (threads, turn) == (1, False)

        def __call__(self, crops):
            return [('open', 0.5)] * len(crops)

    monkeypatch.setattr(tool, 'PPOCRReader', Reader)
    arguments = ['--annotations', folder, '--true-boxes', '--threads', 1]
    arguments += ['--save', folder / 'kept.json', '--json', folder / 'figures.json']
    assert tool.main([*map(str, arguments)]) == 0
    assert json.loads((folder / 'figures.json').read_text())['none_hmean'] == 1
    kept = json.loads((folder / 'kept.json').read_text())
    assert kept['metainfo']['recogniser'] == ['pp-ocr']
    assert [len(image['instances']) for image in kept['data_list']] == [1, 1]


def test_wrong_input_is_one_line(tool, folder, capsys):
    truth = ('--annotations', folder)
    kept = (*truth, '--predictions', folder / 'spotted.json')
    for arguments, message in (
        ((), 'give --annotations, or the config of a detector'),
        (('none.py',), 'no config none.py'),
        (truth, 'give config and checkpoint of a detector, or --true-boxes'),
        (('--annotations', folder / 'none.json'), 'there is no annotation'),
        ((*truth, '--predictions', folder / 'none.json'), 'there is no file of predictions'),
        ((*truth, '--true-boxes', '--recogniser', 'tesseract'), 'expected pp-ocr, or config and'),
        ((*kept, '--lexicon', folder / 'missing.txt'), 'there is no lexicon'),
        ((*kept, '--lexicon', 'none=words.txt'), 'no lexicon may be called none'),
        ((*kept, '--lexicon', 'a.txt', 'b/a.txt'), 'a name of its own'),
        ((*kept, '--score-threshold', 2), 'expected numbers from 0 to 1'),
        ((*kept, '--save', folder / 'x.json'), '--save: nothing new'),
        ((*kept, '--first', 0), 'at least one image'),
    ):
        assert tool.main([*map(str, arguments)]) == 2
        told = capsys.readouterr().err.splitlines()
        assert message in told[-1] and told[-1].startswith('error: ')


def test_an_annotation_without_texts_is_refused(tool, folder, capsys):
    instance = dict(polygon=[10, 10, 90, 10, 90, 40, 10, 40], ignore=False)
    sample = dict(img_path='img_1.png', height=60, width=120, instances=[instance])
    (folder / 'textdet_test.json').write_text(json.dumps(dict(data_list=[sample])))
    assert tool.main(['--annotations', str(folder / 'textdet_test.json'), '--true-boxes']) == 2
    assert 'holds no texts; annotations for text spotting' in capsys.readouterr().err
