"""Measure how fast labels are drawn, scenes synthesized, samples loaded and batches taken over.

python tools/benchmark_data.py
python tools/benchmark_data.py --annotations data/icdar2015/textspotting_train.json

Labels are measured against decoding and resizing the image they belong to, the least that any
pipeline does. A figure is the median of the repeats, with quartiles, by the time for which this
process had the core, and beside it by the clock: where the two differ, the machine was busy. All
is measured on one core but ``batches``: what a batch costs the process that trains, when workers
have it ready.
"""

import os

os.environ['OMP_NUM_THREADS'] = '1'  # read when the libraries are imported

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from mmengine.registry import FUNCTIONS, init_default_scope
from torch.utils.data import Dataset

import odm_mmocr  # noqa: F401, registers
from odm_mmocr.checkpoints import ConfigOptions, load_config
from odm_mmocr.datasets.annotation_files import read_annotations
from odm_mmocr.datasets.pipelines import build_dataset
from odm_mmocr.evaluation.data_speed import (
    Figure,
    LabelSpeed,
    PipelineSpeed,
    measure_batches,
    measure_labels,
    measure_pipeline,
    measure_synthesizer,
    synthesize_images,
    use_one_core,
)
from odm_mmocr.rendering.caching import CacheSize, cache_sizes
from odm_mmocr.synthesis import SceneSynthesizer

PARTS = ('labels', 'synthesizer', 'batches', 'pipeline')
# For batches.
WORKERS = 2
SAMPLES = 8
BUSY = 1.15  # wall over process time from which on the machine is called busy


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=PARTS, help='default: all')
    parser.add_argument(
        '--annotations', metavar='JSON', help='text-spotting annotations (default: synthesized)'
    )
    parser.add_argument(
        '--data-root', metavar='DIR', help='of its image paths (default: folder of the JSON)'
    )
    parser.add_argument('--fonts', nargs='+', help='fonts of the labels (default: DejaVu Sans)')
    parser.add_argument(
        '--size', nargs=2, type=int, default=(640, 640), metavar=('W', 'H'), help='of the labels'
    )
    parser.add_argument(
        '--num', type=int, help='images (default: all annotated ones, 100 synthesized ones)'
    )
    parser.add_argument('--samples', type=int, default=60, help='scenes and samples a repeat')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument(
        '--config',
        help='its training pipeline is measured (default: odm_pretrain_icdar2015.py on the given '
        'annotations, else odm_pretrain.py)',
    )
    parser.add_argument('--cfg-options', nargs='+', action=ConfigOptions, metavar='KEY=VALUE')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures here')
    args = parser.parse_args(argv)
    numbers = [('num', args.num), ('samples', args.samples), ('repeats', args.repeats)]
    for name, value in (*numbers, *(('size', side) for side in args.size)):
        if value is not None and value < 1:
            parser.error(f'--{name} {value}: at least 1')
    return args


def load_pipeline(args: argparse.Namespace) -> tuple[str, dict, Dataset]:
    default = 'odm_pretrain_icdar2015.py' if args.annotations else 'odm_pretrain.py'
    cfg = load_config(args.config or default, args.cfg_options)
    if 'train_dataloader' not in cfg:
        raise ValueError(f'{cfg.filename} has no train_dataloader')
    if args.annotations and not args.config:
        path = Path(args.annotations).resolve()
        root = Path(args.data_root).resolve() if args.data_root else path.parent
        cfg.train_dataloader.dataset.dataset.update(ann_file=str(path), data_root=str(root))
    init_default_scope(cfg.get('default_scope', 'mmocr'))
    loader = cfg.train_dataloader
    return Path(cfg.filename).name, loader, build_dataset(loader.dataset, cfg.filename)


def print_figure(name: str, figure: Figure, unit: str) -> None:
    process = figure.process
    print(
        f'  {name:34} {process.median:9.4g} {unit} ({process.low:.4g} to {process.high:.4g}), '
        f'by the clock {figure.wall.median:.4g}'
    )


