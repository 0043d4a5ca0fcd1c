"""Networks of MMOCR as an engine: what they predict becomes words."""

from pathlib import Path

import mmocr
import numpy as np
import pytest
import torch
from mmengine.config import Config

from odm_mmocr.pseudo_label import split_line
from odm_mmocr.pseudo_label.labeller import check_word
from odm_mmocr.pseudo_label.mmocr_engine import MMOCREngine

CONFIGS = Path(mmocr.__file__).parent / '.mim' / 'configs'


@pytest.fixture(scope='module')
def engine(tmp_path_factory):
    """DBNet and CRNN with any weights, for small pictures."""
    folder = tmp_path_factory.mktemp('configs')
    det = Config.fromfile(CONFIGS / 'textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015.py')
    det.model.backbone.init_cfg = None
    det.model.neck.update(lateral_channels=16, out_channels=4)
    det.model.det_head.in_channels = 16
    det.test_dataloader.dataset.pipeline[1].scale = (128, 64)
    rec = Config.fromfile(CONFIGS / 'textrecog/crnn/crnn_mini-vgg_5e_mj.py')
    det.dump(folder / 'det.py')
    rec.dump(folder / 'rec.py')
    torch.manual_seed(0)
    return MMOCREngine(str(folder / 'det.py'), str(folder / 'rec.py'), device='cpu', batch_size=2)


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (60 + 4 * i, 128 - 9 * i, 3), np.uint8) for i in range(3)]


@pytest.mark.slow
def test_networks_with_any_weights_give_valid_words(engine, pictures):
    # Lines of their own, so that there is something to read whatever the weights are.
    engine._detector.model.det_head.postprocessor.mask_thr = 0.0
    read = engine.read_batch(pictures)
    assert len(read) == 3 and sum(map(len, read)) > 0
    for picture, words in zip(pictures, read, strict=True):
        for word in words:
            check_word(word, picture.shape[:2])
            assert (word.polygon >= 0).all()
            assert (word.polygon <= picture.shape[1::-1]).all()
            assert all(piece.text for piece in split_line(word))


def test_one_image_is_a_batch_of_one(engine, pictures, monkeypatch):
    monkeypatch.setattr(engine, 'read_batch', lambda images: [[len(images), images[0].shape]])
    assert engine(pictures[1]) == [1, pictures[1].shape]


BOXES = np.array(
    [
        [(10, 10), (60, 10), (60, 26), (10, 26)],  # level
        [(80, 10), (92, 10), (92, 50), (80, 50)],  # high: read downwards
        [(10, 40), (11, 40), (11, 41), (10, 41)],  # too small to be cut out
        [(100, 52), (140, 52), (140, 70), (100, 70)],  # beyond the image
    ],
    float,
)


class Networks:
    """Predicts what it is told; keeps what it is given."""

    def __init__(self, predictions):
        self.predictions = iter(predictions)
        self.given = []

    def __call__(self, images, batch_size, progress_bar):
        assert not progress_bar
        self.given += images
        return dict(predictions=[next(self.predictions) for _ in images])


def test_what_networks_predict_becomes_words(monkeypatch):
    monkeypatch.setattr(MMOCREngine, '__init__', lambda self: None)
    engine = MMOCREngine()
    engine.batch_size = 4
    polygons = [box.ravel().tolist() for box in BOXES]
    nothing = dict(polygons=[], scores=[])
    engine._detector = Networks(
        [nothing, dict(polygons=polygons, scores=[0.9, 0.8, 0.7, 1.0000001]), nothing]
    )
    engine._recognizer = Networks(
        [dict(text='one', scores=0.5), dict(text='', scores=float('nan')), dict(text='x', scores=2)]
    )
    image = np.zeros((60, 120, 3), np.uint8)
    image[10:26, 10:60] = (10, 20, 30)
    before, words, after = engine.read_batch([image] * 3)
    assert before == after == []
    one, unread, last = words
    for word in words:
        check_word(word, image.shape[:2])
    assert (one.text, one.score, one.detection) == ('one', 0.5, pytest.approx(0.9))
    np.testing.assert_allclose(one.polygon, BOXES[0], atol=1e-3)
    # Text that cannot be read is text all the same: it must not become background.
    assert (unread.text, unread.score) == ('', 0.0)
    np.testing.assert_allclose(unread.polygon, np.roll(BOXES[1], -1, axis=0), atol=1e-3)
    assert (last.text, last.score, last.detection) == ('x', 1.0, 1.0)
    np.testing.assert_allclose(last.polygon, BOXES[3].clip(0, (120, 60)), atol=1e-3)
    level, high, _ = engine._recognizer.given
    assert level.shape == (16, 50, 3) and (level == (10, 20, 30)).mean() > 0.9
    assert high.shape == (12, 40, 3)  # turned level


def test_without_words_nothing_is_recognised(monkeypatch):
    monkeypatch.setattr(MMOCREngine, '__init__', lambda self: None)
    engine = MMOCREngine()
    engine.batch_size = 1
    engine._detector = Networks([dict(polygons=[], scores=[])])
    engine._recognizer = None
    assert engine(np.zeros((60, 120, 3), np.uint8)) == []


def test_models_that_are_not_there():
    with pytest.raises(ValueError, match='nosuchnet'):
        MMOCREngine('NoSuchNet', 'CRNN')
    with pytest.raises((FileNotFoundError, ValueError), match=r'nothing\.py'):
        MMOCREngine('nothing.py', 'CRNN')
