"""Train a detector from several starts, over shares of the labels and seeds, and compare.

python tools/compare_init.py dbnet_resnet18_reduced_icdar2015.py --out work_dirs/compare \
    --start random --start odm=backbone_resnet18.pth --fractions 0.1 1 --seeds 0 1 2

Each run is a process of its own; run the same command again to go on after a stop, or on several
machines that share the folder at once. It leaves table.md, table.csv, runs.csv and hmean.png.
"""

import argparse
import sys
import time
from pathlib import Path

from odm_mmocr.benchmark import Comparison, Outcome, Plan, parse_start
from odm_mmocr.benchmark.protocol import STATISTICS, make_recipes
from odm_mmocr.checkpoints import ConfigOptions


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of a detector config, or its name')
    parser.add_argument(
        '--start',
        action='append',
        required=True,
        metavar='NAME=FILE',
        help='random, or a name and a backbone file: exported by this package, or bare weights '
        'of the same architecture, such as ImageNet ones; give it several times',
    )
    parser.add_argument(
        '--fractions', nargs='+', type=float, default=[0.1, 0.25, 1.0], help='shares of the labels'
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument(
        '--lr-factors',
        nargs='+',
        type=float,
        default=[0.3, 1.0, 3.0],
        help="learning rates tried for each start, relative to the config's (default: 0.3 1 3)",
    )
    parser.add_argument(
        '--batch-norm',
        nargs='+',
        choices=STATISTICS,
        default=['learning'],
        help='statistics of the backbone; with both, both are tried for each start',
    )
    parser.add_argument(
        '--schedule',
        default='short',
        help="full: the config's own; short: a tenth of it; or a number of iterations",
    )
    parser.add_argument(
        '--evaluations', type=int, default=5, help='evaluations in each run (default: 5)'
    )
    parser.add_argument(
        '--holdout',
        type=float,
        default=0.1,
        help='share of the training images by which learning rates are chosen (default: 0.1)',
    )
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time (default: 1)')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='replace settings of the config, in all runs',
    )
    return parser.parse_args(arguments)


def make_plan(args: argparse.Namespace) -> Plan:
    """What the command line asks for."""
    return Plan(
        config=args.config,
        starts=[parse_start(text) for text in args.start],
        fractions=args.fractions,
        seeds=args.seeds,
        recipes=make_recipes(args.lr_factors, args.batch_norm),
        schedule=args.schedule,
        options=args.cfg_options,
        evaluations=args.evaluations,
        holdout=args.holdout,
    )


def show_outcome(outcome: Outcome, count: int, total: int) -> None:
    """Print a line for a run."""
    if outcome.result is None:
        said = f'failed: {outcome.error}'
    else:
        curve = next((p for name, p in outcome.result['curve'].items() if 'hmean' in name), None)
        said = f'hmean {curve[-1][1]:.3f}' if curve else 'finished'
        said += f', {outcome.seconds:.0f} s' if outcome.seconds else ', made before'
    print(f'{time.strftime("%H:%M:%S")} {count} of {total}: {outcome.run.name}: {said}', flush=True)


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    try:
        comparison = Comparison(make_plan(args), args.out)
        for name, value in comparison.settings.items():
            print(f'{name}: {value}')
        failures = comparison.run(args.jobs, show_outcome)
    except (OSError, ValueError, KeyError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\nStopped; the same command goes on', file=sys.stderr)
        return 130
    print((args.out / 'table.md').read_text(encoding='utf-8'))
    for line in failures:
        print(f'failed: {line}', file=sys.stderr)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