def print_labels(speed: LabelSpeed) -> None:
    width, height = speed.size
    print(f'labels at {width}x{height}: {speed.words} readable words in {speed.images} images')
    print_figure('decoding and resizing an image', speed.image_milliseconds, 'ms')
    for state, figure in speed.words_per_second.items():
        print_figure(f'words, {state}', figure, 'a second')
    for state, figure in speed.label_milliseconds.items():
        print_figure(f'label, {state}', figure, 'ms')
    for state, figure in speed.ratio.items():
        print_figure(f'label : image, {state}', figure, 'times')


def print_pipeline(speed: PipelineSpeed) -> None:
    print_figure('samples', speed.samples_per_second, 'a second')
    for name, figure in speed.milliseconds.items():
        print_figure(name, figure, f'ms {speed.shares[name]:4.0%}')


def print_caches(sizes: dict[str, CacheSize]) -> None:
    print('caches of the rendering')
    for name, size in sizes.items():
        held = f'{size.entries} entries'
        if size.max_bytes is None:
            held += f' of at most {size.max_entries}'
        else:
            held += f', {size.bytes / 2**20:.2f} of at most {size.max_bytes / 2**20:.0f} MiB'
        print(f'  {name.partition("rendering.")[2]:30} {held}')


def warn_if_busy(figures: list[Figure]) -> None:
    ratio = max(
        (
            max(f.process.median, f.wall.median) / min(f.process.median, f.wall.median)
            for f in figures
        ),
        default=1,
    )
    if ratio > BUSY:
        print(f'process and wall time differ by a factor of up to {ratio:.2f}: the machine is busy')


def benchmark_labels(args: argparse.Namespace) -> LabelSpeed:
    with TemporaryDirectory() as folder:
        if args.annotations:
            images, problems = read_annotations(args.annotations, args.data_root)
            images = images[: args.num]
            if problems:
                print(f'left out {len(problems)}, such as: {problems[0]}', file=sys.stderr)
        else:
            images = synthesize_images(folder, args.num or 100)
        return measure_labels(images, tuple(args.size), args.repeats, args.fonts)


def benchmark_batches(name: str, loader: dict, dataset: Dataset, repeats: int) -> Figure:
    collate = loader.get('collate_fn', dict(type='pseudo_collate'))['type']
    samples = [dataset[index] for index in range(min(SAMPLES, len(dataset)))]
    cost = measure_batches(
        samples, FUNCTIONS.get(collate), loader['batch_size'], repeats=repeats, workers=WORKERS
    )
    print(f'batches of {loader["batch_size"]} for {name} by {collate} from {WORKERS} workers')
    print_figure('cost to the process that trains', cost, 'ms')
    return cost


def benchmark(args: argparse.Namespace) -> dict:
    results = {}
    figures = []
    if 'labels' in args.parts:
        speed = benchmark_labels(args)
        print_labels(speed)
        results['labels'] = asdict(speed)
        figures += [speed.image_milliseconds, *speed.label_milliseconds.values()]
    if 'synthesizer' in args.parts:
        synthesizer = SceneSynthesizer(size=(512, 512), words_per_image=(8, 8))
        rate = measure_synthesizer(synthesizer, args.samples, args.repeats)
        print('synthesizer at 512x512, 8 words an image')
        print_figure('images', rate, 'a second')
        results['synthesizer'] = asdict(rate)
        figures.append(rate)
    if 'batches' in args.parts:
        name, loader, dataset = load_pipeline(args)
        results['batches'] = asdict(benchmark_batches(name, loader, dataset, args.repeats))
    if 'pipeline' in args.parts:
        name, _, dataset = load_pipeline(args)
        speed = measure_pipeline(dataset, args.samples, args.repeats)
        print(f'training pipeline of {name}, per sample')
        print_pipeline(speed)
        results['pipeline'] = asdict(speed)
        figures.append(speed.samples_per_second)
    sizes = cache_sizes()
    print_caches(sizes)
    results['caches'] = {name: size._asdict() for name, size in sizes.items()}
    warn_if_busy(figures)
    return results


def main() -> None:
    args = parse_args()
    use_one_core()
    try:
        results = benchmark(args)
        if args.json:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(results, indent=2) + '\n')
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
