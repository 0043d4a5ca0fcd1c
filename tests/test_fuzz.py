"""Every parser, fed with broken files: only the errors it is documented to raise, soon, in bounds.

ODM_FUZZ_ROUNDS=5000 looks deeper; each round is decided by its number alone.
"""

import contextlib
import io
import json
import os
import pickle
import resource
import signal
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from odm_mmocr.apis.inputs import InputImage
from odm_mmocr.apis.prompts import read_words
from odm_mmocr.checkpoints import (
    UnreadableCheckpoint,
    convert_released,
    load_checkpoint,
    read_characters,
    read_config_text,
)
from odm_mmocr.checkpoints.initializer import load_backbone
from odm_mmocr.datasets.annotation_files import parse_polygon_line, read_dataset
from odm_mmocr.datasets.preparers import (
    MatFile,
    PreparationError,
    SynthTextReader,
    parse_ctw1500_file,
    parse_ctw1500_line,
    parse_icdar_line,
    parse_msra_td500_line,
    parse_totaltext_file,
    parse_totaltext_record,
    prepare_lsvt,
)
from odm_mmocr.datasets.preparers.own_files import prepare_own_files
from odm_mmocr.datasets.preparers.packers import image_size
from odm_mmocr.datasets.preparers.parsers import parse_lines
from odm_mmocr.evaluation.end_to_end_lexicon import LexiconFiles
from odm_mmocr.evaluation.end_to_end_run import load_spotted
from odm_mmocr.image_files import read_image
from odm_mmocr.pseudo_label import RecordedReadings, write_annotations
from odm_mmocr.pseudo_label.labeller import decode
from odm_mmocr.pseudo_label.readings import ReadingsFile
from odm_mmocr.rendering import Undrawable, render_label
from odm_mmocr.rendering.fonts import Font, default_font_path
from odm_mmocr.synthesis.font_pool import FontPool
from odm_mmocr.synthesis.words import load_words
from odm_mmocr.visualization.curves import read_run

ROUNDS = int(os.environ.get('ODM_FUZZ_ROUNDS', 60))
SECONDS = 10  # that a parser may take over a file of some kilobytes, on a machine under load
MEMORY = 2 * 2**30  # bytes that all of a test may take beyond what is there

POINTS = '10,10,90,10,90,40,10,40'
CURVE = ','.join(map(str, [10, 10, 30, 8, 50, 7, 60, 7, 70, 8, 80, 9, 90, 10]))
CTW = f'{CURVE},{",".join(map(str, [90, 40, 80, 39, 70, 38, 60, 37, 50, 37, 30, 38, 10, 40]))}'
TOTAL = "x: [[10 50 90 90 50 10]], y: [[10 8 10 40 38 40]], ornt: [u'c'], transcriptions: [u'wörd']"
XML = (
    '<Annotations><image file="a.jpg"><box height="1"><label>wörd</label>'
    f'<segs>{CTW}</segs></box></image></Annotations>'
)
WORD = dict(
    polygon=[10, 10, 90, 10, 90, 40, 10, 40], bbox=[10, 10, 90, 40], bbox_label=0, ignore=False,
    text='wörd', score=0.5,
)  # fmt: skip
SAMPLES = [dict(img_path='a.png', height=64, width=128, instances=[WORD, WORD])]
MMOCR = json.dumps(dict(metainfo=dict(task_name='textspotting'), data_list=SAMPLES))
LSVT = json.dumps(
    dict(a=[dict(transcription='字', points=[[1, 2], [30, 2], [30, 9]], illegibility=False)])
)
RECORD = dict(index=0, img_path='a.png', height=64, width=128, hash='0' * 16, words=[WORD])
HEADER = dict(format='odm_mmocr readings', version=1, settings=dict(engine='x', shard='0/1'))
READINGS = '\n'.join(map(json.dumps, (HEADER, RECORD, dict(index=1, img_path='b', error='x'), '')))
LOG = '\n'.join(
    json.dumps(dict(loss=0.5 / i, lr=1e-3, iter=i, step=i, memory=1)) for i in range(1, 20)
)
CONFIG = Config(dict(model=dict(scale=(1, float('inf')), head=[dict(a=-1)]))).pretty_text

