"""Draw prompted words of images, and say how sure the model is of each.

python tools/infer.py demo.jpg --weights work_dirs/odm/iter_5000.pth --words open exit
python tools/infer.py images/ --weights iter_5000.pth --words-file words.json --save-pred --save-vis
python tools/infer.py images/ --model odm_pretrain.py --weights weights.pth --print-result

Without words an OCR engine reads the images, and what it reads is the prompt (extra pseudo).
docs/inference.md describes inputs and results.
"""

import argparse
import sys
from pathlib import Path

from odm_mmocr.apis import ODMInferencer
from odm_mmocr.apis.prompts import read_words


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('inputs', nargs='+', help='image files, or folders of them')
    parser.add_argument(
        '--model', help='path or name of the config (default: the one stored in the checkpoint)'
    )
    parser.add_argument('--weights', help='training checkpoint (default: the untrained model)')
    prompt = parser.add_mutually_exclusive_group()
    prompt.add_argument('--words', nargs='*', help='the prompt of all images; it may be empty')
    prompt.add_argument(
        '--words-file',
        metavar='JSON',
        help='prompts: a list of words for all images, a list of lists, one for each image, or an '
        'object from file name to list',
    )
    parser.add_argument(
        '--out-dir', default='results', help='folder of the results (default %(default)s)'
    )
    parser.add_argument(
        '--save-pred',
        '--save_pred',
        action='store_true',
        help='save scores (JSON) and maps (PNG) to OUT_DIR/preds',
    )
    parser.add_argument(
        '--save-vis',
        '--save_vis',
        action='store_true',
        help='save pictures to OUT_DIR/vis (the default without --save-pred)',
    )
    parser.add_argument('--print-result', action='store_true', help='print the scores')
    parser.add_argument('--show', action='store_true', help='show each picture in a window')
    parser.add_argument('--device', help='such as cpu, cuda:0 (default: CUDA where there is one)')
    parser.add_argument(
        '--batch-size', type=int, default=1, help='images at once (default %(default)s)'
    )
    parser.add_argument(
        '--scale',
        type=int,
        metavar='PIXELS',
        help='longer side that the network sees (default: that of its training)',
    )
    parser.add_argument(
        '--threshold',
        type=float,
        default=0.5,
        help='probability from which on ink is shown over the image, 0 to 1 (default %(default)s)',
    )
    parser.add_argument(
        '--skip-bad',
        action='store_true',
        help='log images that cannot be read, or whose OCR reading fails, and go on',
    )
    return parser.parse_args()


def print_result(prediction: dict) -> None:
    words = '  '.join(f'{word["text"]} {word["score"]:.2f}' for word in prediction['words'])
    similarity = prediction['similarity']
    end = '' if similarity is None else f'  (similarity {similarity:.2f})'
    print(f'{prediction["image"]}: {words or "no words"}{end}')


def main() -> None:
    args = parse_args()
    try:
        words = read_words(args.words_file) if args.words_file else args.words
        inferencer = ODMInferencer(args.model, args.weights, args.device)
        predicted = skipped = 0
        for result in inferencer.iterate(
            args.inputs,
            words,
            batch_size=args.batch_size,
            scale=args.scale,
            show=args.show,
            out_dir=args.out_dir,
            save_vis=args.save_vis,
            save_pred=args.save_pred,
            threshold=args.threshold,
            skip_bad=args.skip_bad,
        ):
            predicted += result.prediction is not None
            skipped += result.prediction is None
            if args.print_result and result.prediction is not None:
                print_result(result.prediction)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        sys.exit(f'error: {error}')
    where = f', results in {Path(args.out_dir)}' if args.out_dir else ''
    print(f'{predicted} images{f", {skipped} skipped" if skipped else ""}{where}')


if __name__ == '__main__':
    main()
