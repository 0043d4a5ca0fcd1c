"""Work and engines at fault, which other processes can import."""

import os
import signal
import sys
import time

import numpy as np

from odm_mmocr.pseudo_label import ReadWord


def work(tasks):
    """Makes a record of each task, with its process; the name says what goes wrong there."""
    for _, name in tasks:
        if name in FAULTS:
            return FAULTS[name]()
    return [dict(index=index, img_path=name, process=os.getpid()) for index, name in tasks]


def never(*_):
    while True:
        time.sleep(0.01)


def fail():
    raise RuntimeError('the lamp\nis broken')


FAULTS = {
    'hangs': never,
    'killed': lambda: os.kill(os.getpid(), signal.SIGKILL),
    'crashes': lambda: os.kill(os.getpid(), signal.SIGSEGV),
    'exits': lambda: os._exit(3),
    'leaves': lambda: sys.exit(4),
    'raises': fail,
    'ends': lambda: (_ for _ in ()).throw(EOFError('no more')),
    'returns None': lambda: None,
    'returns too many': lambda: [{}] * 9,
    'returns what does not travel': lambda: [lambda: None],
}


class Prepared:
    """Work that has to be prepared, in that way."""

    def __init__(self, how):
        self.how = how
        self.ready = False

    def prepare(self):
        if self.how == 'raises':
            raise ImportError('there is no engine')
        if self.how == 'exits':
            os._exit(5)
        self.ready = True

    def __call__(self, tasks):
        return [dict(index=i, img_path=name, ready=self.ready) for i, name in tasks]


class DiesBetween:
    """Dies after the first batch of each process, when it waits for the next."""

    def __call__(self, tasks):
        import threading

        threading.Timer(0.25, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return [dict(index=index, img_path=name) for index, name in tasks]


class SlowWork:
    """Takes a while for each image, hangs at the first, and writes down its processes."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, tasks):
        (self.folder / f'{os.getpid()}.pid').touch()
        if tasks[0][0] == 0:
            never()
        time.sleep(0.02)
        return [
            dict(index=i, img_path=name, height=9, width=9, hash='0' * 16, words=[])
            for i, name in tasks
        ]


class InkEngine:
    """Finds one word: a box around all that is dark."""

    def __call__(self, image):
        ys, xs = np.nonzero(image.max(2) < 128)
        left, top, right, bottom = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        return [ReadWord('Garden', np.float32(corners), 0.9, 0.8)]
