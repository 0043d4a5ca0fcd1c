import subprocess
import sys

import pytest
from mmocr.registry import HOOKS

from odm_mmocr.engine import KeepFreedMemoryHook, keep_freed_memory

# Frees 64 MiB and says how much smaller the process is then, in MiB.
SCRIPT = """
import resource, sys
from odm_mmocr.engine import keep_freed_memory
import torch
if sys.argv[1] == 'keep':
    assert keep_freed_memory()
def resident():
    pages = int(open('/proc/self/statm').read().split()[1])
    return pages * resource.getpagesize() / 2**20
x = torch.ones(16 * 2**20)
before = resident()
del x
print(before - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='is about glibc')
@pytest.mark.slow
def test_freed_memory_stays():
    given_back = {
        how: float(subprocess.check_output([sys.executable, '-W', 'ignore', '-c', SCRIPT, how]))
        for how in ('keep', 'default')
    }
    assert given_back['default'] > 60
    assert given_back['keep'] < 4


def test_another_system_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, 'platform', 'darwin')
    assert keep_freed_memory() is False


def test_the_hook_is_registered():
    assert HOOKS.get('KeepFreedMemoryHook') is KeepFreedMemoryHook
