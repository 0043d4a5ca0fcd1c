import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, LabelData, PixelData

from odm_mmocr.rendering import UnusablePolygon
from odm_mmocr.structures import ODMDataSample
from odm_mmocr.visualization import LABEL_COLUMNS, label_row, write_pages
from odm_mmocr.visualization.attention import INK
from odm_mmocr.visualization.labels import POLYGON_COLOURS
from odm_mmocr.visualization.sheets import COLOURS

SHAPE = (100, 200)
# A square each for a word that is prompted, dropped, ignored and undrawable, from left to right.
ROLES = ('prompted', 'dropped', 'ignored', 'undrawn')
CORNERS = np.float32([[5, 20], [45, 20], [45, 60], [5, 60]])


@pytest.fixture
def sample():
    result = ODMDataSample(metainfo=dict(img_path='some/folder/street.jpg'))
    result.gt_instances = InstanceData(
        polygons=[CORNERS + (50 * i, 0) for i in range(4)],
        texts=['in', 'out', 'gone', 'odd'],
        ignored=torch.tensor([False, False, True, False]),
        prompted=torch.tensor([True, False, False, True]),
    )
    result.prompt = LabelData(
        texts=['in', 'odd', 'no'],
        mask=torch.tensor([True, True, True, False]),
        shown=torch.tensor([True, True, False, False]),
    )
    label = torch.zeros((1, *SHAPE), dtype=torch.uint8)
    label[:, 30:50, 10:40] = 255
    ignore = torch.zeros((1, *SHAPE), dtype=torch.bool)
    ignore[:, :, 100:] = True
    result.gt_destylized = PixelData(label=label, ignore=ignore)
    return result


FAULTS = [None, None, None, UnusablePolygon('odd')]


def shown(picture, colour):
    """Where a colour is, as (rows, columns)."""
    return np.nonzero((picture == np.uint8(colour)).all(-1))


def likeness(one, other):
    """Cosine between two colours."""
    return np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other)


def row_of(sample, **settings):
    """The pictures of a grey image, without captions."""
    pictures = label_row(np.full((*SHAPE, 3), 80, np.uint8), sample, FAULTS, **settings)
    height = settings['height']
    return dict(zip(LABEL_COLUMNS, [picture[-height:] for picture in pictures], strict=True))


@pytest.mark.parametrize('scale', [1, 3])
def test_polygons_are_coloured_by_role_at_their_place(sample, scale):
    picture = row_of(sample, height=scale * SHAPE[0])['image']
    assert picture.shape == (scale * SHAPE[0], scale * SHAPE[1], 3)
    for i, role in enumerate(ROLES):
        left, right, middle = 5 + 50 * i, 45 + 50 * i, 40
        # The dot at the first vertex, top left, has the colour undiluted.
        rows, columns = shown(picture, POLYGON_COLOURS[role])
        assert np.abs(rows / scale - 20).max() < 4
        assert np.abs(columns / scale - left).max() < 4
        for x in (left, right):
            side = picture[scale * middle, scale * (x - 2) : scale * (x + 2)].astype(float)
            brightest = side[side.sum(1).argmax()]
            ranked = sorted(ROLES, key=lambda role: -likeness(brightest, POLYGON_COLOURS[role]))
            assert ranked[0] == role


def test_ink_on_the_image_is_that_of_the_label(sample):
    row = row_of(sample, height=SHAPE[0])
    label = sample.gt_destylized.label[0].numpy()
    np.testing.assert_array_equal(row['label'][..., 0], label)
    on_image = (row['label on image'] == np.uint8(INK)).all(-1)
    np.testing.assert_array_equal(on_image, label == 255)
    assert (row['label on image'][~on_image] == 40).all()
    np.testing.assert_array_equal(row['ignore map'][..., 2] == 255, sample.gt_destylized.ignore[0])


def test_prompt_has_words_of_every_role(sample):
    panel = row_of(sample, height=200)['prompt']
    assert all(len(shown(panel, colour[::-1])[0]) for colour in COLOURS.values())


def test_captions_of_any_length_fit(sample):
    image = np.zeros((*SHAPE, 3), np.uint8)
    short = label_row(image, sample, height=100)
    sample.set_metainfo(dict(img_path='x' * 500 + 'end.jpg'))
    long = label_row(image, sample, height=100)
    assert [p.shape for p in short] == [p.shape for p in long]
    assert (short[0][:-100] != long[0][:-100]).any()


def test_pages_are_numbered_where_there_are_several(tmp_path):
    page = np.full((4, 5, 3), 7, np.uint8)
    assert write_pages([page], tmp_path / 'new' / 'a.png') == [tmp_path / 'new' / 'a.png']
    names = [path.name for path in write_pages([page, page], tmp_path / 'a.png')]
    assert names == ['a_1.png', 'a_2.png']
    assert write_pages([page], tmp_path / 'folder') == [tmp_path / 'folder' / 'labels_1.png']
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'folder' / 'labels_1.png')), page)
    with pytest.raises(OSError, match=r'a\.what cannot be written; is it a \.png'):
        write_pages([page], tmp_path / 'a.what')