NUMBERS = [
    b'1e300', b'-1e300', b'1e999', b'nan', b'NaN', b'Infinity', b'-0', b'9' * 400, b'9' * 5000,
    b'0x10', b'1_0', b'2147483648', b'null', b'true', b'""', b'[]', b'{}', '٣'.encode(),
]  # fmt: skip
PIECES = [
    b'\0', b'\xff\xfe', b'\xef\xbb\xbf', b'\n', b'\r', b',', b'"', b"'", b'[' * 5000,
    b'{"a":' * 5000, b'(' * 300, b']', b'\xed\xa0\x80', b'\\ud800', '\u202e'.encode(), b'#',
    b'####', b'-' * 500, b'../' * 9, b'/dev/zero', b'<!DOCTYPE a [<!ENTITY b "c">]>', b'&b;',
    'e\u0301'.encode() * 500,
]  # fmt: skip


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """A file of the same kind that has been cut, bent, or written by an enemy."""
    for _ in range(rng.integers(1, 4)):
        size = len(content)
        start = int(rng.integers(size + 1))
        end = min(size, start + int(rng.choice([1, 2, 4, 8, 50, 1000])))
        kind = rng.integers(10)
        if kind == 0:
            content = content[:start]
        elif kind == 1:
            bent = np.frombuffer(content, np.uint8).copy()
            if size:
                places = rng.integers(size, size=rng.integers(1, 20))
                bent[places] ^= (1 << rng.integers(8, size=len(places))).astype(np.uint8)
            content = bent.tobytes()
        elif kind == 2:
            content = content[:start] + rng.bytes(end - start) + content[end:]
        elif kind == 3:
            content = content[:start] + content[end:]
        elif kind == 4:
            content = content[:end] + content[start:end] * int(rng.integers(1, 30)) + content[end:]
        elif kind == 5:
            content = content[:start] + PIECES[rng.integers(len(PIECES))] + content[start:]
        elif kind == 6:
            content = _replace_number(content, start, NUMBERS[rng.integers(len(NUMBERS))])
        elif kind == 7:  # numbers of binary files
            value = int(rng.choice([0, 1, 2**31 - 1, 2**32 - 1, 2**16, 2**24]))
            content = content[:start] + value.to_bytes(4, 'little') + content[start + 4 :]
        elif kind == 8:
            fields = content.split(b',')
            rng.shuffle(fields)
            content = b','.join(fields)
        else:
            coding = str(rng.choice(['utf-16', 'latin-1', 'utf-32-be']))
            content = content.decode('utf-8', 'replace').encode(coding, 'replace')
    return content


def _replace_number(content: bytes, start: int, number: bytes) -> bytes:
    digits = b'0123456789.-'
    while start < len(content) and content[start] not in digits:
        start += 1
    end = start
    while end < len(content) and content[end] in digits:
        end += 1
    return content[:start] + number + content[end:]


class Parser(NamedTuple):
    """A parser: what it reads, of a file with this suffix, and what it may raise."""

    content: str | bytes | Callable[[], bytes]
    run: Callable[[Path], object]
    errors: tuple[type[Exception], ...] = (ValueError, OSError)
    suffix: str = '.txt'


def over_lines(parse: Callable[[str], object]) -> Callable[[Path], object]:
    """A parser of lines, by the text of a file and by its lines as they are read."""

    def run(path: Path) -> None:
        text = path.read_bytes().decode('utf-8', 'surrogateescape')
        with contextlib.suppress(ValueError):
            parse(text)
        parse_lines(path, parse)

    return run


def over_problems(parse: Callable[[Path], tuple[list, list]]) -> Callable[[Path], object]:
    """A parser that returns problems and raises nothing."""

    def run(path: Path) -> None:
        instances, problems = parse(path)
        for instance in instances:
            assert np.isfinite(instance['poly']).all() and len(instance['poly']) >= 6
        assert all(str(path) in problem for problem in problems)

    return run


