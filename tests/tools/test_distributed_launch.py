"""Training with several processes, started as a user starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmocr.registry import MODELS

from odm_mmocr.compat import check_launcher

ROOT = Path(__file__).resolve().parents[2]
TRAIN = ROOT / 'tools' / 'train.py'
TORCHRUN = (sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2')
# Statistics of BatchNorm are those of a process.
CONFIG = f"""
_base_ = {str(ROOT / 'configs' / 'odm_pretrain_quickstart.py')!r}
custom_imports = dict(imports=['odm_mmocr', 'note_images'], allow_failed_imports=False)
model = dict(
    channels_last=False,
    image_encoder=dict(backbone=dict(norm_eval=True)),
    head=dict(norm_cfg=dict(type='GN', num_groups=4)),
)
optim_wrapper = dict(
    _delete_=True, type='AutoAmpOptimWrapper', optimizer=dict(type='SGD', lr=1e-2)
)
param_scheduler = None
load_from = 'start.pth'
train_cfg = dict(max_iters=2, val_interval=100)
train_dataloader = dict(batch_size=2)
val_cfg = None
val_dataloader = None
val_evaluator = None
test_cfg = None
test_dataloader = None
test_evaluator = None
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2))
custom_hooks = [dict(type='BackboneExportHook'), dict(type='NoteImages')]
"""
ALL = """
_base_ = 'tiny.py'
optim_wrapper = dict(
    type='CpuAmpOptimWrapper',
    optimizer=dict(lr=1.0),
    accumulative_counts=2,
    clip_grad=dict(max_norm=1e-2),
)
custom_hooks = [dict(type='BackboneExportHook'), dict(type='EMAHook', momentum=0.5)]
"""
SHARDED = """
_base_ = 'tiny.py'
runner_type = 'FlexibleRunner'
strategy = dict(
    type='FSDPStrategy',
    model_wrapper=dict(type='ODMFullyShardedDataParallel', device_id='cpu'),
    state_dict_cfg=dict(
        state_dict_type='FULL_STATE_DICT',
        state_dict_config=dict(type='FullStateDictConfig'),
        optim_state_dict_config=dict(type='FullOptimStateDictConfig'),
    ),
)
"""
NOTE_IMAGES = """
import json

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmocr.registry import HOOKS


