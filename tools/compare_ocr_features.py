"""Compare the feature networks of OCR-LPIPS: what they cost, and what they bring.

python tools/compare_ocr_features.py
python tools/compare_ocr_features.py --device cuda --precision bf16 --batch-size 32
python tools/compare_ocr_features.py --train odm_pretrain_quickstart.py

The first table is about the loss alone, value and gradient; each network has a process of its own,
and they take turns. With --train, a pre-training run for each network and one without the loss
follow, with the same seeds and steps, and a second table is about their validation. Runs that were
stopped go on from their last checkpoint. The tables are Markdown.
"""

import argparse
import json
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from mmocr.registry import MODELS

import odm_mmocr  # noqa: F401, registers
from odm_mmocr.checkpoints import ConfigOptions, find_config
from odm_mmocr.evaluation.feature_comparison import (
    NONE,
    FeatureContender,
    FeatureSummary,
    markdown_table,
    pretrain_with,
    summarize,
)
from odm_mmocr.evaluation.step_setting import PRECISIONS, StepSetting
from odm_mmocr.evaluation.train_speed import StepSpeed, measure_steps

DEFAULTS = ('ppocr-v4', 'ppocr-v6', 'craft', 'craft@0.5')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--networks',
        nargs='*',
        default=DEFAULTS,
        metavar='NETWORK[@SCALE]',
        help='ppocr-v4, ppocr-v6, craft; a scale shrinks the pictures (default: %(default)s)',
    )
    parser.add_argument(
        '--detector',
        nargs=2,
        action='append',
        default=[],
        metavar=('CONFIG', 'CHECKPOINT'),
        help='also the backbone of this MMOCR detector; may be given several times',
    )
    parser.add_argument(
        '--size', nargs=2, type=int, default=(512, 512), metavar=('H', 'W'), help='of the pictures'
    )
    parser.add_argument('--batch-size', type=int, default=2)
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--precision', choices=PRECISIONS, default='fp32')
    parser.add_argument('--threads', type=int, help="default: PyTorch's")
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--no-cost', action='store_true', help='leave the first table out')
    parser.add_argument(
        '--train', metavar='CONFIG', help='also pre-train with each network, and without any'
    )
    parser.add_argument('--max-iters', type=int, help="length of the runs (default: the config's)")
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/ocr_features'), help='of the runs'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=ConfigOptions, metavar='KEY=VALUE', help='of the runs'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures here')
    args = parser.parse_args(argv)
    for name in ('repeats', 'max_iters'):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f'--{name.replace("_", "-")} {value}: at least 1')
    if not args.networks and not args.detector:
        parser.error('--networks: at least one network, or a --detector')
    return args


def list_contenders(args: argparse.Namespace) -> list[FeatureContender]:
    contenders = [FeatureContender.named(name) for name in args.networks if name != NONE]
    for config, checkpoint in args.detector:
        features = dict(
            type='DetectorFeatures', config=str(find_config(config)), checkpoint=checkpoint
        )
        contenders.append(FeatureContender(Path(config).stem, features))
    return contenders


def joined(values: list[int]) -> str:
    return ', '.join(map(str, values))


def rounded(value: float) -> str:
    return f'{value:.0f}' if value >= 100 else f'{value:.3g}'


def print_cost(
    args: argparse.Namespace,
    contenders: list[FeatureContender],
    summaries: list[FeatureSummary],
    speeds: list[StepSpeed],
) -> None:
    height, width = args.size
    machine = torch.cuda.get_device_name() if args.device == 'cuda' else 'CPU'
    threads = args.threads or torch.get_num_threads()
    print(
        f'{date.today()}, {machine}, {threads} threads, PyTorch {torch.__version__}; '
        f'{height}x{width}, batch {args.batch_size}, {args.precision}, {args.repeats} repeats\n'
    )
    rows = []
    for contender, summary, speed in zip(contenders, summaries, speeds):
        images = speed.images_per_second
        low, median, high = (
            rounded(1e3 / value) for value in (images.high, images.median, images.low)
        )
        rows.append(
            [
                contender.name,
                f'{summary.parameters / 1e6:.1f}',
                joined(summary.channels),
                joined(summary.strides),
                rounded(speed.flops_per_image.total / 1e9),
                f'{median} ({low} to {high})',
                f'{speed.memory.above_idle / 1e6:.0f}',
            ]
        )
    columns = ['network', 'million weights', 'channels', 'strides', 'GFLOP an image']
    print(markdown_table([*columns, 'ms an image', 'peak memory MB'], rows))


def measure_cost(args: argparse.Namespace, contenders: list[FeatureContender]) -> list[dict]:
    setting = StepSetting(
        size=tuple(args.size),
        batch_size=args.batch_size,
        device=args.device,
        precision=args.precision,
        threads=args.threads,
    )
    init_default_scope('mmocr')
    # Also finds what is missing before anything is measured.
    summaries = [summarize(MODELS.build(contender.features)) for contender in contenders]
    pairs = [(contender, setting) for contender in contenders]
    speeds = measure_steps(pairs, steps=1, repeats=args.repeats)
    print_cost(args, contenders, summaries, speeds)
    return [
        dict(name=c.name, summary=asdict(summary), speed=asdict(speed))
        for c, summary, speed in zip(contenders, summaries, speeds)
    ]


def measure_effect(args: argparse.Namespace, contenders: list[FeatureContender]) -> dict:
    effects = {}
    for contender in [FeatureContender.named(NONE), *contenders]:
        effects[contender.name] = pretrain_with(
            contender, args.train, args.work_dir / contender.name, args.cfg_options, args.max_iters
        )
    names = list(effects[NONE])
    rows = [[name, *(f'{f[key]:.3f}' for key in names)] for name, f in effects.items()]
    length = f', {args.max_iters} iterations' if args.max_iters else ''
    print(f'\n{args.train}{length}\n')
    print(markdown_table(['network', *(name.rpartition('/')[2] for name in names)], rows))
    return effects


def compare(args: argparse.Namespace) -> dict:
    contenders = list_contenders(args)
    if args.train:
        find_config(args.train)
    results = {}
    if not args.no_cost:
        results['cost'] = measure_cost(args, contenders)
    if args.train:
        results['effect'] = measure_effect(args, contenders)
    return results


def main() -> None:
    args = parse_args()
    try:
        results = compare(args)
        if args.json:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(results, indent=2) + '\n')
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
