"""Measure end-to-end spotting: a text detector finds words, a recogniser reads them.

python tools/evaluate_spotting.py detector.py epoch_1200.pth --annotations textspotting_test.json
python tools/evaluate_spotting.py detector.py epoch_1200.pth --annotations gt/ --images images/ \\
    --recogniser crnn_mini-vgg_5e_mj.py crnn.pth --lexicon generic=GenericVocabulary.txt
python tools/evaluate_spotting.py --annotations textspotting_test.json --true-boxes
python tools/evaluate_spotting.py --annotations textspotting_test.json --predictions spotted.json

MMOCR's wheel has no end-to-end spotter (ABCNet, SPTS and others are in the folder projects/ of its
repository), so this is detection and recognition in two steps. What another spotter has predicted
is measured with --predictions. docs/spotting.md has the rules.
"""

import argparse
import json
import sys
from pathlib import Path

from odm_mmocr.checkpoints import load_config
from odm_mmocr.datasets.annotation_files import AnnotatedImage, first_problems, read_annotations
from odm_mmocr.evaluation import EndToEndMetric
from odm_mmocr.evaluation.end_to_end import SCORE_THRESHOLD
from odm_mmocr.evaluation.end_to_end_lexicon import MAX_DISTANCE
from odm_mmocr.evaluation.end_to_end_run import (
    MMOCRDetector,
    MMOCRReader,
    SpottedWord,
    annotation_of,
    format_table,
    judge_spotted,
    load_spotted,
    save_spotted,
    spot_images,
)
from odm_mmocr.evaluation.word_reading import PPOCRReader
from odm_mmocr.output_files import written_whole

SHOWN_PROBLEMS = 5
PP_OCR = 'pp-ocr'


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', nargs='?', help='path or name of the config of the detector')
    parser.add_argument('checkpoint', nargs='?', help='its weights')
    parser.add_argument(
        '--annotations',
        metavar='PATH',
        help='ground truth with texts: JSON file of MMOCR, text file, or folder of text files '
        '(default: that of test_dataloader in the config)',
    )
    parser.add_argument(
        '--images', metavar='DIR', help='folder of the images (default: that of the ground truth)'
    )
    parser.add_argument(
        '--first', type=int, metavar='N', help='take the first N images of the ground truth only'
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        '--true-boxes',
        action='store_true',
        help='read the polygons of the ground truth: what the recogniser allows at best',
    )
    source.add_argument(
        '--predictions', metavar='JSON', help='measure what --save has kept, without any network'
    )
    parser.add_argument(
        '--recogniser',
        nargs='+',
        default=[PP_OCR],
        metavar='WHICH',
        help='pp-ocr (PP-OCRv6, on the CPU; extra pseudo), or config and checkpoint of a '
        'recogniser of MMOCR (default %(default)s)',
    )
    parser.add_argument(
        '--margin',
        type=float,
        default=0.0,
        help='what is cut out around a word, as a share of its height (default %(default)g)',
    )
    parser.add_argument(
        '--turn',
        action='store_true',
        help='with pp-ocr: turn words that it takes for upside down',
    )
    parser.add_argument(
        '--lexicon',
        nargs='+',
        default=[],
        metavar='[NAME=]PATH',
        help='correct by this file of words, or by the file of each image (voc_IMAGE.txt) in this '
        'folder; figures without a lexicon are always there',
    )
    parser.add_argument(
        '--lexicon-distance',
        type=float,
        default=MAX_DISTANCE,
        metavar='N',
        help='most edits from a reading to a word, or below 1 their share of the longer one; what '
        'is further away is dropped (default %(default)g)',
    )
    parser.add_argument(
        '--word-spotting',
        action='store_true',
        help='ask only for words of at least 3 letters, without what surrounds them',
    )
    parser.add_argument(
        '--score-threshold',
        type=float,
        default=SCORE_THRESHOLD,
        help='least score of a detection, 0 to 1 (default %(default)g); the best of several is '
        'reported as well',
    )
    parser.add_argument(
        '--min-text-score',
        type=float,
        default=0.0,
        help='least certainty of a reading, 0 to 1 (default %(default)g)',
    )
    parser.add_argument('--device', help='of the networks of MMOCR (default: CUDA where it is)')
    parser.add_argument('--threads', type=int, help='cores for PP-OCR (default: all)')
    parser.add_argument('--save', metavar='JSON', help='keep what was found and read in this file')
    parser.add_argument('--json', metavar='FILE', help='write the figures to this file as well')
    return parser.parse_args(arguments)


def read_truth(args: argparse.Namespace) -> list[AnnotatedImage]:
    """The annotated images that the command line means."""
    path, images = args.annotations, args.images
    if path is None:
        if args.config is None:
            raise ValueError('give --annotations, or the config of a detector, which names them')
        path, folder = annotation_of(load_config(args.config), args.config)
        images = images or folder
    if args.first is not None and args.first < 1:
        raise ValueError(f'--first {args.first}: expected at least one image')
    annotated, problems = read_annotations(path, images)
    for line in first_problems(problems, SHOWN_PROBLEMS):
        print(line, file=sys.stderr)
    return annotated[: args.first]


def spot(args: argparse.Namespace, images: list[AnnotatedImage]) -> dict[str, list[SpottedWord]]:
    """Find and read the words of the images, or read them from a file."""
    if args.predictions:
        if args.save:
            raise ValueError('--save: nothing new is spotted with --predictions')
        return load_spotted(args.predictions)
    detector = None
    if not args.true_boxes:
        if args.checkpoint is None:
            raise ValueError(
                'give config and checkpoint of a detector, or --true-boxes, or --predictions'
            )
        detector = MMOCRDetector(args.config, args.checkpoint, args.device)
    if args.recogniser == [PP_OCR]:
        reader = PPOCRReader(args.threads, args.turn)
    elif len(args.recogniser) == 2:
        reader = MMOCRReader(*args.recogniser, args.device)
    else:
        raise ValueError(
            f'--recogniser {" ".join(args.recogniser)}: expected {PP_OCR}, or config and checkpoint'
        )
    spotted = spot_images(images, detector, reader, args.margin)
    if args.save:
        made_with = dict(
            detector=None if args.true_boxes else [args.config, args.checkpoint],
            recogniser=args.recogniser,
            margin=args.margin,
            turn=args.turn,
        )
        save_spotted(args.save, spotted, made_with)
    return spotted


def name_lexicons(given: list[str]) -> dict[str, str]:
    """From the name of each lexicon, by default that of its file, to its path."""
    lexicons = {}
    for item in given:
        name, separator, path = item.partition('=')
        name, path = (name, path) if separator else (Path(item).stem, item)
        if not name or name in lexicons:
            raise ValueError(f'--lexicon {item}: each needs a name of its own, NAME=PATH')
        lexicons[name] = path
    return lexicons


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    try:
        metric = EndToEndMetric(
            name_lexicons(args.lexicon),
            args.lexicon_distance,
            args.word_spotting,
            args.score_threshold,
            min_text_score=args.min_text_score,
        )
        images = read_truth(args)
        figures = judge_spotted(images, spot(args, images), metric)
        print(f'{len(images):,} images', file=sys.stderr)
        print(format_table(figures, metric))
        if args.json:
            with written_whole(args.json) as file:
                file.write(json.dumps(figures, indent=1).encode())
    except (OSError, ValueError, KeyError, ImportError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
