"""Check whether image, polygons and texts stay in step through the data pipeline of a config.

python tools/check_pipeline.py odm_pretrain_icdar2015.py --num 100
python tools/check_pipeline.py mmocr::textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015.py \
    --data-root data/icdar2015 --ann-file textspotting_train.json

Every transform is judged by what it does to coded pictures. The exit status is 0 if nothing was
found, 1 if something was, 2 if the check could not be run.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import odm_mmocr  # noqa: F401, registers
from odm_mmocr.checkpoints import ConfigOptions, load_config
from odm_mmocr.evaluation.pipeline_check import build_datasets, check_datasets
from odm_mmocr.evaluation.pipeline_report import KINDS, PipelineReport, write_pictures

SHOWN_EXAMPLES = 3
PROGRESS_SECONDS = 5


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of a config, or its name in odm_mmocr or MMOCR')
    parser.add_argument(
        '--split', choices=('train', 'val', 'test'), default='train', help='default: train'
    )
    parser.add_argument('--num', type=int, help='images of each data set (default: all)')
    parser.add_argument('--seed', type=int, default=0, help='of the random draws (default 0)')
    parser.add_argument('--data-root', metavar='DIR', help='folder of the data')
    parser.add_argument('--ann-file', metavar='FILE', help='annotation file, seen from there')
    parser.add_argument('--out', type=Path, metavar='DIR', help='folder for pictures of examples')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='replace settings: train_dataloader.dataset.data_root=DIR',
    )
    args = parser.parse_args(arguments)
    if args.num is not None and args.num < 1:
        parser.error(f'--num {args.num}: at least 1')
    if args.seed < 0:
        parser.error(f'--seed {args.seed}: 0 or more')
    return args


def make_reader() -> tuple[dict, str | None]:
    """Settings of the checker for reading labels, and why there are none."""
    try:
        from odm_mmocr.evaluation.reading import WordReader, same_word

        return {'reader': WordReader(), 'same_word': same_word}, None
    except (ImportError, FileNotFoundError) as error:
        return {}, f'Labels are not read back: {error}'


def make_progress() -> Callable[[int, int], None]:
    """Prints, every few seconds, the rate and the time left."""
    start = last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < PROGRESS_SECONDS:
            return
        last = now
        rate = done / (now - start)
        left = (total - done) / rate
        print(
            f'{done} of {total} images, {rate:.1f} a second, {left:.0f} s left',
            file=sys.stderr,
            flush=True,
        )

    return progress


def print_report(report: PipelineReport) -> None:
    print(report.table())
    for note in report.notes:
        print(f'note: {note}')
    for position, step in sorted(report.steps.items()):
        for kind in KINDS:
            if examples := step.examples.get(kind, []):
                print(f'\n{position} {step.name}: {kind}: {KINDS[kind]}')
                for example in examples[:SHOWN_EXAMPLES]:
                    print(f'  {example.finding}')


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    settings, problem = make_reader()
    try:
        cfg = load_config(args.config, args.cfg_options)
        datasets = build_datasets(cfg, args.split, args.data_root, args.ann_file)
        reports = check_datasets(datasets, args.num, make_progress(), seed=args.seed, **settings)
        for i, report in enumerate(reports):
            if len(reports) > 1:
                print(f'\nData set {i + 1} of {len(reports)}')
            print_report(report)
            if args.out:
                folder = args.out / f'dataset_{i + 1}' if len(reports) > 1 else args.out
                for path in write_pictures(report, folder):
                    print(f'wrote {path}')
    except (OSError, ValueError, KeyError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    if problem:
        print(f'note: {problem}')
    found = sum(report.found for report in reports)
    images = sum(report.images for report in reports)
    print(f'\n{found or "no"} findings in {images} images')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
