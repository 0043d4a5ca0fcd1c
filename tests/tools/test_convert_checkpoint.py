import pytest
import torch

from odm_mmocr.checkpoints import (
    ReleasedModel,
    load_backbone,
    load_checkpoint,
    load_config,
    to_released,
)
from odm_mmocr.checkpoints.released import build_odm, released_config

SMALL = ReleasedModel('ODM', width=8, grid=2, embed_dims=16, word_dims=8, word_depth=1, depth=1)
REFERENCE = 'odm_pretrain_reference.py'


@pytest.fixture
def convert(load_tool, as_command):
    """Run the tool in this process."""
    return as_command(load_tool('convert_checkpoint'))


@pytest.fixture(scope='module')
def weights():
    return to_released(build_odm(released_config(SMALL), 'cpu').state_dict())


@pytest.fixture(scope='module')
def oclip(weights):
    """Weights of an oCLIP with ids for 10 characters."""
    kept = {n: v for n, v in weights.items() if not n.startswith(('fpn_head.', 'mim.'))}
    return {
        **kept,
        'token_embedding.weight': torch.randn(13, 8),
        'text_class.weight': torch.randn(13, 16),
        'text_class.bias': torch.randn(13),
    }


def save(content, path):
    torch.save(content, path)
    return path


def test_a_training_checkpoint_becomes_files_that_load(convert, weights, tmp_path, capsys):
    half = {f'module.{n}': v.half() if v.is_floating_point() else v for n, v in weights.items()}
    content = dict(epoch=7, state_dict=half, optimizer=dict(state={}, param_groups=[]))
    convert(save(content, tmp_path / 'epoch_7.pt'), '--out', tmp_path / 'out')
    printed = capsys.readouterr().out
    assert f'{len(weights)} tensors converted' in printed
    assert 'brought to single precision' in printed
    assert '1 left out, optimizer: ' in printed
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'backbone_clip-resnet50.pth',
        'odm_from_epoch_7.pth',
        'odm_from_epoch_7.py',
    }
    model = build_odm(load_config(str(tmp_path / 'out' / 'odm_from_epoch_7.py')), 'cpu')
    model.load_state_dict(load_checkpoint(tmp_path / 'out' / 'odm_from_epoch_7.pth')['state_dict'])
    load_backbone(tmp_path / 'out' / 'backbone_clip-resnet50.pth')


def test_without_characters_there_is_a_backbone(convert, oclip, tmp_path, capsys):
    convert(save(oclip, tmp_path / 'lsvt.pt'), '--out', tmp_path / 'out')
    printed = capsys.readouterr().out
    assert 'ids for 10 characters; give them with --characters' in printed
    assert '2 left out, text_class: guesses the masked character' in printed
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['backbone_clip-resnet50.pth']


@pytest.mark.parametrize(
    ('content', 'options', 'message'),
    [
        ({'stem.0.weight': torch.ones(2)}, [], r'no name starts with "visual\."'),
        (dict(state_dict=3), [], r'state_dict is a int'),
        (dict(state_dict={}), ['--to-released'], r'does not carry the config of an ODM model'),
        (
            dict(state_dict={}, meta=dict(cfg='exec("1")')),
            ['--to-released'],
            r'does not carry the config of an ODM model',
        ),
        (
            {'image_encoder.pool.pooling': torch.ones(2)},
            ['--to-released', '--config', REFERENCE],
            r'no place for image_encoder\.pool\.pooling',
        ),
        (
            {'head.draw.weight': torch.ones(2)},
            ['--to-released', '--config', 'odm_pretrain_resnet18.py'],
            r'no such model: image_encoder\.embed_dims is 256, must be 512; .*backbone: ',
        ),
        (
            {'visual.conv1.weight': torch.ones(2)},
            ['--characters', 'none.txt'],
            r'no vocabulary file none\.txt',
        ),
    ],
    ids=['backbone', 'no weights', 'no config', 'odd config', 'unknown', 'other', 'characters'],
)
def test_wrong_input_is_one_line_and_leaves_nothing(convert, tmp_path, content, options, message):
    out = tmp_path / 'out'
    with pytest.raises(SystemExit, match=message) as error:
        convert(save(content, tmp_path / 'wrong.pt'), '--out', out, *options)
    assert '\n' not in str(error.value)
    assert not out.exists()


def test_options_that_do_not_go_together_are_refused(convert, tmp_path, capsys):
    for options in (['--half'], ['--config', REFERENCE], ['--to-released', '--characters', 'f']):
        with pytest.raises(SystemExit):
            convert(tmp_path / 'any.pt', '--out', tmp_path, *options)
        assert '--to-released' in capsys.readouterr().err


def test_weights_of_another_size_than_their_config_do_not_go_back(convert, tmp_path):
    path = save(build_odm(released_config(SMALL), 'cpu').state_dict(), tmp_path / 'odm.pth')
    with pytest.raises(SystemExit, match=r'the checkpoint does not hold an ODM.*another shape'):
        convert(path, '--out', tmp_path / 'out', '--to-released', '--config', REFERENCE)
    assert not (tmp_path / 'out').exists()


def test_its_own_input_is_not_overwritten(convert, weights, tmp_path):
    path = save(weights, tmp_path / 'backbone_clip-resnet50.pth')
    before = path.read_bytes()
    with pytest.raises(SystemExit, match='would be overwritten'):
        convert(path, '--out', tmp_path)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_the_reference_architecture_goes_back(convert, tmp_path):
    model = build_odm(load_config(REFERENCE), 'cpu')
    path = save(dict(state_dict=model.state_dict()), tmp_path / 'odm.pth')
    convert(path, '--out', tmp_path, '--to-released', '--half', '--config', REFERENCE)
    released = load_checkpoint(tmp_path / 'odm_released.pt')['state_dict']
    wanted = to_released(model.state_dict(), half=True)
    assert released.keys() == {f'module.{name}' for name in wanted}
    assert all(torch.equal(released[f'module.{name}'], wanted[name]) for name in wanted)
