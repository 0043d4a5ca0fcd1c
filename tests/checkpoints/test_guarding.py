"""MMEngine's own loading; tests/test_hostile_files.py has the tools that lead to it."""

import pytest
import torch
from mmengine.model import PretrainedInit
from mmengine.runner import load_checkpoint as load_into_model
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from odm_mmocr.checkpoints import UnreadableCheckpoint, guard_mmengine


@pytest.fixture
def evil(tmp_path, monkeypatch, payload):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    torch.save(dict(state_dict={}, meta=payload), tmp_path / 'evil.pth')
    return str(tmp_path / 'evil.pth')


def test_every_way_in_is_guarded(evil):
    model = nn.Linear(1, 1)
    for load in (
        CheckpointLoader.load_checkpoint,
        lambda path: load_into_model(model, path),
        lambda path: PretrainedInit(path)(model),
        lambda path: PretrainedInit(path, prefix='a.')(model),
    ):
        with pytest.raises(UnreadableCheckpoint, match=r'evil\.pth holds posix\.system'):
            load(evil)


def test_torch_is_as_before_whatever_happens(evil):
    before = torch.load
    with pytest.raises(UnreadableCheckpoint):
        CheckpointLoader.load_checkpoint(evil)
    with pytest.raises(FileNotFoundError):
        CheckpointLoader.load_checkpoint('absent.pth')
    assert torch.load is before


def test_guarding_twice_changes_nothing():
    before = CheckpointLoader.load_checkpoint
    guard_mmengine()
    assert CheckpointLoader.load_checkpoint == before


def test_a_config_that_mmengine_would_execute_is_dropped(tmp_path):
    meta = dict(config='import os', cfg='a = 1', iter=1)
    torch.save(dict(meta=meta, state_dict={}), tmp_path / 'a.pth')
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'), map_location='cpu')
    assert loaded['meta'] == dict(cfg='a = 1', iter=1)


def test_torchscript_is_refused(tmp_path):
    """It is code by nature, and torch.load would hand it on."""
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), tmp_path / 'a.pth')
    with pytest.raises(UnreadableCheckpoint, match=r'a\.pth .*no checkpoint of PyTorch'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'))
