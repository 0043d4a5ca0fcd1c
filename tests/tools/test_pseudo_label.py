"""The command line from images to an annotation, and what it says about wrong input."""

import json
import os

import cv2
import numpy as np
import pytest

from odm_mmocr.pseudo_label import Shard
from odm_mmocr.rendering import render_label

WORDS = ['open', 'exit', 'hotel', 'bank', 'taxi', 'coffee']


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('pseudo_label')


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """Images with a word each, one of them no image, and what another program has read in them."""
    folder = tmp_path_factory.mktemp('images')
    (folder / "it's").mkdir()
    lines = []
    for number, word in enumerate(WORDS):
        name = f"it's/{word} 標.png" if number % 2 else f'{word}.jpg'
        box = np.array([(20, 40), (200, 40), (200, 100), (20, 100)], np.float32)
        picture = 255 - render_label([box], [word], (140, 240))
        shaded = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) // (number % 3 + 1)
        shaded[:, number * 40 : number * 40 + 20] //= 2
        (folder / name).write_bytes(cv2.imencode(os.path.splitext(name)[1], shaded)[1].tobytes())
        score = 0.99 if number else 0.3
        word = dict(text=word, polygon=box.ravel().tolist(), score=score)
        lines.append(dict(img_path=name, words=[word]))
    (folder / 'broken.jpg').write_bytes(b'no image')
    lines.append(dict(img_path='broken.jpg', words=[]))
    recorded = folder / 'recorded.jsonl'
    recorded.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return folder


@pytest.fixture
def recorded(tool, images, tmp_path):
    """Function that runs the tool on the images with what another program has read."""

    def run(*arguments):
        fixed = ('--engine', 'recorded', '--recorded', images / 'recorded.jsonl')
        out = () if '--out' in arguments else ('--out', tmp_path / 'out.json')
        return tool.main([str(a) for a in (images, *out, *fixed, *arguments)])

    return run


def load(path):
    content = json.loads(path.read_text())
    report = content['metainfo']['pseudo_label']
    return {sample['img_path']: sample for sample in content['data_list']}, report


def test_images_become_an_annotation_that_can_be_filtered_again(
    recorded, tool, tmp_path, capsys, caplog
):
    assert recorded('--workers', 2, '--batch-size', 2) == 0
    told = capsys.readouterr()
    assert "skipped 'broken.jpg': ValueError: the file is cut off or no image" in caplog.text
    assert '7 of 7 images' in told.err and '1 could not be read' in told.err
    samples, report = load(tmp_path / 'out.json')
    assert report['images'] == dict(annotated=5, empty=1, failed=1)
    assert report['rejected'] == dict(score=1)
    assert 'open.jpg' not in samples  # its only word is rejected
    (instance,) = samples["it's/exit 標.png"]['instances']
    assert (instance['text'], instance['score'], instance['ignore']) == ('exit', 0.99, False)
    assert samples["it's/exit 標.png"]['height'] == 140

    # Again, with other filters: nothing is read, and all is there.
    readings = tmp_path / 'out.readings.jsonl'
    before = readings.read_bytes()
    assert recorded('--min-score', 'none', '--min-letters', 5, '--keep-empty') == 0
    assert '7 of 7 images were read before' in capsys.readouterr().err
    assert readings.read_bytes() == before
    samples, report = load(tmp_path / 'out.json')
    assert report['rejected'] == dict(text=4) and len(samples) == 6
    assert samples['open.jpg']['instances'][0]['rejected'] == 'text'

    out = tmp_path / 'merged.json'
    assert tool.main(['--merge', str(readings), '--out', str(out), '--min-score', '0.999']) == 0
    assert load(out)[1]['rejected'] == dict(score=6)


