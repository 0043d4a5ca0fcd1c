import cv2
import numpy as np
import pytest

from odm_mmocr.datasets.annotation_files import AnnotatedImage, AnnotatedWord
from odm_mmocr.evaluation.dataset_images import Duplicate
from odm_mmocr.evaluation.dataset_statistics import Extreme
from odm_mmocr.visualization.dataset_samples import (
    COLOURS,
    CROP,
    PAIR_HEIGHT,
    TILE,
    draw_crops,
    draw_pairs,
    draw_samples,
    draw_words,
    samples_page,
)


def word(x, y, width=100, height=30, text='word', ignored=False, **others):
    corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    return AnnotatedWord(np.array(corners, float), text, ignored, 'instance 0', **others)


def drawn(picture, role):
    """Rows and columns of the pixels in the colour of a role."""
    return np.nonzero((picture == np.uint8(COLOURS[role])).all(-1))


@pytest.mark.parametrize('scale', [1, 2])
def test_polygons_have_the_colour_of_their_role_at_their_place(scale):
    words = [
        word(30, 50, text=''),
        word(200, 50, ignored=True, text=''),
        word(30, 150, ignored=True, rejected='score', text=''),
    ]
    image = np.full((280, 400, 3), 90, np.uint8)
    size = (400 * scale, 280 * scale)
    picture = draw_words(image, words, size)
    assert picture.shape == (280 * scale, 400 * scale, 3)
    assert image.min() == image.max() == 90
    places = dict(readable=(30, 50), ignored=(200, 50), rejected=(30, 150))
    for role, (x, y) in places.items():
        # Lines are blended with their dark seam; the dot at the first vertex is not.
        rows, columns = drawn(picture, role)
        assert abs(np.median(rows) - y * scale) <= 1
        assert abs(np.median(columns) - x * scale) <= 1
        # The outline stands at the other end of the word too.
        end = picture[(y + 15) * scale, (x + 100) * scale - 3 : (x + 100) * scale + 4]
        middle = picture[(y + 15) * scale, (x + 50) * scale]
        assert end.std() > 20 and middle.tolist() == [90, 90, 90]


def test_small_images_are_enlarged_twofold_and_large_ones_fit():
    assert draw_words(np.zeros((40, 50, 3), np.uint8), []).shape == (80, 100, 3)
    assert draw_words(np.zeros((3000, 1000, 3), np.uint8), []).shape == (TILE[1], 140, 3)


def label_area(words):
    """Pixels of the labels' dark ground above y=60 on a grey picture."""
    picture = draw_words(np.full((280, 400, 3), 90, np.uint8), words, (400, 280))
    return int((picture[:60] == 20).all(-1).sum())


def test_labels_tell_text_score_and_filter_and_do_not_cover_each_other():
    plain = label_area([word(20, 60)])
    assert plain > 200
    assert label_area([word(20, 60, score=0.5)]) > 1.5 * plain
    assert label_area([word(20, 60, ignored=True)]) < 10
    rejected = [word(20, 60, ignored=True, rejected='score', text='word')]
    assert label_area(rejected) > 1.5 * plain
    # Another at the same place is written below.
    assert label_area([word(20, 60)] * 2) == plain


def test_polygons_of_any_kind_are_survived():
    polygons = [np.zeros((0, 2)), [[1, 2]], np.full((4, 2), np.nan), np.full((4, 2), 1e300)]
    words = [AnnotatedWord(np.array(p, float), 'a\ud800', False, '') for p in polygons]
    image = np.full((60, 80, 3), 7, np.uint8)
    np.testing.assert_array_equal(draw_words(image, words, (80, 60)), image)


@pytest.fixture
def images(tmp_path):
    """Five annotated images, of which the third is missing."""
    found = []
    for i in range(5):
        path = tmp_path / f'{i}.png'
        if i != 2:
            cv2.imwrite(str(path), np.full((100, 200 + 40 * i, 3), 40 * i, np.uint8))
        found.append(AnnotatedImage(path.name, path, (100, 200), [word(20, 30), word(20, 30)]))
    return found


def test_samples_are_captioned_and_those_missing_left_out(images):
    tiles = draw_samples(images, 10)
    assert [tile.caption for tile in tiles] == [
        f'{i}.png: 2 readable of 2 words' for i in (0, 1, 3, 4)
    ]
    assert draw_samples(images, 2, seed=5)[0].caption.endswith('words')
    page = samples_page(tiles)
    assert page.shape[1] > 4 * TILE[0]
    assert samples_page(tiles[:1]).shape[1] < 2 * TILE[0]
    assert samples_page([*tiles, tiles[0]]).shape[0] > 1.5 * page.shape[0]


def test_crops_show_the_word_and_not_the_whole_image(images):
    cv2.imwrite(str(images[0].path), np.zeros((1000, 1000, 3), np.uint8))
    white = np.zeros((1000, 1000, 3), np.uint8)
    white[500:530, 500:600] = 255
    cv2.imwrite(str(images[0].path), white)
    place = word(500, 500)
    absurd = place._replace(polygon=place.polygon * 1e30)
    shown, *others = draw_crops(
        [Extreme(images[0], place, 1), Extreme(images[2], place, 1), Extreme(images[0], absurd, 1)]
    )
    assert shown.picture.shape == (CROP[1], CROP[0], 3)
    assert (shown.picture > 200).all(-1).mean() > 0.3
    assert others == [None, None]


def test_pairs_stand_side_by_side(images):
    pairs = draw_pairs([Duplicate(images[1], images[0], 3), Duplicate(images[2], images[0], 0)])
    (pair,) = pairs
    assert pair.picture.shape[0] == PAIR_HEIGHT
    assert pair.picture[50, 10].tolist() == [0, 0, 0]
    assert pair.picture[50, -10].tolist() == [40, 40, 40]
    assert pair.caption == '0.png and 1.png: 3 of 64 bits differ'
