import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS

TRAIN = Path(__file__).resolve().parents[2] / 'tools' / 'train.py'
CONFIG = """
_base_ = ['mmocr::textdet/dbnet/_base_dbnet_resnet18_fpnc.py',
          'mmocr::textdet/_base_/default_runtime.py']
model = dict(backbone=dict(init_cfg=None))
dataset = dict(
    type='OCRDataset', data_root='{root}', ann_file='train.json',
    pipeline=[dict(type='LoadImageFromFile'),
              dict(type='LoadOCRAnnotations', with_polygon=True, with_bbox=True, with_label=True),
              dict(type='PackTextDetInputs', meta_keys=('img_path', 'ori_shape', 'img_shape'))])
train_dataloader = dict(batch_size=1, num_workers=0, dataset=dataset,
                        sampler=dict(type='InfiniteSampler', shuffle=False))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.0))
val_evaluator = None
test_evaluator = None
default_hooks = dict(logger=dict(interval=1),
                     checkpoint=dict(interval=1, by_epoch=False, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
auto_scale_lr = dict(base_batch_size=16)
"""


@pytest.fixture(scope='module')
def train(load_tool):
    """The tool as a module."""
    return load_tool('train')


@pytest.fixture
def config(tmp_path):
    """A DBNet-ResNet18 that trains on one image of 64 pixels."""
    cv2.imwrite(str(tmp_path / 'image.png'), np.full((64, 64, 3), 90, np.uint8))
    instance = dict(
        polygon=[8, 8, 56, 8, 56, 40, 8, 40], bbox=[8, 8, 56, 40], bbox_label=0, ignore=False
    )
    data = dict(
        metainfo=dict(dataset_type='TextDetDataset', task_name='textdet', category=[]),
        data_list=[dict(img_path='image.png', height=64, width=64, instances=[instance])],
    )
    (tmp_path / 'train.json').write_text(json.dumps(data))
    path = tmp_path / 'tiny.py'
    path.write_text(CONFIG.format(root=tmp_path))
    return path


def heed_interrupts():
    """What is started by a shell in the background inherits that it ignores them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def start(*arguments, cwd, **kwargs):
    return subprocess.Popen(
        [sys.executable, str(TRAIN), *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(os.environ, OMP_NUM_THREADS='1'),
        **kwargs,
    )


def test_detector_starts_from_backbone(train, config, backbone_file, tmp_path, monkeypatch, capfd):
    """From a foreign folder; learning rate 0 keeps the weights."""
    path = backbone_file('resnet18')
    monkeypatch.chdir(tmp_path)
    arguments = [TRAIN.name, config, '--backbone', path, '--work-dir', 'work']
    monkeypatch.setattr(sys, 'argv', list(map(str, arguments)))
    monkeypatch.setattr(train, 'save_whole_files', lambda: None)
    train.main()
    output = ''.join(capfd.readouterr())
    assert f'--backbone: model.backbone.init_cfg: random -> {path} (100 tensors)' in output
    assert f'100 of 100 tensors loaded from {path}' in output
    trained = torch.load(tmp_path / 'work' / 'iter_2.pth', weights_only=True)['state_dict']
    for key, value in torch.load(path, weights_only=True)['state_dict'].items():
        if 'running' not in key and 'num_batches' not in key:
            assert torch.equal(trained[f'backbone.{key}'], value), key


@pytest.mark.slow
def test_interrupt_names_the_last_checkpoint_and_resume_goes_on(config, tmp_path):
    work = tmp_path / 'work'
    process = start(config, '--work-dir', work, '--cfg-options', 'train_cfg.max_iters=10000',
                    cwd=tmp_path, preexec_fn=heed_interrupts)  # fmt: skip
    deadline = time.time() + 240
    while not (work / 'last_checkpoint').exists() and time.time() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 130, output
    last = output.strip().splitlines()[-1]
    stopped = int(
        re.search(r'Stopped; the last checkpoint is .*iter_(\d+)\.pth; --resume', last)[1]
    )
    assert not list(work.glob('.*.part'))

    process = start(config, '--work-dir', work, '--resume', '--cfg-options',
                    f'train_cfg.max_iters={stopped + 1}', cwd=tmp_path)  # fmt: skip
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    assert f'Iter(train) [{stopped + 1}/{stopped + 1}]' in output
    assert f'Iter(train) [{stopped}/' not in output


@pytest.mark.slow
def test_full_disk_ends_with_one_line_and_no_half_checkpoint(config, tmp_path):
    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    process = start(config, '--work-dir', 'work', cwd=tmp_path, preexec_fn=small_disk)
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 1
    last = output.strip().splitlines()[-1]
    assert re.match(r'error: .*iter_1\.pth was not written.*has no checkpoint yet', last)
    assert 'Traceback' not in output
    assert not list((tmp_path / 'work').glob('*iter*'))


@pytest.fixture
def prepare(train, config, tmp_path, monkeypatch):
    """Function from arguments to the config that would run."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: train.prepare(train.parse_args([str(config), *map(str, arguments)]))


