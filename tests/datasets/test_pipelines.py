import pytest

from odm_mmocr.datasets import SeededDataset, SynthesizedSceneText
from odm_mmocr.datasets.pipelines import find_pipelines, walk_datasets


def scenes(**settings):
    return SynthesizedSceneText(epoch_length=2, size=(64, 64), words=['no'], **settings)


@pytest.fixture
def joined():
    from mmocr.datasets import ConcatDataset

    return ConcatDataset([scenes(), scenes()], pipeline=[dict(type='LoadImageFromNDArray')])


def test_what_is_wrapped_and_joined_is_found(joined):
    outer = SeededDataset(joined)
    assert list(walk_datasets(outer)) == [outer, joined, *joined.datasets]


def test_a_shared_pipeline_is_found_once(joined):
    assert find_pipelines(SeededDataset(joined)) == [joined.datasets[0].pipeline]
    assert joined.datasets[0].pipeline is joined.datasets[1].pipeline
    own = SeededDataset(joined.datasets[0])
    assert find_pipelines(own) == [own.dataset.pipeline]
