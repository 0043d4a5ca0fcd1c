"""Write the backbone of an ODM checkpoint into a file that detectors start from.

python tools/export_backbone.py work_dirs/odm_pretrain/iter_10000.pth --recalibrate 100
"""

import argparse
import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from odm_mmocr.checkpoints import (
    architecture_name,
    extract_backbone,
    load_checkpoint,
    load_config,
    read_config_text,
    recalibrate_backbone,
    save_checkpoint,
    without_counters,
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', type=Path, help='training checkpoint of an ODM model')
    parser.add_argument(
        '--out',
        type=Path,
        metavar='FILE',
        help='file to write (default: backbone_<architecture>.pth beside the checkpoint)',
    )
    parser.add_argument(
        '--recalibrate',
        type=int,
        default=0,
        metavar='N',
        help='measure the statistics of BatchNorm anew over N training batches',
    )
    parser.add_argument(
        '--config', help='config for data and model, instead of the one in the checkpoint'
    )
    parser.add_argument(
        '--no-ema', action='store_true', help='take the raw weights, not the averaged ones'
    )
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser.add_argument('--device', default=device, help='for --recalibrate (default: %(default)s)')
    args = parser.parse_args(argv)
    if args.recalibrate < 0:
        parser.error(f'--recalibrate {args.recalibrate}: a number of batches is needed')
    if args.device.startswith('cuda') and not torch.cuda.is_available():
        parser.error(f'--device {args.device}: no CUDA here, take cpu')
    return args


def export(args: argparse.Namespace) -> None:
    checkpoint = load_checkpoint(args.checkpoint)
    if args.config:
        text = load_config(args.config).pretty_text
        checkpoint['meta'] = dict(checkpoint.get('meta') or {}, cfg=text)
    backbone = extract_backbone(checkpoint, prefer_ema=not args.no_ema, source=str(args.checkpoint))
    if args.recalibrate:
        cfg = Config(read_config_text(checkpoint['meta']['cfg']))
        import_modules_from_strings(**cfg.get('custom_imports', dict(imports=[])))
        backbone = recalibrate_backbone(backbone, cfg, args.recalibrate, args.device)
    name = architecture_name(backbone)
    out = args.out or args.checkpoint.parent / f'backbone_{name}.pth'
    save_checkpoint(backbone, out)
    meta, count = backbone['meta'], len(without_counters(backbone['state_dict']))
    batches = meta.get('recalibrated_batches', 0)
    print(
        f'{out}: {name}, {count} tensors, {meta["weights"]} weights of iteration '
        f'{meta["iteration"]}, BatchNorm recalibrated over {batches} batches'
    )


def main() -> None:
    args = parse_args()
    try:
        export(args)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
