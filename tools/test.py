"""Evaluate a checkpoint with the test data and metrics of its config.

python tools/test.py odm_pretrain.py work_dirs/odm_pretrain/iter_10000.pth
"""

import argparse
import os
import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from odm_mmocr.checkpoints import (
    ConfigOptions,
    UnreadableCheckpoint,
    check_fit,
    load_checkpoint,
    load_config,
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of a config, or its name in odm_mmocr or MMOCR')
    parser.add_argument('checkpoint', help='checkpoint of a training')
    parser.add_argument('--work-dir', help='folder for the results')
    parser.add_argument('--save-preds', action='store_true', help='save predictions as a pickle')
    parser.add_argument(
        '--read-back',
        action='store_true',
        help='also let PP-OCR read what an ODM has drawn (extra ppocr)',
    )
    show = parser.add_mutually_exclusive_group()
    show.add_argument('--show', action='store_true', help='show predictions in a window')
    show.add_argument('--show-dir', help='save pictures of predictions into this folder')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds to show a picture')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='replace settings: test_dataloader.batch_size=4',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation of the config')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def prepare(args: argparse.Namespace) -> Config:
    """Load the config and apply the command line to it."""
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(cfg.filename).stem}'
    if args.launcher != 'none' and not torch.cuda.is_available():
        raise ValueError(f'--launcher {args.launcher} needs CUDA')
    if not (cfg.get('test_dataloader') and cfg.get('test_evaluator')):
        raise ValueError(f'{args.config} has no test_dataloader and test_evaluator')
    cfg.load_from = args.checkpoint
    if args.show or args.show_dir:
        visualize(cfg, args)
    if args.tta:
        if 'tta_model' not in cfg or 'tta_pipeline' not in cfg:
            raise ValueError(f'--tta: {args.config} has no tta_model and tta_pipeline')
        cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
        cfg.model = dict(cfg.tta_model, module=cfg.model)
    if args.read_back:
        if cfg.model.type != 'ODM':
            raise ValueError(f'--read-back: the model of {args.config} is {cfg.model.type}, no ODM')
        add_metric(cfg, dict(type='ReadBackMetric'))
    if args.save_preds:
        name = f'{Path(args.checkpoint).name}_predictions.pkl'
        add_metric(cfg, dict(type='DumpResults', out_file_path=str(Path(cfg.work_dir) / name)))
    return cfg


def add_metric(cfg: Config, metric: dict) -> None:
    """Let the test compute one more metric."""
    given = cfg.test_evaluator
    if isinstance(given, dict) and 'metrics' in given:  # of several data sets
        if metric['type'] == 'DumpResults':  # would keep those of the last one only
            raise ValueError('--save-preds takes one data set: replace test_dataloader')
        metrics = given.metrics
        given.metrics = [*(metrics if isinstance(metrics, (list, tuple)) else [metrics]), metric]
    else:
        cfg.test_evaluator = [*(given if isinstance(given, (list, tuple)) else [given]), metric]


def read_weights(path: str) -> dict:
    """Read the weights of a trained model."""
    checkpoint = load_checkpoint(path)
    if 'architecture' in (checkpoint.get('meta') or {}):
        raise ValueError(f'{path} is a backbone only; give the checkpoint of a trained model')
    return checkpoint.get('state_dict', checkpoint)


def visualize(cfg: Config, args: argparse.Namespace) -> None:
    """Turn the visualization hook of the config on."""
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise ValueError(f'{args.config} has no default_hooks.visualization to show pictures with')
    hook.update(enable=True, draw_gt=True, draw_pred=True)
    if args.show:
        hook.update(show=True, wait_time=args.wait_time)
    else:
        backends = [dict(type='LocalVisBackend')]
        cfg.visualizer.update(save_dir=args.show_dir, vis_backends=backends)


def main() -> None:
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    local = '://' not in args.checkpoint
    try:
        weights = read_weights(args.checkpoint) if local else None
        cfg = prepare(args)
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
        if local:
            check_fit(weights, runner.model, args.checkpoint, allow_more=True)
        runner.test_loop  # noqa: B018, builds data and metrics
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f'error: {error}')
    try:
        runner.test()
    except UnreadableCheckpoint as error:  # of an address, or of an initializer in the config
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
