"""Make a text-spotting annotation of images without labels, by an OCR engine.

python tools/pseudo_label.py images/ --out data/pseudo/annotations.json --workers 8
python tools/pseudo_label.py list.txt --out a.json --engine mmocr --det DBNetpp --rec SATRN
python tools/pseudo_label.py images/ --out a.json --engine recorded --recorded others.jsonl
python tools/pseudo_label.py images/ --out a.json --shard 3/16        # one of 16 machines
python tools/pseudo_label.py --merge a.readings.*-of-16.jsonl --out a.json --min-score 0.95

Everything that is read goes to a.readings.jsonl beside the annotation at once: a run that was
broken off goes on there, and other filters need no second reading. docs/pseudo_labels.md.
"""

import argparse
import logging
import sys
from dataclasses import fields
from functools import partial
from pathlib import Path

from odm_mmocr.pseudo_label import (
    FilterSettings,
    Labeller,
    RapidOCREngine,
    RecordedReadings,
    Shard,
    WordFilter,
    open_source,
    read_images,
    read_in_processes,
    write_annotations,
)
from odm_mmocr.pseudo_label.engines import LONGER_SIDE, SHORTER_SIDE

NONE = ('none', 'off')
WHOLE = '0/1'  # the shard that has all images
ENGINE_OPTIONS = {
    'recorded': ('recorded',),
    'mmocr': ('det', 'det_weights', 'rec', 'rec_weights'),
}
FILTERS = {
    'min_score': (float, 'least score of the recogniser, 0 to 1'),
    'min_detection_score': (float, 'least score of the detector, 0 to 1'),
    'min_height': (float, 'least height of text, pixels'),
    'min_letter_aspect': (float, 'least length of a letter over its height'),
    'max_letter_aspect': (float, 'largest length of a letter over its height'),
    'min_known': (float, 'least share of characters that the vocabulary has, 0 to 1'),
    'vocabulary': (str, "characters of the model's vocabulary, or a .txt file of them"),
    'max_coverage': (float, 'largest share of the image that a word covers, 0 to 1'),
    'min_letters': (int, 'least number of letters and digits'),
    'min_plausibility': (float, 'least mean log-probability of the letters, such as -6'),
    'words': (str, 'file of words of the language, for --min-plausibility'),
    'max_duplicate_distance': (int, 'bits, of 64, in which near-duplicate images differ at most'),
}


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'images',
        nargs='?',
        help='folder (with all folders in it), text file with a path in each line, LMDB, or an '
        "address of one of MMEngine's file backends",
    )
    parser.add_argument('--out', required=True, type=Path, help='the annotation, a JSON file')
    parser.add_argument(
        '--merge', nargs='+', metavar='READINGS', help='filter these readings; nothing is read'
    )
    parser.add_argument('--root', help='folder that image paths are relative to')
    parser.add_argument(
        '--backend-args',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help="arguments of MMEngine's file backend, such as backend=petrel",
    )
    engine = parser.add_argument_group('engine')
    engine.add_argument(
        '--engine',
        choices=('rapidocr', 'mmocr', 'recorded'),
        default='rapidocr',
        help='rapidocr: PP-OCRv6 (the default); mmocr: --det and --rec; recorded: --recorded',
    )
    engine.add_argument('--recorded', metavar='JSONL', help='what another program has read')
    for part in ('det', 'rec'):
        engine.add_argument(f'--{part}', help=f'config or name of the {part} model of MMOCR')
        engine.add_argument(f'--{part}-weights', help='its checkpoint')
    engine.add_argument('--device', help='such as cpu (the default of rapidocr) or cuda')
    engine.add_argument(
        '--shorter-side',
        type=int,
        default=SHORTER_SIDE,
        metavar='PIXELS',
        help='rapidocr: images are enlarged to it for the detector (default %(default)s)',
    )
    engine.add_argument(
        '--longer-side',
        type=int,
        default=LONGER_SIDE,
        metavar='PIXELS',
        help='rapidocr: images are shrunk to it for the detector (default %(default)s)',
    )
    engine.add_argument('--lines', action='store_true', help='keep lines, do not cut them to words')
    run = parser.add_argument_group('run')
    run.add_argument('--workers', type=int, default=1, help='processes (default %(default)s)')
    run.add_argument(
        '--batch-size', type=int, default=1, help='images at once (default %(default)s)'
    )
    run.add_argument(
        '--timeout',
        type=float,
        default=120,
        metavar='SECONDS',
        help='most that an image may take (default %(default)s)',
    )
    run.add_argument('--shard', default=WHOLE, metavar='I/N', help='read this share only')
    run.add_argument('--restart', action='store_true', help='forget what has been read before')
    run.add_argument(
        '--retry-failed', action='store_true', help='try images again that could not be read'
    )
    run.add_argument(
        '--ray',
        nargs='?',
        const='local',
        metavar='ADDRESS',
        help='read on a Ray cluster: auto, ray://HOST:10001, or a new one on this machine',
    )
    run.add_argument(
        '--gpus', type=float, default=0, help='GPUs of each Ray worker (default %(default)s)'
    )
    chosen = parser.add_argument_group('filters', '"none" switches one off')
    defaults = {field.name: field.default for field in fields(FilterSettings)}
    for name, (kind, text) in FILTERS.items():
        default = defaults[name]
        chosen.add_argument(
            f'--{name.replace("_", "-")}',
            type=partial(_optional, kind),
            default=default,
            metavar=kind.__name__.upper(),
            help=f'{text} (default {default})',
        )
    chosen.add_argument(
        '--read-back', action='store_true', help='the label of a word must read as the word'
    )
    chosen.add_argument(
        '--keep-empty', action='store_true', help='keep images without an accepted word'
    )
    args = parser.parse_args(arguments)
    _check(parser, args)
    return args


