"""The demo app: an image, some words, and what the model draws, as a page in a browser."""

import functools
import html
import inspect
import itertools
import logging
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.logging import print_log
from PIL import Image, UnidentifiedImageError

from odm_mmocr.checkpoints import walk_settings
from odm_mmocr.checkpoints.architecture import describe_architecture, name_architecture
from odm_mmocr.datasets import SynthesizedSceneText
from odm_mmocr.synthesis import SceneSynthesizer
from odm_mmocr.visualization import attention_overlay, ink_overlay

try:
    import gradio as gr
    from gradio.utils import get_upload_folder
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
except ImportError as error:
    raise ImportError(
        f'the demo app needs the package {error.name}; install the extra: '
        'pip install "odm_mmocr[demo]"'
    ) from error

from .demo_guard import RequestGuard
from .inferencer import ODMInferencer
from .inputs import InputImage, fit, list_inputs, resize
from .prompts import choose_read_words

LOCAL_HOSTS = ('127.0.0.1', 'localhost')
MAX_FILE_SIZE = 10 * 2**20  # bytes
MAX_SIDE = 8000  # pixels
MAX_PIXELS = 48_000_000
KEPT = (600, 3600)  # seconds: every so often, files older than this are deleted
MAX_TEXT = 2000  # characters that can be typed
MAX_WORDS = 200
FORMATS = ('PNG', 'JPEG', 'WEBP', 'BMP')  # what browsers show
SUFFIXES = ('.png', '.jpg', '.jpeg', '.webp', '.bmp')
SHOWN_SIDES = (640, 1024)  # pixels; the longer side of a picture in the page is brought to these
THUMBNAIL = 256  # pixels
TIME = re.compile(r'_\d{8}_\d{6}$')  # that MMEngine appends to the name of a run
SEPARATORS = re.compile(r'[,\s]+')

_COLOUR = gr.themes.colors.slate
THEME = gr.themes.Base(
    primary_hue=_COLOUR,
    neutral_hue=_COLOUR,
    radius_size=gr.themes.sizes.radius_sm,
    font=('system-ui', 'sans-serif'),
    font_mono=('ui-monospace', 'monospace'),
)
CSS = """
.gradio-container {max-width: 1280px !important; margin: auto}
.answer .image-frame, #image .image-frame {padding-top: 30px; height: 100%}
.answer img, #image img {width: 100%; height: 100%; object-fit: contain}
#examples .thumbnail-lg {aspect-ratio: 4 / 3}
#examples .grid-wrap {padding: 0; overflow-x: hidden}
#examples .grid-container {padding: 8px}
#facts, #facts .html-container, #scores, #scores .html-container {padding: 0 !important}
.facts {font-size: 13px; margin-top: -12px; color: var(--body-text-color-subdued)}
.facts b {color: var(--body-text-color); font-weight: 600}
.facts span {white-space: nowrap; margin-right: 20px}
#scores table {border: 0 !important; border-collapse: collapse; width: 100%; margin: 0}
.scores tr {border: 0 !important}
.scores td {border: 0 !important; font-size: 14px; white-space: nowrap}
.scores td {padding: 3px 12px 3px 0 !important}
.scores td.bar {width: 100%}
.scores td.bar div {height: 10px; min-width: 1px; background: #c026d3}
.scores .note {color: var(--body-text-color-subdued); font-size: 13px; padding-top: 6px}
"""


@dataclass(frozen=True)
class DemoExample:
    """An image to choose in the app.

    Attributes:
        image: uint8 (H, W, 3), BGR.
        words: What it is known to say; empty where that is not known.
    """

    image: np.ndarray
    words: Sequence[str] = ()


