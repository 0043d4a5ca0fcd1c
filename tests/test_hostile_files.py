"""Files of strangers run no code, name no files elsewhere, and are refused by their size."""

import http.server
import json
import os
import pickle
import struct
import sys
import threading
import zlib
from functools import partial
from pathlib import Path

import cv2
import mmocr
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner.checkpoint import CheckpointLoader
from PIL import PngImagePlugin

from odm_mmocr.benchmark.training import train_run
from odm_mmocr.checkpoints import UnreadableCheckpoint
from odm_mmocr.datasets import SeededDataset
from odm_mmocr.datasets.annotation_files import read_dataset
from odm_mmocr.datasets.errors import InvalidAnnotation
from odm_mmocr.image_files import read_header, read_image
from odm_mmocr.models.ocr_features import CRAFTFeatures
from odm_mmocr.pseudo_label.mmocr_engine import MMOCREngine

TOOLS = Path(__file__).resolve().parents[1] / 'tools'
DETECTOR = 'dbnet_resnet18_fpnc_1200e_icdar2015.py'
STOCK = Path(mmocr.__file__).parent / '.mim' / 'configs'
RECOGNISER = str(STOCK / 'textrecog' / 'crnn' / 'crnn_mini-vgg_5e_mj.py')
TINY = """
_base_ = ['mmocr::textdet/dbnet/_base_dbnet_resnet18_fpnc.py',
          'mmocr::textdet/_base_/default_runtime.py']
model = dict(backbone=dict(init_cfg={init_cfg}))
train_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=False),
    dataset=dict(
        type='OCRDataset', data_root='{root}', ann_file='textspotting_train.json',
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='LoadOCRAnnotations', with_polygon=True, with_bbox=True,
                       with_label=True),
                  dict(type='PackTextDetInputs', meta_keys=('img_path', 'img_shape'))]))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.0))
val_evaluator = None
test_evaluator = None
log_processor = dict(by_epoch=False)
default_hooks = dict(checkpoint=dict(interval=1, by_epoch=False))
work_dir = '{work_dir}'
"""


@pytest.fixture
def evil(tmp_path, monkeypatch, payload):
    """A checkpoint with a command in it, read by a torch that would run it by default."""
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')  # as torch below 2.6 does
    path = tmp_path / 'evil.pth'
    torch.save(dict(state_dict=dict(a=torch.ones(1)), meta=payload), path)
    return path


@pytest.fixture
def tiny(tmp_path, word_images):
    """A config of a training, and beside it two that start from `evil.pth`."""
    for name, kind in (('tiny', None), ('plain', 'Pretrained'), ('strict', 'ODMPretrained')):
        initializer = kind and dict(type=kind, checkpoint=str(tmp_path / 'evil.pth'))
        places = dict(root=word_images, work_dir=tmp_path / 'run', init_cfg=initializer)
        (tmp_path / f'{name}.py').write_text(TINY.format(**places))
    return tmp_path / 'tiny.py'


CASES = {
    'train --backbone': ['train', DETECTOR, '--backbone', 'EVIL'],
    'train --resume': ['train', 'TINY', '--resume', 'EVIL'],
    'train load_from': ['train', 'TINY', '--cfg-options', 'load_from=EVIL'],
    'train Pretrained': ['train', 'plain.py'],
    'train ODMPretrained': ['train', 'strict.py'],
    'test': ['test', DETECTOR, 'EVIL'],
    'export_backbone': ['export_backbone', 'EVIL'],
    'convert_checkpoint': ['convert_checkpoint', 'EVIL', '--out', 'OUT'],
    'convert_checkpoint --to-released': [
        *('convert_checkpoint', 'EVIL', '--out', 'OUT', '--to-released'),
    ],
    'swap_backbone': ['swap_backbone', DETECTOR, '--backbone', 'EVIL', '--out', 'OUT/new.py'],
    'infer': ['infer', 'IMAGES', '--weights', 'EVIL', '--words', 'a', '--out-dir', 'OUT'],
    'demo_app': ['demo_app', '--weights', 'EVIL'],
    'show_predictions': ['show_predictions', 'odm_pretrain_quickstart.py', 'EVIL'],
    'compare_init': [
        *('compare_init', 'dbnet_resnet18_reduced_icdar2015.py', '--start', 'odm=EVIL'),
        *('--out', 'OUT', '--cfg-options', 'train_dataloader.dataset.dataset.data_root=IMAGES'),
        'val_dataloader.dataset.data_root=IMAGES',
    ],
    'evaluate_spotting': ['evaluate_spotting', DETECTOR, 'EVIL', '--annotations', 'WORDS'],
    'evaluate_spotting --recogniser': [
        *('evaluate_spotting', '--true-boxes', '--annotations', 'WORDS'),
        *('--recogniser', RECOGNISER, 'EVIL'),
    ],
    'show_detections': [
        *('show_detections', 'WORDS', '--detector', f't={DETECTOR},EVIL', '--out', 'OUT/x.png'),
    ],
    'compare_ocr_features': [
        *('compare_ocr_features', '--networks', '--detector', DETECTOR, 'EVIL'),
        *('--size', '64', '64', '--batch-size', '1', '--repeats', '1'),
    ],
    'replay_batch': ['replay_batch', 'EVIL'],
}


