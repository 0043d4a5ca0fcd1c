"""Measure the start of training with a large annotation: seconds, memory, samples a second.

python tools/benchmark_index.py
python tools/benchmark_index.py --config odm_pretrain_synthtext.py --samples 500
python tools/benchmark_index.py --entries 100000 --types IndexedOCRDataset OCRDataset
python tools/benchmark_index.py --annotation data/synthtext/textspotting_train.json

Without --annotation one is generated, of images that do not exist. Main process and workers are
started as a training starts them; then annotations are loaded in random order, without images. The
first start of an IndexedOCRDataset makes the index, the second finds it. The table is Markdown.
"""

import os

os.environ['OMP_NUM_THREADS'] = '1'  # read when the libraries are imported

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from odm_mmocr.datasets.annotation_index import SUFFIX
from odm_mmocr.evaluation.annotation_scale import StartCost, measure_start, write_annotation

HEADER = (
    '| start | imports s | data set s | workers s | samples/s | imports MB | peak MB of all '
    '| main MB | a worker MB |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|'
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--annotation', type=Path, metavar='FILE', help='default: generated')
    parser.add_argument('--entries', type=int, default=1000000, help='of the generated one')
    parser.add_argument('--words', type=int, default=5, help='an entry of the generated one')
    parser.add_argument('--lines', action='store_true', help='generate JSON Lines')
    parser.add_argument(
        '--folder', type=Path, help='of the generated one, which is deleted (default: temporary)'
    )
    parser.add_argument('--workers', type=int, default=8)
    parser.add_argument(
        '--start-method', choices=('fork', 'spawn'), default='fork', help='of the workers'
    )
    parser.add_argument('--samples', type=int, default=20000, help='loaded for the rate')
    parser.add_argument('--starts', type=int, default=2, help='of each type, one after another')
    parser.add_argument(
        '--types', nargs='+', default=['IndexedOCRDataset'], help='registered data sets'
    )
    parser.add_argument(
        '--config', help='load samples through its training pipeline, with grey images'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures here')
    args = parser.parse_args(argv)
    for name in ('entries', 'words', 'workers', 'samples', 'starts'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} {getattr(args, name)}: at least 1')
    return args


def print_row(name: str, cost: StartCost) -> None:
    print(
        f'| {name} | {cost.import_seconds:.1f} | {cost.open_seconds:.1f} '
        f'| {cost.workers_seconds:.1f} | {cost.samples_per_second:.0f} '
        f'| {cost.import_megabytes:.0f} | {cost.peak_megabytes:.0f} | {cost.main_megabytes:.0f} '
        f'| {cost.worker_megabytes:.0f} |',
        flush=True,
    )


def benchmark(args: argparse.Namespace, annotation: Path) -> list[dict]:
    size = annotation.stat().st_size / 1e6
    print(f'{annotation.name}: {size:.0f} MB; {args.workers} workers\n\n{HEADER}', flush=True)
    costs = []
    for kind in args.types:
        for start in range(1, args.starts + 1):
            cost = measure_start(
                annotation, kind, args.workers, args.samples, args.start_method, args.config
            )
            print_row(f'{kind}, start {start}', cost)
            costs.append(dict(type=kind, start=start, **asdict(cost)))
    print(f'\n{cost.entries} entries', end='')
    index = annotation.with_name(annotation.name + SUFFIX)
    print(f', index {index.stat().st_size / 1e6:.1f} MB' if index.is_file() else '', flush=True)
    return costs


def main() -> None:
    args = parse_args()
    try:
        if args.annotation:
            costs = benchmark(args, args.annotation)
        else:
            with TemporaryDirectory(dir=args.folder) as folder:
                path = Path(folder, 'generated.jsonl' if args.lines else 'generated.json')
                print(f'generating {args.entries} entries', file=sys.stderr)
                write_annotation(path, args.entries, args.words)
                costs = benchmark(args, path)
        if args.json:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(costs, indent=2) + '\n')
    except (OSError, ValueError, RuntimeError) as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)


if __name__ == '__main__':
    main()
