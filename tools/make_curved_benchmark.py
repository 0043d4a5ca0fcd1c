"""Generate a benchmark of curved text in Total-Text's layout and file format.

    python tools/make_curved_benchmark.py data/generated_curved --train 300 --test 100

The parts share no font family, no photograph and no word: `part='train'` in the settings of
SynthesizedSceneText keeps a pre-training off those of the test part. docs/curved_benchmark.md says
what that means. Results on it are to be marked as generated.
"""

import argparse
import sys
from collections.abc import Sequence

import cv2
from mmengine.utils import track_iter_progress

from odm_mmocr.synthesis.curved_benchmark import CurvedBenchmark, make_curved_benchmark


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', help='folder to make')
    for part, number in (('train', 300), ('test', 100)):
        text = 'images (default %(default)s)'
        parser.add_argument(f'--{part}', type=int, default=number, metavar='NUM', help=text)
    parser.add_argument(
        '--size',
        type=parse_size,
        default=(640, 640),
        metavar='WIDTHxHEIGHT',
        help='of the images, in pixels (default 640x640)',
    )
    parser.add_argument('--seed', type=int, default=0, help='default %(default)s')
    parser.add_argument(
        '--fonts',
        nargs='+',
        metavar='PATH',
        help='font files and folders (default: installed)',
    )
    parser.add_argument(
        '--words', metavar='FILE', help='one word a line (default: built-in words and numbers)'
    )
    parser.add_argument(
        '--backgrounds',
        metavar='DIR',
        help='photographs without text (default: textures, and photographs of scikit-image)',
    )
    parser.add_argument(
        '--texture-share',
        type=float,
        metavar='SHARE',
        help='of procedural backgrounds, 0 to 1 (default: 0 with --backgrounds, else 0.5)',
    )
    return parser.parse_args(arguments)


def parse_size(text: str) -> tuple[int, int]:
    width, _, height = text.partition('x')
    try:
        return int(width), int(height)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is not WIDTHxHEIGHT, such as 640x640') from None


def track(images: Sequence):
    """Iterates with rate and time left, apart from the results."""
    yield from track_iter_progress(images, file=sys.stderr)
    print(file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    cv2.setNumThreads(1)
    settings = {name: value for name, value in vars(args).items() if name != 'out'}
    try:
        counts = make_curved_benchmark(args.out, CurvedBenchmark(**settings), track)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    for part, count in counts.items():
        print(f'{part}: {count}')
    print(f'wrote {args.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
