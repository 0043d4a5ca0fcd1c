"""Detect, read, keep, judge."""

import io
import json
from pathlib import Path

import cv2
import mmocr
import numpy as np
import pytest
import torch
from mmengine.config import Config

from odm_mmocr.datasets.annotation_files import AnnotatedImage, AnnotatedWord, read_annotations
from odm_mmocr.evaluation import EndToEndMetric
from odm_mmocr.evaluation.end_to_end_run import (
    MMOCRDetector,
    MMOCRReader,
    SpottedWord,
    annotation_of,
    format_table,
    judge_spotted,
    load_spotted,
    save_spotted,
    spot_images,
)
from odm_mmocr.evaluation.word_reading import PPOCRReader

CONFIGS = Path(mmocr.__file__).parent / '.mim' / 'configs'
BOX = np.array([(10, 10), (90, 10), (90, 40), (10, 40)], float)


@pytest.fixture
def images(tmp_path) -> list[AnnotatedImage]:
    found = []
    for number in (1, 2):
        path = tmp_path / f'img_{number}.png'
        cv2.imwrite(str(path), np.full((60, 120, 3), 40 * number, np.uint8))
        words = [
            AnnotatedWord(BOX, 'open', False, 'line 1'),
            AnnotatedWord(BOX + (0, 15), '###', True, 'line 2'),
        ]
        found.append(AnnotatedImage(path.name, path, (60, 120), words))
    return found


def read_brightness(crops):
    """A reader that tells which image a crop is of."""
    return [(f'image{crop.mean() / 40:.0f}', 0.75) for crop in crops]


def test_what_a_detector_finds_is_read(images):
    def detector(image):
        assert image.shape == (60, 120, 3)
        return [(BOX, 0.5), (BOX * 0.01, 0.25)]

    stream = io.StringIO()
    spotted = spot_images(images, detector, read_brightness, stream=stream)
    assert '2/2' in stream.getvalue() and 'ETA' in stream.getvalue()
    assert list(spotted) == ['img_1.png', 'img_2.png']
    for number, words in enumerate(spotted.values(), start=1):
        assert [word[1:] for word in words] == [(0.5, f'image{number}', 0.75), (0.25, '', 0.0)]
        np.testing.assert_array_equal(words[0].polygon, BOX)


def test_true_boxes_are_the_readable_words(images):
    spotted = spot_images(images, None, read_brightness, stream=io.StringIO())
    for words in spotted.values():
        assert len(words) == 1 and words[0].score == 1
    figures = judge_spotted(images, spotted, EndToEndMetric())
    assert figures['detection_hmean'] == 1 and figures['none_hmean'] == 0


def test_what_is_kept_gives_the_same_figures(images, tmp_path):
    spotted = {
        'img_1.png': [
            SpottedWord(BOX, 0.9, 'Open', 0.8),
            SpottedWord(BOX - (0.123, 20), 0.7, 'é', 0.4),
        ],
        'img_2.png': [],
        'other.png': [],
    }
    save_spotted(tmp_path / 'spotted.json', spotted, dict(recogniser='any'))
    again = load_spotted(tmp_path / 'spotted.json')
    assert list(again) == list(spotted)
    assert [word.text for word in again['img_1.png']] == ['Open', 'é']
    metric = EndToEndMetric()
    figures = judge_spotted(images, again, metric)
    assert figures == judge_spotted(images, spotted, metric)
    # One of two words found, one of two predictions right.
    assert figures['none_precision'] == figures['none_recall'] == 0.5
    table = format_table(figures, metric)
    assert '| end-to-end, no lexicon | 0.500 | 0.500 | 0.500 | 0.667 | 1.000 | 0.500 |' in table


def test_an_image_that_was_not_looked_at_is_named(images):
    with pytest.raises(ValueError, match=r'1 of 2 images have no predictions, such as img_2\.png'):
        judge_spotted(images, {'img_1.png': []}, EndToEndMetric())
    with pytest.raises(ValueError, match=r'two images are called img_1\.png'):
        judge_spotted([images[0], images[0]], {'img_1.png': []}, EndToEndMetric())


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('no json', 'holds no predictions'),
        ('[]', 'holds no predictions'),
        ('{"data_list": [{"img_path": "a.png"}]}', "KeyError: 'instances'"),
        ('{"data_list": [{"img_path": "a.png", "instances": [{}]}]}', r'a\.png, instance 0'),
        (
            '{"data_list": [{"img_path": "a.png", "instances": [{"polygon": [1, 2, 3], '
            '"score": 1, "text": "x"}]}]}',
            r'a\.png, instance 0',
        ),
        (
            '{"data_list": [{"img_path": "a.png", "instances": [{"polygon": [1, 2, 3, 4], '
            '"score": 7, "text": "x"}]}]}',
            r'expected "score" from 0 to 1, found 7',
        ),
        (
            '{"data_list": [{"img_path": "x/a.png", "instances": []}, {"img_path": "y/a.png", '
            '"instances": []}]}',
            r'two images called a\.png',
        ),
    ],
)
def test_files_that_hold_something_else(tmp_path, content, message):
    path = tmp_path / 'spotted.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        load_spotted(path)


