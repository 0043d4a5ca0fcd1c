import cv2
import numpy as np
import pytest
from mmocr.datasets.transforms import LoadImageFromFile

from odm_mmocr.datasets.errors import InvalidAnnotation
from odm_mmocr.datasets.transforms import GuardedLoadImageFromFile


@pytest.fixture
def image(tmp_path):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8))
    return path


@pytest.mark.parametrize(
    'settings',
    [
        dict(),
        dict(to_float32=True),
        dict(color_type='grayscale'),
        dict(color_type='color_ignore_orientation', imdecode_backend='pillow'),
        dict(backend_args=dict(backend='local')),
        dict(min_size=20),
    ],
)
def test_the_same_as_the_stock_transform(image, settings):
    stock = LoadImageFromFile(**settings)
    guarded = GuardedLoadImageFromFile.in_place_of(stock, str(image.parent))
    expected, results = (t.transform(dict(img_path=str(image))) for t in (stock, guarded))
    np.testing.assert_array_equal(results.pop('img'), expected['img'])
    assert results['img_shape'] == results['ori_shape'] == expected['img_shape']
    assert repr(guarded).endswith(f'root={str(image.parent)!r})')


def test_what_is_too_small_or_broken(image):
    load = GuardedLoadImageFromFile(str(image.parent), min_size=21)
    with pytest.raises(OSError, match='is broken'):
        load(dict(img_path=str(image)))
    image.write_bytes(b'no image')
    with pytest.raises(OSError, match='no image of a known format'):
        load(dict(img_path=str(image)))
    lenient = GuardedLoadImageFromFile(str(image.parent), ignore_empty=True)
    with pytest.warns(UserWarning, match='Failed to load'):
        assert lenient(dict(img_path=str(image))) is None


def test_an_image_elsewhere_is_never_passed_over(image, tmp_path):
    (tmp_path / 'root').mkdir()
    load = GuardedLoadImageFromFile(str(tmp_path / 'root'), ignore_empty=True)
    with pytest.raises(InvalidAnnotation, match='annotated image .* leads out of'):
        load(dict(img_path=str(image)))
