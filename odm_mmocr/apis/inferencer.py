"""ODMInferencer: images and words in, drawings and scores out."""

import json
import logging
import math
import os
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)

from odm_mmocr.checkpoints import load_checkpoint, load_config, walk_settings
from odm_mmocr.datasets.transforms import PackODMInputs
from odm_mmocr.devices import find_device
from odm_mmocr.output_files import written_whole
from odm_mmocr.pseudo_label import OCREngine, RapidOCREngine, ReadWord, split_line
from odm_mmocr.structures import ODMDataSample
from odm_mmocr.visualization.inference import draw_prediction

from .inputs import ImageSource, InputImage, check_inputs, fit, list_inputs, resize
from .predictions import build_model, check_is_whole, stored_config
from .prompts import Words, assign_words, check_words, choose_read_words, unknown_characters

MAX_WORDS = 32  # where the config does not say
WAITING_BATCHES = 4  # of images that wait for others of their size


@dataclass(frozen=True)
class Inference:
    """What :meth:`ODMInferencer.iterate` yields.

    Attributes:
        index: Of the image in the list of inputs.
        prediction: As :meth:`ODMInferencer.__call__` has them; None: it was skipped.
        visualization: uint8 (H, W, 3), RGB; None where none was asked for.
    """

    index: int
    prediction: dict | None
    visualization: np.ndarray | None


