"""`IndexedOCRDataset` gives what `OCRDataset` gives, from an annotation that stays in its file."""

import copy
import json
import pickle
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip('mmocr')

from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.fileio import BaseStorageBackend
from mmengine.fileio.backends import registry_utils
from mmocr.registry import DATASETS
from torch.utils.data import DataLoader

from odm_mmocr.datasets import IndexedOCRDataset, SampleIndex, SeededDataset

DATA_CONFIGS = Path(__file__).parents[2] / 'configs' / '_base_' / 'data'


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv('ODM_CACHE', str(tmp_path / 'cache'))


@pytest.fixture
def ann_file(tmp_path):
    """Annotation of seven images with different words, of which one is ignored."""
    rng = np.random.default_rng(0)
    data_list = []
    for number in range(7):
        cv2.imwrite(str(tmp_path / f'{number}.png'), rng.integers(0, 255, (48, 64, 3), np.uint8))
        words = [
            dict(
                polygon=[x, 5.5, x + 25, 5.5, x + 25, 20, x, 20],
                bbox=[x, 5.5, x + 25, 20],
                bbox_label=0,
                ignore=text == '###',
                text=text,
            )
            for x, text in ((3, f'wörd{number}'), (34, '###' if number == 2 else 'two'))
        ]
        instances = words[: 0 if number == 5 else 2]
        data_list.append(dict(img_path=f'{number}.png', height=48, width=64, instances=instances))
    metainfo = dict(task_name='textspotting', category=[dict(id=0, name='text')])
    path = tmp_path / 'annotations.json'
    path.write_text(
        json.dumps(dict(metainfo=metainfo, data_list=data_list), ensure_ascii=False), 'utf-8'
    )
    return path


@pytest.fixture(scope='session')
def pipeline():
    """The pipeline of the pre-training on ICDAR 2015, small."""
    pipeline = Config.fromfile(DATA_CONFIGS / 'icdar2015_512.py').train_pipeline
    pipeline[3].scale = (64, 64)
    return pipeline


def pair(path, **kwargs):
    """An `OCRDataset` and an `IndexedOCRDataset` with the same arguments."""
    arguments = dict(dict(ann_file=path.name, data_root=str(path.parent)), **kwargs)
    return [
        DATASETS.build(dict(arguments, type=kind)) for kind in ('OCRDataset', 'IndexedOCRDataset')
    ]


@pytest.mark.parametrize(
    'arguments',
    [
        dict(),
        dict(indices=3),
        dict(indices=-2),
        dict(indices=100),
        dict(indices=[6, 0, 3, 3]),
        dict(indices=(-1, 2)),
        dict(filter_cfg=dict(filter_empty_gt=True, min_size=500)),
        dict(serialize_data=False),
        dict(metainfo=dict(task_name='another')),
        dict(data_prefix=dict(img_path='images')),
        dict(data_prefix=dict(img_path='/elsewhere')),
        dict(data_root='', data_prefix=dict()),
        dict(data_root=None, data_prefix=dict(img_path='')),
    ],
    ids=str,
)
def test_the_same_annotations(ann_file, arguments):
    if not arguments.get('data_root', True):
        arguments = dict(arguments, ann_file=str(ann_file))
    stock, indexed = pair(ann_file, **arguments)
    assert len(indexed) == len(stock)
    assert indexed.metainfo == stock.metainfo
    assert indexed.ann_file == stock.ann_file
    for index in range(-len(stock) + 1, len(stock)):
        assert indexed.get_data_info(index) == stock.get_data_info(index)
    for beyond in (len(stock), -len(stock) - 1):
        with pytest.raises(IndexError):
            indexed.get_data_info(beyond)


def same(one, other):
    assert torch.equal(one['inputs'], other['inputs'])
    one, other = one['data_samples'], other['data_samples']
    np.testing.assert_equal(one.metainfo, other.metainfo)
    assert torch.equal(one.gt_destylized.label, other.gt_destylized.label)
    assert torch.equal(one.prompt.tokens, other.prompt.tokens)
    return True


