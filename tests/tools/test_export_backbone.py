import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from odm_mmocr.checkpoints import load_backbone

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'export_backbone.py'
RESNET18 = dict(type='mmdet.ResNet', depth=18, norm_eval=False)


@pytest.fixture
def export(load_tool, as_command):
    """Run the tool in this process."""
    return as_command(load_tool('export_backbone'))


@pytest.fixture(scope='module')
def checkpoint(training_checkpoint, tmp_path_factory):
    """A training checkpoint with raw weights that are the averaged ones plus 1."""
    path = tmp_path_factory.mktemp('work') / 'iter_1234.pth'
    content = training_checkpoint(RESNET18)
    content['ema_state_dict'] = {
        f'module.{key}': value + 1 for key, value in content['state_dict'].items()
    }
    torch.save(content, path)
    return path


def test_default_name_and_weights(export, checkpoint, tmp_path, capsys):
    export(checkpoint)
    averaged = load_backbone(checkpoint.parent / 'backbone_resnet18.pth')
    assert averaged['meta']['weights'] == 'averaged'
    assert re.search(
        r'backbone_resnet18\.pth: resnet18, 100 tensors, averaged weights of iteration 1234, '
        r'BatchNorm recalibrated over 0 batches',
        capsys.readouterr().out,
    )
    export(checkpoint, '--no-ema', '--out', tmp_path / 'raw.pth')
    raw = load_backbone(tmp_path / 'raw.pth')
    assert torch.equal(raw['state_dict']['bn1.bias'], averaged['state_dict']['bn1.bias'] + 1)


def test_half_precision(export, checkpoint, tmp_path):
    export(checkpoint, '--half', '--out', tmp_path / 'half.pth')
    content = load_backbone(tmp_path / 'half.pth')
    assert content['meta']['precision'] == 'float16'
    assert content['state_dict']['conv1.weight'].dtype == torch.float16


def test_config_stands_in_for_the_one_in_the_checkpoint(export, checkpoint, tmp_path):
    bare = tmp_path / 'bare.pth'
    torch.save(dict(state_dict=torch.load(checkpoint)['state_dict']), bare)
    with pytest.raises(SystemExit, match=r'bare\.pth.*does not carry the config.*or a config'):
        export(bare)
    config = tmp_path / 'pretrain.py'
    Config(dict(model=dict(type='ODM', image_encoder=dict(backbone=RESNET18)))).dump(config)
    with pytest.raises(SystemExit, match='config of an ODM model'):
        export(bare, '--config', 'dbnet_resnet18_odm_icdar2015')
    export(bare, '--config', config)
    assert load_backbone(tmp_path / 'backbone_resnet18.pth')['meta']['architecture'] == RESNET18


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['none.pth'], r'none\.pth does not exist'),
        ([TOOL], r'export_backbone\.py .*cannot be read'),
        (['CHECKPOINT', '--config', 'none.py'], r'no config none\.py'),
        (['CHECKPOINT', '--config', 'odm_pretrain'], 'of another model than the config'),
        (['CHECKPOINT', '--config', 'CLIP_MEANS'], 'normalises images with'),
        (['CHECKPOINT', '--config', 'NO_DATA', '--recalibrate', '3'], 'no train_dataloader'),
    ],
)
def test_mistakes_end_with_one_line(
    export, checkpoint, tmp_path, tmp_path_factory, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    configs = dict(NO_DATA={}, CLIP_MEANS=dict(mean=[122.8, 116.7, 104.1]))
    for name, preprocessor in configs.items():
        model = dict(
            image_encoder=dict(backbone=RESNET18),
            data_preprocessor=dict(type='ODMDataPreprocessor', **preprocessor),
        )
        configs[name] = tmp_path_factory.mktemp('configs') / 'pretrain.py'
        Config(dict(model=dict(type='ODM', **model))).dump(configs[name])
    known = dict(configs, CHECKPOINT=checkpoint)
    arguments = [known.get(argument, argument) for argument in arguments]
    with pytest.raises(SystemExit, match=f'^error: .*{message}'):
        export(*arguments)
    assert not list(tmp_path.iterdir())


def test_wrong_numbers_and_devices(export, checkpoint, capsys, monkeypatch):
    with pytest.raises(SystemExit):
        export(checkpoint, '--recalibrate', '-1')
    assert '--recalibrate -1' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export(checkpoint, '--recalibrate', '3')
    assert 'give the data with --config' in capsys.readouterr().err
    monkeypatch.setattr('torch.cuda.device_count', lambda: 0)
    with pytest.raises(SystemExit):
        export(checkpoint, '--device', 'cuda:0')
    assert "device='cuda:0': PyTorch sees 0 GPUs" in capsys.readouterr().err
