"""The command line of the data set report."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip('mmocr')


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('report_dataset')


@pytest.fixture
def annotation(tmp_path):
    """Pseudo-labels of two images, one of which is missing."""
    cv2.imwrite(str(tmp_path / 'a b.png'), np.full((100, 200, 3), 90, np.uint8))
    polygon = [10, 10, 90, 10, 90, 40, 10, 40]
    instances = [
        dict(polygon=polygon, text='Station', score=0.9, ignore=False),
        dict(polygon=polygon, text='x', score=0.2, ignore=True, rejected='score'),
        dict(polygon=polygon, text='odd', score=9, ignore=False),
    ]
    data = [
        dict(img_path=name, height=100, width=200, instances=instances)
        for name in ('a b.png', 'gone\udcff.png')
    ]
    path = tmp_path / 'labels.json'
    path.write_text(json.dumps(dict(metainfo=dict(pseudo_label=dict(engine='x')), data_list=data)))
    return path


def test_a_report_is_written_and_summed_up(tool, annotation, tmp_path, capsys):
    out = tmp_path / 'deep' / 'report'
    assert tool.main([str(annotation), '--out', str(out), '--num', '1']) == 0
    told = capsys.readouterr()
    assert '2 images, 6 words, 4 readable (66.7%), 2 rejected by filters' in told.out
    assert '- 1 of 2 image files are missing (50.0%).' in told.out
    assert f'wrote {out / "report.html"}' in told.out
    assert 'gone\\udcff.png: instance 2: expected a "score" from 0 to 1' in told.err
    assert 'ETA' in told.err and 'ETA' not in told.out
    names = {path.name for path in out.iterdir()}
    assert names == {'report.html', 'report.json', 'report.png', 'samples.png'}
    assert 'engine' in (out / 'report.html').read_text(encoding='utf-8')


def test_images_are_opened_only_as_far_as_asked_for(tool, annotation, tmp_path):
    out = tmp_path / 'report'
    for options, opened in ((['--no-images'], None), (['--max-open', '0'], 0)):
        assert tool.main([str(annotation), '--out', str(out), *options]) == 0
        figures = json.loads((out / 'report.json').read_text())['files']
        assert (figures and figures['opened']) == opened


def test_the_vocabulary_is_that_of_the_user(tool, annotation, tmp_path, capsys):
    arguments = [str(annotation), '--out', str(tmp_path / 'report'), '--no-images']
    assert tool.main([*arguments, '--vocabulary', 'Station']) == 2
    assert 'stand twice' in capsys.readouterr().err
    assert tool.main([*arguments, '--vocabulary', 'Staion']) == 0
    assert '2 of 4 words have characters outside the vocabulary' in capsys.readouterr().out


def test_mistakes_end_with_one_line(tool, annotation, tmp_path, capsys):
    (tmp_path / 'empty.json').write_text('{"data_list": []}')
    (tmp_path / 'list.json').write_text('[]')
    (tmp_path / 'file').touch()
    out = tmp_path / 'report'
    for arguments, message in (
        ([tmp_path / 'absent.json', '--out', out], 'there is no annotation'),
        ([tmp_path / 'empty.json', '--out', out], 'found an empty list'),
        ([tmp_path / 'list.json', '--out', out], 'no annotation of MMOCR'),
        ([tmp_path / 'a b.png', '--out', out], 'is no JSON file'),
        ([annotation, '--out', out, '--images', tmp_path / 'absent'], 'no folder of images'),
        ([annotation, '--out', tmp_path / 'file'], 'file cannot be written'),
        ([annotation, '--out', out, '--fonts', 'absent.ttf'], 'absent.ttf'),
    ):
        assert tool.main([str(argument) for argument in arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith('error: ') and message in line
    assert not out.exists()


@pytest.mark.parametrize(
    'arguments',
    [
        ['--num', '0'],
        ['--seed', '-1'],
        ['--max-open', '-1'],
        ['--max-distance', '17'],
        ['--max-distance', '-1'],
    ],
)
def test_wrong_numbers_are_refused(tool, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        tool.main(['words.json', '--out', 'report', *arguments])
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err