def test_defaults(prepare):
    cfg = prepare()
    assert cfg.work_dir == 'work_dirs/tiny'
    assert cfg.launcher == 'none'
    assert not cfg.resume
    assert prepare('--work-dir', 'x', '--cfg-options', 'randomness.seed=3').randomness.seed == 3


@pytest.mark.parametrize('spelling', ['--local_rank', '--local-rank'])
def test_flags_of_launchers(train, spelling):
    assert train.parse_args(['config.py', f'{spelling}=1']).local_rank == 1


def test_mim_finds_no_gpus_flag(train, capsys):
    """With such a flag, mim would add arguments that this tool does not have."""
    with pytest.raises(SystemExit):
        train.parse_args(['-h'])
    assert '--gpus' not in capsys.readouterr().out


def test_resume(prepare, tmp_path, capsys):
    cfg = prepare('--resume')
    assert not cfg.resume
    assert cfg.load_from is None
    assert 'no checkpoint in work_dirs/tiny yet' in capsys.readouterr().out
    checkpoint = tmp_path / 'work_dirs' / 'tiny' / 'iter_7.pth'
    checkpoint.parent.mkdir(parents=True)
    torch.save({}, checkpoint)
    (checkpoint.parent / 'last_checkpoint').write_text(str(checkpoint))
    for arguments in (['--resume'], ['--resume', 'auto'], ['--resume', checkpoint]):
        cfg = prepare(*arguments)
        assert cfg.resume
        assert cfg.load_from == str(checkpoint)
    with pytest.raises(FileNotFoundError, match=r'none\.pth does not exist'):
        prepare('--resume', 'none.pth')


def test_way_to_go_on(train, tmp_path):
    assert train.how_to_go_on(tmp_path) == f'{tmp_path} has no checkpoint yet'
    (tmp_path / 'last_checkpoint').write_text('iter_7.pth')
    assert 'iter_7.pth, which is gone' in train.how_to_go_on(tmp_path)
    torch.save({}, tmp_path / 'iter_7.pth')
    assert train.how_to_go_on(tmp_path).endswith('iter_7.pth; --resume goes on from it')


def test_amp(prepare, monkeypatch, capsys):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    assert prepare('--amp').optim_wrapper.type == 'OptimWrapper'
    assert 'no CUDA' in capsys.readouterr().out
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    assert prepare('--amp').optim_wrapper.type == 'AmpOptimWrapper'
    prepare('--amp', '--cfg-options', 'optim_wrapper.type=AmpOptimWrapper')
    assert 'has it already' in capsys.readouterr().out
    with pytest.raises(ValueError, match='not a ApexOptimWrapper'):
        prepare('--amp', '--cfg-options', 'optim_wrapper.type=ApexOptimWrapper')


@pytest.mark.slow
def test_two_processes_without_cuda(config, tmp_path):
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2',
               '--master_port=0', '--rdzv_backend=c10d', '--rdzv_endpoint=localhost:0',
               TRAIN, config, '--launcher', 'pytorch', '--work-dir', 'work']  # fmt: skip
    environment = dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    done = subprocess.run(
        list(map(str, command)), cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert 'Distributed training: True' in done.stdout + done.stderr
    assert (tmp_path / 'work' / 'iter_2.pth').exists()


def test_trial_shorter_than_its_warm_up(train, capsys):
    """The first thing a user does with a config is to run a few iterations of it."""

    def trial(length):
        return train.prepare(
            train.parse_args(
                f'odm_pretrain_quickstart.py --cfg-options train_cfg.max_iters={length}'.split()
            )
        )

    cfg = trial(50)
    assert [schedule.type for schedule in cfg.param_scheduler] == ['LinearLR']
    assert 'CosineAnnealingLR is left out, which begins after 50' in capsys.readouterr().out
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    for schedule in cfg.param_scheduler:  # as MMEngine builds them
        PARAM_SCHEDULERS.build(schedule, default_args=dict(optimizer=optimizer, end=50))
    assert len(trial(51).param_scheduler) == 2
    assert not capsys.readouterr().out


def test_auto_scale_lr(prepare, config):
    assert prepare('--auto-scale-lr').auto_scale_lr.enable
    config.write_text(config.read_text().replace('base_batch_size=16', 'enable=False'))
    with pytest.raises(ValueError, match=r'tiny\.py has no auto_scale_lr\.base_batch_size'):
        prepare('--auto-scale-lr')


def test_mistakes_end_with_one_line(train, config, backbone_file, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for arguments, message in (
        (['nowhere.py'], 'error: no config nowhere.py'),
        ([config, '--backbone', 'none.pth'], 'error: none.pth does not exist'),
        ([config, '--backbone', backbone_file('resnet50')], r'error: .*another ResNet'),
        ([config, '--backbone', config], r'error: .*tiny\.py .* cannot be read'),
    ):
        monkeypatch.setattr(sys, 'argv', ['train.py', *map(str, arguments)])
        monkeypatch.setattr(train, 'save_whole_files', lambda: None)
        with pytest.raises(SystemExit, match=message):
            train.main()
