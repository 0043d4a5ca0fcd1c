"""Where image files lie and how large they are; tests/test_hostile_files.py has the attacks."""

import os
import resource
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from odm_mmocr.image_files import check_inside, is_inside, read_header, read_image


@pytest.mark.parametrize(
    ('path', 'root', 'inside'),
    [
        ('data/a.png', 'data', True),
        ('data/./x/../a.png', 'data/', True),
        ('data/../a.png', 'data', False),
        ('database/a.png', 'data', False),
        ('data', 'data', False),
        ('a.png', '', True),
        ('../a.png', '', False),
        ('/etc/passwd', '', False),
        ('/etc/passwd', '/', True),
        ('data/http://x/a.png', 'data', False),
        ('data/http:/x/a.png', 'data', False),
        ('http://x/a.png', '', False),
        ('data/a\0.png', 'data', False),
        ('s3://bucket/set/a.png', 's3://bucket/set', True),
        ('s3://bucket/set/../a.png', 's3://bucket/set', False),
        ('s3://bucket/settee/a.png', 's3://bucket/set', False),
        ('/etc/passwd', 's3://bucket/set', False),
    ],
)
def test_what_lies_in_a_folder(tmp_path, monkeypatch, path, root, inside):
    monkeypatch.chdir(tmp_path)
    assert is_inside(path, root) is inside
    if not inside:
        with pytest.raises(ValueError, match='leads out of the folder'):
            check_inside(path, root)


def test_links_count_by_where_they_lead(tmp_path, monkeypatch):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'data').symlink_to('disk')
    (tmp_path / 'disk' / 'out').symlink_to(tmp_path)
    assert is_inside(tmp_path / 'data' / 'a.png', tmp_path / 'data')
    assert is_inside(tmp_path / 'data' / 'a.png', tmp_path / 'disk')
    assert not is_inside(tmp_path / 'data' / 'out' / 'a.png', tmp_path / 'data')
    monkeypatch.setenv('ODM_IMAGE_ROOTS', os.pathsep.join(['', '/nowhere', str(tmp_path)]))
    assert is_inside(tmp_path / 'data' / 'out' / 'a.png', tmp_path / 'data')


@pytest.mark.parametrize(('suffix', 'kind'), [('.png', 'PNG'), ('.jpg', 'JPEG'), ('.bmp', 'BMP')])
def test_header_and_pixels(tmp_path, suffix, kind):
    image = np.full((20, 30, 3), 90, np.uint8)
    path = tmp_path / f'a{suffix}'
    cv2.imwrite(str(path), image)
    assert read_header(path) == read_header(path.read_bytes()) == (30, 20, kind, None)
    np.testing.assert_array_equal(read_image(path), image)


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_orientation(tmp_path, suffix):
    image, path = Image.new('RGB', (30, 20)), tmp_path / f'a{suffix}'
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, exif=exif)
    assert read_header(path)[:2] == (30, 20) and read_header(path).orientation == 6
    assert read_header(path).is_turned
    assert read_image(path).shape == (20, 30, 3)


def test_tiff_is_what_opencv_makes_of_it(tmp_path):
    image, path = Image.new('RGB', (30, 20)), tmp_path / 'a.tif'
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, exif=exif)
    assert read_image(path).shape == (30, 20, 3)
    assert read_header(path)[:2] == (20, 30) and not read_header(path).is_turned


def test_a_png_that_claims_gigabytes_in_a_chunk(tmp_path):
    """OpenCV would take them: 2 GB for a few bytes."""
    header = b'IHDR' + struct.pack('>2I5B', 40, 24, 8, 2, 0, 0, 0)
    content = b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + header
    content += struct.pack('>I', zlib.crc32(header)) + struct.pack('>I', 2**31 + 9) + b'IDAT' + b'x'
    (tmp_path / 'a.png').write_bytes(content + bytes(100))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for source in (content + bytes(100), tmp_path / 'a.png'):
        with pytest.raises(ValueError, match='chunk of 2,147,483,657 bytes'):
            read_header(source)
    with pytest.raises(ValueError, match='chunk of'):
        read_image(tmp_path / 'a.png')
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 200_000  # kB


@pytest.mark.parametrize('share', [0.1, 0.5, 0.9])
def test_what_is_cut_off_is_named(tmp_path, share):
    noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)
    content = cv2.imencode('.png', noise)[1].tobytes()
    (tmp_path / 'half.png').write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r'half\.png .*(cut off|decoded)'):
        read_image(tmp_path / 'half.png')