def test_the_annotation_of_a_config():
    config = Config.fromfile(CONFIGS / 'textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015.py')
    path, folder = annotation_of(config, 'x.py')
    assert path == Path('data/icdar2015/textdet_test.json') and folder == Path('data/icdar2015')
    inner = config.test_dataloader.dataset
    config.test_dataloader.dataset = dict(type='SeededDataset', dataset=inner)
    assert annotation_of(config, 'x.py') == (path, folder)
    with pytest.raises(ValueError, match=r'x\.py names no single annotation'):
        annotation_of(Config(dict(model=dict())), 'x.py')


@pytest.fixture(scope='module')
def networks(tmp_path_factory) -> dict[str, tuple[str, str]]:
    """Config and checkpoint of a small DBNet and a CRNN with any weights."""
    from mmengine.registry import DefaultScope
    from mmocr.registry import MODELS

    folder = tmp_path_factory.mktemp('networks')
    det = Config.fromfile(CONFIGS / 'textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015.py')
    det.model.backbone.init_cfg = None
    det.model.neck.update(lateral_channels=16, out_channels=4)
    det.model.det_head.in_channels = 16
    det.model.det_head.postprocessor.update(mask_thr=0.0)
    det.test_dataloader.dataset.pipeline[1].scale = (128, 64)
    # Wrapped, as the data sets of this package are.
    det.test_dataloader.dataset = dict(type='SeededDataset', dataset=det.test_dataloader.dataset)
    det.test_dataloader.collate_fn = dict(type='pseudo_collate')
    rec = Config.fromfile(CONFIGS / 'textrecog/crnn/crnn_mini-vgg_5e_mj.py')
    made = {}
    torch.manual_seed(0)
    for name, config in (('det', det), ('rec', rec)):
        config.dump(folder / f'{name}.py')
        with DefaultScope.overwrite_default_scope('mmocr'):
            weights = MODELS.build(config.model).state_dict()
        torch.save(dict(state_dict=weights), folder / f'{name}.pth')
        made[name] = (str(folder / f'{name}.py'), str(folder / f'{name}.pth'))
    return made


@pytest.mark.slow
def test_networks_of_mmocr_spot(images, networks):
    detector = MMOCRDetector(*networks['det'], device='cpu')
    reader = MMOCRReader(*networks['rec'], device='cpu', batch_size=2)
    spotted = spot_images(images, detector, reader, stream=io.StringIO())
    assert sum(map(len, spotted.values())) > 0
    for word in (word for words in spotted.values() for word in words):
        assert word.polygon.shape[1] == 2 and 0 <= word.score <= 1
        assert isinstance(word.text, str) and 0 <= word.text_score <= 1
    assert reader([]) == []
    judge_spotted(images, spotted, EndToEndMetric())


@pytest.mark.slow
def test_weights_and_configs_that_do_not_fit(networks, tmp_path):
    (det, det_weights), (rec, rec_weights) = networks['det'], networks['rec']
    with pytest.raises(ValueError, match=r'rec\.pth is of another model than the config'):
        MMOCRDetector(det, rec_weights, 'cpu')
    with pytest.raises(ValueError, match=r'rec\.py is of a CRNN; a text detector is needed'):
        MMOCRDetector(rec, rec_weights, 'cpu')
    with pytest.raises(ValueError, match=r'det\.py is of a DBNet; a text recogniser is needed'):
        MMOCRReader(det, det_weights, 'cpu')
    with pytest.raises(FileNotFoundError, match=r'none\.pth does not exist'):
        MMOCRDetector(det, str(tmp_path / 'none.pth'), 'cpu')
    (tmp_path / 'bare.py').write_text('model = dict(type="DBNet")\n')
    with pytest.raises(ValueError, match=r'bare\.py has no model, or no test_dataloader'):
        MMOCRDetector(str(tmp_path / 'bare.py'), det_weights, 'cpu')


def test_ppocr_reads_the_true_boxes_of_real_images(shared_data, tmp_path):
    pytest.importorskip('rapidocr', reason='the extra "pseudo" is not installed')
    folder = shared_data / 'icdar2015'
    for number in (2, 10):
        name = f'gt_img_{number}.txt'
        (tmp_path / name).write_bytes((folder / 'test_gt' / name).read_bytes())
    images, _ = read_annotations(tmp_path, folder / 'test_images')
    spotted = spot_images(images, None, PPOCRReader(threads=1), stream=io.StringIO())
    figures = judge_spotted(images, spotted, EndToEndMetric())
    assert figures['detection_hmean'] == 1
    assert 0.6 < figures['none_hmean'] <= 1
    assert json.dumps(figures)