@pytest.mark.parametrize('name', CASES)
def test_no_tool_runs_what_stands_in_a_checkpoint(
    load_script, evil, tiny, word_images, tmp_path, monkeypatch, capfd, name
):
    """Each ends with one line that names the file; see the fixture for what must not happen."""
    places = dict(
        EVIL=evil, TINY=tiny, OUT=tmp_path / 'out', IMAGES=word_images,
        WORDS=word_images / 'textspotting_train.json',
    )  # fmt: skip
    tool, *arguments = CASES[name]
    if tool == 'demo_app':
        pytest.importorskip('gradio', reason='the extra "demo" has the page')
    for word, path in places.items():
        arguments = [argument.replace(word, str(path)) for argument in arguments]
    module = load_script(TOOLS / f'{tool}.py')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', [f'{tool}.py', *arguments])
    try:
        status = module.main()
    except SystemExit as error:
        status = error.code
    assert status not in (None, 0)
    told = f'{capfd.readouterr().err}\n{status}'
    lines = [line for line in told.splitlines() if line.startswith('error: ')]
    assert len(lines) == 1
    assert 'evil.pth holds posix.system' in lines[0] and 'it is refused' in lines[0]
    assert 'Traceback' not in told


def test_no_tool_runs_what_stands_in_a_list_of_characters(
    load_script, payload, tmp_path, monkeypatch
):
    characters, weights = tmp_path / 'char_dict', tmp_path / 'weights.pth'
    characters.write_bytes(pickle.dumps(payload))
    torch.save(dict(state_dict=dict(a=torch.ones(1))), weights)
    tool = load_script(TOOLS / 'convert_checkpoint.py')
    arguments = [str(weights), '--out', str(tmp_path), '--characters', str(characters)]
    monkeypatch.setattr(sys, 'argv', ['convert_checkpoint.py', *arguments])
    with pytest.raises(SystemExit, match=r'char_dict is no pickled list.*could run code'):
        tool.main()


def test_no_run_of_a_comparison_resumes_from_it(evil, tiny):
    folder = evil.parent / 'run'
    folder.mkdir()
    (folder / 'config.py').write_text(tiny.read_text())
    evil.rename(folder / 'iter_1.pth')
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_1.pth'))
    with pytest.raises(UnreadableCheckpoint, match=r'iter_1\.pth holds posix'):
        train_run(folder)


@pytest.mark.parametrize('part', ['det_weights', 'rec_weights'])
def test_no_engine_of_mmocr_runs_it(evil, part):
    detector = str(STOCK / 'textdet' / 'dbnet' / DETECTOR)
    with pytest.raises(UnreadableCheckpoint, match='posix'):
        MMOCREngine(detector, RECOGNISER, **{part: str(evil)}, device='cpu')


def test_no_feature_network_runs_it(evil):
    with pytest.raises(ValueError, match=r'evil\.pth holds posix'):
        CRAFTFeatures(str(evil))


