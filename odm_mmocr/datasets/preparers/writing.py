"""Annotation files written image by image, whole or not at all, and resumed after a stop."""

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from mmocr.datasets.preparers.packers import TextDetPacker, TextSpottingPacker

from odm_mmocr.output_files import lock_output, open_output, written_whole

_PACKERS = {'textdet': TextDetPacker, 'textspotting': TextSpottingPacker}
_OF_DETECTION = ('polygon', 'bbox', 'bbox_label', 'ignore')
_SAFE_SECONDS = 5.0
_VERSION = 1


def is_finished(files: Sequence[Path]) -> bool:
    """Whether all of these annotation files are in their places."""
    return all(file.is_file() for file in files)


@dataclass
class SplitState:
    """How far the writing of a split is.

    Attributes:
        done: Images that were read, left out or not.
        written: Images that were written.
        counts: Images, words, readable words and characters that were written.
        found: The same as the official files have them.
        left_out: Bad samples that were left out, by kind.
        problems: What is wrong.
        turned: Images that their EXIF orientation shows otherwise than they are stored.
    """

    done: int = 0
    written: int = 0
    counts: Counter = field(default_factory=Counter)
    found: Counter = field(default_factory=Counter)
    left_out: Counter = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    turned: list[str] = field(default_factory=list)


class SplitWriter:
    """Writes the annotations of a split, for detection and perhaps for spotting.

    Images go to `<task>_<split>.json.partial`, one a line, and every few seconds
    `<split>.progress.json` says how much of these files is whole; :meth:`finish` moves them to
    their places.

    Args:
        folder (Path): Made where it does not exist.
        split (str): Name of the split.
        tasks (Sequence[str]): `textdet` and perhaps `textspotting`.
        settings (dict, optional): What a run that was killed must have had to be gone on with.
            None: begin anew, and leave nothing after an error.
        keep_problems (bool): Whether to go on with a run that had found problems. Defaults to
            False.

    Attributes:
        state (SplitState): How far it is; of an earlier run where that is gone on with.

    Raises:
        BlockingIOError: If another process writes the same split.
        OSError: If the files cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        tasks: Sequence[str],
        settings: dict | None = None,
        keep_problems: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.targets = {task: folder / f'{task}_{split}.json' for task in tasks}
        self.state = SplitState()
        self._progress = folder / f'{split}.progress.json'
        self._settings = settings
        self._saved = time.monotonic()
        self._resumable = settings is not None
        self._files = {}
        try:
            for task, target in self.targets.items():
                self._files[task] = open_output(_partial(target), 'ab')
                lock_output(self._files[task], target)
            if not self._resume(keep_problems):
                self._begin(split)
        except BaseException:
            self._close_files()
            raise

    def write(self, packed: dict) -> None:
        """Write an image, as the packer for text spotting has packed it.

        Raises:
            OSError: If the disk is full.
        """
        start = b',\n' if self.state.written else b'\n'
        for task, file in self._files.items():
            line = packed if task == 'textspotting' else _without_texts(packed)
            file.write(start + _encode(line))
        self.state.written += 1

    def advance(self) -> None:
        """Count an image as done, and see to it from time to time that what is done is safe."""
        self.state.done += 1
        if self._resumable and time.monotonic() - self._saved > _SAFE_SECONDS:
            self._save()

    def finish(self) -> list[Path]:
        """Move the files to their places, which are returned."""
        for file in self._files.values():
            file.write(b'\n]}\n')
            file.flush()
            os.fsync(file.fileno())
        for target in self.targets.values():
            _partial(target).replace(target)
        self._progress.unlink(missing_ok=True)
        self._close_files()
        return list(self.targets.values())

    def discard(self) -> None:
        """Delete what was written."""
        if self._files:
            self._close_files()
            for target in self.targets.values():
                _partial(target).unlink(missing_ok=True)
            self._progress.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop before the end: keep what a later run can go on with, delete what none can."""
        if not self._files:
            return
        if self._resumable:
            try:
                self._save()
            finally:
                self._close_files()
        else:
            self.discard()

    def _begin(self, split: str) -> None:
        self._progress.unlink(missing_ok=True)
        for task, file in self._files.items():
            file.truncate(0)
            head = _PACKERS[task](data_root='', split=split).add_meta([])['metainfo']
            file.write(b'{"metainfo":' + _encode(head) + b',"data_list":[')

    def _resume(self, keep_problems: bool) -> bool:
        if not self._resumable:
            return False
        try:
            saved = json.loads(self._progress.read_text(encoding='utf-8'))
            if saved['version'] != _VERSION or saved['settings'] != self._settings:
                return False
            state = saved['state']
            if state['problems'] and not keep_problems:
                return False
            sizes = {task: saved['sizes'][task] for task in self._files}
            if any(os.path.getsize(_partial(self.targets[t])) < sizes[t] for t in sizes):
                return False
            for name in ('counts', 'found', 'left_out'):
                state[name] = Counter(state[name])
            self.state = SplitState(**state)
        except (OSError, ValueError, KeyError, TypeError):
            return False  # there is none, or it is of another kind
        for task, file in self._files.items():
            file.truncate(sizes[task])
        return True

    def _save(self) -> None:
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        sizes = {task: os.fstat(file.fileno()).st_size for task, file in self._files.items()}
        state = {one.name: getattr(self.state, one.name) for one in fields(self.state)}
        saved = dict(version=_VERSION, settings=self._settings, sizes=sizes, state=state)
        with written_whole(self._progress) as file:
            file.write(json.dumps(saved).encode('ascii'))
        self._saved = time.monotonic()

    def _close_files(self) -> None:
        for file in self._files.values():
            with contextlib.suppress(OSError):  # of a disk that is full, once more
                file.close()
        self._files = {}


def _partial(path: Path) -> Path:
    return path.with_name(f'{path.name}.partial')


def _encode(value: dict) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(',', ':')).encode(
        'utf-8'
    )


def _without_texts(packed: dict) -> dict:
    instances = [{key: one[key] for key in _OF_DETECTION} for one in packed['instances']]
    return {**packed, 'instances': instances}