@HOOKS.register_module()
class NoteImages(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        sums = [int(image.long().sum()) for image in data_batch['inputs']]
        with open(f'{runner.work_dir}/images_{get_rank()}.json', 'a') as file:
            file.write(json.dumps(sums) + '\\n')
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('launch')
    (folder / 'tiny.py').write_text(CONFIG)
    (folder / 'sharded.py').write_text(SHARDED)
    (folder / 'all.py').write_text(ALL)
    (folder / 'note_images.py').write_text(NOTE_IMAGES)
    init_default_scope('mmocr')
    model = MODELS.build(Config.fromfile(folder / 'tiny.py', import_custom_modules=False).model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / 'start.pth')
    return folder


@pytest.fixture(scope='module')
def start(folder):
    """Function that starts a training, given what stands before the tool and after the config."""

    def start(before, *after, config='tiny.py', **variables):
        environment = dict(
            os.environ,
            OMP_NUM_THREADS='1',
            CUDA_VISIBLE_DEVICES='',
            PYTHONPATH=os.pathsep.join([str(folder), str(ROOT)]),
        )
        environment.update(variables)
        return subprocess.Popen(
            list(map(str, (*before, TRAIN, config, *after))),
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def finish(*processes):
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output
    return ''.join(outputs)


def weights(path, key='state_dict'):
    return torch.load(path, weights_only=False)[key]


def distance(first, second):
    """Root of the summed squares over all parameters."""
    squares = [
        (value - second[name]).double().square().sum()
        for name, value in first.items()
        if value.is_floating_point() and 'running' not in name
    ]
    return sum(squares).sqrt().item()


def images(work_dir, rank):
    lines = (work_dir / f'images_{rank}.json').read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope='module')
def one(start, folder):
    """Work folder of one process with the whole batch."""
    after = ('--work-dir', 'one', '--cfg-options', 'train_dataloader.batch_size=4')
    finish(start([sys.executable], *after))
    return folder / 'one'


def check_run_of_two(work_dir, one):
    for pattern in ('*.pth', '20*/*.log', 'last_checkpoint', '*.py'):
        count = 2 if pattern == '*.pth' else 1  # checkpoint and backbone
        assert len(list(work_dir.glob(pattern))) == count, pattern
    for first, second, both in zip(*(images(work_dir, rank) for rank in (0, 1)), images(one, 0)):
        assert sorted(first + second) == sorted(both)
        assert len(set(both)) == 4
    before, expected, found = (
        weights(path)
        for path in (one.parent / 'start.pth', one / 'iter_2.pth', work_dir / 'iter_2.pth')
    )
    assert list(found) == list(expected)
    assert distance(found, expected) < 1e-4 * distance(expected, before)


@pytest.mark.slow
def test_torchrun(start, folder, one):
    output = finish(start(TORCHRUN, '--launcher', 'pytorch', '--work-dir', 'torchrun'))
    assert 'Distributed training: True' in output
    assert 'start method' not in output  # MMEngine warns where it has to change that
    check_run_of_two(folder / 'torchrun', one)


@pytest.mark.slow
def test_slurm(start, folder, one):
    """Two tasks of a job, with the variables that `srun` would set for them."""
    (folder / 'scontrol').write_text('#!/bin/sh\necho localhost\n')
    (folder / 'scontrol').chmod(0o755)
    variables = dict(
        PATH=f'{folder}{os.pathsep}{os.environ["PATH"]}',
        MASTER_PORT=str(29000 + os.getpid() % 900),
        SLURM_NTASKS='2',
        SLURM_NODELIST='localhost',
    )
    finish(
        *(
            start(
                [sys.executable],
                *('--launcher', 'slurm', '--work-dir', 'slurm'),
                **dict(variables, SLURM_PROCID=rank, SLURM_LOCALID=rank),
            )
            for rank in '01'
        )
    )
    check_run_of_two(folder / 'slurm', one)


@pytest.mark.slow
def test_sharded(start, folder, one):
    command = (TORCHRUN, '--launcher', 'pytorch', '--work-dir', 'sharded')
    finish(start(*command, config='sharded.py'))
    check_run_of_two(folder / 'sharded', one)


@pytest.mark.slow
def test_accumulation_clipping_mixed_precision_and_averaged_weights(start, folder):
    finish(start(TORCHRUN, '--launcher', 'pytorch', '--work-dir', 'all', config='all.py'))
    averaged = weights(folder / 'all' / 'iter_2.pth')
    raw = weights(folder / 'all' / 'iter_2.pth', 'ema_state_dict')
    raw = {name.removeprefix('module.'): value for name, value in raw.items()}
    before = weights(folder / 'start.pth')
    # The weights move once in two iterations, and as far as the clipping allows.
    assert distance(raw, before) == pytest.approx(1e-2, rel=1e-3)
    assert distance(averaged, raw) == pytest.approx(1e-2 / 2, rel=1e-3)
    backbone = torch.load(folder / 'all' / 'backbone_resnet18.pth')
    assert backbone['meta']['weights'] == 'averaged'
    prefix = 'image_encoder.backbone.'
    for name, value in backbone['state_dict'].items():
        assert torch.equal(value, averaged[prefix + name])


@pytest.mark.parametrize(
    ('launcher', 'variable'), [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID'), ('none', None)]
)
def test_a_launcher_without_its_program_says_so(launcher, variable, monkeypatch):
    if variable is None:
        check_launcher(launcher)
        return
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ValueError, match=f'{variable} is not set; start the command with'):
        check_launcher(launcher)
    monkeypatch.setenv(variable, '0')
    check_launcher(launcher)
