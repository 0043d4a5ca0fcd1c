"""Readings become an annotation that MMOCR loads, and a report that sums up."""

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmocr.registry import DATASETS

from odm_mmocr.pseudo_label import (
    FilterSettings,
    ImageSource,
    ReadingsFile,
    Shard,
    read_images,
    write_annotations,
)
from odm_mmocr.rendering import render_label

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SHAPE = (100, 200)
BOX = [10.0, 10.0, 90.0, 10.0, 90.0, 30.0, 10.0, 30.0]


def word(text='word', score=0.99, polygon=BOX, **more):
    return dict(text=text, polygon=polygon, score=score, **more)


def record(index, *words, **more):
    height, width = SHAPE
    return dict(
        index=index,
        img_path=f'{index}.png',
        height=height,
        width=width,
        words=[*words],
        **{'hash': f'{0x9E3779B97F4A7C15 * (index + 1) % 2**64:016x}', **more},
    )


def failed(index):
    return dict(index=index, img_path=f'{index}.png', error='it is no image')


def write(path, records, finished=True, shard='0/1', **more):
    with ReadingsFile(path, dict(engine='none', shard=shard, **more)) as file:
        file.append(records)
        if finished:
            file.finish()
    return path


RECORDS = [
    record(0, word(detection_score=0.75), word('low', 0.2), word('')),
    failed(1),
    record(2),
    record(3, word('small', polygon=[value / 10 for value in BOX]), invalid=['word 7: none'] * 2),
    record(4, word('twin'), hash=record(0)['hash']),
    record(5, word(), word('other')),
]


def test_words_and_images_are_counted(tmp_path):
    out = tmp_path / 'deep' / 'out.json'
    report = write_annotations([write(tmp_path / 'r.jsonl', RECORDS)], out)
    assert report.images == dict(annotated=2, empty=2, duplicate=1, failed=1)
    assert report.words == dict(accepted=3, rejected=3)
    assert report.rejected == dict(score=1, text=1, height=1)
    assert (report.invalid, report.missing) == (2, [])
    assert sum(report.images.values()) == len(RECORDS)
    assert sum(report.rejected.values()) == report.words['rejected']
    text = '\n'.join(report.lines())
    assert '6 read; 2 annotated, 2 without words, 1 near-duplicates, 1 that' in text
    assert '2 more were no words' in text and 'missing' not in text
    written = json.loads(out.read_text())
    assert written['metainfo']['pseudo_label'] == json.loads(json.dumps(report.as_dict()))
    assert written['metainfo']['pseudo_label']['settings']['min_score'] == 0.9


def test_rejected_words_are_ignored_and_say_why(tmp_path):
    out = tmp_path / 'out.json'
    write_annotations([write(tmp_path / 'r.jsonl', RECORDS)], out)
    first, last = json.loads(out.read_text())['data_list']
    assert (first['img_path'], first['height'], first['width']) == ('0.png', *SHAPE)
    assert first['instances'] == [
        dict(
            polygon=BOX,
            bbox=[10, 10, 90, 30],
            bbox_label=0,
            ignore=False,
            text='word',
            score=0.99,
            detection_score=0.75,
        ),
        dict(
            polygon=BOX,
            bbox=[10, 10, 90, 30],
            bbox_label=0,
            ignore=True,
            text='low',
            score=0.2,
            rejected='score',
        ),
        dict(
            polygon=BOX,
            bbox=[10, 10, 90, 30],
            bbox_label=0,
            ignore=True,
            text='',
            score=0.99,
            rejected='text',
        ),
    ]
    assert [instance['ignore'] for instance in last['instances']] == [False, False]


def test_empty_images_are_kept_where_asked_for(tmp_path):
    path, out = write(tmp_path / 'r.jsonl', RECORDS), tmp_path / 'out.json'
    report = write_annotations([path], out, keep_empty=True)
    kept = json.loads(out.read_text())['data_list']
    assert [sample['img_path'] for sample in kept] == ['0.png', '2.png', '3.png', '5.png']
    assert report.images['empty'] == 2


def test_near_duplicates_are_kept_where_asked_for(tmp_path):
    path, out = write(tmp_path / 'r.jsonl', RECORDS), tmp_path / 'out.json'
    report = write_annotations([path], out, FilterSettings(max_duplicate_distance=None))
    assert report.images['duplicate'] == 0 and report.images['annotated'] == 3
    near = [record(0, word(), hash='0' * 16), record(1, word(), hash='0' * 15 + '7')]
    path = write(tmp_path / 's.jsonl', near)
    for most, count in ((2, 0), (3, 1)):
        report = write_annotations([path], out, FilterSettings(max_duplicate_distance=most))
        assert report.images['duplicate'] == count