def synthesize_examples(cfg: Config, count: int = 6, seed: int = 0) -> list[DemoExample]:
    """Make images of the kind that a model was trained on.

    Args:
        cfg: Config of its training. The settings are those of the first
            :class:`SynthesizedSceneText` of its validation, else of its training data; where it has
            neither, images of 512x512 pixels with the synthesizer's own settings.
        count: How many.
        seed: Other seeds make other images.

    Returns:
        The images, with the words in them.
    """
    loaders = [cfg.get(f'{split}_dataloader') for split in ('val', 'train')]
    name = SynthesizedSceneText.__name__
    found = next((part for part in walk_settings(loaders) if part.get('type') == name), {})
    wanted = inspect.signature(SceneSynthesizer).parameters
    synthesize = SceneSynthesizer(**{k: v for k, v in found.items() if k in wanted})
    scenes = [synthesize(np.random.default_rng((seed, index))) for index in range(count)]
    return [DemoExample(s.image, tuple(dict.fromkeys(s.texts))) for s in scenes]


def load_examples(
    folder: str | os.PathLike, most: int = 24, side: int = SHOWN_SIDES[1]
) -> list[DemoExample]:
    """Read the images of a folder, in the order of their names.

    What is damaged or too large is left out, and logged.

    Args:
        folder: The folder; what is in its folders, or of a format that browsers do not show, is
            not looked at.
        most: Images to read.
        side: The longer side of larger images is brought to so many pixels.

    Returns:
        The images, without words.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it that can be read.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f'{folder} is no folder; give one with images as examples')
    images = [image for image in list_inputs(folder) if image.source.suffix.lower() in SUFFIXES]
    loaded = itertools.islice(_load_readable(images), most)
    examples = [DemoExample(fit(x, side) if max(x.shape[:2]) > side else x) for x in loaded]
    if not examples:
        expected = ', '.join(SUFFIXES)
        raise FileNotFoundError(f'{folder} has no image of {expected} that can be read')
    return examples


def describe_model(inferencer: ODMInferencer) -> dict[str, str]:
    """Say which model answers.

    Args:
        inferencer: The inferencer.

    Returns:
        Name and value of checkpoint, iteration, config, backbone and the like.
    """
    cfg, weights, meta = inferencer.cfg, inferencer.weights, inferencer.meta
    stored = TIME.sub('', meta.get('experiment_name', 'unnamed'))
    backbone = describe_architecture(cfg.model.image_encoder.backbone.to_dict())
    return {
        'checkpoint': 'none, untrained' if weights is None else weights.name,
        'iteration': str(meta.get('iter', 'unknown' if weights else 0)),
        'config': Path(cfg.filename).stem if cfg.filename else stored,
        'backbone': name_architecture(backbone),
        'parameters': f'{sum(p.numel() for p in inferencer.model.parameters()) / 1e6:.1f} M',
        'image size': f'{inferencer.scale} pixels',
        'device': str(inferencer.device),
    }


def split_words(text: str) -> list[str]:
    """Split what a user typed at commas, line breaks and blanks, each word once."""
    return list(dict.fromkeys(word for word in SEPARATORS.split(text) if word))


def build_demo(
    inferencer: ODMInferencer,
    title: str = 'ODM',
    examples: Sequence[DemoExample] = (),
    with_reader: bool = False,
) -> gr.Blocks:
    """Build the page.

    Args:
        inferencer: What draws.
        title: Of the page.
        examples: Images to choose.
        with_reader: Whether there is a button that lets the inferencer's OCR engine read the image.

    Returns:
        The app; :func:`launch_demo` serves it.
    """
    app = _App(inferencer, examples)
    matches = inferencer.model.text_controller.match
    thumbnails = [_to_rgb(fit(example.image, THUMBNAIL)) for example in examples]
    settings = dict(analytics_enabled=False, fill_width=True, delete_cache=KEPT)
    with gr.Blocks(title=title, **settings) as demo:
        gr.Markdown(f'# {html.escape(title)}', elem_id='title')
        gr.HTML(_facts_table(describe_model(inferencer)), padding=False, elem_id='facts')
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                image = gr.Image(
                    label='Image',
                    sources=['upload', 'clipboard'],
                    format='png',
                    height=320,
                    buttons=[],
                    elem_id='image',
                )
                gallery = gr.Gallery(
                    thumbnails,
                    show_label=False,
                    columns=3,
                    height=240,
                    format='png',
                    object_fit='contain',
                    allow_preview=False,
                    interactive=False,
                    buttons=[],
                    visible=bool(examples),
                    elem_id='examples',
                )
                ticked = gr.CheckboxGroup(
                    label='Words in the image', visible=False, elem_id='ticked'
                )
                typed = gr.Textbox(
                    label='Words to draw',
                    placeholder='open, exit',
                    info='Separated by commas, blanks or lines; Shift+Enter draws.',
                    lines=2,
                    max_length=MAX_TEXT,
                    elem_id='typed',
                )
                with gr.Row():
                    draw = gr.Button('Draw', variant='primary', elem_id='draw')
                    read = gr.Button('Read words', visible=with_reader, elem_id='read')
            with gr.Column(scale=8, min_width=320):
                with gr.Row():
                    overlay = _answer('What the model draws', 'overlay')
                    drawing = _answer('The drawing alone', 'drawing')
                word = gr.Radio(label='Word to look at', visible=False, elem_id='word')
                with gr.Row():
                    attention = _answer('Attention to the word', 'attention')
                    located = _answer('Where it finds the word', 'located', matches)
                scores = gr.HTML(padding=False, elem_id='scores')
        looks = gr.State()
        answers = [overlay, drawing, word, attention, located, scores, looks]
        listen = dict(
            preprocess=False,  # `_load_upload` opens files, after more checks than Gradio's
            api_visibility='private',
            concurrency_limit=1,
            concurrency_id='model',
            show_progress='minimal',
        )
        prompt = [image, ticked, typed, word]
        for event in (draw.click, typed.submit, ticked.input):
            event(app.draw, prompt, answers, trigger_mode='always_last', **listen)
        read.click(app.read, [image, typed, word], [ticked, *answers], **listen)
        image.upload(app.upload, [image, typed], [ticked, *answers], **listen)
        image.clear(app.clear, None, [ticked, *answers], **listen)
        gallery.select(app.choose, None, [image, typed, ticked, *answers], **listen)
        word.input(app.look, [looks, word], [attention, located], **listen)
    return demo


def launch_demo(
    demo: gr.Blocks,
    host: str = '127.0.0.1',
    port: int = 7860,
    max_file_size: int = MAX_FILE_SIZE,
) -> str:
    """Start to serve the page; it goes on until `demo.close()` or the end of the process.

    Args:
        demo: What :func:`build_demo` gives.
        host: Address to listen at. Any but this machine's own lets everybody in who reaches it:
            there is no password.
        port: 0: any that is free.
        max_file_size: Bytes of an upload.

    Returns:
        URL of the page.

    Raises:
        OSError: The port is taken.
    """
    guard = Middleware(RequestGuard, folder=get_upload_folder(), max_file_size=max_file_size)
    guards = [guard]
    if host in LOCAL_HOSTS:
        # Else a foreign page could reach this one under a name that is made to point here.
        guards.insert(0, Middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL_HOSTS)))
    demo.queue(api_open=False, max_size=16)
    _, url, _ = demo.launch(
        server_name=host,
        server_port=_check_port(host, port),
        share=False,
        inbrowser=False,
        quiet=True,
        show_error=True,
        prevent_thread_lock=True,
        max_file_size=max_file_size,
        allowed_paths=[],
        state_session_capacity=16,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        app_kwargs=dict(middleware=guards),
        theme=THEME,
        css=CSS,
    )
    return url


@contextmanager
def private_uploads() -> Iterator[Path]:
    """Let Gradio keep uploads and answers in a folder of this process, and remove it at the end.

    By default, all of a user's apps share one folder, and each serves what lies in it. Pages must
    be built and served inside.

    Yields:
        The folder.
    """
    before = os.environ.get('GRADIO_TEMP_DIR')
    with tempfile.TemporaryDirectory(prefix='odm_demo_', ignore_cleanup_errors=True) as folder:
        os.environ['GRADIO_TEMP_DIR'] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ['GRADIO_TEMP_DIR']
            if before is not None:
                os.environ['GRADIO_TEMP_DIR'] = before


def _as_messages(function: Callable) -> Callable:
    """Let the page show what is wrong as a message; it shows HTML, which messages are not."""

    @functools.wraps(function)
    def run(*arguments):
        try:
            return function(*arguments)
        except (OSError, ValueError, ImportError) as error:
            message = html.escape(str(error))
            raise gr.Error(message, title='That did not work', print_exception=False) from error

    return run


class _App:
    """What happens on the page. Arguments come unchecked from the browser."""

    def __init__(self, inferencer: ODMInferencer, examples: Sequence[DemoExample]) -> None:
        self.inferencer = inferencer
        self.examples = examples

    @_as_messages
    def draw(self, upload, ticked, typed, word) -> list:
        return self._answer(
            _load_upload(upload), [*(ticked or ()), *split_words(typed or '')], word
        )

    @_as_messages
    def read(self, upload, typed, word) -> list:
        image = _load_upload(upload)
        model = self.inferencer
        found, _ = choose_read_words(model.reader(image), model.vocabulary, model.max_words)
        if not found:
            gr.Info('The OCR engine reads no word in this image.')
        return [_ticks(found), *self._answer(image, _join(found, typed), word)]

    @_as_messages
    def upload(self, upload, typed) -> list:
        image = _load_upload(upload)
        words = _join((), typed)
        return [_ticks(()), *(self._answer(image, words, None) if words else _nothing())]

    def clear(self) -> list:
        return [_ticks(()), *_nothing()]

    @_as_messages
    def choose(self, event: gr.SelectData) -> list:
        example = self.examples[event.index]
        answer = self._answer(example.image, example.words, None) if example.words else _nothing()
        return [_to_rgb(example.image), '', _ticks(example.words), *answer]

    @_as_messages
    def look(self, looks, word) -> list:
        return looks.pictures(word) if looks else [None, None]

    def _answer(self, image: np.ndarray, words: Sequence[str], word: str | None) -> list:
        if len(words) > MAX_WORDS:
            raise ValueError(f'There are {len(words)} words; this page takes {MAX_WORDS}.')
        longer = max(image.shape[:2])
        most = max(SHOWN_SIDES[1], self.inferencer.scale)
        if longer > most:  # neither the network nor the page would show more
            image = fit(image, most)
        begun = time.perf_counter()
        results = self.inferencer(image, words=list(words), attention=True, progress=False)
        (prediction,) = results['predictions']
        seconds = time.perf_counter() - begun
        shown = fit(image, int(np.clip(longer, *SHOWN_SIDES)))
        ink = resize(prediction['map'], shown.shape[1::-1]).clip(0, 1)
        looks = _Looks(shown, prediction)
        word = word if word in looks.words else next(iter(looks.words), None)
        return [
            _to_rgb(ink_overlay(shown, ink)),
            np.rint(255 * ink).astype(np.uint8),
            gr.Radio(choices=looks.words, value=word, visible=bool(looks.words)),
            *looks.pictures(word),
            _scores_table(prediction, seconds),
            looks,
        ]


class _Looks:
    """Where the model looked for the words of a prompt, until another one is chosen.

    Args:
        image: As it is shown.
        prediction: Of the inferencer.
    """

    def __init__(self, image: np.ndarray, prediction: dict) -> None:
        self.image = image
        self.words = [word['text'] for word in prediction['words']]
        self.places = [prediction['attention'], prediction.get('located')]
        factors = np.divide(image.shape[:2], prediction['network_size'])
        # Rounding may not make it smaller than the image.
        self.padded = np.maximum(np.multiply(prediction['padded_size'], factors), image.shape[:2])

    def pictures(self, word: str | None) -> list[np.ndarray | None]:
        """Attention and place of a word; None where there is none."""
        if word not in self.words:
            return [None] * len(self.places)
        index = self.words.index(word)
        return [self._picture(maps[index]) if maps is not None else None for maps in self.places]

    def _picture(self, weights: np.ndarray) -> np.ndarray:
        return _to_rgb(attention_overlay(self.image, weights, self.padded))


def _join(ticked: Sequence[str] | None, typed: str | None) -> list[str]:
    return [*(ticked or ()), *split_words(typed or '')]


def _nothing() -> list:
    """Overlay, drawing, word, attention, place, scores and looks before there is an answer."""
    return [None, None, gr.Radio(choices=[], value=None, visible=False), None, None, '', None]


def _answer(label: str, name: str, visible: bool = True) -> gr.Image:
    return gr.Image(
        label=label,
        interactive=False,
        format='png' if name == 'drawing' else 'jpeg',
        height=300,
        min_width=280,
        buttons=['download', 'fullscreen'],
        visible=visible,
        elem_id=name,
        elem_classes='answer',
    )


def _ticks(words: Sequence[str]) -> gr.CheckboxGroup:
    words = list(dict.fromkeys(words))
    return gr.CheckboxGroup(choices=words, value=words, visible=bool(words))


def _facts_table(facts: Mapping[str, str]) -> str:
    parts = (f'<span>{html.escape(k)} <b>{html.escape(v)}</b></span> ' for k, v in facts.items())
    return f'<div class="facts">{"".join(parts)}</div>'


def _scores_table(prediction: dict, seconds: float) -> str:
    rows = []
    for word in prediction['words']:
        note = '' if word['known'] == 1 else f'{word["known"]:.0%} of its characters are known'
        rows.append(
            f'<tr><td>{html.escape(word["text"])}</td>'
            f'<td class="bar"><div style="width: {100 * word["score"]:.0f}%"></div></td>'
            f'<td>{word["score"]:.2f}</td><td>{note}</td></tr>'
        )
    height, width = prediction['network_size']
    similarity = prediction['similarity']
    match = '' if similarity is None else f'Cosine of image and words: {similarity:.2f}. '
    return (
        f'<div class="scores"><table>{"".join(rows)}</table><div class="note">'
        f'Score: how sure the model is that the word stands in the image. {match}'
        f'{seconds:.2f} s at {width}x{height}.</div></div>'
    )


def _load_upload(upload: Mapping | None) -> np.ndarray:
    """Decode what was uploaded: the only place where the app opens a file a browser has named."""
    if upload is None:
        raise ValueError('There is no image yet: choose an example, or upload one.')
    path = Path(upload.get('path') or '').resolve()
    if not path.is_relative_to(Path(get_upload_folder()).resolve()) or not path.is_file():
        raise ValueError('The image is not on the server any more: upload it again.')
    return _load(InputImage(path, 'image', upload.get('orig_name') or 'the image'))


def _load(image: InputImage) -> np.ndarray:
    """Decode an image file unless it is too large; its header says so without decoding."""
    try:
        with Image.open(image.source, formats=FORMATS) as header:
            width, height = header.size
    except UnidentifiedImageError as error:
        formats = ', '.join(FORMATS)
        raise ValueError(f'{image.label} is damaged or no image; expected {formats}') from error
    except Image.DecompressionBombError as error:
        raise ValueError(f'{image.label} is too large: {error}') from error
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise ValueError(
            f'{image.label} has {width}x{height} pixels; expected at most {MAX_SIDE} a side and '
            f'{MAX_PIXELS:,} in all: make it smaller'
        )
    return image.load()


def _load_readable(images: Iterable[InputImage]) -> Iterator[np.ndarray]:
    for image in images:
        try:
            yield _load(image)
        except (OSError, ValueError) as error:
            print_log(f'left out: {error}', logger='current', level=logging.WARNING)


def _to_rgb(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[..., ::-1])


def _check_port(host: str, port: int) -> int:
    """The port, or a free one for 0; Gradio would take another one than asked without a word."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OSError(
                f'{host}:{port} cannot be used: {error.strerror}; take another'
            ) from error
        return probe.getsockname()[1]
