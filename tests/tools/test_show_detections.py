import json

import cv2
import numpy as np
import pytest


@pytest.fixture(scope='module')
def tool(load_tool):
    """The tool as a module."""
    return load_tool('show_detections')


@pytest.fixture
def truth(tmp_path):
    """A spotting annotation of two images with a word each."""
    samples = []
    for number in range(2):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((40, 80, 3), 90, np.uint8))
        word = dict(polygon=[5, 5, 35, 5, 35, 17, 5, 17], text='open', ignore=False)
        samples.append(dict(img_path=f'{number}.png', height=40, width=80, instances=[word]))
    path = tmp_path / 'textspotting_test.json'
    path.write_text(json.dumps(dict(metainfo={}, data_list=samples)))
    return path


class _Detector:
    def __init__(self, config, weights, device):
        if config != 'c.py':
            raise FileNotFoundError(f'no config {config}')
        self.found = [(np.array([(5, 5), (35, 5), (35, 17), (5, 17)], float), 0.9)]

    def __call__(self, image):
        return self.found


def test_sheet_of_two_detectors(tool, truth, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tool, 'MMOCRDetector', _Detector)
    out = tmp_path / 'new' / 'sheet.png'
    arguments = [str(truth), '--detector', 'a=c.py,w.pth', '--detector', 'b=c.py,v.pth']
    assert tool.main([*arguments, '--width', '200', '--out', str(out)]) == 0
    assert '2 images drawn' in capsys.readouterr().out
    assert cv2.imread(str(out)).shape[1] > 400


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(detector='a=c.py'), 'TITLE=CONFIG,WEIGHTS'),
        (dict(detector='a=d.py,w.pth'), 'no config d.py'),
        (dict(detector='b=c.py,w.pth', again='b=c.py,v.pth'), 'two detectors are called b'),
        (dict(skip='2'), 'has 2 images'),
        (dict(out='sheet.xyz'), 'is it a .png or .jpg'),
        (dict(truth='gone.json'), 'gone.json'),
    ],
)
def test_wrong_input_is_one_line(tool, truth, tmp_path, monkeypatch, capsys, change, message):
    monkeypatch.setattr(tool, 'MMOCRDetector', _Detector)
    arguments = [
        str(tmp_path / change['truth']) if 'truth' in change else str(truth),
        *('--detector', change.get('detector', 'a=c.py,w.pth')),
        *(('--detector', change['again']) if 'again' in change else ()),
        *('--skip', change.get('skip', '0')),
        *('--out', str(tmp_path / change.get('out', 'sheet.png'))),
    ]
    assert tool.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert message in error
    assert error.count('\n') == 1


def test_image_that_is_gone(tool, truth, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tool, 'MMOCRDetector', _Detector)
    (tmp_path / '0.png').unlink()
    arguments = [str(truth), '--detector', 'a=c.py,w.pth', '--out', str(tmp_path / 'sheet.png')]
    assert tool.main(arguments) == 2
    assert '0.png does not exist' in capsys.readouterr().err


@pytest.mark.parametrize('wrong', [('--num', '0'), ('--width', '-1'), ('--skip', '-1')])
def test_numbers_out_of_range(tool, wrong, capsys):
    with pytest.raises(SystemExit):
        tool.parse_args(['x.json', '--detector', 'a=b,c', '--out', 'x.png', *wrong])
    assert 'at least' in capsys.readouterr().err
