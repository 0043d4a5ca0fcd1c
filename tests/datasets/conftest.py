"""Fixtures of data sets: real ones from the shared data, small ones made on the spot."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

LOAD = [
    {'type': 'LoadImageFromFile'},
    {
        'type': 'LoadOCRAnnotations',
        'with_polygon': True,
        'with_bbox': True,
        'with_label': True,
        'with_text': True,
    },
]


@pytest.fixture(scope='session', autouse=True)
def _mmocr_scope():
    """Stock data sets look transforms up in the default scope, which a runner would set."""
    pytest.importorskip('mmocr')
    from mmengine.registry import init_default_scope

    init_default_scope('mmocr')


@pytest.fixture(scope='session')
def load_pipeline() -> list[dict]:
    """Config of the stock loading of text-spotting annotations."""
    return LOAD


@pytest.fixture(scope='session')
def icdar2015_test(shared_data, tmp_path_factory):
    """The ICDAR 2015 test images as an `OCRDataset` whose pipeline is the loading."""
    pytest.importorskip('mmocr')
    from mmocr.datasets import OCRDataset

    from odm_mmocr.datasets.preparers import prepare_icdar2015

    out = tmp_path_factory.mktemp('icdar2015')
    folder = shared_data / 'icdar2015'
    prepare_icdar2015({'test': (folder / 'test_images', folder / 'test_gt')}, out)
    return OCRDataset(ann_file='textspotting_test.json', data_root=str(out), pipeline=LOAD)


@pytest.fixture
def write_dataset(tmp_path):
    """Writes a data set of noise images with two words each and returns its annotation file.

    The images of the indices in `broken` are no images; `drop` are keys to leave out of the
    instances.
    """

    def write(count: int = 6, broken: tuple = (), drop: tuple = (), task='textspotting') -> Path:
        rng = np.random.default_rng(0)
        instance = {
            'polygon': [5, 5, 40, 5, 40, 20, 5, 20],
            'bbox': [5, 5, 40, 20],
            'bbox_label': 0,
            'ignore': False,
        }
        instances = [{**instance, 'text': text} for text in ('one', 'two')]
        instances = [{k: v for k, v in i.items() if k not in drop} for i in instances]
        data_list = []
        for index in range(count):
            name = f'image_{index}.png'
            if index in broken:
                (tmp_path / name).write_bytes(b'this is no image')
            else:
                image = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
                cv2.imwrite(str(tmp_path / name), image)
            data_list.append({'img_path': name, 'height': 48, 'width': 64, 'instances': instances})
        path = tmp_path / 'annotations.json'
        path.write_text(json.dumps({'metainfo': {'task_name': task}, 'data_list': data_list}))
        return path

    return write
