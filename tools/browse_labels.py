"""Draw what a training sees: annotation, label, ignore map and prompt, one sample a row.

python tools/browse_labels.py odm_pretrain_icdar2015.py --num 24 --out labels
python tools/browse_labels.py mmocr::textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015.py \
    --cfg-options train_dataloader.dataset.ann_file=textspotting_train.json --out labels.png

Polygons of prompted words are green, those of the other words red, of ignored ones grey, of words
that cannot be drawn orange; a dot marks the first vertex. For a config that renders no labels, the
label is shown that ODM would draw after its transforms; its annotations must have texts.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from mmengine.utils import ProgressBar

import odm_mmocr  # noqa: F401, registers
from odm_mmocr.apis import LabelBrowser
from odm_mmocr.checkpoints import ConfigOptions, load_config
from odm_mmocr.visualization import LABEL_COLUMNS, draw_sheet, label_row, write_pages

ROWS = 12  # of a page


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of a config, or its name in odm_mmocr or MMOCR')
    parser.add_argument('--num', type=int, default=16, help='samples to show (default 16)')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('labels'),
        help=f'folder, or a .png or .jpg, numbered beyond {ROWS} samples (default: labels)',
    )
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train')
    parser.add_argument(
        '--seed', type=int, default=0, help='choice of the samples, and their epoch (default 0)'
    )
    parser.add_argument('--height', type=int, default=320, help='of the pictures, in pixels')
    parser.add_argument('--fonts', nargs='+', help='for a config that renders no labels')
    parser.add_argument('--cfg-options', nargs='+', action=ConfigOptions, metavar='KEY=VALUE')
    args = parser.parse_args(argv)
    for name, value, least in (('num', args.num, 1), ('height', args.height, 32)):
        if value < least:
            parser.error(f'--{name} {value}: at least {least}')
    if args.seed < 0:
        parser.error(f'--seed {args.seed}: 0 or more')
    return args


def browse(args: argparse.Namespace) -> None:
    browser = LabelBrowser(load_config(args.config, args.cfg_options), args.split, args.fonts)
    rows, faults, words = [], Counter(), 0
    bar = ProgressBar(min(args.num, len(browser)))
    for sample in browser.draw(args.num, args.seed):
        rows.append(label_row(sample.image, sample.data_sample, sample.faults, args.height))
        words += int(sample.data_sample.gt_instances.prompted.sum())
        faults.update(str(fault) for fault in sample.faults if fault is not None)
        bar.update()
    print()
    pages = [draw_sheet(LABEL_COLUMNS, rows[i : i + ROWS]) for i in range(0, len(rows), ROWS)]
    for path in write_pages(pages, args.out):
        print(f'wrote {path}')
    print(f'{words} prompted words, {faults.total()} of which cannot be drawn')
    for fault, count in faults.most_common(5):
        print(f'  {count} times: {fault}')


def main() -> None:
    args = parse_args()
    try:
        browse(args)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