def test_the_same_samples_through_the_pipeline(ann_file, pipeline):
    stock, indexed = map(SeededDataset, pair(ann_file, pipeline=pipeline))
    for epoch in range(2):
        assert all(
            same(stock[SampleIndex(i, epoch)], indexed[SampleIndex(i, epoch)])
            for i in range(len(stock))
        )


def wrap(kind, one, pipeline):
    return dict(
        concatenated=dict(type='ConcatDataset', datasets=[one, dict(one, indices=2)]),
        repeated=dict(type='RepeatDataset', dataset=one, times=2),
        mixed=dict(type='MixedDataset', datasets=[one, one], ratios=[1, 2], epoch_length=9),
        joined_pipeline=dict(
            type='ConcatDataset', datasets=[dict(one, pipeline=[])], pipeline=pipeline
        ),
    )[kind]


@pytest.mark.parametrize('kind', ['concatenated', 'repeated', 'mixed', 'joined_pipeline'])
def test_the_same_within_wrappers(ann_file, pipeline, kind):
    one = dict(ann_file=ann_file.name, data_root=str(ann_file.parent), pipeline=pipeline)
    stock, indexed = (
        SeededDataset(wrap(kind, dict(one, type=name), pipeline))
        for name in ('OCRDataset', 'IndexedOCRDataset')
    )
    assert len(stock) == len(indexed)
    assert all(same(stock[i], indexed[i]) for i in range(len(stock)))


def test_json_lines_are_the_same(ann_file):
    content = json.loads(ann_file.read_text('utf-8'))
    lines = ann_file.with_suffix('.jsonl')
    head = dict(metainfo=content['metainfo'])
    lines.write_text('\n'.join(map(json.dumps, [head, *content['data_list']])))
    stock, _ = pair(ann_file)
    indexed = IndexedOCRDataset(ann_file=lines.name, data_root=str(ann_file.parent))
    assert indexed.metainfo == stock.metainfo
    assert [indexed.get_data_info(i) for i in range(7)] == [
        stock.get_data_info(i) for i in range(7)
    ]


def test_subsets(ann_file):
    stock, indexed = pair(ann_file)
    for indices in (3, -2, [5, 1], []):
        parts = [dataset.get_subset(indices) for dataset in (stock, indexed)]
        assert len(parts[0]) == len(parts[1])
        for index in range(len(parts[0])):
            assert parts[0].get_data_info(index) == parts[1].get_data_info(index)
    part = indexed.get_subset([5, 4, 3, 1]).get_subset([3, 0])
    assert [Path(part.get_data_info(i)['img_path']).name for i in range(2)] == ['1.png', '5.png']
    assert len(indexed) == 7
    indexed.get_subset_(2)
    assert len(indexed) == 2


def test_lazily(ann_file):
    lazy = IndexedOCRDataset(ann_file=str(ann_file), metainfo=dict(a=1), lazy_init=True)
    assert lazy.metainfo == dict(a=1)
    lazy.full_init()
    assert len(lazy) == 7 and lazy.metainfo['task_name'] == 'textspotting'


def test_what_goes_to_a_spawned_worker_is_small(ann_file):
    content = json.loads(ann_file.read_text('utf-8'))
    content['data_list'] *= 300
    ann_file.write_text(json.dumps(content))
    dataset = IndexedOCRDataset(ann_file=str(ann_file))
    pickled = pickle.dumps(dataset)
    assert len(pickled) < 2000
    assert pickle.loads(pickled).get_data_info(2000) == dataset.get_data_info(2000)
    assert copy.deepcopy(dataset).get_data_info(2000) == dataset.get_data_info(2000)


def test_wrong_arguments_and_files(ann_file):
    with pytest.raises(ValueError, match='needs an ann_file'):
        IndexedOCRDataset()
    with pytest.raises(FileNotFoundError, match='nowhere'):
        IndexedOCRDataset(ann_file='nowhere.json', data_root=str(ann_file.parent))
    with pytest.raises(IndexError, match='index 9 of 7'):
        IndexedOCRDataset(ann_file=str(ann_file), indices=[1, 9])
    content = json.loads(ann_file.read_text('utf-8'))
    content['data_list'][4]['img_path'] = None
    ann_file.write_text(json.dumps(content))
    dataset = IndexedOCRDataset(ann_file=str(ann_file))
    with pytest.raises(ValueError, match=r'annotations\.json: expected a path as "img_path"'):
        dataset.get_data_info(4)
    del content['data_list'][4]['img_path']
    ann_file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'annotations\.json: entry 4 has no "img_path"'):
        IndexedOCRDataset(ann_file=str(ann_file))


