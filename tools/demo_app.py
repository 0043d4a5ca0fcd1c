"""Serve a page on which one chooses an image and words and sees what a model draws.

python tools/demo_app.py --weights work_dirs/odm_pretrain/iter_5000.pth
python tools/demo_app.py --weights iter_1700.pth --device cpu --examples my_images

Needs the extra demo; with the extra pseudo the page can also read the words of an image. The page
is served to this machine alone.
"""

import argparse
import signal
import sys
import threading
from importlib.util import find_spec

import odm_mmocr  # noqa: F401, registers


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--model',
        metavar='CONFIG',
        help='config of an ODM pre-training, path or name (default: that in the checkpoint)',
    )
    parser.add_argument('--weights', metavar='FILE', help='checkpoint (default: untrained)')
    parser.add_argument('--device', help='such as cpu or cuda:0 (default: CUDA where it is there)')
    parser.add_argument(
        '--examples',
        metavar='FOLDER',
        help='images to choose from (default: synthesized like those of the training)',
    )
    parser.add_argument('--title', default='ODM', help='of the page (default %(default)s)')
    parser.add_argument('--port', type=int, default=7860, help='0: any that is free (default 7860)')
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address to listen at; another than %(default)s opens the page to others',
    )
    parser.add_argument(
        '--max-file-size',
        type=float,
        default=10,
        metavar='MB',
        help='of an uploaded image (default %(default)s)',
    )
    args = parser.parse_args()
    if not 0 <= args.port <= 65535:
        parser.error(f'--port {args.port}: expected 0 to 65535')
    if not args.max_file_size > 0:
        parser.error(f'--max-file-size {args.max_file_size}: expected more than 0')
    return args


def find_examples(demo, inferencer, folder: str | None) -> list:
    """Examples of a folder, or synthesized; none where the training's files are not here."""
    if folder:
        side = max(demo.SHOWN_SIDES[1], inferencer.scale)
        return demo.load_examples(folder, side=side)
    try:
        return demo.synthesize_examples(inferencer.cfg)
    except (OSError, ValueError) as error:
        print(
            f'warning: no examples, since the training had what is not here ({error}); '
            '--examples FOLDER takes your images',
            file=sys.stderr,
        )
        return []


def main() -> None:
    args = parse_args()
    try:
        from odm_mmocr.apis import demo
        from odm_mmocr.apis.inferencer import ODMInferencer

        inferencer = ODMInferencer(args.model, args.weights, args.device)
        examples = find_examples(demo, inferencer, args.examples)
        with demo.private_uploads():
            page = demo.build_demo(
                inferencer,
                args.title,
                examples,
                with_reader=all(map(find_spec, ('rapidocr', 'omegaconf'))),
            )
            if args.host not in demo.LOCAL_HOSTS:
                print(
                    f'warning: whoever reaches {args.host} can use the page; it has no password',
                    file=sys.stderr,
                )
            url = demo.launch_demo(page, args.host, args.port, round(args.max_file_size * 2**20))
            print(f'{url} shows {args.weights or args.model}; stop it with Ctrl+C', flush=True)
            stopped = threading.Event()
            for name in (signal.SIGINT, signal.SIGTERM):
                signal.signal(name, lambda *_: stopped.set())
            stopped.wait()
            page.close()
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