def save_mat(**variables) -> bytes:
    scipy_io = pytest.importorskip('scipy.io')
    file = io.BytesIO()
    scipy_io.savemat(file, variables, do_compression=len(variables) > 1)
    return file.getvalue()


def cells(*values) -> np.ndarray:
    array = np.empty((1, len(values)), object)
    for place, value in enumerate(values):
        array[0, place] = value
    return array


def gt_mat() -> bytes:
    corners = np.float32([[10, 50, 50, 10], [10, 10, 30, 30]])
    boxes = np.stack((corners, corners + 5), -1)
    return save_mat(
        imnames=cells(np.array(['a.png'])), wordBB=cells(boxes), charBB=cells(boxes),
        txt=cells(np.array(['a', 'b'])),
    )  # fmt: skip


def total_mat() -> bytes:
    numbers = np.array([[10, 50, 90]])
    return save_mat(polygt=cells('x:', numbers, 'y:', numbers + 1, 'word', 'c'))


def read_gt(path: Path) -> None:
    list(SynthTextReader(path, path.parent).read(0))


def read_mat(path: Path) -> None:
    file = MatFile(path)
    for name in file.names:
        file.read(name)


def read_lsvt(path: Path) -> None:
    prepare_lsvt(path, [path.parent], path.parent / 'out', skip_malformed=True)


def read_own(path: Path) -> None:
    prepare_own_files({'train': (path.parent, path)}, path.parent / 'out', skip_malformed=True)


def read_readings(path: Path) -> None:
    with contextlib.suppress(ValueError):
        write_annotations([path], path.with_suffix('.out'))
    with contextlib.suppress(ValueError):
        readings = RecordedReadings(path)
        for name in ('a.png', 'b', 'c'):
            with contextlib.suppress(ValueError, KeyError):
                readings.look_up(name)
    ReadingsFile(path, dict(engine='x', shard='0/1')).close()


def read_log(path: Path) -> None:
    folder = path.parent / 'run' / 'a' / 'vis_data'
    folder.mkdir(parents=True, exist_ok=True)
    path.replace(folder / 'scalars.json')
    for curve in read_run(path.parent / 'run').curves.values():
        assert np.isfinite(curve.points()[1]).all()


def read_pictures(path: Path) -> None:
    for read in (read_image, image_size, lambda p: InputImage(p, 'a', 'a').load()):
        with contextlib.suppress(ValueError, OSError):
            read(path)
    decode(path.read_bytes())


def read_font(path: Path) -> None:
    path = path.rename(path.with_name(f'{os.urandom(4).hex()}.ttf'))  # caches go by the path
    try:
        font = Font(str(path))
        quad = np.array([10, 10, 90, 10, 90, 40, 10, 40.0])
        with contextlib.suppress(Undrawable):
            render_label([quad], ['Word'], (64, 128), font)
        FontPool([path]).pick('Word', 20, np.random.default_rng(0))
    finally:
        path.unlink()


def read_checkpoint(path: Path) -> None:
    try:
        content = load_checkpoint(path)
    except UnreadableCheckpoint:
        return
    with contextlib.suppress(ValueError):
        load_backbone(path)
    convert_released(content)


def checkpoint() -> bytes:
    weights = {name: torch.ones(2, 3) for name in ('module.visual.conv1.weight', 'logit_scale')}
    file = io.BytesIO()
    torch.save(dict(state_dict=weights, meta=dict(architecture={}, normalization={})), file)
    return file.getvalue()


def picture(suffix: str) -> bytes:
    image = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    return cv2.imencode(suffix, image)[1].tobytes()


