import pickle

import cv2
import numpy as np
import pytest

from odm_mmocr.synthesis import backgrounds as module
from odm_mmocr.synthesis.backgrounds import Backgrounds
from odm_mmocr.synthesis.textures import TEXTURES, add_grain

SIZE = (96, 70)


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for i, shape in enumerate(((60, 200, 3), (300, 80, 3), (500, 500))):
        noise = cv2.resize(rng.integers(0, 256, (5, 5, *shape[2:]), np.uint8), shape[1::-1])
        cv2.imwrite(str(tmp_path / f'{i}.{"png" if i else "jpg"}'), noise)
    return tmp_path


def test_every_background_fills_the_size_and_depends_on_the_generator_only(photos):
    first, second = Backgrounds(photos, SIZE), Backgrounds(photos, SIZE)
    for _ in range(5):  # fills the cache of one of them
        second(np.random.default_rng(9))
    for seed in range(20):
        image = first(np.random.default_rng(seed))
        assert image.shape == (70, 96, 3)
        assert image.dtype == np.uint8
        assert image.flags.writeable
        np.testing.assert_array_equal(image, second(np.random.default_rng(seed)))


def test_a_background_can_be_painted_without_harm_to_the_next(photos):
    source = Backgrounds(photos, SIZE)
    before = source(np.random.default_rng(1))
    kept = before.copy()
    before[:] = 0
    np.testing.assert_array_equal(source(np.random.default_rng(1)), kept)


def test_an_undecodable_photograph_is_passed_over(photos):
    (photos / '1a.jpg').write_bytes(b'half a photograph')
    source = Backgrounds(photos, SIZE)
    assert len(source.files) == 4
    assert all(source(np.random.default_rng(i)).any() for i in range(20))


def test_without_photographs_textures_serve(monkeypatch):
    monkeypatch.setattr(module, 'find_spec', lambda name: None)
    source = Backgrounds(None, SIZE)
    assert source.files == []
    assert source(np.random.default_rng(0)).shape == (70, 96, 3)


def test_photographs_of_scikit_image_are_found_where_it_is_installed():
    pytest.importorskip('skimage')
    source = Backgrounds(None, SIZE, texture_share=0.0)
    names = {path.name for path in source.files}
    assert 'coffee.png' in names
    assert not names & {'page.png', 'text.png', 'astronaut.png', 'motorcycle_left.png'}
    for i in range(len(source.files)):
        assert source._photo(i).std() > 5


def test_the_cache_is_bounded_and_not_pickled(photos, monkeypatch):
    monkeypatch.setattr(module, 'CACHE_BYTES', 300_000)
    source = Backgrounds(photos, SIZE)
    for seed in range(20):
        source(np.random.default_rng(seed))
        assert source._cache.bytes <= 300_000
    assert source._cache.bytes > 0
    assert len(pickle.dumps(source)) < 10_000


def test_photographs_of_the_shared_data(shared_data):
    source = Backgrounds(shared_data / 'backgrounds', (512, 512))
    assert len(source.files) > 100
    assert source(np.random.default_rng(0)).std() > 10


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        Backgrounds(tmp_path / 'nowhere', SIZE)
    with pytest.raises(ValueError, match='has 0 files'):
        Backgrounds(tmp_path, SIZE)
    (tmp_path / 'a.jpg').write_bytes(b'no image')
    with pytest.raises(ValueError, match='none of which can be decoded'):
        Backgrounds(tmp_path, SIZE)


@pytest.mark.parametrize('size', [(64, 64), (130, 67), (640, 360), (1280, 720)])
def test_textures_fill_any_size(size):
    for texture in dict.fromkeys(TEXTURES):
        image = texture(size, np.random.default_rng(3))
        assert image.shape == (size[1], size[0], 3)
        assert image.dtype == np.uint8
        again = texture(size, np.random.default_rng(3))
        np.testing.assert_array_equal(image, again, err_msg=texture.__name__)


def test_grain_has_the_strength_asked_for():
    image = np.full((700, 900, 3), 128, np.uint8)
    add_grain(image, 10, True, np.random.default_rng(0))
    assert image.std() == pytest.approx(10, rel=0.1)
    assert image.mean() == pytest.approx(128, abs=0.6)
    assert abs(np.corrcoef(image[..., 0].ravel(), image[..., 1].ravel())[0, 1]) < 0.1


def test_photographs_of_a_part(tmp_path):
    for name in ('brick.png', 'coffee.png', 'chelsea.png'):
        cv2.imwrite(str(tmp_path / name), np.full((64, 64, 3), 99, np.uint8))
    train, test = (Backgrounds(tmp_path, SIZE, part=part) for part in ('train', 'test'))
    assert [path.name for path in train.files] == ['chelsea.png']
    assert [path.name for path in test.files] == ['brick.png', 'coffee.png']
    (tmp_path / 'chelsea.png').unlink()
    with pytest.raises(ValueError, match=r"none of the 2 photographs .* to the part 'train'"):
        Backgrounds(tmp_path, SIZE, part='train')


def test_photographs_of_scikit_image_fill_both_parts():
    pytest.importorskip('skimage')
    train, test = (Backgrounds(None, SIZE, part=part) for part in ('train', 'test'))
    assert len(train.files) > len(test.files) >= 3
    assert not set(train.files) & set(test.files)


def test_grey_of_16_bits_is_scaled_and_not_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 70 * 96).astype(np.uint16).reshape(70, 96)
    cv2.imwrite(str(tmp_path / 'ramp.png'), ramp)
    for grey in (False, True):
        photo = module._decode(tmp_path / 'ramp.png', grey=grey)
        assert photo.dtype == np.uint8 and photo.ndim == (2 if grey else 3)
        shown = photo if grey else photo[..., 0]
        assert np.abs(shown.astype(int) - ramp // 257).max() <= 1