def test_shards_give_together_what_one_run_gives(recorded, tool, tmp_path, capsys):
    assert recorded() == 0
    one = (tmp_path / 'out.json').read_bytes()
    shards = tmp_path / 'shards'
    for number in range(3):
        assert recorded('--out', shards / 'a.json', '--shard', f'{number}/3') == 0
        assert not (shards / 'a.json').exists()
    readings = sorted(map(str, shards.glob('a.readings.*-of-3.jsonl')))
    assert len(readings) == 3
    assert tool.main(['--merge', *readings, '--out', str(shards / 'a.json')]) == 0
    assert (shards / 'a.json').read_bytes() == one

    capsys.readouterr()
    assert tool.main(['--merge', *readings[:2], '--out', str(shards / 'a.json')]) == 0
    assert 'missing: shard 2 of 3' in capsys.readouterr().out
    # Of a run that is not at its end.
    whole = (shards / 'a.readings.0-of-3.jsonl').read_bytes().splitlines(keepends=True)
    (shards / 'a.readings.0-of-3.jsonl').write_bytes(b''.join(whole[:-2]))
    assert tool.main(['--merge', *readings, '--out', str(shards / 'a.json')]) == 0
    assert 'missing: a.readings.0-of-3.jsonl is not finished' in capsys.readouterr().out
    assert recorded('--out', shards / 'a.json', '--shard', '0/3') == 0
    assert tool.main(['--merge', *readings, '--out', str(shards / 'a.json')]) == 0
    assert (shards / 'a.json').read_bytes() == one


def test_an_engine_reads_a_list_of_images(tool, images, tmp_path):
    pytest.importorskip('rapidocr', reason='the extra "pseudo" is not installed')
    pytest.importorskip('rapidocr_onnxruntime', reason='the extra "pseudo" is not installed')
    names = ['hotel.jpg', "it's/bank 標.png"]
    (tmp_path / 'list.txt').write_text('\n'.join(names), encoding='utf-8')
    arguments = [tmp_path / 'list.txt', '--root', images, '--out', tmp_path / 'a.json']
    assert tool.main([*map(str, arguments), '--read-back']) == 0
    samples, report = load(tmp_path / 'a.json')
    read = {name: [w['text'].lower() for w in s['instances']] for name, s in samples.items()}
    assert read == {'hotel.jpg': ['hotel'], "it's/bank 標.png": ['bank']}
    assert report['words'] == dict(accepted=2)


def test_images_that_are_gone_are_skipped_and_tried_again_on_request(tool, images, tmp_path):
    names = ['coffee 標.png', 'late.jpg']
    (tmp_path / 'coffee 標.png').write_bytes((images / "it's/coffee 標.png").read_bytes())
    (tmp_path / 'list.txt').write_text('\n'.join(names), encoding='utf-8')
    lines = [dict(img_path=name, words=[dict(text='word', bbox=[9, 9, 99, 50])]) for name in names]
    (tmp_path / 'r.jsonl').write_text('\n'.join(map(json.dumps, lines)))
    command = [tmp_path / 'list.txt', '--out', tmp_path / 'a.json', '--engine', 'recorded']
    command = [*map(str, command), '--recorded', str(tmp_path / 'r.jsonl')]
    assert tool.main(command) == 0
    assert load(tmp_path / 'a.json')[1]['images'] == dict(annotated=1, failed=1)
    (tmp_path / 'late.jpg').write_bytes((images / 'hotel.jpg').read_bytes())
    assert tool.main(command) == 0
    assert list(load(tmp_path / 'a.json')[0]) == names[:1]
    assert tool.main([*command, '--retry-failed']) == 0
    assert list(load(tmp_path / 'a.json')[0]) == names


BAD = [
    ((), 'give images to read, or --merge'),
    (('IMAGES', '--merge', 'x'), 'give images to read, or --merge'),
    (('IMAGES', '--engine', 'recorded'), '--engine recorded needs --recorded'),
    (('IMAGES', '--engine', 'mmocr'), '--engine mmocr needs --det and --rec'),
    (('IMAGES', '--workers', '0'), '--workers 0: at least 1'),
    (('IMAGES', '--backend-args', 'petrel'), 'expected KEY=VALUE'),
    (('--merge', 'x', '--shard', '0/4'), 'leave out --shard'),
    (('IMAGES', '--recorded', 'x'), '--recorded needs --engine recorded'),
    (('IMAGES', '--det', 'x', '--rec', 'y'), '--det needs --engine mmocr'),
    (('IMAGES', '--engine', 'mmocr', '--det', 'x', '--rec', 'y', '--recorded', 'z'), '--recorded'),
    (('IMAGES', '--rec-weights', 'x'), '--rec-weights needs --engine mmocr'),
    (('IMAGES', '--gpus', '1'), '--gpus needs --ray'),
    (('IMAGES', '--words', 'x'), '--words needs --min-plausibility'),
]