PARSERS = {
    'ICDAR': Parser(f'{POINTS},wörd, 1\n{POINTS},###\n', over_lines(parse_icdar_line)),
    'polygon lines': Parser(f'{CTW},wörd\n{POINTS},a\n', over_lines(parse_polygon_line)),
    'CTW1500 lines': Parser(f'{CTW},####wörd\n', over_lines(parse_ctw1500_line)),
    'MSRA-TD500': Parser('0 1 10 20 30 40 -0.5\n', over_lines(parse_msra_td500_line)),
    'Total-Text records': Parser(TOTAL, over_lines(parse_totaltext_record)),
    'Total-Text text': Parser(f'{TOTAL}\n{TOTAL}\n', over_problems(parse_totaltext_file)),
    'Total-Text mat': Parser(total_mat, over_problems(parse_totaltext_file), suffix='.mat'),
    'CTW1500 text': Parser(f'{CTW},####wörd\n', over_problems(parse_ctw1500_file)),
    'CTW1500 XML': Parser(XML, over_problems(parse_ctw1500_file), suffix='.xml'),
    'mat files': Parser(gt_mat, read_mat, suffix='.mat'),
    'SynthText': Parser(gt_mat, read_gt, suffix='.mat'),
    'LSVT': Parser(LSVT, read_lsvt, (PreparationError,), '.json'),
    'own JSON': Parser(MMOCR, read_own, (PreparationError,), '.json'),
    'MMOCR JSON': Parser(MMOCR, read_dataset, suffix='.json'),
    'text files': Parser(f'{POINTS},wörd\n', lambda p: read_dataset(p.rename(p.with_stem('a')))),
    'readings': Parser(READINGS, read_readings, (ValueError,), '.jsonl'),
    'spotted words': Parser(MMOCR, load_spotted, (ValueError,), '.json'),
    'prompts': Parser('{"a.png": ["wörd", "b"]}', read_words, (ValueError,), '.json'),
    'logs': Parser(LOG, read_log, (FileNotFoundError,), '.json'),
    'config text': Parser(
        CONFIG, lambda p: read_config_text(p.read_bytes().decode('latin-1')), (ValueError,)
    ),
    'checkpoints': Parser(checkpoint, read_checkpoint, (ValueError,), '.pth'),
    'pickled characters': Parser(lambda: pickle.dumps([*range(33, 127)]), read_characters),
    'characters': Parser('a\nb\nc\n', read_characters),
    'lexicons': Parser('word\nwörd\n', LexiconFiles),
    'word lists': Parser('word\nwörd\n', load_words),
    'fonts': Parser(lambda: Path(default_font_path()).read_bytes(), read_font, suffix='.ttf'),
    **{
        f'{suffix} images': Parser(partial(picture, suffix), read_pictures, suffix=suffix)
        for suffix in ('.png', '.jpg', '.tif', '.bmp', '.webp')
    },
}


@pytest.fixture
def bounded_memory():
    """A limit on the memory of this process; what exceeds it raises MemoryError."""
    with open('/proc/self/statm') as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class TookTooLong(BaseException):
    """Not an Exception, so that no parser takes it for an error of its file."""


def alarm(*_: object) -> None:
    raise TookTooLong


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', PARSERS)
def test_broken_files_raise_documented_errors_only(name, tmp_path, bounded_memory):
    """The file itself is read; of the broken ones the rounds that fail are listed together."""
    parser = PARSERS[name]
    content = parser.content() if callable(parser.content) else parser.content
    content = content.encode() if isinstance(content, str) else content
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((64, 128, 3), np.uint8))
    path = tmp_path / f'b{parser.suffix}'
    handler = signal.signal(signal.SIGALRM, alarm)
    failures = []
    try:
        for number in range(-1, ROUNDS):
            rng = np.random.default_rng([number + 1, len(name)])
            broken = content if number < 0 else mutate(content, rng)
            path.write_bytes(broken)
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter('ignore')
                    parser.run(path)
            except parser.errors as error:
                if number < 0 and name != 'checkpoints':
                    failures.append(f'the file itself: {error!r:.300}')
            except (Exception, TookTooLong) as error:
                failures.append(f'round {number}: {error!r:.300}')
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert not failures, '\n'.join(failures[:10])
