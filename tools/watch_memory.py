"""Run a command and say whether its memory grows, in the main process and in its workers.

python tools/watch_memory.py --warm-up 60 -- python tools/train.py odm_pretrain_quickstart.py \
    --cfg-options train_dataloader.num_workers=4
"""

import argparse
import csv
import sys

from odm_mmocr.evaluation.process_memory import measure_growth, watch_command


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('command', nargs=argparse.REMAINDER, help='after --: what to run')
    parser.add_argument(
        '--warm-up', type=float, default=60.0, help='seconds that do not count (default: 60)'
    )
    parser.add_argument(
        '--interval', type=float, default=1.0, help='seconds between two looks (default: 1)'
    )
    parser.add_argument(
        '--limit', type=float, help='per cent; exit status 1 where anything grows by more'
    )
    parser.add_argument('--csv', metavar='FILE', help='write all that was seen')
    args = parser.parse_args(argv)
    args.command = args.command[1:] if args.command[:1] == ['--'] else args.command
    if not args.command:
        parser.error('a command is needed after --')
    return args


def main() -> None:
    args = parse_args()
    try:
        status, samples = watch_command(args.command, args.interval)
        if args.csv:
            with open(args.csv, 'w', newline='') as file:
                writer = csv.writer(file)
                writer.writerow(['seconds', 'main', 'workers', 'total'])
                for sample in samples:
                    writer.writerow(
                        [f'{sample.seconds:.1f}', f'{sample.main:.1f}']
                        + [' '.join(f'{own:.1f}' for own in sample.workers), f'{sample.total:.1f}']
                    )
        if status:
            sys.exit(f'error: the command ended with status {status}')
        growths = measure_growth(samples, args.warm_up)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    for growth in growths:
        print(
            f'{growth.name}: {growth.before:.0f} MB after the warm-up, {growth.after:.0f} MB at '
            f'the end, {growth.share:+.1%}'
        )
    if args.limit is not None and any(growth.share * 100 > args.limit for growth in growths):
        sys.exit(f'error: more than {args.limit:g} %')


if __name__ == '__main__':
    main()