def test_what_is_downloaded_runs_nothing_either(evil, tmp_path, monkeypatch):
    """By itself torch unpickles downloads whatever its version."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(evil.parent))
    monkeypatch.setattr(handler.func, 'log_message', lambda *_: None)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        torch.save(dict(state_dict={}), evil.parent / 'good.pth')
        address = f'http://127.0.0.1:{server.server_port}'
        with pytest.raises(UnreadableCheckpoint, match=r'evil\.pth holds posix'):
            CheckpointLoader.load_checkpoint(f'{address}/evil.pth')
        assert CheckpointLoader.load_checkpoint(f'{address}/good.pth') == dict(state_dict={})
        server.shutdown()
    assert torch.load.__module__ == 'torch.serialization'  # as before


def test_the_config_in_a_checkpoint_is_not_executed_on_resuming(
    load_script, tiny, tmp_path, monkeypatch
):
    """MMEngine does so with `meta['config']`, which MMCV 1 has written."""
    train, marker = load_script(TOOLS / 'train.py'), tmp_path / 'ran'
    monkeypatch.setattr(sys, 'argv', ['train.py', str(tiny)])
    train.main()
    last = tmp_path / 'run' / 'iter_1.pth'
    checkpoint = torch.load(last, weights_only=True)
    checkpoint['meta']['config'] = f'import os\nos.system("touch {marker}")\n'
    torch.save(checkpoint, tmp_path / 'crafted.pth')
    arguments = ['train.py', str(tiny), '--resume', str(tmp_path / 'crafted.pth')]
    monkeypatch.setattr(sys, 'argv', [*arguments, '--cfg-options', 'train_cfg.max_iters=2'])
    train.main()
    assert not marker.exists()


SPOTTING = dict(dataset_type='TextSpottingDataset', task_name='textspotting', category=[])
WORD = dict(
    polygon=[8, 8, 56, 8, 56, 40, 8, 40], bbox=[8, 8, 56, 40], bbox_label=0, ignore=False, text='a'
)


@pytest.fixture
def data(tmp_path):
    """A folder of an image and a link out of it, beside an image that is not to be opened."""
    root = tmp_path / 'data'
    root.mkdir()
    for path in (root / 'inside.png', tmp_path / 'secret.png'):
        cv2.imwrite(str(path), np.full((64, 64, 3), 90, np.uint8))
    (root / 'link.png').symlink_to(tmp_path / 'secret.png')
    return root


def annotate(root: Path, *names: str, suffix: str = 'json') -> Path:
    samples = [dict(img_path=name, height=64, width=64, instances=[WORD]) for name in names]
    path = root / f'annotations.{suffix}'
    path.write_text(json.dumps(dict(metainfo=SPOTTING, data_list=samples)))
    return path


def seeded(annotation: Path, kind: str = 'OCRDataset', **more) -> SeededDataset:
    load = dict(type='LoadOCRAnnotations', with_polygon=True, with_bbox=True, with_text=True)
    pipeline = [dict(type='LoadImageFromFile'), load, dict(type='PackODMInputs')]
    places = dict(data_root=str(annotation.parent), ann_file=annotation.name)
    with DefaultScope.overwrite_default_scope('mmocr'):
        return SeededDataset(dict(type=kind, pipeline=pipeline, **places, **more))


OUTSIDE = ('../secret.png', '{root}/../secret.png', 'x/../../secret.png', 'link.png', 'http://x/a')


@pytest.mark.parametrize('kind', ['OCRDataset', 'IndexedOCRDataset'])
@pytest.mark.parametrize('name', OUTSIDE)
def test_training_opens_no_image_outside_the_data_root(data, monkeypatch, name, kind):
    dataset = seeded(annotate(data, name.format(root=data)), kind)
    with pytest.raises(InvalidAnnotation, match=r'leads out of the folder .*ODM_IMAGE_ROOTS'):
        dataset[0]
    if not name.startswith('http'):
        monkeypatch.setenv('ODM_IMAGE_ROOTS', os.pathsep.join(['elsewhere', str(data.parent)]))
        (data / 'x').mkdir()
        assert dataset[0]['inputs'].shape == (3, 64, 64)


def test_training_opens_what_is_inside_however_it_is_written(data):
    names = ['inside.png', './inside.png', 'x/../inside.png', str(data / 'inside.png')]
    (data / 'x').mkdir()
    dataset = seeded(annotate(data, *names))
    assert [dataset[i]['inputs'].shape for i in range(4)] == [(3, 64, 64)] * 4


def test_annotations_that_could_run_code_are_not_loaded(data):
    for suffix in ('pkl', 'pickle', 'yaml', 'yml'):
        with pytest.raises(ValueError, match=rf'annotations\.{suffix}.*could run code'):
            seeded(annotate(data, 'inside.png', suffix=suffix))


@pytest.mark.parametrize('name', OUTSIDE)
def test_tools_leave_out_images_outside_the_folder(data, monkeypatch, name):
    annotation = annotate(data, 'inside.png', name.format(root=data))
    found = read_dataset(annotation)
    assert [image.path for image in found.images] == [data / 'inside.png']
    (problem,) = found.problems
    assert 'image 1' in problem and 'leads out of' in problem and 'ODM_IMAGE_ROOTS' in problem
    monkeypatch.setenv('ODM_IMAGE_ROOTS', str(data.parent))
    assert len(read_dataset(annotation).images) == 1 + (not name.startswith('http'))


def test_preparing_neither_reads_nor_writes_through_links(
    load_script, data, tmp_path, monkeypatch, capsys
):
    """An archive may hold a link where a tool is to write, as well as one to be read."""
    tool = load_script(TOOLS / 'prepare_dataset.py')
    victim = tmp_path / 'victim'
    victim.write_text('precious')
    (data / 'inside.txt').write_text('8,8,56,8,56,40,8,40,word\n')
    (data / 'link.txt').write_text('8,8,56,8,56,40,8,40,word\n')
    assert tool.main(['folder', '--root', str(data)]) == 1
    assert 'link.png' in capsys.readouterr().err
    (data / 'textdet_train.json.partial').symlink_to(victim)
    assert tool.main(['folder', '--root', str(data), '--skip-malformed']) == 1
    assert 'is a link, through which nothing is written' in capsys.readouterr().err
    (data / 'textdet_train.json.partial').unlink()
    for name in ('.readings.jsonl', '.annotations.json.part'):
        (data / name).symlink_to(victim)
    assert tool.main(['folder', '--root', str(data), '--skip-malformed']) == 0
    assert victim.read_text() == 'precious'


@pytest.mark.parametrize('kind', ['pipe', 'folder'])
def test_what_is_no_file_is_not_waited_for(data, kind):
    (os.mkfifo if kind == 'pipe' else os.mkdir)(data / 'odd.png')
    with pytest.raises(OSError, match='no regular file'):
        read_header(data / 'odd.png')
    dataset = seeded(annotate(data, 'odd.png'), test_mode=True)
    with pytest.raises(RuntimeError, match=r'odd\.png is no regular file'):
        dataset[0]


def png(width: int, height: int) -> bytes:
    """A PNG of any claimed size, whose few bytes of pixels are none."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', check)

    header = struct.pack('>2I5B', width, height, 8, 2, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + chunk(b'IDAT', zlib.compress(bytes(100)))
        + chunk(b'IEND', b'')
    )


