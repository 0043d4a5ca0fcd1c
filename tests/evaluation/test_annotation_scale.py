"""Generated annotations are real ones, and the figures of a start are about that start."""

import json
import os

import pytest

pytest.importorskip('mmocr')

from odm_mmocr.datasets import IndexedOCRDataset
from odm_mmocr.evaluation.annotation_scale import measure_start, write_annotation

KEYS = {'polygon', 'bbox', 'bbox_label', 'ignore', 'text'}


@pytest.mark.parametrize('suffix', ['json', 'jsonl'])
def test_generated_annotation(tmp_path, suffix):
    path = tmp_path / f'a.{suffix}'
    write_annotation(path, 1500, words=3)
    dataset = IndexedOCRDataset(ann_file=str(path))
    assert len(dataset) == 1500
    infos = [dataset.get_data_info(n) for n in range(1500)]
    assert len({info['img_path'] for info in infos}) == 1500
    assert len({json.dumps(info['instances']) for info in infos}) > 1000
    assert all(len(info['instances']) == 3 for info in infos)
    for word in infos[7]['instances']:
        assert word.keys() == KEYS and len(word['polygon']) == 8
        xs, ys = word['polygon'][::2], word['polygon'][1::2]
        assert word['bbox'] == [min(xs), min(ys), max(xs), max(ys)]
    assert dataset.metainfo['task_name'] == 'textspotting'


def test_generated_annotations_are_the_same_for_a_seed(tmp_path):
    for name, seed in (('a', 0), ('b', 0), ('c', 1)):
        write_annotation(tmp_path / name, 10, seed=seed)
    first, same, other = (tmp_path.joinpath(name).read_bytes() for name in 'abc')
    assert first == same != other


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(workers=0), 'must be at least 1'),
        (dict(samples=0), 'must be at least 1'),
        (dict(config='odm_pretrain.py'), r'odm_pretrain\.py does not train on image files'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        measure_start('a.json', **wrong)


@pytest.mark.slow
def test_a_start_is_measured(tmp_path):
    path = tmp_path / 'a.json'
    write_annotation(path, 2000)
    cost = measure_start(path, workers=2, samples=1, config='odm_pretrain_synthtext.py')
    assert cost.entries == 2000
    assert os.path.exists(f'{path}.odm_index')
    assert cost.seconds > cost.import_seconds > cost.open_seconds > 0
    assert 0 < cost.samples_per_second < 1000  # labels are drawn
    assert cost.peak_megabytes > cost.import_megabytes > 100
    # What forked workers share is not counted twice.
    assert cost.peak_megabytes < 2 * cost.import_megabytes
    assert 0 < cost.worker_megabytes < cost.import_megabytes


@pytest.mark.slow
def test_a_start_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r'FileNotFoundError: .*none\.json'):
        measure_start(tmp_path / 'none.json', workers=1, samples=1)
