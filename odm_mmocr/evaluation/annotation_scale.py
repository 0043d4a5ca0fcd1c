"""What large annotations cost: seconds until training can begin, memory, samples a second."""

import json
import multiprocessing
import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from odm_mmocr.checkpoints import load_config

from .process_memory import read_memory

_DISTINCT = 1024  # entries that differ in more than their path
_SAMPLING_SECONDS = 0.25
_BATCH = 32
_IMPORTED = 'imported'


@dataclass
class StartCost:
    """What a start costs.

    Attributes:
        entries: Annotated images.
        import_seconds: From the start of the process until the libraries are there.
        open_seconds: Then, until the data set is built.
        workers_seconds: Then, until the first batch of every worker is there.
        samples_per_second: Of all workers.
        import_megabytes: Memory of the process when the libraries are there.
        peak_megabytes: Most memory of main process and workers together at any time; of pages that
            processes share each counts its part (proportional set size).
        main_megabytes: What the main process has of its own at the end (unique set size).
        worker_megabytes: The same of a worker, on average.
    """

    entries: int
    import_seconds: float
    open_seconds: float
    workers_seconds: float
    samples_per_second: float
    import_megabytes: float
    peak_megabytes: float
    main_megabytes: float
    worker_megabytes: float

    @property
    def seconds(self) -> float:
        """From the start of the process to the first batch of every worker."""
        return self.import_seconds + self.open_seconds + self.workers_seconds


def write_annotation(path: str | os.PathLike, entries: int, words: int = 5, seed: int = 0) -> None:
    """Write an annotation of images that do not exist, as large as a real one of so many images.

    Args:
        path: The file; JSON Lines where it ends in `.jsonl`, else MMOCR's JSON.
        entries: Images.
        words: Words an image, each with polygon, bounding box, text and the rest that
            text-spotting annotations have. Coordinates have four decimals, as those of SynthText.
        seed: Of the coordinates and letters.
    """
    rng = np.random.default_rng(seed)
    # Every image has a path of its own. That the words repeat saves nothing but time here.
    bodies = [_draw_words(rng, words) for _ in range(min(entries, _DISTINCT))]
    lines = Path(path).suffix == '.jsonl'
    with open(path, 'wb') as file:
        head = b'{"metainfo":{"task_name":"textspotting"}'
        file.write(head + (b'}' if lines else b',"data_list":['))
        for number in range(entries):
            separator = b',\n' if number and not lines else b'\n'
            file.write(b'%b{"img_path":"%d/image_%d.jpg",' % (separator, number % 200, number))
            file.write(bodies[number % len(bodies)])
        file.write(b'\n' if lines else b'\n]}\n')


def measure_start(
    ann_file: str | os.PathLike,
    dataset_type: str = 'IndexedOCRDataset',
    workers: int = 8,
    samples: int = 20000,
    start_method: str = 'fork',
    config: str | None = None,
) -> StartCost:
    """Start a process that loads annotated samples with workers, as a training does; watch it.

    The samples are entries in random order, whose images need not exist.

    Args:
        ann_file: Text-spotting annotation.
        dataset_type: Registered name of the data set.
        workers: Worker processes, 1 or more.
        samples: How many are loaded for the rate.
        start_method: How workers are started, `fork`, as MMEngine's configs have it, or `spawn`.
        config: Path or name of a pre-training config: samples pass through its training pipeline,
            with a grey picture as each image. None: their annotations alone are loaded.

    Returns:
        The figures. Memory is read from `/proc`, as Linux has it.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: A setting is out of range, or the config does not train on image files.
        RuntimeError: The process has failed; it says why.
    """
    if workers < 1 or samples < 1:
        raise ValueError(f'workers ({workers}) and samples ({samples}) must be at least 1')
    pipeline = _read_pipeline(config)
    context = multiprocessing.get_context('spawn')
    receiver, sender = context.Pipe(duplex=False)
    started = time.monotonic()
    process = context.Process(
        target=_report,
        args=(
            sender,
            str(ann_file),
            dataset_type,
            workers,
            samples,
            start_method,
            pipeline,
            started,
        ),
    )
    process.start()
    sender.close()
    peak = imported = 0.0
    try:
        while True:
            held = sum(member.proportional for member in read_memory(process.pid))
            peak = max(peak, held)
            if not receiver.poll(_SAMPLING_SECONDS):
                continue
            message = receiver.recv()
            if isinstance(message, dict):
                break
            if message != _IMPORTED:
                raise RuntimeError(message)
            imported = held
    except EOFError:
        raise RuntimeError(f'the process that loads {ann_file} was killed') from None
    finally:
        receiver.close()
        process.join()
    return StartCost(import_megabytes=imported, peak_megabytes=peak, **message)