def jpeg(width: int, height: int) -> bytes:
    content = cv2.imencode('.jpg', np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    place = content.index(b'\xff\xc0') + 5
    return content[:place] + struct.pack('>2H', height, width) + content[place + 4 :]


def tiff(width: int, height: int) -> bytes:
    entries = [(256, width), (257, height), (258, 8), (262, 1), (273, 8), (277, 1), (279, 1)]
    body = b''.join(struct.pack('<2H2I', tag, 4, 1, value) for tag, value in entries)
    return b'II*\0' + struct.pack('<IH', 8, len(entries)) + body + bytes(64)


def bmp(width: int, height: int) -> bytes:
    return b'BM' + struct.pack('<IHHI', 54, 0, 0, 54) + struct.pack(
        '<IiiHHIIiiII', 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0
    )  # fmt: skip


BOMBS = dict(png=png, jpg=jpeg, tif=tiff, bmp=bmp)


@pytest.mark.parametrize('suffix', BOMBS)
@pytest.mark.parametrize('size', [(60000, 60000), (20000, 5001)])
def test_image_bombs_are_refused_before_they_are_decoded(tmp_path, monkeypatch, suffix, size):
    path = tmp_path / f'bomb.{suffix}'
    path.write_bytes(BOMBS[suffix](*size))
    monkeypatch.setattr(cv2, 'imdecode', pytest.fail)
    for source in (path, path.read_bytes()):
        with pytest.raises(ValueError, match=r'too large|ODM_MAX_PIXELS'):
            read_header(source)
    with pytest.raises(ValueError, match=r'bomb.*(too large|ODM_MAX_PIXELS)'):
        read_image(path)
    dataset = seeded(annotate(tmp_path, path.name), test_mode=True)
    with pytest.raises(RuntimeError, match=r'bomb.*(too large|ODM_MAX_PIXELS)'):
        dataset[0]


@pytest.mark.parametrize('suffix', BOMBS)
def test_the_limit_can_be_moved(tmp_path, monkeypatch, suffix):
    path = tmp_path / f'image.{suffix}'
    path.write_bytes(BOMBS[suffix](12000, 9000))
    with pytest.raises(ValueError, match='108000000|12000x9000'):
        read_header(path)
    monkeypatch.setenv('ODM_MAX_PIXELS', '120000000')
    assert read_header(path)[:2] == (12000, 9000)
    monkeypatch.setenv('ODM_MAX_PIXELS', '1000')
    with pytest.raises(ValueError, match='at most 1,000'):
        read_header(path)
    for nonsense in ('0', '-1', '1e6', 'many', '9' * 40):
        monkeypatch.setenv('ODM_MAX_PIXELS', nonsense)
        with pytest.raises(ValueError, match='ODM_MAX_PIXELS=.*whole number'):
            read_header(path)


def test_a_file_too_long_for_an_image_is_not_read(tmp_path):
    path = tmp_path / 'long.png'
    path.write_bytes(png(8, 8))
    os.truncate(path, 2**40)  # sparse
    with pytest.raises(OSError, match='1,099,511,627,776 bytes'):
        read_header(path)


def test_the_size_of_a_png_is_read_without_its_pixels(tmp_path, monkeypatch):
    """Pillow decodes a PNG to look for EXIF data behind its pixels."""
    path = tmp_path / 'image.png'
    cv2.imwrite(str(path), np.zeros((20, 30, 3), np.uint8))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, 'load', pytest.fail)
    assert read_header(path) == (30, 20, 'PNG', None)
