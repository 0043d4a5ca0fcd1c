import os
import resource
import signal

import pytest
import torch
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.fileio.backends import registry_utils

from odm_mmocr.checkpoints import load_checkpoint, save_checkpoint
from odm_mmocr.checkpoints.saving import WholeFileBackend, save_whole_files


@pytest.fixture
def small_disk():
    """No file may grow beyond 10 kB, which fails like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_full_disk_leaves_the_old_file_and_no_half_one(tmp_path, small_disk):
    path = tmp_path / 'iter_1.pth'
    save_checkpoint(dict(state_dict=dict(a=torch.zeros(10))), path)
    with pytest.raises(OSError, match=r'iter_1\.pth was not written.*whole.*free space'):
        save_checkpoint(dict(state_dict=dict(a=torch.zeros(10_000))), path)
    assert load_checkpoint(path)['state_dict']['a'].shape == (10,)
    assert os.listdir(tmp_path) == ['iter_1.pth']


def test_backend_is_whole_too(tmp_path, small_disk):
    backend = WholeFileBackend()
    backend.put(b'old', tmp_path / 'file')
    with pytest.raises(OSError, match='was not written'):
        backend.put(bytes(20_000), tmp_path / 'file')
    assert (tmp_path / 'file').read_bytes() == b'old'


def test_mmengine_saves_through_it(tmp_path, monkeypatch):
    monkeypatch.setitem(registry_utils.backends, 'local', LocalBackend)
    monkeypatch.setitem(registry_utils.prefix_to_backends, '', LocalBackend)
    save_whole_files()
    assert type(get_file_backend(str(tmp_path / 'iter_1.pth'))) is WholeFileBackend
    assert type(get_file_backend(backend_args=dict(backend='local'))) is WholeFileBackend
