import pytest
import torch

from odm_mmocr.benchmark import Start, parse_start
from odm_mmocr.benchmark.protocol import RANDOM_WEIGHTS
from odm_mmocr.benchmark.starts import network_normalization, prepare_start
from odm_mmocr.checkpoints import load_backbone, load_config, save_checkpoint


def test_starts_as_they_are_written():
    assert parse_start('random') == Start('random')
    assert parse_start('image-net=a/b=c.pth') == Start('image-net', 'a/b=c.pth')


@pytest.mark.parametrize('text', ['odm', 'odm=', '=x.pth', 'random=x.pth', 'a b=x', '../a=x', ''])
def test_what_is_no_start(text):
    with pytest.raises(ValueError, match='start'):
        parse_start(text)


@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.backbone.'])
@pytest.mark.parametrize('wrapped', [False, True])
def test_bare_weights_become_a_backbone_file(detector, bare_weights, tmp_path, prefix, wrapped):
    weights = {prefix + name: tensor for name, tensor in bare_weights.items()}
    weights['fc.weight' if not prefix else 'neck.weight'] = torch.zeros(3)
    path = tmp_path / 'x.pth'
    torch.save(dict(state_dict=weights) if wrapped else weights, path)
    start, what = prepare_start(Start('x', str(path)), load_config(detector), tmp_path / 'out')
    content = load_backbone(start.file)
    assert all(
        torch.equal(tensor, bare_weights[name]) for name, tensor in content['state_dict'].items()
    )
    assert content['meta']['architecture']['depth'] == 18
    assert '100 tensors' in what
    assert '123.675' in what


def test_exported_backbone_is_taken_as_it_is(detector, weights_file, tmp_path):
    cfg = load_config(detector)
    made, _ = prepare_start(Start('x', str(weights_file)), cfg, tmp_path)
    content = load_backbone(made.file)
    content['meta']['iteration'] = 77
    save_checkpoint(content, tmp_path / 'exported.pth')
    start, what = prepare_start(Start('odm', str(tmp_path / 'exported.pth')), cfg, tmp_path / 'no')
    assert load_backbone(start.file)['meta'] == content['meta']
    assert '77' in what


def test_file_that_changes_later_does_not_change_the_start(detector, bare_weights, tmp_path):
    path = tmp_path / 'x.pth'
    torch.save(bare_weights, path)
    cfg = load_config(detector)
    before, _ = prepare_start(Start('x', str(path)), cfg, tmp_path / 'out')
    torch.save({name: tensor + 1 for name, tensor in bare_weights.items()}, path)
    after, _ = prepare_start(Start('x', str(path)), cfg, tmp_path / 'out')
    assert after.file != before.file
    kept = load_backbone(before.file)['state_dict']
    assert torch.equal(kept['conv1.weight'], bare_weights['conv1.weight'])
    torch.save(bare_weights, path)
    assert prepare_start(Start('x', str(path)), cfg, tmp_path / 'out')[0] == before


def test_normalisation_of_an_mmdetection_network():
    cfg = load_config('mmocr::textdet/maskrcnn/mask-rcnn_resnet50_fpn_160e_icdar2015.py')
    assert network_normalization(cfg)['mean'] == [123.675, 116.28, 103.53]


def test_weights_of_another_network(detector, bare_weights, tmp_path):
    less = {name: t for name, t in bare_weights.items() if not name.startswith('layer4.1')}
    torch.save(less, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='layer4.1.conv1.weight is missing'):
        prepare_start(Start('x', str(tmp_path / 'x.pth')), load_config(detector), tmp_path)


def test_random_needs_no_file(detector, tmp_path):
    start = Start('random')
    assert prepare_start(start, load_config(detector), tmp_path) == (start, RANDOM_WEIGHTS)


def test_missing_file(detector, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.pth'):
        prepare_start(Start('x', 'gone.pth'), load_config(detector), tmp_path)
