"""Do the step again at which a training ended on losses that are not finite, and say what is wrong.

python tools/replay_batch.py work_dirs/odm_pretrain/non_finite/iter_1234_rank_0.pth
"""

import argparse
import math
import sys

import odm_mmocr  # noqa: F401  (registers what the config names)
from odm_mmocr.devices import find_device
from odm_mmocr.engine.replay import Replay, replay

SHOWN = 5


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('file', help='of the folder non_finite/ of a work directory')
    parser.add_argument('--device', help='default: CUDA where it is')
    return parser.parse_args(argv)


def report(step: Replay) -> str:
    """Say what a step did."""
    lines = [f'sample: {sample}' for sample in step.samples]
    lines.append(f'precision: {step.precision}')
    for name, value in step.losses.items():
        recorded = step.recorded.get(name, math.nan)
        lines.append(f'{name}: {value:.6g} (in the training {recorded:.6g})')
    lines.append(f'first output that is not finite: {step.module or "none"}')
    shown = ', '.join(step.gradients[:SHOWN]) + (' …' if len(step.gradients) > SHOWN else '')
    lines.append(f'gradients that are not finite: {len(step.gradients)} {shown}'.rstrip())
    return '\n'.join(lines)


def main() -> None:
    args = parse_args()
    try:
        print(report(replay(args.file, str(find_device(args.device)))))
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
