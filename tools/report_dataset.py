"""Show a data set on one page: counts, sizes, characters, scores, duplicates, sample pictures.

python tools/report_dataset.py data/icdar2015/textspotting_train.json --out report
python tools/report_dataset.py ch4_training_localization_transcription_gt \\
    --images ch4_training_images --out report
python tools/report_dataset.py pseudo_labels.json --images images --out report

Takes MMOCR's annotations (text detection or spotting, JSON; also pseudo-labels) and text files as
of ICDAR, one for each image. Writes report.html, report.png, samples.png and report.json.
docs/reports.md says what the figures mean.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
from mmengine.utils import track_iter_progress

from odm_mmocr.datasets.annotation_files import AnnotatedImage, first_problems, read_dataset
from odm_mmocr.datasets.vocabulary import Vocabulary
from odm_mmocr.evaluation.dataset_images import MAX_DISTANCE, check_images
from odm_mmocr.evaluation.dataset_statistics import dataset_statistics
from odm_mmocr.rendering import load_fonts
from odm_mmocr.visualization.dataset_report import DatasetReport, check_folder, write_report
from odm_mmocr.visualization.plain_text import printable

SHOWN_PROBLEMS = 5


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('annotations', help='JSON file, text file, or folder of text files')
    parser.add_argument(
        '--images', metavar='DIR', help='folder of the images (default: that of the annotations)'
    )
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR', help='folder for the report'
    )
    parser.add_argument(
        '--vocabulary',
        metavar='CHARACTERS',
        help='characters of the model, or a .txt file of them (default: printable ASCII)',
    )
    parser.add_argument(
        '--num', type=int, default=24, help='images to show, chosen evenly (default %(default)s)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the choice (default %(default)s)')
    parser.add_argument(
        '--max-open',
        type=int,
        default=10000,
        metavar='NUM',
        help='images to open at most, chosen evenly, to find damaged ones and duplicates '
        '(default %(default)s)',
    )
    parser.add_argument(
        '--max-distance',
        type=int,
        default=MAX_DISTANCE,
        metavar='BITS',
        help='of 64, in which hashes of near-duplicates differ at most (default %(default)s)',
    )
    parser.add_argument(
        '--no-images', action='store_true', help='look at the annotations only, show no samples'
    )
    parser.add_argument(
        '--fonts', nargs='+', metavar='FILE', help='for texts in pictures (default: DejaVu Sans)'
    )
    args = parser.parse_args(arguments)
    for name, value, least in (
        ('num', args.num, 1),
        ('seed', args.seed, 0),
        ('max-open', args.max_open, 0),
        ('max-distance', args.max_distance, 0),
    ):
        if value < least:
            parser.error(f'--{name} {value}: at least {least}')
    if args.max_distance > 16:
        parser.error(f'--max-distance {args.max_distance}: at most 16')
    return args


def track(images: Sequence[AnnotatedImage]):
    """Iterates with rate and time left, apart from the results."""
    yield from track_iter_progress(images, file=sys.stderr)
    print(file=sys.stderr)


def make_report(args: argparse.Namespace) -> None:
    fonts = load_fonts(args.fonts)
    vocabulary = Vocabulary(args.vocabulary)
    images, problems, metainfo = read_dataset(args.annotations, args.images)
    folder = check_folder(args.out)
    for line in first_problems(problems, SHOWN_PROBLEMS):
        print(printable(line), file=sys.stderr)
    print('counting words', file=sys.stderr)
    statistics = dataset_statistics(track(images), vocabulary)
    check = None
    if not args.no_images:
        print('opening images', file=sys.stderr)
        check = check_images(images, args.max_open, args.seed, args.max_distance, track)
    pseudo_label = metainfo.get('pseudo_label')
    report = DatasetReport(
        source=args.annotations,
        images=images,
        statistics=statistics,
        check=check,
        problems=problems,
        pseudo_label=pseudo_label if isinstance(pseudo_label, dict) else {},
    )
    written = write_report(report, folder, args.num, args.seed, fonts)
    print(report.headline())
    for finding in report.findings():
        print(f'- {printable(finding)}')
    for path in written:
        print(f'wrote {path}')


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    cv2.setNumThreads(1)
    try:
        make_report(args)
    except (OSError, ValueError) as error:
        print(f'error: {printable(str(error))}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
