"""Files, folders and arrays as they come: what is accepted, and what is said about the rest."""

import cv2
import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmocr')

from odm_mmocr.apis.inputs import check_inputs, fit, list_inputs, to_bgr, unique_names


def load(path):
    (image,) = list_inputs(path)
    return image.load()


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def test_folders_are_sorted_and_hold_images_alone(tmp_path, photo):
    (tmp_path / 'deeper').mkdir()
    for name in ('b.png', 'a.JPG', 'deeper/c.png', '.hidden.png'):
        cv2.imwrite(str(tmp_path / name), photo)
    (tmp_path / 'notes.txt').write_text('no image')
    listed = list_inputs([tmp_path, photo, str(tmp_path / 'deeper' / 'c.png')])
    assert [image.name for image in listed] == ['a', 'b', 'array_2', 'c']
    assert check_inputs(listed) == {}


def test_names_are_unique_whatever_the_case():
    names = unique_names(['a', 'A', 'a_2', 'b', 'a'])
    assert names[0] == 'a' and names[3] == 'b'
    assert len({name.casefold() for name in names}) == 5


@pytest.mark.parametrize('depth', [np.uint8, np.uint16])
def test_grey_files_and_colour_files_of_both_depths(tmp_path, photo, depth):
    scale = 257 if depth == np.uint16 else 1
    cv2.imwrite(str(tmp_path / 'colour.png'), photo.astype(depth) * scale)
    cv2.imwrite(str(tmp_path / 'grey.png'), photo[..., 0].astype(depth) * scale)
    np.testing.assert_array_equal(load(tmp_path / 'colour.png'), photo)
    np.testing.assert_array_equal(load(tmp_path / 'grey.png'), photo[..., :1].repeat(3, 2))


def test_black_letters_on_nothing_are_seen_on_white(tmp_path):
    image = np.zeros((20, 20, 4), np.uint8)
    image[5:15, 5:15, 3] = 255
    image[0, 0] = (10, 20, 30, 128)
    cv2.imwrite(str(tmp_path / 'letter.png'), image)
    seen = load(tmp_path / 'letter.png')
    assert (seen[5:15, 5:15] == 0).all() and (seen[16:] == 255).all()
    np.testing.assert_allclose(seen[0, 0], 255 - (255 - np.array([10, 20, 30])) * 128 / 255, atol=1)


def test_photographs_are_turned_upright(tmp_path):
    image = Image.new('RGB', (40, 20))
    image.paste((255, 0, 0), (0, 0, 20, 20))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    image.save(tmp_path / 'photo.jpg', exif=exif, quality=95)
    upright = load(tmp_path / 'photo.jpg')
    assert upright.shape == (40, 20, 3)
    assert upright[5, 10, 2] > 200 and upright[35, 10, 2] < 50


def test_arrays_stay_as_they_are(photo):
    assert to_bgr(photo, 'it') is photo
    np.testing.assert_array_equal(to_bgr(photo[::-1, ::-2], 'it'), photo[::-1, ::-2])
    np.testing.assert_array_equal(to_bgr(photo[..., :1], 'it'), to_bgr(photo[..., 0], 'it'))


@pytest.mark.parametrize(
    ('array', 'message'),
    [
        (np.zeros((20, 20), np.float32), r'array_0 is float32; expected uint8.*255 \* image'),
        (np.full((20, 20, 3), np.nan), 'float64 with NaN'),
        (np.zeros((20, 20), bool), 'is bool'),
        (np.zeros((20, 20, 2), np.uint8), r'shape \(20, 20, 2\)'),
        (np.zeros((3, 20, 20), np.uint8), r'shape \(3, 20, 20\)'),
        (np.zeros(20, np.uint8), r'shape \(20,\)'),
        (np.zeros((0, 20, 3), np.uint8), 'no pixels'),
    ],
)
def test_wrong_arrays_are_named_beforehand(array, message):
    with pytest.raises(ValueError, match=message):
        check_inputs(list_inputs(array))


def test_images_without_room_for_a_word_are_refused():
    with pytest.raises(ValueError, match='array_0 is 1x1 pixels; expected at least 8x8'):
        load(np.zeros((1, 1, 3), np.uint8))


def test_faulty_files_are_all_found_beforehand(tmp_path, photo):
    cv2.imwrite(str(tmp_path / 'good.png'), photo)
    (tmp_path / 'empty.png').write_bytes(b'')
    (tmp_path / 'text.jpg').write_text('no image')
    files = [tmp_path / name for name in ('good.png', 'empty.png', 'absent.png', 'text.jpg')]
    images = list_inputs(files)
    with pytest.raises(
        ValueError, match=r'3 of 4 inputs.*empty\.png is empty.*absent\.png does not'
    ):
        check_inputs(images)
    assert list(check_inputs(images, skip_bad=True)) == [1, 2, 3]
    with pytest.raises(FileNotFoundError, match='absent.png does not exist'):
        check_inputs(images[2:3])
    with pytest.raises(ValueError, match=r'text\.jpg is cut off or no image'):
        check_inputs(images[3:])


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.tif', '.bmp'])
def test_files_that_are_cut_off_are_named(tmp_path, suffix):
    _, data = cv2.imencode(suffix, np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8))
    (tmp_path / f'half{suffix}').write_bytes(data.tobytes()[: len(data) // 2])
    with pytest.raises(ValueError, match=rf'half\{suffix}.*(cut off|decoded)'):
        load(tmp_path / f'half{suffix}')


def test_what_is_no_image_at_all_is_said(tmp_path):
    with pytest.raises(ValueError, match='is a URL'):
        list_inputs('https://example.org/a.jpg')
    with pytest.raises(FileNotFoundError, match='holds no images'):
        list_inputs(tmp_path)
    with pytest.raises(ValueError, match='there are no inputs'):
        list_inputs([])
    with pytest.raises(ValueError, match='input 1 is a int'):
        list_inputs(['a.png', 3])


def test_the_longer_side_is_fitted_and_the_aspect_kept(photo):
    assert fit(photo, 30) is photo
    assert fit(photo, 60).shape == (40, 60, 3)
    assert fit(photo.transpose(1, 0, 2), 15).shape == (15, 10, 3)
    assert fit(photo[:1].repeat(30, 1), 32).shape == (1, 32, 3)
