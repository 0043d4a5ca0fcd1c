import copy

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS
from mmengine.structures import InstanceData, LabelData, PixelData
from torch.utils.data import DataLoader

from odm_mmocr.datasets import packed_collate
from odm_mmocr.datasets.collate import CopyTogether, PackedBatch
from odm_mmocr.engine.finite_steps import from_plain, to_plain
from odm_mmocr.models import ODMDataPreprocessor
from odm_mmocr.structures import ODMDataSample, map_tensors

SIZES = [(40, 64), (33, 20), (40, 64)]


def make_sample(index, size):
    """One with as many words as its index says; only the second has weights."""
    generator = torch.Generator().manual_seed(index)

    def draw(*shape):
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)

    sample = ODMDataSample(metainfo=dict(img_shape=size, img_path=f'{index}.jpg'))
    texts = [f'word{number}' for number in range(index)]
    sample.prompt = LabelData(texts=texts, tokens=draw(4, 5).long(), mask=draw(4) > 128)
    sample.gt_instances = InstanceData(
        texts=texts,
        polygons=[np.arange(8, dtype=np.float32)] * index,
        bboxes=draw(index, 4).float(),
        ignored=draw(index) > 128,
    )
    maps = dict(label=draw(1, *size), ignore=draw(1, *size) > 128)
    sample.gt_destylized = PixelData(**maps, **(dict(weight=draw(1, *size)) if index == 1 else {}))
    return dict(inputs=draw(3, *size), data_samples=sample)


def make_samples():
    return [make_sample(index, size) for index, size in enumerate(SIZES)]


def assert_equal(value, wanted):
    assert type(value) is type(wanted)
    if isinstance(wanted, torch.Tensor):
        assert value.dtype == wanted.dtype
        assert torch.equal(value, wanted)
    elif isinstance(wanted, np.ndarray):
        np.testing.assert_array_equal(value, wanted)
    elif isinstance(wanted, list):
        for item, other in zip(value, wanted, strict=True):
            assert_equal(item, other)
    elif hasattr(wanted, 'metainfo_items'):
        assert dict(value.metainfo_items()) == dict(wanted.metainfo_items())
        assert_equal(dict(value.items()), dict(wanted.items()))
    elif isinstance(wanted, dict):
        assert value.keys() == wanted.keys()
        for key, item in wanted.items():
            assert_equal(value[key], item)
    else:
        assert value == wanted


def memories(value):
    """Addresses of the pieces of memory in which the tensors lie, and their number."""
    addresses = []
    map_tensors(value, lambda t: (addresses.append(t.untyped_storage().data_ptr()), t)[1])
    return set(addresses), len(addresses)


@pytest.mark.parametrize('num_workers', [0, 1])
def test_a_batch_is_that_of_mmengine(num_workers):
    loader = DataLoader(make_samples(), 3, num_workers=num_workers, collate_fn=packed_collate)
    (batch,) = loader
    assert_equal(dict(batch), pseudo_collate(make_samples()))
    for key, number in (('inputs', 3), ('data_samples', 3 * 6 + 1)):
        found, tensors = memories(batch[key])
        assert (len(found), tensors) == (1, number)


def test_it_is_known_to_mmengine():
    assert FUNCTIONS.get('packed_collate') is packed_collate


def test_each_memory_is_copied_once():
    batch = packed_collate(make_samples())
    copied = []

    def copy_memory(memory):
        copied.append(memory.nbytes)
        return memory.clone()

    result = map_tensors(batch, CopyTogether(copy_memory))
    assert len(copied) == 2
    assert_equal(result, pseudo_collate(make_samples()))
    assert memories(result)[0].isdisjoint(memories(batch)[0])


def test_what_replaces_a_tensor_is_copied_too():
    batch = packed_collate(make_samples())
    batch['inputs'][0] = torch.full((3, 2, 2), 7.0)
    result = map_tensors(batch, CopyTogether(torch.clone))
    assert torch.equal(result['inputs'][0], torch.full((3, 2, 2), 7.0))


def test_a_copy_has_memory_of_its_own():
    batch = packed_collate(make_samples())
    other = copy.deepcopy(batch)
    assert_equal(dict(other), dict(batch))
    assert memories(other)[0].isdisjoint(memories(batch)[0])


def test_a_batch_can_be_kept_in_a_file(tmp_path):
    batch = packed_collate(make_samples())
    torch.save(to_plain(batch), tmp_path / 'batch.pth')
    kept = from_plain(torch.load(tmp_path / 'batch.pth', weights_only=True))
    assert_equal(kept, pseudo_collate(make_samples()))


def test_a_worker_shares_the_memory_before_it_is_sent(monkeypatch):
    monkeypatch.setattr('odm_mmocr.datasets.collate.get_worker_info', object)
    batch = packed_collate(make_samples())
    assert batch['inputs'][0].is_shared()
    assert batch['data_samples'][2].gt_instances.bboxes.is_shared()


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
def test_pinned_memory_reaches_the_gpu():
    loader = DataLoader(make_samples(), 3, collate_fn=packed_collate, pin_memory=True)
    (batch,) = loader
    assert isinstance(batch, PackedBatch)
    assert all(image.is_pinned() for image in batch['inputs'])
    assert all(sample.prompt.tokens.is_pinned() for sample in batch['data_samples'])
    data = ODMDataPreprocessor().cuda()(batch)
    wanted = ODMDataPreprocessor()(pseudo_collate(make_samples()))
    for sample, other in zip(data['data_samples'], wanted['data_samples'], strict=True):
        assert sample.gt_destylized.label.is_cuda
        assert_equal(sample.to('cpu'), other)


def test_pinning_copies_each_memory_once(monkeypatch):
    copied = []
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda t: (copied.append(t), t.clone())[1])
    batch = packed_collate(make_samples())
    pinned = batch.pin_memory()
    assert isinstance(pinned, PackedBatch)
    assert_equal(dict(pinned), dict(batch))
    assert len(copied) == 2
    assert memories(pinned)[0].isdisjoint(memories(batch)[0])


@pytest.mark.parametrize('collate', [packed_collate, pseudo_collate])
def test_preprocessor_leaves_annotation_on_the_host(collate):
    preprocessor = ODMDataPreprocessor().to('meta')
    data = preprocessor.cast_data(collate(make_samples()))
    assert {image.device.type for image in data['inputs']} == {'meta'}
    for sample in data['data_samples']:
        assert sample.gt_destylized.label.is_meta
        assert sample.prompt.tokens.is_meta
        assert sample.gt_instances.ignored.device.type == 'cpu'