def test_the_last_record_of_an_image_counts(tmp_path):
    path = write(tmp_path / 'r.jsonl', [failed(0), failed(1), record(0, word('mended'))])
    report = write_annotations([path], tmp_path / 'out.json')
    assert report.images == dict(annotated=1, failed=1)


def test_a_run_that_is_not_finished_is_told(tmp_path):
    path = write(tmp_path / 'r.jsonl', RECORDS, finished=False)
    path.write_bytes(path.read_bytes()[:-9])  # killed while it wrote
    report = write_annotations([path], tmp_path / 'out.json')
    assert report.missing == ['r.jsonl is not finished']
    assert 'missing: r.jsonl is not finished' in '\n'.join(report.lines())
    assert sum(report.images.values()) == 5


def test_nothing_accepted_is_an_annotation_too(tmp_path):
    out = tmp_path / 'out.json'
    write_annotations([write(tmp_path / 'r.jsonl', [failed(0)])], out)
    assert json.loads(out.read_text())['data_list'] == []


class Random:
    """Words that depend on the image alone; every seventh looks like the third before it."""

    def __call__(self, tasks):
        for index, name in tasks:
            rng = np.random.default_rng(index - 3 if index % 7 == 6 else index)
            value = f'{rng.integers(2**63):016x}'
            words = [
                word(f'word{i}', round(rng.uniform(0.8, 1), 4)) for i in range(rng.integers(0, 5))
            ]
            yield (
                failed(index)
                if index % 11 == 10
                else {
                    **record(index, *words, hash=value),
                    'img_path': name,
                }
            )


def run(folder, shard, names, order=1):
    path = shard.path(folder / 'r.jsonl')
    with open(os.devnull, 'w') as nowhere:
        read_images(
            ImageSource('', names),
            Random(),
            path,
            dict(engine='none'),
            shard,
            lambda work, batches: [list(work(batch)) for batch in list(batches)[::order]],
            batch_size=2,
            stream=nowhere,
        )
    return path


def test_shards_make_what_one_run_makes(tmp_path):
    names = [f'größe {number}\n.png' for number in range(60)]
    whole = write_annotations([run(tmp_path, Shard(), names)], tmp_path / 'whole.json')
    assert whole.images['duplicate'] >= 6 and whole.missing == []
    for count in (2, 3, 7):
        paths = [run(tmp_path, Shard(i, count), names, -1) for i in range(count)]
        assert len(set(paths)) == count
        for order in (1, -1):
            report = write_annotations(paths[::order], tmp_path / 'shards.json')
            assert report == whole
            same = (tmp_path / 'shards.json').read_bytes() == (tmp_path / 'whole.json').read_bytes()
            assert same
        part = write_annotations(paths[1:], tmp_path / 'part.json')
        assert part.missing == [f'shard 0 of {count}']
        assert 0 < sum(part.images.values()) < 60


def test_files_of_different_runs_are_not_mixed(tmp_path):
    one = write(tmp_path / 'one.jsonl', RECORDS)
    other = write(tmp_path / 'other.jsonl', RECORDS, side=960)
    with pytest.raises(ValueError, match='different runs: side is'):
        write_annotations([one, other], tmp_path / 'out.json')
    half = write(tmp_path / 'half.jsonl', RECORDS, shard='0/2')
    with pytest.raises(ValueError, match='one of 1 shards and .*one of 2'):
        write_annotations([one, half], tmp_path / 'out.json')
    foreign = tmp_path / 'foreign.jsonl'
    foreign.write_text('{"img_path": "a", "words": []}\n')
    with pytest.raises(ValueError, match='is no file of readings'):
        write_annotations([foreign], tmp_path / 'out.json')
    with pytest.raises(FileNotFoundError, match='nothing.jsonl'):
        write_annotations([one, tmp_path / 'nothing.jsonl'], tmp_path / 'out.json')
    with pytest.raises(ValueError, match='no image has been read'):
        write_annotations([write(tmp_path / 'e.jsonl', [])], tmp_path / 'out.json')
    with pytest.raises(ValueError, match='at least one file'):
        write_annotations([], tmp_path / 'out.json')
    assert not (tmp_path / 'out.json').exists()