def test_annotations_of_another_task_are_refused(write_dataset, load_pipeline):
    arguments = dict(type='IndexedOCRDataset', ann_file=str(write_dataset(drop=('text',))))
    with pytest.raises(ValueError, match=r"of another task .*no \['text'\]"):
        SeededDataset(dict(arguments, pipeline=load_pipeline))


@pytest.mark.parametrize('name', ['synthtext_512', 'lsvt_512', 'pseudo_512'])
def test_configs_of_large_data_sets_use_it(name):
    dataset = Config.fromfile(DATA_CONFIGS / f'{name}.py').train_dataloader.dataset.dataset
    dataset = dataset.datasets[0] if 'datasets' in dataset else dataset
    assert dataset.type == 'IndexedOCRDataset'


def from_backend(pipeline, **backend_args):
    pipeline = copy.deepcopy(pipeline)
    pipeline[0].backend_args = backend_args
    return pipeline


def load_all(dataset, num_workers=2):
    batches = DataLoader(dataset, 2, num_workers=num_workers, collate_fn=pseudo_collate)
    return [
        dict(inputs=inputs, data_samples=sample)
        for batch in batches
        for inputs, sample in zip(batch['inputs'], batch['data_samples'])
    ]


def check(ann_file, pipeline, elsewhere):
    """The samples of a data set elsewhere are those of the local one, in forked workers too."""
    local = dict(type='IndexedOCRDataset', ann_file=ann_file.name, data_root=str(ann_file.parent))
    remote = dict(dict(type='IndexedOCRDataset', pipeline=pipeline), **elsewhere)
    local, remote = SeededDataset(dict(local, pipeline=pipeline)), SeededDataset(remote)
    remote[0]  # whatever a backend holds open is there before the fork
    for one, other in zip(load_all(local, 0), load_all(remote), strict=True):
        for sample in (one, other):
            assert 'skipped' not in sample['data_samples']
            sample['data_samples'].set_metainfo(dict(img_path=''))
        assert same(one, other)


def test_everything_in_lmdb(ann_file, pipeline, tmp_path):
    lmdb = pytest.importorskip('lmdb')
    database = str(tmp_path / 'database')
    with lmdb.open(database) as env, env.begin(write=True) as transaction:
        for file in (ann_file, *tmp_path.glob('*.png')):
            transaction.put(file.name.encode(), file.read_bytes())
    where = dict(backend='lmdb', db_path=database)
    stored = dict(ann_file=ann_file.name, backend_args=where)
    check(ann_file, pipeline, dict(stored, pipeline=from_backend(pipeline, **where)))


def test_everything_in_a_storage_of_ones_own(ann_file, pipeline, monkeypatch):
    contents = {
        f'shelf://room/{file.name}': file.read_bytes()
        for file in (ann_file, *ann_file.parent.glob('*.png'))
    }

    class Shelf(BaseStorageBackend):
        def get(self, filepath):
            return contents[filepath]

        def get_text(self, filepath):
            raise NotImplementedError

    for registered in (registry_utils.backends, registry_utils.prefix_to_backends):
        monkeypatch.setitem(registered, 'shelf', Shelf)
    check(ann_file, pipeline, dict(ann_file=ann_file.name, data_root='shelf://room/'))
    images_alone = dict(ann_file=str(ann_file), data_prefix=dict(img_path='shelf://room'))
    check(ann_file, pipeline, images_alone)


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def test_everything_over_http(ann_file, pipeline, tmp_path):
    served = tmp_path / 'served'
    served.mkdir()
    for file in (ann_file, *tmp_path.glob('*.png')):
        shutil.copy(file, served)
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Silent, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01))
    thread.start()
    address = f'http://127.0.0.1:{server.server_port}'
    try:
        check(ann_file, pipeline, dict(ann_file=ann_file.name, data_root=address))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