class ODMInferencer:
    """Draws the prompted words of images and says how sure the model is of each.

    In the manner of MMOCR's inferencers: built once, called on files, folders or arrays.

    Args:
        model: Path or name of a pre-training config, the config itself, or None for the one that
            training has stored in ``weights``.
        weights: Training checkpoint; None: the untrained model of the config.
        device: Such as ``'cpu'`` or ``'cuda:0'``; None: CUDA where there is one.
        reader: OCR engine for images without words, see :class:`OCREngine`; None:
            :class:`RapidOCREngine`, loaded when it is first needed.

    Attributes:
        cfg: The config.
        model: The :class:`ODM`, in evaluation mode.
        weights: Path of the checkpoint, or None.
        meta: What training has noted in it, such as ``iter``; empty without weights.
        device: Where the model is.
        vocabulary: The characters that it knows.
        max_words: Most words of a prompt in its training.
        scale: Longer side in pixels to which images are brought by default: that of the images in
            its training.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        ValueError: Neither model nor weights are given, the checkpoint is of another model, such as
            a backbone or a detector, or has no config, or there is no such device.
    """

    def __init__(
        self,
        model: str | os.PathLike | Config | dict | None = None,
        weights: str | os.PathLike | None = None,
        device: str | None = None,
        reader: OCREngine | None = None,
    ):
        if model is None and weights is None:
            raise ValueError('neither model nor weights are given; give a config or a checkpoint')
        self.device = find_device(device)
        content = None
        if weights is not None:
            content = load_checkpoint(weights)
            check_is_whole(content, str(weights))
        if model is None:
            self.cfg = stored_config(content, str(weights))
        elif isinstance(model, dict):
            self.cfg = Config(model)
        else:
            self.cfg = model if isinstance(model, Config) else load_config(os.fspath(model))
        if weights is None:
            warnings.warn('no weights are given: the model is untrained', stacklevel=2)
        self.weights = None if weights is None else Path(weights)
        self.meta = {} if content is None else content.get('meta', {})
        built = build_model(_without_training(self.cfg), weights, str(self.device), content)
        self.model = revert_sync_batchnorm(built)
        self.vocabulary = self.model.text_controller.vocabulary
        self.max_words = _max_words(self.cfg)
        self.scale = _training_size(self.cfg) or _usual_size(self.model)
        self._reader = reader
        self._told: set[str] = set()

    def __call__(
        self,
        inputs: ImageSource | Sequence[ImageSource],
        words: Words = None,
        batch_size: int = 1,
        scale: int | None = None,
        return_vis: bool = False,
        show: bool = False,
        wait_time: float = 0,
        draw_pred: bool = True,
        out_dir: str | os.PathLike = '',
        save_vis: bool = False,
        save_pred: bool = False,
        threshold: float = 0.5,
        attention: bool = True,
        progress: bool = True,
        skip_bad: bool = False,
    ) -> dict:
        """Predict.

        All results are kept; for more images than fit into memory there is :meth:`iterate`.

        Args:
            inputs: A file, a folder (its images, sorted), an array uint8 (H, W) or (H, W, 3) BGR,
                or a list of these. 16 bits become 8, transparent becomes white.
            words: The prompt: a list of str for all images, a list of lists, one for each image, or
                a dict from path or file name to list. None: what the OCR engine reads, at most
                ``max_words`` words. A list may have any number of words, also none; a word that
                stands in it twice counts once.
            batch_size: Images at once. Only images that are padded to the same size go together,
                so that no prediction depends on its neighbours.
            scale: Longer side, in pixels, to which images are brought, aspect ratio kept, smaller
                ones too; None: as in training.
            return_vis: Return pictures.
            show: Show each picture in a window.
            wait_time: Seconds a window stays; 0: until a key is pressed.
            draw_pred: False: pictures show the image alone.
            out_dir: Folder of results: pictures as ``vis/<name>.jpg``, predictions as
                ``preds/<name>.json`` and their maps as ``preds/<name>.png``. Given without
                ``save_vis`` and ``save_pred``, pictures are saved. Names are the stems of the
                files, numbered where two are equal.
            save_vis: Save pictures.
            save_pred: Save predictions.
            threshold: Ink of a lower probability is not laid over the image, 0 to 1.
            attention: Return where each word was looked for.
            progress: Show progress, rate and time left.
            skip_bad: Log images that cannot be read, or whose reading has failed, and go on.

        Returns:
            dict of ``predictions`` and, with ``return_vis``, ``visualization`` (uint8 (H', W', 3),
            RGB), one for each image, None for skipped ones. A prediction is a dict of

            - ``image`` (str): path, None for an array; ``name`` (str): stem of files about it;
            - ``map``: float32 (H, W), 0 to 1, probability of ink, at the size of the image;
            - ``words``: list of dict of ``text``; ``known``, share of its characters that the model
              knows; and ``score``, 0 to 1: how sure the model is that the word stands in the image,
              the largest of ``located``, or of ``attention`` where the model does not match words;
            - ``similarity`` (float): cosine of the features of image and prompt, -1 to 1; None for
              a prompt of no words;
            - ``size``, ``network_size``, ``padded_size``: (height, width) in pixels of the image,
              of what the network saw of it, and of that with its padding at right and bottom;
            - where asked for, ``attention`` and, where the model matches words, ``located``:
              float32 (words, rows, columns), 0 to 1, cells over ``padded_size``, see
              :class:`ODMDataSample`.

        Raises:
            FileNotFoundError: There is no such file.
            ImportError: There are no words, and no OCR engine is installed.
            RuntimeError: There is no display to show pictures on.
            ValueError: An image cannot be read, the OCR engine fails, a prompt cannot be
                understood, or an argument is out of range; all that can be seen beforehand is found
                before the first prediction.
        """
        results = list(
            self.iterate(
                inputs,
                words,
                batch_size,
                scale,
                return_vis,
                show,
                wait_time,
                draw_pred,
                out_dir,
                save_vis,
                save_pred,
                threshold,
                attention,
                progress,
                skip_bad,
            )
        )
        results.sort(key=lambda result: result.index)
        return dict(
            predictions=[result.prediction for result in results],
            visualization=[r.visualization for r in results] if return_vis else [],
        )

    def iterate(
        self,
        inputs: ImageSource | Sequence[ImageSource],
        words: Words = None,
        batch_size: int = 1,
        scale: int | None = None,
        return_vis: bool = False,
        show: bool = False,
        wait_time: float = 0,
        draw_pred: bool = True,
        out_dir: str | os.PathLike = '',
        save_vis: bool = False,
        save_pred: bool = False,
        threshold: float = 0.5,
        attention: bool = True,
        progress: bool = True,
        skip_bad: bool = False,
    ) -> Iterator[Inference]:
        """Predict, one image after the other, and keep nothing.

        Args:
            inputs, words, …: As for :meth:`__call__`.

        Yields:
            Predictions as they come; with ``batch_size`` above 1 not in the order of the inputs.
            All checks are made when the first one is asked for.

        Raises:
            As :meth:`__call__`.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size={batch_size}; expected 1 or more')
        scale = self.scale if scale is None else scale
        if scale < 32:
            raise ValueError(f'scale={scale}; expected 32 pixels or more')
        if not 0 <= threshold <= 1:
            raise ValueError(f'threshold={threshold}; expected 0 to 1')
        if (save_vis or save_pred) and not out_dir:
            raise ValueError('save_vis and save_pred need out_dir, the folder of the results')
        if show:
            _check_display()
        save_vis = save_vis or bool(out_dir and not save_pred)
        images = list_inputs(inputs)
        prompts = [
            given if given is None else self._check_prompt(given, image)
            for given, image in zip(assign_words(words, images), images, strict=True)
        ]
        faults = check_inputs(images, skip_bad)
        if any(prompt is None for prompt in prompts):
            self.reader  # noqa: B018, raises now rather than at the first image without words
        drawn = return_vis or show or save_vis
        with _track(len(images), progress) as advance:
            for job in self._run(images, prompts, faults, batch_size, scale, skip_bad):
                prediction = picture = None
                if job.sample is not None:
                    prediction = self._collect(job)
                    if drawn:
                        picture = _draw(job, prediction, threshold) if draw_pred else job.image
                    if save_vis:
                        _write_image(Path(out_dir, 'vis', f'{job.source.name}.jpg'), picture)
                    if save_pred:
                        _save_prediction(Path(out_dir, 'preds'), prediction)
                    if show:
                        _show(job.source.label, picture, wait_time)
                    if not attention:
                        prediction.pop('attention')
                        prediction.pop('located', None)
                advance()
                shown = None
                if return_vis and picture is not None:
                    shown = np.ascontiguousarray(picture[..., ::-1])
                yield Inference(job.index, prediction, shown)

    @property
    def reader(self) -> OCREngine:
        """The OCR engine."""
        if self._reader is None:
            self._reader = RapidOCREngine()
        return self._reader

    def _check_prompt(self, words: Sequence[str], image: InputImage) -> list[str]:
        checked = check_words(words, self.vocabulary, image.label)
        if len(checked) > self.max_words:
            if not self.model.text_controller.mask_padding:
                raise ValueError(
                    f'{image.label}: {len(checked)} words, but this model takes {self.max_words}: '
                    'it has a fixed number of slots'
                )
            self._tell(
                f'{len(checked)} words are prompted at once; training saw at most {self.max_words}'
            )
        longest = self.vocabulary.max_characters - 1
        for word in checked:
            if len(word) > longest:
                self._tell(f'of {word!r} the model is told the first {longest} characters')
        if unknown := unknown_characters(checked, self.vocabulary):
            self._tell(f'the model does not know {" ".join(unknown)}: it is told a gap instead')
        return checked

    def _tell(self, message: str) -> None:
        """Warn, once."""
        if message not in self._told:
            self._told.add(message)
            print_log(message, logger='current', level=logging.WARNING)

    def _run(
        self,
        images: Sequence[InputImage],
        prompts: Sequence[list[str] | None],
        faults: dict[int, str],
        batch_size: int,
        scale: int,
        skip_bad: bool,
    ) -> Iterator['_Job']:
        """Load, and predict as soon as there is a batch of images of one padded size."""
        waiting: dict[tuple[int, int], list[_Job]] = defaultdict(list)
        for index, (source, prompt) in enumerate(zip(images, prompts, strict=True)):
            job = _Job(index, source)
            try:
                if index in faults:
                    raise ValueError(faults[index])
                self._load(job, prompt, scale)
            except (OSError, ValueError) as error:
                if not skip_bad:
                    raise
                print_log(f'skipped: {error}', logger='current', level=logging.WARNING)
                yield job
                continue
            waiting[job.padded_size].append(job)
            count = sum(map(len, waiting.values()))
            if len(waiting[job.padded_size]) == batch_size or count >= WAITING_BATCHES * batch_size:
                longest = max(waiting, key=lambda size: len(waiting[size]))
                yield from self._predict(waiting.pop(longest))
        for jobs in waiting.values():
            yield from self._predict(jobs)

    def _load(self, job: '_Job', prompt: list[str] | None, scale: int) -> None:
        image = job.source.load()
        if prompt is None:
            read = self._read(image, job.source.label)
            prompt, left_out = choose_read_words(read, self.vocabulary, self.max_words)
            if left_out:
                listed = ', '.join(f'{word!r} {reason}' for word, reason in left_out.items())
                print_log(f'{job.source.label}: read, but not prompted: {listed}', 'current')
        job.prompt = prompt
        job.size = image.shape[:2]
        job.image = fit(image, scale)
        divisor = self.model.data_preprocessor.pad_size_divisor
        job.padded_size = tuple(divisor * math.ceil(side / divisor) for side in job.image.shape[:2])

    def _read(self, image: np.ndarray, label: str) -> list[ReadWord]:
        try:
            return [word for line in self.reader(image) for word in split_line(line)]
        # Engines raise what they like: RapidOCR and ONNX Runtime have Exceptions of their own.
        except Exception as error:
            height, width = image.shape[:2]
            raise ValueError(
                f'{label} ({width}x{height} pixels): the OCR engine has failed with {error!r}; '
                'give the words'
            ) from error

    @torch.no_grad()
    def _predict(self, jobs: list['_Job']) -> list['_Job']:
        rows = max(self.max_words, *(len(job.prompt) for job in jobs))
        pack = PackODMInputs(self.vocabulary, rows)
        packed = [
            pack(dict(img=job.image, img_shape=job.image.shape[:2], prompt_texts=job.prompt))
            for job in jobs
        ]
        batch = self.model.data_preprocessor(pseudo_collate(packed))
        samples = self.model.predict(batch['inputs'], batch['data_samples'], with_attention=True)
        for job, sample in zip(jobs, samples, strict=True):
            job.sample = sample.cpu()
        return jobs

    def _collect(self, job: '_Job') -> dict:
        sample, source = job.sample, job.source
        places = {name: maps.numpy() for name, maps in sample.pred_attention.items()}
        certain = places.get('located', places['attention'])
        # Cells that lie wholly in the padding are no place of the image.
        rows, columns = (
            math.ceil(cells * side / padded)
            for cells, side, padded in zip(
                certain.shape[1:], job.image.shape[:2], job.padded_size, strict=True
            )
        )
        features = sample.pred_features
        height, width = job.size
        drawn = sample.pred_destylized.probability[0].numpy()
        return dict(
            image=str(source.source) if isinstance(source.source, Path) else None,
            name=source.name,
            map=resize(drawn, (width, height)),
            words=[
                dict(
                    text=text,
                    known=self.vocabulary.known(text),
                    score=float(cells[:rows, :columns].max()),
                )
                for text, cells in zip(job.prompt, certain, strict=True)
            ],
            similarity=float(features.image @ features.text) if job.prompt else None,
            size=job.size,
            network_size=job.image.shape[:2],
            padded_size=job.padded_size,
            **places,
        )


@dataclass
class _Job:
    """An image on its way; without ``sample`` it was skipped."""

    index: int
    source: InputImage
    prompt: list[str] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)
    image: np.ndarray | None = None
    padded_size: tuple[int, int] = (0, 0)
    sample: ODMDataSample | None = None


class _Rate(ProgressColumn):
    def render(self, task: Task) -> str:
        speed = task.finished_speed or task.speed
        return '– images/s' if speed is None else f'{speed:.1f} images/s'


@contextmanager
def _track(total: int, shown: bool) -> Iterator[Callable[[], None]]:
    """Show progress; yields a function that advances it by one image."""
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not shown) as bar:
        task = bar.add_task('Inference', total=total)
        yield lambda: bar.advance(task)


def _without_training(cfg: Config) -> Config:
    """The config without what only training needs: feature networks and compilation take time."""
    cfg = cfg.copy()
    if 'model' in cfg:
        cfg.model = cfg.model.copy()
        cfg.model.update({key: None for key in ('loss_ocr', 'compile_cfg') if key in cfg.model})
    return cfg


def _loaders(cfg: Config) -> list[dict]:
    names = ('train_dataloader', 'val_dataloader')
    return [part for name in names for part in walk_settings(cfg.get(name))]


def _max_words(cfg: Config) -> int:
    found = [
        p['max_words']
        for p in _loaders(cfg)
        if p.get('type') == 'PackODMInputs' and 'max_words' in p
    ]
    return max(found, default=MAX_WORDS)


def _training_size(cfg: Config) -> int | None:
    """Longer side of the training images; what crops them decides, then what makes them."""
    for name, key in (('WarpScene', 'scale'), ('SynthesizedSceneText', 'size')):
        for part in _loaders(cfg):
            if part.get('type') == name and key in part:
                return max(part[key])
    return None


def _usual_size(model) -> int:
    """Longer side for which the model keeps its positions."""
    controller, encoder = model.text_controller, model.image_encoder
    return max(controller.image_positions.grid) * encoder.text_stride


def _check_display() -> None:
    names = ('DISPLAY', 'WAYLAND_DISPLAY')
    if sys.platform.startswith('linux') and not any(os.environ.get(name) for name in names):
        raise RuntimeError(
            'show needs a display, and there is none (DISPLAY is not set); save the pictures with '
            'out_dir instead'
        )


def _show(title: str, picture: np.ndarray, wait_time: float) -> None:
    try:
        cv2.imshow(title, picture)
        cv2.waitKey(max(0, round(1000 * wait_time)))
        cv2.destroyWindow(title)
    except cv2.error as error:
        raise RuntimeError(
            'show needs an OpenCV with windows (opencv-python, not -headless); save the pictures '
            'with out_dir instead'
        ) from error


def _draw(job: _Job, prediction: dict, threshold: float) -> np.ndarray:
    return draw_prediction(
        job.image,
        job.sample.pred_destylized.probability[0].numpy(),
        [(word['text'], word['score']) for word in prediction['words']],
        prediction.get('located', prediction['attention']),
        job.padded_size,
        threshold,
    )


def _save_prediction(folder: Path, prediction: dict) -> None:
    map_file = folder / f'{prediction["name"]}.png'
    _write_image(map_file, np.rint(255 * prediction['map']).astype(np.uint8))
    kept = ('image', 'words', 'similarity', 'size', 'network_size')
    content = dict({key: prediction[key] for key in kept}, map=map_file.name)
    with written_whole(map_file.with_suffix('.json')) as file:
        file.write(json.dumps(content, ensure_ascii=False, indent=1).encode() + b'\n')


def _write_image(path: Path, picture: np.ndarray) -> None:
    done, encoded = cv2.imencode(path.suffix, picture)
    if not done:
        height, width = picture.shape[:2]
        raise ValueError(
            f'{path}: OpenCV cannot encode {width}x{height} pixels; take a smaller scale'
        )
    with written_whole(path) as file:
        file.write(encoded.tobytes())
