"""Turn a data set's official files into MMOCR's annotations for text detection and spotting.

    python tools/prepare_dataset.py icdar2015 --root data/icdar2015

writes textdet_train.json, textspotting_train.json, textdet_test.json and textspotting_test.json
beside the images that it finds there. What is there already stays: --overwrite makes it anew.
docs/datasets.md says where the data sets are, under which terms, and how to lay them out.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from odm_mmocr.datasets.annotation_files import first_problems
from odm_mmocr.datasets.annotation_stream import AnnotationStream
from odm_mmocr.datasets.preparers import (
    PreparationError,
    Report,
    ctw1500,
    icdar2015,
    lsvt,
    msra_td500,
    own_files,
    synthtext,
    totaltext,
)
from odm_mmocr.image_files import ROOTS_VARIABLE, is_inside

SHOWN_PROBLEMS = 20
PROGRESS_SECONDS = 2.0
# Those whose splits have a folder of images and one of ground truth: find, prepare, published.
PAIRED = {
    'icdar2015': (
        icdar2015.find_icdar2015,
        icdar2015.prepare_icdar2015,
        icdar2015.PUBLISHED,
        'ICDAR 2015 Incidental Scene Text (challenge 4 of the Robust Reading Competition)',
    ),
    'totaltext': (
        totaltext.find_totaltext,
        totaltext.prepare_totaltext,
        totaltext.PUBLISHED,
        'Total-Text, curved words (.txt or .mat)',
    ),
    'ctw1500': (
        ctw1500.find_ctw1500,
        ctw1500.prepare_ctw1500,
        ctw1500.PUBLISHED,
        'SCUT-CTW1500, curved lines',
    ),
    'msra_td500': (
        msra_td500.find_msra_td500,
        msra_td500.prepare_msra_td500,
        msra_td500.PUBLISHED,
        'MSRA-TD500, turned lines without texts, for detection alone',
    ),
}


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    datasets = parser.add_subparsers(dest='dataset', required=True, metavar='DATASET')
    common = _common_arguments()
    subparsers = {}
    for name, (*_, title) in PAIRED.items():
        subparsers[name] = datasets.add_parser(
            name,
            parents=[common],
            help=title,
            description='Give --root where the folders bear their official names, else the folders '
            'of one or both splits.',
        )
        for split in ('train', 'test'):
            subparsers[name].add_argument(
                f'--{split}-images', metavar='DIR', help=f'{split} images'
            )
            subparsers[name].add_argument(
                f'--{split}-gt', metavar='DIR', help=f'{split} ground truth'
            )
    subparsers['synthtext'] = datasets.add_parser(
        'synthtext', parents=[common], help='SynthText in the Wild (gt.mat), synthetic words'
    )
    subparsers['synthtext'].add_argument(
        '--without-characters',
        action='store_true',
        help='leave out the boxes of characters: less than half the size',
    )
    subparsers['synthtext'].add_argument(
        '--fraction', type=float, default=1, metavar='F', help='of the images (default: all)'
    )
    subparsers['lsvt'] = datasets.add_parser(
        'lsvt', parents=[common], help='LSVT, the fully annotated training images'
    )
    subparsers['lsvt'].add_argument(
        '--val-fraction',
        type=float,
        default=0,
        metavar='F',
        help='of the images, for a split "val" (default: none)',
    )
    subparsers['folder'] = datasets.add_parser(
        'folder',
        parents=[common],
        help='your own images, with text files as those of ICDAR or a JSON file of MMOCR',
        description='Give --root with the images and annotations, or with folders train, val and '
        'test that hold them; or give --images and --annotations.',
    )
    subparsers['folder'].add_argument('--images', metavar='DIR', help='the images')
    subparsers['folder'].add_argument(
        '--annotations', metavar='PATH', help='folder of text files, or JSON file of MMOCR'
    )
    subparsers['folder'].add_argument(
        '--test-fraction',
        type=float,
        default=0,
        metavar='F',
        help='of the images, for a split "test" where --root is not divided (default: none)',
    )
    for name in ('synthtext', 'lsvt', 'folder'):
        subparsers[name].add_argument(
            '--seed', type=int, default=0, help='by which these images are drawn (default: 0)'
        )
    args = parser.parse_args(arguments)
    _check(args, subparsers[args.dataset].error)
    return args


def _common_arguments() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--root', metavar='DIR', help='folder with the unpacked downloads')
    common.add_argument(
        '--out', metavar='DIR', help='folder for the annotations (default: that of --root)'
    )
    common.add_argument(
        '--skip-malformed',
        action='store_true',
        help='leave out malformed lines and files without their other half instead of stopping',
    )
    common.add_argument(
        '--overwrite', action='store_true', help='make annotations anew that are there'
    )
    common.add_argument(
        '--strict',
        action='store_true',
        help='exit with 1 where the counts are not those published',
    )
    return common


def _check(args: argparse.Namespace, error) -> None:
    args.splits = {}
    if args.dataset in PAIRED:
        for split in ('train', 'test'):
            pair = getattr(args, f'{split}_images'), getattr(args, f'{split}_gt')
            if all(pair):
                args.splits[split] = pair
            elif any(pair):
                error(f'--{split}-images and --{split}-gt belong together')
    elif args.dataset == 'folder':
        pair = args.images, args.annotations
        if all(pair):
            args.splits[own_files.UNDIVIDED] = pair
        elif any(pair):
            error('--images and --annotations belong together')
    if bool(args.root) == bool(args.splits):
        if args.dataset in PAIRED or args.dataset == 'folder':
            error('give either --root or the folders of images and ground truth')
        error('--root is needed')
    if not (args.root or args.out):
        error('--out is needed without --root')


def prepare(args: argparse.Namespace) -> tuple[Report, dict]:
    """Prepare what the arguments name; also returns the published counts."""
    out = args.out or args.root
    options = dict(
        skip_malformed=args.skip_malformed, overwrite=args.overwrite, progress=make_progress()
    )
    if args.dataset in PAIRED:
        find, run, published, _ = PAIRED[args.dataset]
        return run(args.splits or find(args.root), out, **options), published
    if args.dataset == 'synthtext':
        options.update(fraction=args.fraction, seed=args.seed)
        options.update(with_characters=not args.without_characters)
        report = synthtext.prepare_synthtext(*synthtext.find_synthtext(args.root), out, **options)
        return report, synthtext.PUBLISHED if args.fraction == 1 else {}
    if args.dataset == 'lsvt':
        found = lsvt.find_lsvt(args.root)
        report = lsvt.prepare_lsvt(
            *found, out, val_fraction=args.val_fraction, seed=args.seed, **options
        )
        return report, {} if args.val_fraction else lsvt.PUBLISHED
    splits = args.splits or own_files.find_own_files(args.root)
    report = own_files.prepare_own_files(
        splits, out, test_fraction=args.test_fraction, seed=args.seed, **options
    )
    return report, {}


def make_progress():
    """Tells, every few seconds, the rate and the time left."""
    started: dict[str, tuple[float, int]] = {}
    told = time.monotonic()

    def progress(split: str, done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        # A run that is gone on with does not count what was done before.
        begin, before = started.setdefault(split, (now, done))
        if now - told < PROGRESS_SECONDS or done == before:
            return
        told = now
        rate = (done - before) / (now - begin)
        left = (total - done) / rate
        print(
            f'{split}: {done:,} of {total:,} images, {rate:,.0f} a second, {left:,.0f} s left',
            file=sys.stderr,
            flush=True,
        )

    return progress


def print_report(report: Report, published: dict) -> None:
    for split, counts in report.counts.items():
        text = f'{counts["images"]:,} images, {counts["words"]:,} words'
        text += f', {counts["readable"]:,} readable'
        if counts['characters']:
            text += f', {counts["characters"]:,} characters'
        print(f'{split}: {text}')
        for kind, count in sorted(report.left_out[split].items()):
            print(f'{split}: left out {count:,} {kind}')
    for line in report.compare(published):
        print(f'warning: {line}', file=sys.stderr)
    for line in first_problems(report.problems, SHOWN_PROBLEMS):
        print(line, file=sys.stderr)
    if report.turned:
        print(
            f'warning: {len(report.turned):,} images are shown turned or mirrored by their EXIF '
            'orientation, but training loads them as they are stored, and takes the polygons to be '
            'there. Where they were annotated as shown, store them upright and prepare again:',
            file=sys.stderr,
        )
        for line in first_problems(report.turned, SHOWN_PROBLEMS):
            print(line, file=sys.stderr)
    for path in report.kept:
        print(f'kept {path} (--overwrite makes it anew)')
    for path in report.written:
        print(f'wrote {path}')
    if report.problems and not report.written:
        print(
            f'{len(report.problems)} problems, nothing written: mend the files, or leave these '
            'out with --skip-malformed',
            file=sys.stderr,
        )


def folders_outside(annotations: list[Path]) -> list[str]:
    """Folders of images outside of their annotation's folder, by the first image of each.

    Raises:
        ValueError: An annotation, as one that was there before, is malformed.
    """
    outside = set()
    for annotation in annotations:
        with open(annotation, 'rb') as file:
            for entry, *_ in AnnotationStream(file, str(annotation)):
                if not isinstance(name := entry.get('img_path'), str):
                    raise ValueError(f'{annotation}: expected a string "img_path", found {name!r}')
                image = os.path.join(annotation.parent, name)
                if not is_inside(image, annotation.parent):
                    outside.add(os.path.dirname(os.path.realpath(image)))
                break
    return sorted(outside)


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    try:
        report, published = prepare(args)
    except (PreparationError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('stopped; a long run goes on here when it is started again', file=sys.stderr)
        return 130
    print_report(report, published)
    try:
        outside = folders_outside([*report.written, *report.kept])
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    if outside:
        print(
            f'the images lie outside of {args.out or args.root}, and training opens them only with '
            f'{ROOTS_VARIABLE}={os.pathsep.join(outside)} in the environment'
        )
    if args.strict and report.compare(published):
        return 1
    return 0 if report.written or report.kept else 1


if __name__ == '__main__':
    sys.exit(main())
