"""Small pictures for data sets that the tests make in their official formats."""

import json

import pytest
from PIL import Image


@pytest.fixture
def picture():
    """Function that saves a picture of 200 x 100 pixels, its folder made where there is none."""

    def save(path, size=(200, 100)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', size).save(path)
        return path

    return save


@pytest.fixture
def written():
    """Function from a folder and a name to the images of an annotation that was written there."""

    def load(folder, name):
        return json.loads((folder / f'{name}.json').read_text(encoding='utf-8'))['data_list']

    return load
