import sys
from pathlib import Path

import pytest
import torch

from odm_mmocr.apis import build_model
from odm_mmocr.checkpoints import load_config

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'test.py'
CONFIGS = TOOL.parents[1] / 'configs'
STOCK = 'dbnet_resnet18_fpnc_1200e_icdar2015.py'


@pytest.fixture(scope='module')
def tool(load_tool):
    """The tool as a module."""
    return load_tool('test')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([STOCK, 'BACKBONE'], r'backbone_resnet18\.pth is a backbone only'),
        ([STOCK, 'none.pth'], r'none\.pth does not exist'),
        (['none.py', 'CHECKPOINT'], r'no config none\.py'),
        ([STOCK, 'CHECKPOINT', '--tta'], 'has no tta_model and tta_pipeline'),
    ],
)
def test_mistakes_end_with_one_line(tool, backbone_file, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    checkpoint = tmp_path / 'iter_1.pth'
    torch.save(dict(state_dict={}), checkpoint)
    files = dict(CHECKPOINT=checkpoint, BACKBONE=backbone_file('resnet18'))
    monkeypatch.setattr(sys, 'argv', [TOOL.name, *(str(files.get(a, a)) for a in arguments)])
    with pytest.raises(SystemExit, match=f'^error: .*{message}'):
        tool.main()


@pytest.mark.parametrize('tests', ['', 'test_dataloader = test_evaluator = None\n'])
def test_a_config_without_test_data_is_named(tool, tmp_path, tests):
    config = tmp_path / 'train_only.py'
    config.write_text(f"{tests}model = dict(type='ODM')")
    with pytest.raises(ValueError, match=r'train_only\.py has no test_dataloader'):
        tool.prepare(tool.parse_args([str(config), 'iter_1.pth']))


@pytest.mark.parametrize('name', sorted(path.name for path in CONFIGS.glob('odm_pretrain*.py')))
def test_every_pre_training_config_can_be_tested(tool, name):
    cfg = tool.prepare(tool.parse_args([name, 'iter_1.pth', '--read-back']))
    assert cfg.test_cfg.type == 'TestLoop'
    assert cfg.test_dataloader == cfg.val_dataloader
    evaluator = cfg.test_evaluator
    metrics = evaluator.metrics if isinstance(evaluator, dict) else evaluator
    assert [metric.type for metric in metrics] == [
        'PromptControlMetric', 'DestylizationMetric', 'RetrievalMetric', 'ReadBackMetric',
    ]  # fmt: skip


def test_predictions_of_several_data_sets_are_not_dumped(tool):
    arguments = ['odm_pretrain_val-icdar2015.py', 'iter_1.pth', '--save-preds']
    with pytest.raises(ValueError, match='--save-preds takes one data set'):
        tool.prepare(tool.parse_args(arguments))


def test_reading_back_needs_an_odm(tool):
    with pytest.raises(ValueError, match='--read-back: .* is DBNet, no ODM'):
        tool.prepare(tool.parse_args([STOCK, 'iter_1.pth', '--read-back']))


def test_figures_of_a_model(tool, tmp_path, monkeypatch, capfd):
    config = CONFIGS / 'odm_pretrain_quickstart.py'
    monkeypatch.chdir(tmp_path)
    checkpoint = tmp_path / 'iter_1.pth'
    torch.save(dict(state_dict=build_model(load_config(str(config))).state_dict()), checkpoint)
    settings = ['test_dataloader.dataset.dataset.epoch_length=4', 'test_dataloader.batch_size=4']
    arguments = [TOOL.name, str(config), str(checkpoint), '--cfg-options', *settings]
    monkeypatch.setattr(sys, 'argv', arguments)
    tool.main()
    output = ''.join(capfd.readouterr())
    assert all(f'odm/{name}: ' in output for name in ('fscore', 'kept', 'leak'))


def test_settings_of_the_command_line(tool, tmp_path):
    arguments = [STOCK, 'iter_1.pth', '--save-preds', '--show-dir', 'pictures', '--work-dir', 'w']
    cfg = tool.prepare(tool.parse_args(arguments))
    assert cfg.load_from == 'iter_1.pth'
    assert cfg.test_evaluator[-1] == dict(
        type='DumpResults', out_file_path='w/iter_1.pth_predictions.pkl'
    )
    assert cfg.default_hooks.visualization.enable
    assert cfg.visualizer.save_dir == 'pictures'
