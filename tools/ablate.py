"""Pre-train variants, measure what they draw, and compare detectors that start from them.

python tools/ablate.py ablation_modules.py --out work_dirs/ablation_modules \
    --pretrain-options train_dataloader.dataset.dataset.datasets.0.data_root=images \
    --finetune-options train_dataloader.dataset.dataset.data_root=icdar2015

The plan is a file of named changes to a pre-training config (docs/ablations.md). Each run is a
process of its own; run the same command again to go on after a stop, or on several machines that
share the folder at once. It leaves table.md, table.csv, pretrainings.csv, detectors.csv, hmean.png.
"""

import argparse
import sys
import time
from pathlib import Path

from odm_mmocr.benchmark import Ablation, Outcome, PretrainingRun, load_plan
from odm_mmocr.checkpoints import ConfigOptions


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('plan', help='path of a plan, or its name')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR')
    parser.add_argument(
        '--only', nargs='+', default=[], metavar='NAME', help='variants to work on (default: all)'
    )
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time (default: 1)')
    parser.add_argument(
        '--dry-run', action='store_true', help='check everything, say what there is to do, and stop'
    )
    for name, what in (('pretrain', 'every pre-training config'), ('finetune', 'the detector')):
        parser.add_argument(
            f'--{name}-options',
            nargs='+',
            action=ConfigOptions,
            metavar='KEY=VALUE',
            help=f'replace settings of {what}, such as where the data are',
        )
    return parser.parse_args(arguments)


def show_outcome(outcome: Outcome, count: int, total: int) -> None:
    """Print a line for a run."""
    kind = 'pre-training' if isinstance(outcome.run, PretrainingRun) else 'detector'
    if outcome.result is None:
        said = f'failed: {outcome.error}'
    else:
        last = {
            name.rpartition('/')[2]: points[-1][1]
            for name, points in outcome.result['curve'].items()
        }
        figures = [f'{n} {last[n]:.3f}' for n in ('hmean', 'control', 'fscore') if n in last]
        figures.append(f'{outcome.seconds:.0f} s' if outcome.seconds else 'made before')
        said = ', '.join(figures)
    clock = time.strftime('%H:%M:%S')
    print(f'{clock} {kind} {count} of {total}: {outcome.run.name}: {said}', flush=True)


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    try:
        plan = load_plan(args.plan, args.pretrain_options, args.finetune_options)
        ablation = Ablation(plan, args.out, args.only)
        print('\n'.join(ablation.describe()), flush=True)
        if args.dry_run:
            return 0
        failures = ablation.run(args.jobs, show_outcome)
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
