import cv2
import numpy as np
import pytest
from PIL import Image

from odm_mmocr.datasets.annotation_files import AnnotatedImage
from odm_mmocr.evaluation.dataset_images import check_images, choose_evenly, load_image

SIZE = (120, 160)


@pytest.fixture
def photo():
    """Function from a seed to a picture that is like none of another seed."""

    def photo(seed):
        small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
        return cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_CUBIC)

    return photo


@pytest.fixture
def annotated(tmp_path):
    """Function from a name, and maybe pixels to write, to the annotation of that image."""

    def annotated(name, pixels=None, shape=SIZE):
        if pixels is not None:
            assert cv2.imwrite(str(tmp_path / name), pixels)
        return AnnotatedImage(name, tmp_path / name, shape, [])

    return annotated


def test_faults_of_files_are_told_apart(annotated, photo, tmp_path):
    (tmp_path / 'cut.png').write_bytes(b'\x89PNG\r\n\x1a\nnothing more')
    (tmp_path / 'empty.jpg').touch()
    images = [
        annotated('good.png', photo(0)),
        annotated('other.png', photo(1), shape=(160, 120)),
        annotated('cut.png'),
        annotated('empty.jpg'),
        annotated('gone.jpg'),
        annotated('nul\0.jpg'),
        annotated('half\ud800.jpg'),
        annotated('good.png'),
    ]
    check = check_images(images, 100)
    assert (check.files, check.opened) == (7, 4)
    missing = ['gone.jpg', 'nul\0.jpg', 'half\ud800.jpg']
    assert [image.source for image in check.missing] == missing
    assert [line.split()[0] for line in check.damaged] == ['cut.png', 'empty.jpg']
    assert check.resized == ['other.png is 160x120, annotated as 120x160']
    assert check.repeated == ['good.png']
    assert not check.duplicates and not check.near_duplicates
    assert check.summary()['missing'] == dict(count=3, first=missing)


def test_copies_and_pictures_that_look_alike_are_found(annotated, photo, tmp_path):
    images = [annotated('a.png', photo(0)), annotated('b.png', photo(1))]
    (tmp_path / 'copy.png').write_bytes((tmp_path / 'b.png').read_bytes())
    images += [annotated('copy.png'), annotated('near.jpg', cv2.resize(photo(0), (80, 60)))]
    check = check_images(images, 100)
    assert [(d.image.source, d.first.source) for d in check.duplicates] == [('copy.png', 'b.png')]
    (near,) = check.near_duplicates
    assert (near.image.source, near.first.source) == ('near.jpg', 'a.png')
    assert near.distance <= 6
    with pytest.raises(ValueError, match='max_distance must be 0 to 16'):
        check_images(images, 100, max_distance=17)


def test_no_more_files_are_opened_than_asked_for(annotated, photo):
    images = [annotated(f'{i}.png', photo(i)) for i in range(6)] + [annotated('gone.png')]
    tracked = []

    def track(chosen):
        tracked.extend(chosen)
        return chosen

    check = check_images(images, 3, track=track)
    assert (check.opened, check.files) == (3, 7)
    assert check.missing == images[-1:]
    assert len(tracked) == 3
    assert check_images(images, 0).opened == 0


@pytest.mark.parametrize(('count', 'num'), [(10, 3), (1000, 24), (5, 5), (5, 9), (0, 4), (7, 6)])
def test_choices_are_spread_and_repeatable(count, num):
    chosen = choose_evenly(count, num, seed=3)
    assert chosen == choose_evenly(count, num, seed=3)
    assert len(set(chosen)) == len(chosen) == min(num, count)
    assert chosen == sorted(chosen) and all(0 <= i < count for i in chosen)
    if num < count:
        part = count / num
        assert all(int(part * k) <= i <= part * (k + 1) for k, i in enumerate(chosen))


def test_another_seed_chooses_others():
    assert choose_evenly(1000, 24, seed=0) != choose_evenly(1000, 24, seed=1)


@pytest.mark.parametrize('orientation', [3, 6])
def test_of_turned_photographs_the_own_pixels_count(annotated, photo, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(photo(0)).save(tmp_path / 'turned.jpg', exif=exif)
    pixels = load_image(annotated('turned.jpg'))
    assert pixels.shape[:2] == SIZE
    assert np.abs(pixels[..., ::-1].astype(int) - photo(0)).mean() < 10
    assert not check_images([annotated('turned.jpg')], 1).resized
    (told,) = check_images([annotated('turned.jpg', shape=SIZE[::-1])], 1).resized
    assert told == 'turned.jpg is 160x120, annotated as 120x160'
