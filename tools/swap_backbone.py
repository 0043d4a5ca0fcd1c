"""Write a small config in which a stock detector starts from a pre-trained backbone.

python tools/swap_backbone.py mmocr::textdet/dbnet/dbnet_resnet50_1200e_icdar2015.py \
    --backbone backbone_resnet50.pth --out my_dbnet.py
"""

import argparse
import copy
import sys
from pathlib import Path

from odm_mmocr.checkpoints import find_config, load_config, swap_backbone, write_swapped_config


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of a detector config, or its name in MMOCR')
    parser.add_argument('--backbone', required=True, metavar='FILE', help='exported backbone')
    parser.add_argument('--out', required=True, type=Path, metavar='CONFIG', help='file to write')
    parser.add_argument(
        '--adapt-normalization',
        action='store_true',
        help='normalise as in pre-training instead of stopping where it differs',
    )
    parser.add_argument(
        '--adapt-architecture',
        action='store_true',
        help="take over where a ResNet's strides are and what its stem is, instead of stopping",
    )
    parser.add_argument('--overwrite', action='store_true', help='replace an existing file')
    return parser.parse_args(argv)


def swap(args: argparse.Namespace) -> None:
    if args.out.exists() and not args.overwrite:
        raise ValueError(f'{args.out} exists; give another --out, or --overwrite')
    if args.out.suffix != '.py':
        raise ValueError(f'{args.out}: a config ends in .py')
    cfg = load_config(args.config)
    original = copy.deepcopy(cfg)
    changes = swap_backbone(cfg, args.backbone, args.adapt_normalization, args.adapt_architecture)
    write_swapped_config(find_config(args.config), original, cfg, args.out)
    print(f'{args.out} written, which inherits {args.config} and changes:')
    for change in changes:
        print(f'  {change}')


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        swap(args)
    except (OSError, ValueError) as error:
        print('error:', ' '.join(str(error).split()), file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