@pytest.mark.parametrize(('arguments', 'message'), BAD)
def test_wrong_options(tool, images, tmp_path, arguments, message, capsys):
    arguments = [str(images) if a == 'IMAGES' else a for a in arguments]
    with pytest.raises(SystemExit, match='2'):
        tool.main([*arguments, '--out', str(tmp_path / 'a.json')])
    assert message in capsys.readouterr().err


def test_wrong_input_is_one_line(tool, recorded, images, tmp_path, capsys):
    def fails(message, *arguments):
        assert tool.main([*map(str, arguments)]) == 2
        (line,) = capsys.readouterr().err.splitlines()[-1:]
        assert line.startswith('error: ') and message in line, line

    out = ('--out', tmp_path / 'a.json')
    fails('there is no', tmp_path / 'nothing', *out)
    (tmp_path / 'empty').mkdir()
    fails('holds no images', tmp_path / 'empty', *out)
    (tmp_path / 'empty' / 'notes.txt').write_text('x')
    fails('it holds 1 other files (1 .txt)', tmp_path / 'empty', *out)
    fails("shard '1-4': expected i/n", images, *out, '--shard', '1-4')
    fails('shard 4/4', images, *out, '--shard', '4/4')
    fails('min_score is 2.0; expected 0 to 1', images, *out, '--min-score', '2')
    missing = ('--engine', 'recorded', '--recorded', tmp_path / 'none.jsonl')
    fails('there is no file of readings', images, *out, *missing)
    fails('there is no file of readings', '--merge', tmp_path / 'none.jsonl', *out)
    # Before any image is read, that is before the engine is made.
    recorded_nowhere = (images, *out, *missing)
    fails('no vocabulary file none.txt', *recorded_nowhere, '--vocabulary', 'none.txt')
    fails('none.words', *recorded_nowhere, '--min-plausibility', '-6', '--words', 'none.words')
    (tmp_path / 'file').write_text('x')
    fails('file', images, '--out', tmp_path / 'file' / 'a.json')
    assert recorded() == 0
    capsys.readouterr()
    assert recorded('--lines') == 2
    assert 'was made with lines=False, now it is True' in capsys.readouterr().err
    assert recorded('--lines', '--restart') == 0


def test_images_of_which_none_can_be_read(tool, tmp_path, capsys):
    folder = tmp_path / 'images'
    folder.mkdir()
    for number in range(30):
        (folder / f'{number}.jpg').write_bytes(b'<html>')
    (tmp_path / 'r.jsonl').write_text('')
    arguments = [folder, '--out', tmp_path / 'a.json', '--engine', 'recorded']
    assert tool.main([*map(str, arguments), '--recorded', str(tmp_path / 'r.jsonl')]) == 1
    told = capsys.readouterr()
    assert 'none of the images could be read' in told.err
    # Nor does a shard tell otherwise, unless no image falls to it.
    arguments = [*map(str, arguments), '--recorded', str(tmp_path / 'r.jsonl'), '--shard']
    assert tool.main([*arguments, '0/2']) == 1
    assert 'none of the images could be read' in capsys.readouterr().err
    names = [path.name for path in folder.iterdir()]
    empty = next(n for n in range(1000) if not any(map(Shard(n, 1000).has, names)))
    assert tool.main([*arguments, f'{empty}/1000']) == 0
    assert '30 that could not be read' in told.out
    assert load(tmp_path / 'a.json')[0] == {}