def _optional(kind: type, text: str) -> object:
    return None if text.lower() in NONE else kind(text)


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if bool(args.images) == bool(args.merge):
        parser.error('give images to read, or --merge and files of readings')
    if args.merge and args.shard != WHOLE:
        parser.error('--merge joins all shards: leave out --shard')
    if args.engine == 'recorded' and not args.recorded:
        parser.error('--engine recorded needs --recorded FILE')
    if args.engine == 'mmocr' and not (args.det and args.rec):
        parser.error('--engine mmocr needs --det and --rec')
    for engine, options in ENGINE_OPTIONS.items():
        for name in options:
            if args.engine != engine and getattr(args, name) is not None:
                parser.error(f'--{name.replace("_", "-")} needs --engine {engine}')
    if args.gpus and args.ray is None:
        parser.error('--gpus needs --ray')
    if args.words is not None and args.min_plausibility is None:
        parser.error('--words needs --min-plausibility')
    for pair in args.backend_args:
        if '=' not in pair:
            parser.error(f'--backend-args {pair}: expected KEY=VALUE')
    for name, least in (('workers', 1), ('batch_size', 1)):
        if getattr(args, name) < least:
            parser.error(f'--{name.replace("_", "-")} {getattr(args, name)}: at least {least}')


def choose_engine(args: argparse.Namespace) -> tuple:
    """What makes the engine, and what the readings depend on."""
    if args.engine == 'recorded':
        return partial(RecordedReadings, args.recorded), dict(recorded=str(args.recorded))
    if args.engine == 'mmocr':
        from odm_mmocr.pseudo_label.mmocr_engine import MMOCREngine

        networks = dict(
            det=args.det,
            rec=args.rec,
            det_weights=args.det_weights,
            rec_weights=args.rec_weights,
        )
        return partial(
            MMOCREngine, **networks, device=args.device, batch_size=args.batch_size
        ), networks
    sides = dict(shorter_side=args.shorter_side, longer_side=args.longer_side)
    # Words of any score are kept: what is rejected becomes an ignored region.
    make = partial(RapidOCREngine, threads=1, min_score=0.0, device=args.device or 'cpu', **sides)
    return make, sides


def choose_runner(args: argparse.Namespace) -> partial:
    if args.ray is None:
        return partial(read_in_processes, workers=args.workers, timeout=args.timeout)
    from odm_mmocr.pseudo_label.ray_runner import read_with_ray

    address = None if args.ray == 'local' else args.ray
    return partial(
        read_with_ray,
        workers=args.workers,
        timeout=args.timeout,
        address=address,
        gpus=args.gpus,
    )


def read(args: argparse.Namespace, shard: Shard) -> tuple[Path, bool]:
    """Read the images; the file of readings, and whether any image, if any, could be read."""
    backend_args = dict(pair.split('=', 1) for pair in args.backend_args)
    source = open_source(args.images, backend_args or None, args.root)
    make_engine, settings = choose_engine(args)
    labeller = Labeller(source.with_names([]), make_engine, not args.lines, args.read_back)
    settings = dict(settings, engine=args.engine, lines=args.lines, read_back=args.read_back)
    path = shard.path(args.out.with_suffix('.readings.jsonl'))
    print(f'{len(source):,} images, readings in {path}', file=sys.stderr)
    progress = read_images(
        source,
        labeller,
        path,
        settings,
        shard,
        choose_runner(args),
        args.batch_size,
        args.restart,
        args.retry_failed,
    )
    # A shard without images has none that could not be read.
    return path, not progress.total or progress.failed < progress.total


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    logging.basicConfig(format='%(message)s')
    try:
        shard = Shard.parse(args.shard)
        chosen = {name: getattr(args, name) for name in FILTERS}
        settings = FilterSettings(**chosen, read_back=args.read_back)
        WordFilter(settings)  # a file that it lacks is told now, not when all has been read
        readings, any_read = (args.merge, True) if args.merge else read(args, shard)
        if shard.count > 1:
            print(
                f'shard {shard.number} of {shard.count} is read; when all are: --merge '
                f'{Shard.path(Shard(0, shard.count), args.out.with_suffix(".readings.jsonl"))} …'
            )
        else:
            readings = readings if args.merge else [readings]
            report = write_annotations(readings, args.out, settings, args.keep_empty)
            print('\n'.join(report.lines()))
            print(f'wrote {args.out}')
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\ninterrupted: the same command goes on from here', file=sys.stderr)
        return 130
    if not any_read:
        print('error: none of the images could be read', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
