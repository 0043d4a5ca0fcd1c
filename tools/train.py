"""Train any config of this package, of MMOCR or of your own; start it from a pre-trained backbone.

python tools/train.py odm_pretrain.py
python tools/train.py dbnet_resnet50_1200e_icdar2015.py --backbone backbone_resnet50.pth
"""

import argparse
import os
import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from odm_mmocr.checkpoints import (
    ConfigOptions,
    UnreadableCheckpoint,
    latest_checkpoint,
    load_config,
    save_whole_files,
    swap_backbone,
)
from odm_mmocr.compat import check_launcher, join_processes_without_cuda
from odm_mmocr.output_files import causes, disk_full


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of a config, or its name in odm_mmocr or MMOCR')
    parser.add_argument(
        '--backbone', metavar='FILE', help='start the backbone from this file, after checking it'
    )
    parser.add_argument(
        '--adapt-normalization',
        action='store_true',
        help='with --backbone: normalise as in pre-training instead of stopping where it differs',
    )
    parser.add_argument(
        '--adapt-architecture',
        action='store_true',
        help='with --backbone: take style and stem of the backbone from the file where they differ',
    )
    parser.add_argument('--work-dir', help='folder for checkpoints and logs')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint; without a path from the latest in the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision, where there is CUDA')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size, from auto_scale_lr of the config',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='replace settings: optim_wrapper.optimizer.lr=1e-3 key="[a,b]"',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # torch.distributed.launch gives the one or the other, depending on its version.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def prepare(args: argparse.Namespace) -> Config:
    """Load the config and apply the command line to it."""
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(cfg.filename).stem}'
    if args.backbone:
        for change in swap_backbone(
            cfg, args.backbone, args.adapt_normalization, args.adapt_architecture
        ):
            print(f'--backbone: {change}')
    if args.amp:
        use_amp(cfg)
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise ValueError(f'--auto-scale-lr: {args.config} has no auto_scale_lr.base_batch_size')
        cfg.auto_scale_lr.enable = True
    if args.resume:
        resume(cfg, args.resume)
    leave_out_late_schedules(cfg)
    return cfg


def leave_out_late_schedules(cfg: Config) -> None:
    """Leave out what would follow a warm-up that a short trial does not reach the end of.

    A schedule without an end of its own ends where the training does; MMEngine refuses one that
    would begin after that.
    """
    schedules = cfg.get('param_scheduler')
    length = (cfg.get('train_cfg') or {}).get('max_iters')
    if not isinstance(schedules, list) or length is None:
        return
    late = [
        schedule
        for schedule in schedules
        if not schedule.get('by_epoch', True)
        and 'end' not in schedule
        and schedule.get('begin', 0) >= length
    ]
    for schedule in late:
        print(
            f'param_scheduler: {schedule.type} is left out, which begins after {schedule.begin} '
            f'iterations; this training has {length}'
        )
    cfg.param_scheduler = [schedule for schedule in schedules if schedule not in late]


def start_processes_without_cuda(cfg: Config) -> None:
    """Join the processes of CPU-only machines, and wrap the model for them."""
    join_processes_without_cuda(cfg.launcher, cfg.get('env_cfg', {}))
    # MMEngine's usual wrapper, except that this one names no GPU.
    wrapper = cfg.get('model_wrapper_cfg') or dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)


def use_amp(cfg: Config) -> None:
    """Turn mixed precision on, where the config has not and the machine can."""
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if 'Amp' in kind:
        print(f'--amp: the config has it already ({kind})')
    elif not torch.cuda.is_available():
        print('--amp: no CUDA here, training goes on in float32')
    elif kind != 'OptimWrapper':
        raise ValueError(f'--amp: optim_wrapper must be an OptimWrapper, not a {kind}')
    else:
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')


def resume(cfg: Config, checkpoint: str) -> None:
    """Let the run go on from a checkpoint, `auto` for the latest of its work dir."""
    path = latest_checkpoint(cfg.work_dir) if checkpoint == 'auto' else Path(checkpoint)
    if path is None:
        print(f'--resume: no checkpoint in {cfg.work_dir} yet, starting from the beginning')
    elif not path.is_file():
        raise FileNotFoundError(f'--resume: {path} does not exist')
    cfg.resume = path is not None
    cfg.load_from = str(path) if path else cfg.get('load_from')


def how_to_go_on(work_dir: str) -> str:
    """Say where the last checkpoint of a run is."""
    try:
        last = latest_checkpoint(work_dir)
    except (FileNotFoundError, ValueError) as error:
        return str(error)
    if last is None:
        return f'{work_dir} has no checkpoint yet'
    return f'the last checkpoint is {last}; --resume goes on from it'


def main() -> None:
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    save_whole_files()
    try:
        check_launcher(args.launcher)
        cfg = prepare(args)
        if args.launcher != 'none' and not torch.cuda.is_available():
            start_processes_without_cuda(cfg)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f'error: {error}')
    try:
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
        runner.train()
    except BaseException as error:
        # Not `except KeyboardInterrupt`: MMEngine turns one that comes while it formats its config,
        # which every checkpoint does, into a SyntaxError.
        if any(isinstance(cause, KeyboardInterrupt) for cause in causes(error)):
            if is_main_process():
                print(f'\nStopped; {how_to_go_on(cfg.work_dir)}', file=sys.stderr)
            sys.exit(130)
        bad = [cause for cause in causes(error) if isinstance(cause, UnreadableCheckpoint)]
        if bad:
            sys.exit(f'error: {bad[-1]}')
        if full := disk_full(error):
            sys.exit(f'error: {full}; {how_to_go_on(cfg.work_dir)}')
        raise


if __name__ == '__main__':
    main()
