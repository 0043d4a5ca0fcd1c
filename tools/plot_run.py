"""Draw curves of losses and metrics of one or more runs, also while they go on.

python tools/plot_run.py work_dirs/odm_pretrain --out curves.png
python tools/plot_run.py work_dirs/a work_dirs/b --keys 'loss*' 'odm/*' --smooth 0.9 --csv curves.csv
"""  # noqa: E501

import argparse
import sys
from pathlib import Path

from odm_mmocr.visualization.curves import choose_keys, draw_curves, read_run, write_csv


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folders', nargs='+', metavar='WORK_DIR', help='work directory of a run')
    parser.add_argument('--out', type=Path, default=Path('curves.png'), help='the picture')
    parser.add_argument('--labels', nargs='+', help='a name for each run (default: its folder)')
    parser.add_argument(
        '--keys', nargs='+', default=(), help="what to draw, with wildcards: 'loss*' 'odm/*'"
    )
    parser.add_argument(
        '--smooth',
        type=float,
        default=0.0,
        help='average losses over earlier values, from 0 (default) to below 1',
    )
    parser.add_argument('--csv', type=Path, help='also write the numbers to this file')
    args = parser.parse_args()
    names = [Path(folder).resolve().name for folder in args.folders]
    args.labels = args.labels or (names if len(set(names)) == len(names) else args.folders)
    if len(args.labels) != len(args.folders):
        parser.error(f'{len(args.labels)} labels for {len(args.folders)} runs')
    if len(set(args.labels)) != len(args.labels):
        parser.error('two runs have the same label')
    return args


def main() -> None:
    args = parse_args()
    try:
        runs = {
            label: read_run(folder) for label, folder in zip(args.labels, args.folders, strict=True)
        }
        for run in runs.values():
            for problem in run.problems:
                print(problem, file=sys.stderr)
        keys = choose_keys(runs.values(), args.keys)
        figure = draw_curves(runs, keys, args.smooth)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(args.out, dpi=110)
        if args.csv:
            args.csv.parent.mkdir(parents=True, exist_ok=True)
            write_csv(runs, keys, args.csv)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(f'{len(keys)} panel(s) of {len(runs)} run(s) drawn to {args.out}')


if __name__ == '__main__':
    main()
