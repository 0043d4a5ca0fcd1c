"""Draw what detectors find, one column a detector, one row an image.

python tools/show_detections.py textspotting_test.json --out detections.jpg \
    --detector random=runs/random/config.py,runs/random/detector.pth \
    --detector odm=runs/odm/config.py,runs/odm/detector.pth

Configs and weights of tools/compare_init.py are in its folder runs/.
"""

import argparse
import sys
from pathlib import Path

from odm_mmocr.datasets.annotation_files import read_annotations
from odm_mmocr.evaluation.end_to_end_run import MMOCRDetector
from odm_mmocr.image_files import read_image, write_image
from odm_mmocr.visualization.detections import detection_sheet


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'annotations', help='ground truth with texts: JSON file of MMOCR, or text files'
    )
    parser.add_argument(
        '--images', metavar='DIR', help='folder of the images (default: that of the ground truth)'
    )
    parser.add_argument(
        '--detector',
        action='append',
        required=True,
        metavar='TITLE=CONFIG,WEIGHTS',
        help='give it several times',
    )
    parser.add_argument('--num', type=int, default=4, help='images (default: 4)')
    parser.add_argument('--skip', type=int, default=0, help='images to pass over (default: 0)')
    parser.add_argument('--threshold', type=float, default=0.5, help='least score (default: 0.5)')
    parser.add_argument('--width', type=int, default=480, help='of a picture (default: 480)')
    parser.add_argument('--device', help='default: CUDA where it is')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='.jpg or .png')
    args = parser.parse_args(arguments)
    for name in ('num', 'width'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} {getattr(args, name)}: at least 1')
    if args.skip < 0:
        parser.error(f'--skip {args.skip}: at least 0')
    return args


def load_detectors(args: argparse.Namespace) -> dict[str, MMOCRDetector]:
    """The detectors that the command line names, by title."""
    detectors = {}
    for text in args.detector:
        title, equals, files = text.partition('=')
        config, comma, weights = files.partition(',')
        if not (title and equals and config and comma and weights):
            raise ValueError(f'{text!r} is no detector: TITLE=CONFIG,WEIGHTS')
        if title in detectors:
            raise ValueError(f'two detectors are called {title}')
        detectors[title] = MMOCRDetector(config, weights, args.device)
    return detectors


def draw(args: argparse.Namespace) -> int:
    """Draw the sheet; return the number of images."""
    annotated, _ = read_annotations(args.annotations, args.images)
    chosen = annotated[args.skip : args.skip + args.num]
    if not chosen:
        raise ValueError(f'--skip {args.skip}: {args.annotations} has {len(annotated)} images')
    images = [read_image(item.path) for item in chosen]
    truths = [([w.polygon for w in i.words], [w.ignored for w in i.words]) for i in chosen]
    found = {
        title: [detector(image) for image in images]
        for title, detector in load_detectors(args).items()
    }
    sheet = detection_sheet(images, truths, found, args.threshold, args.width)
    write_image(args.out, sheet)
    return len(images)


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    try:
        count = draw(args)
    except (OSError, ValueError, KeyError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'{count} images drawn to {args.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