def _report(sender: Connection, *args) -> None:
    try:
        _load(sender, *args)
    except Exception as error:  # whatever a data set may raise is told by the other process
        sender.send(f'{type(error).__name__}: {error}')


def _load(
    sender: Connection,
    ann_file: str,
    dataset_type: str,
    workers: int,
    samples: int,
    start_method: str,
    pipeline: list,
    started: float,
) -> None:
    import torch
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import init_default_scope
    from torch.utils.data import DataLoader

    from odm_mmocr.datasets import SeededDataset, SeededInfiniteSampler

    torch.set_num_threads(1)
    init_default_scope('mmocr')
    imported = time.monotonic()
    sender.send(_IMPORTED)
    dataset = SeededDataset(dict(type=dataset_type, ann_file=ann_file, pipeline=pipeline))
    opened = time.monotonic()
    loader = DataLoader(
        dataset,
        batch_size=_BATCH,
        sampler=SeededInfiniteSampler(dataset, seed=0),
        num_workers=workers,
        multiprocessing_context=start_method,
        collate_fn=pseudo_collate,
    )
    batches = iter(loader)
    for _ in range(workers):  # they take turns
        next(batches)
    ready = time.monotonic()
    count = -(-samples // _BATCH)
    for _ in range(count):
        next(batches)
    done = time.monotonic()
    main, *others = (member.own for member in read_memory(os.getpid()))
    sender.send(
        dict(
            entries=len(dataset),
            import_seconds=imported - started,
            open_seconds=opened - imported,
            workers_seconds=ready - opened,
            samples_per_second=count * _BATCH / (done - ready),
            main_megabytes=main,
            worker_megabytes=float(np.mean(others)),
        )
    )


def _read_pipeline(config: str | None) -> list:
    if config is None:
        wanted = ('polygon', 'bbox', 'label', 'text')
        return [dict(type='LoadOCRAnnotations', **{f'with_{name}': True for name in wanted})]
    dataset = load_config(config).train_dataloader.dataset.get('dataset', {})
    first, *others = dataset.get('pipeline') or [{}]
    if first.get('type') != 'LoadImageFromFile':
        raise ValueError(
            f'{config} does not train on image files; give the config of one that does'
        )
    return [_show_grey, *others]


def _show_grey(results: dict) -> dict:
    shape = results['height'], results['width']
    results.update(img=np.full((*shape, 3), 128, np.uint8), img_shape=shape, ori_shape=shape)
    return results


def _draw_words(rng: np.random.Generator, words: int) -> bytes:
    instances = []
    for _ in range(words):
        left, top = rng.uniform(0, (500, 400))
        width, height = rng.uniform((20, 10), (120, 60))
        slope = rng.uniform(-5, 5)
        corners = [left, top, left + width, top + slope]
        corners += [left + width, top + height + slope, left, top + height]
        polygon = np.round(corners, 4).tolist()
        xs, ys = polygon[::2], polygon[1::2]
        text = ''.join(rng.choice(list('etaoinshrdlu'), rng.integers(2, 11)))
        instances.append(
            dict(
                polygon=polygon,
                bbox=[min(xs), min(ys), max(xs), max(ys)],
                bbox_label=0,
                ignore=False,
                text=text,
            )
        )
    rest = dict(height=480, width=640, instances=instances)
    return json.dumps(rest, separators=(',', ':')).encode()[1:]