def test_machines_may_reach_the_images_by_other_paths(tmp_path):
    one = write(tmp_path / 'one.jsonl', RECORDS[:3], shard='0/2', images='/data')
    other = write(tmp_path / 'other.jsonl', RECORDS[3:], shard='1/2', images='/mnt/data')
    report = write_annotations([one, other], tmp_path / 'out.json')
    assert report.missing == [] and sum(report.images.values()) == len(RECORDS)


def test_readings_are_not_overwritten(tmp_path):
    path = write(tmp_path / 'r.jsonl', RECORDS)
    content = path.read_bytes()
    with pytest.raises(ValueError, match='another --out'):
        write_annotations([path], tmp_path / 'x' / '..' / 'r.jsonl')
    assert path.read_bytes() == content


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_goes_wrong_leaves_nothing_half_written(tmp_path, monkeypatch):
    path, out = write(tmp_path / 'r.jsonl', RECORDS), tmp_path / 'out.json'
    out.write_text('from before')
    with pytest.raises(ValueError, match='--read-back'):
        write_annotations([path], out, FilterSettings(read_back=True))

    def full(descriptor):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', full)
        with pytest.raises(OSError, match=r'No space left.*out.json was not written'):
            write_annotations([path], out)
    assert out.read_text() == 'from before' and left(tmp_path) == ['out.json', 'r.jsonl']


@pytest.mark.parametrize('name', ['file/out.json', 'folder'])
def test_outputs_that_cannot_be_written(tmp_path, name):
    path = write(tmp_path / 'r.jsonl', RECORDS)
    (tmp_path / 'file').touch()
    (tmp_path / 'folder').mkdir()
    with pytest.raises(OSError, match='file|folder'):
        write_annotations([path], tmp_path / name)
    assert left(tmp_path) == ['file', 'folder', 'r.jsonl']


def test_training_can_use_it(tmp_path):
    """The pipeline of the config for pseudo-labels: ink of words, rejected ones left out."""
    box = [40.0, 60.0, 300.0, 60.0, 300.0, 120.0, 40.0, 120.0]
    rejected = [40.0, 160.0, 300.0, 160.0, 300.0, 220.0, 40.0, 220.0]
    shape = (256, 384)
    picture = 255 - render_label(
        np.reshape((box, rejected), (2, 4, 2)), ['Garden', 'Museum'], shape
    )
    names = ['größe 1.png', 'a b.png']
    records = []
    for index, name in enumerate(names):
        (tmp_path / name).write_bytes(cv2.imencode('.png', picture)[1].tobytes())
        words = [word('Garden', 0.95, box), word('Museum', 0.3, rejected)]
        records.append(dict(record(index, *words), img_path=name, height=shape[0], width=shape[1]))
    write_annotations([write(tmp_path / 'r.jsonl', records)], tmp_path / 'annotations.json')

    config = Config.fromfile(CONFIGS / 'odm_pretrain_pseudo.py')
    settings = config.train_dataloader.dataset.dataset.datasets[0]
    settings.data_root = str(tmp_path)
    init_default_scope('mmocr')
    dataset = DATASETS.build(settings)
    assert len(dataset) == 2
    assert dataset.metainfo['pseudo_label']['words'] == dict(accepted=2, rejected=2)
    np.random.seed(0)
    for attempt in range(6):
        sample = dataset[attempt % 2]['data_samples']
        texts = list(sample.gt_instances.texts)
        assert texts == ['Garden', 'Museum']
        assert bool(sample.gt_instances.ignored[1])
        assert 'Museum' not in sample.prompt.texts
        if not sample.gt_instances.ignored[0]:
            assert sample.gt_destylized.label.max() > 128
            assert sample.gt_destylized.ignore.any()
            break
    else:
        pytest.fail('the word was never in the picture')


def test_a_copy_of_readings_is_as_good(tmp_path):
    """Readings are moved between machines."""
    path = write(tmp_path / 'r.jsonl', RECORDS)
    write_annotations([path], tmp_path / 'a.json')
    shutil.move(path, tmp_path / 'moved.jsonl')
    write_annotations([tmp_path / 'moved.jsonl'], tmp_path / 'b.json')
    assert (tmp_path / 'a.json').read_bytes() == (tmp_path / 'b.json').read_bytes()
