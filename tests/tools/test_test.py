import importlib.util
import sys
from pathlib import Path

import pytest
import torch

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'test.py'
STOCK = 'dbnet_resnet18_fpnc_1200e_icdar2015.py'


@pytest.fixture(scope='module')
def tool():
    """The tool as a module."""
    spec = importlib.util.spec_from_file_location('odm_tools_test', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_settings_of_the_command_line(tool, tmp_path):
    arguments = [STOCK, 'iter_1.pth', '--save-preds', '--show-dir', 'pictures', '--work-dir', 'w']
    cfg = tool.prepare(tool.parse_args(arguments))
    assert cfg.load_from == 'iter_1.pth'
    assert cfg.test_evaluator[-1] == dict(
        type='DumpResults', out_file_path='w/iter_1.pth_predictions.pkl'
    )
    assert cfg.default_hooks.visualization.enable
    assert cfg.visualizer.save_dir == 'pictures'
