"""Packing, and the size of images."""

import mmcv
import pytest
from PIL import Image

from odm_mmocr.datasets.preparers import HeaderTextSpottingPacker
from odm_mmocr.datasets.preparers.packers import image_size


def test_the_size_is_that_of_the_loaded_image(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # held upright, stored lying
    path = tmp_path / 'phone.jpg'
    Image.new('RGB', (40, 30)).save(path, exif=turned)
    height, width = mmcv.imread(str(path), 'color_ignore_orientation').shape[:2]
    assert image_size(path) == (width, height) == (40, 30)


def test_what_is_no_image_is_an_error_of_the_system(tmp_path, monkeypatch):
    path = tmp_path / 'a.png'
    Image.new('RGB', (40, 30)).save(path)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)  # more than twice that is called a bomb
    for bad in (path, tmp_path / 'none.png', 'a\0b.png'):
        with pytest.raises(OSError):
            image_size(bad)


def test_boxes_of_characters_and_scores_are_kept(tmp_path):
    packer = HeaderTextSpottingPacker(data_root=str(tmp_path), split='train')
    word = dict(poly=[1.5, 2, 9, 2, 9, 7.25, 1.5, 7], text='a', ignore=False)
    characters = [word['poly']]
    words = [word, dict(word, char_polygons=characters, score=0.5)]
    packed = packer.pack(str(tmp_path / 'x' / 'a.jpg'), (40, 30), words)
    assert packed['img_path'] == 'x/a.jpg'
    assert (packed['height'], packed['width']) == (30, 40)
    plain, rich = packed['instances']
    assert plain['bbox'] == [1.5, 2, 9, 7.25]
    assert set(rich) - set(plain) == {'char_polygons', 'score'}
    assert rich['char_polygons'] == characters
