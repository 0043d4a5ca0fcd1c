"""Draw the label of every annotated word, read it with an OCR engine, and list what reads otherwise.

python tools/check_labels.py data/icdar2015/textspotting_train.json --out checked
python tools/check_labels.py ch4_training_localization_transcription_gt \\
    --images ch4_training_images --read-images --out checked

Takes MMOCR's annotations (text spotting, JSON) and text files as of ICDAR, one for each image. Needs
the extra ppocr. The exit status is 0 if enough words are read back, 1 if not, 2 if the check could
not be run.
"""  # noqa: E501

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
from mmengine.utils import track_iter_progress

from odm_mmocr.datasets.annotation_files import first_problems, read_annotations
from odm_mmocr.evaluation.read_back import VERDICTS, ReadBack, WordCheck, check_labels, write_words
from odm_mmocr.evaluation.reading import WordReader
from odm_mmocr.rendering import FontChain, load_fonts
from odm_mmocr.visualization import READING_COLUMNS, draw_sheet, reading_row, write_pages

SHOWN_WORDS = 20
SHOWN_PROBLEMS = 20
ROWS = 10  # of a page


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('annotations', help='JSON file, text file, or folder of text files')
    parser.add_argument(
        '--images', metavar='DIR', help='folder of the images (default: that of the annotations)'
    )
    parser.add_argument(
        '--fonts', nargs='+', metavar='FILE', help='fonts of the labels (default: DejaVu Sans)'
    )
    parser.add_argument(
        '--min-height',
        type=float,
        default=16,
        metavar='PIXELS',
        help='words that are lower or shorter are not judged (default %(default)s)',
    )
    parser.add_argument(
        '--read-images',
        action='store_true',
        help='also read the images and list the words that are clearly something else there',
    )
    parser.add_argument(
        '--min-share',
        type=float,
        default=0.99,
        metavar='SHARE',
        help='of the words, that must be read back, 0 to 1 (default %(default)s)',
    )
    parser.add_argument(
        '--out', type=Path, metavar='DIR', help='folder for the lists (CSV) and the pictures'
    )
    parser.add_argument(
        '--num', type=int, default=40, help='words of each list to draw (default %(default)s)'
    )
    parser.add_argument(
        '--threads', type=int, default=1, help='cores for the OCR engine (default %(default)s)'
    )
    args = parser.parse_args(arguments)
    if not 0 <= args.min_share <= 1:
        parser.error(f'--min-share {args.min_share}: expected 0 to 1')
    for name, value, least in (
        ('min-height', args.min_height, 1),
        ('num', args.num, 0),
        ('threads', args.threads, 1),
    ):
        if not value >= least:
            parser.error(f'--{name} {value}: at least {least}')
    return args


def print_problems(problems: Sequence[str]) -> None:
    for line in first_problems(problems, SHOWN_PROBLEMS):
        print(line, file=sys.stderr)


def print_words(title: str, checks: Sequence[WordCheck], doubts: bool = False) -> None:
    print(f'{title}: {len(checks)}')
    for check in checks[:SHOWN_WORDS]:
        read, score, reason = check.read, check.score, check.reason
        if doubts:
            read, score, reason = check.scene_read, check.scene_score, check.doubt
        reading = f' reads {read!r} ({score:.2f})' if read else ''
        place = f'{check.image.source}, {check.word.place}'
        print(f'  {place}: {check.word.text!r}{reading}: {reason}')
    if len(checks) > SHOWN_WORDS:
        print(f'  … and {len(checks) - SHOWN_WORDS} more')


def print_summary(result: ReadBack, read_images: bool) -> None:
    print('\nwords: ' + ', '.join(f'{result.counts[verdict]} {verdict}' for verdict in VERDICTS))
    for cause, count in result.causes().most_common():
        print(f'  {count} not read back: {cause}')
    print_words('not read back', result.failures)
    if read_images:
        print_words('otherwise in the image', result.doubtful, doubts=True)
    if result.judged:
        print(f'{result.share:.2%} of {result.judged} words are read back')


def write_results(args: argparse.Namespace, result: ReadBack, fonts: FontChain) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    lists = {'not_read_back': result.failures}
    if args.read_images:
        lists['doubtful'] = result.doubtful
    for name, checks in lists.items():
        write_words(checks, args.out / f'{name}.csv')
        print(f'wrote {args.out / name}.csv')
        rows = [reading_row(check, fonts) for check in checks[: args.num]]
        pages = [draw_sheet(READING_COLUMNS, rows[i : i + ROWS]) for i in range(0, len(rows), ROWS)]
        for path in write_pages(pages, args.out / f'{name}.png'):
            print(f'wrote {path}')


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    cv2.setNumThreads(args.threads)
    try:
        fonts = load_fonts(args.fonts)
        reader = WordReader(args.threads)
        images, problems = read_annotations(args.annotations, args.images)
        print_problems(problems)
        result = check_labels(
            track_iter_progress(images), reader, fonts, args.min_height, args.read_images
        )
        print_problems(result.problems)
        print_summary(result, args.read_images)
        if args.out:
            write_results(args, result, fonts)
    except (OSError, ValueError, ImportError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    if not result.judged:
        print('error: there is no word to judge', file=sys.stderr)
        return 2
    return 0 if result.share >= args.min_share else 1


if __name__ == '__main__':
    sys.exit(main())
