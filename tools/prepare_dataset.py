"""Turn a data set's official files into MMOCR text-spotting annotations.

    python tools/prepare_dataset.py icdar2015 --root data/icdar2015

writes textspotting_train.json and textspotting_test.json beside the images that it finds there.
"""

import argparse
import sys

from odm_mmocr.datasets.annotation_files import first_problems
from odm_mmocr.datasets.preparers import PreparationError, Report, prepare_icdar2015
from odm_mmocr.datasets.preparers.icdar2015 import find_icdar2015

SHOWN_PROBLEMS = 20


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    datasets = parser.add_subparsers(dest='dataset', required=True, metavar='DATASET')
    icdar2015 = datasets.add_parser(
        'icdar2015',
        help='ICDAR 2015 Incidental Scene Text (challenge 4 of the Robust Reading Competition)',
        description='Give --root where the folders bear their official names, else the folders of '
        'one or both splits.',
    )
    icdar2015.add_argument('--root', metavar='DIR', help='folder with the unpacked downloads')
    for split in ('train', 'test'):
        icdar2015.add_argument(f'--{split}-images', metavar='DIR', help=f'{split} images')
        icdar2015.add_argument(f'--{split}-gt', metavar='DIR', help=f'{split} ground truth')
    icdar2015.add_argument(
        '--out', metavar='DIR', help='folder for the annotations (default: that of --root)'
    )
    icdar2015.add_argument(
        '--skip-malformed',
        action='store_true',
        help='leave out malformed lines and files without their other half instead of stopping',
    )
    args = parser.parse_args(arguments)
    args.splits = {}
    for split in ('train', 'test'):
        pair = getattr(args, f'{split}_images'), getattr(args, f'{split}_gt')
        if all(pair):
            args.splits[split] = pair
        elif any(pair):
            icdar2015.error(f'--{split}-images and --{split}-gt belong together')
    if bool(args.root) == bool(args.splits):
        icdar2015.error('give either --root or the folders of images and ground truth')
    if not (args.root or args.out):
        icdar2015.error('--out is needed without --root')
    return args


def print_report(report: Report) -> None:
    for split, counts in report.counts.items():
        print('{}: {images} images, {words} words, {readable} readable'.format(split, **counts))
    for line in first_problems(report.problems, SHOWN_PROBLEMS):
        print(line, file=sys.stderr)
    for path in report.written:
        print(f'wrote {path}')
    if report.problems and not report.written:
        print(
            f'{len(report.problems)} problems, nothing written: mend the files, or leave these '
            'out with --skip-malformed',
            file=sys.stderr,
        )


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    try:
        splits = args.splits or find_icdar2015(args.root)
        report = prepare_icdar2015(splits, args.out or args.root, args.skip_malformed)
    except (PreparationError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print_report(report)
    return 0 if report.written else 1


if __name__ == '__main__':
    sys.exit(main())
