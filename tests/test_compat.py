"""Version checks of the neighbours, and loading of training state without opening the door."""

import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner

import odm_mmocr  # noqa: F401  (importing it is what mends resuming)
from odm_mmocr.compat import NEIGHBOURS, allow_training_state, find_misfits

ROOT = Path(__file__).resolve().parents[1]
FITTING = {
    'numpy': '1.26.4',
    'torch': '2.11.0+cu130',
    'mmengine': '0.10.7',
    'mmcv': '2.0.1',
    'mmdet': '3.1.0',
    'mmocr': '1.0.1',
}
strict_torch = pytest.mark.skipif(
    tuple(int(part) for part in torch.__version__.split('.')[:2]) < (2, 6),
    reason='torch below 2.6 loads every pickle unless told otherwise',
)


def run_python(code: str, *search_path: Path) -> subprocess.CompletedProcess:
    path = os.pathsep.join(str(folder) for folder in (*search_path, ROOT))
    return subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': path},
        timeout=120,
        check=False,
    )


def pretend_installed(folder: Path, **versions: str) -> None:
    """Puts distributions that consist of nothing but a name and a version into a folder."""
    for name, version in versions.items():
        info = folder / f'{name}-{version}.dist-info'
        info.mkdir(parents=True)
        info.joinpath('METADATA').write_text(
            f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'
        )


class Linear(BaseModel):
    """The least that a runner can train."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        loss = (self.weight * torch.stack(list(inputs))).mean()
        return {'loss': loss} if mode == 'loss' else loss


def build_runner(work_dir: Path, iterations: int, resume: bool) -> Runner:
    data = [{'inputs': torch.ones(1), 'data_samples': None} for _ in range(8)]
    return Runner(
        model=Linear(),
        work_dir=str(work_dir),
        train_dataloader={
            'batch_size': 2,
            'dataset': data,
            'sampler': {'type': 'InfiniteSampler', 'shuffle': False},
            'collate_fn': {'type': 'pseudo_collate'},
        },
        train_cfg={'by_epoch': False, 'max_iters': iterations},
        optim_wrapper={'optimizer': {'type': 'AdamW', 'lr': 0.1}},
        param_scheduler={'type': 'LinearLR', 'start_factor': 0.1, 'end': 4, 'by_epoch': False},
        default_hooks={
            'checkpoint': {'type': 'CheckpointHook', 'by_epoch': False, 'interval': 1},
            'logger': {'type': 'LoggerHook', 'interval': 1},
        },
        resume=resume,
        default_scope='mmocr',
        cfg=Config({'default_scope': 'mmocr'}),
        experiment_name=f'{work_dir.name}-{iterations}-{resume}',
        log_level='ERROR',
    )


class TestNeighbours:
    def test_tested_set_fits(self):
        assert find_misfits(FITTING) == []

    @pytest.mark.parametrize(
        ('name', 'version'),
        [
            ('numpy', '2.1.0'),
            ('torch', '1.13.1'),
            ('mmengine', '0.7.4'),
            ('mmcv', '2.1.0'),
            ('mmcv', '1.7.2'),
            ('mmdet', '3.3.0'),
            ('mmocr', '0.6.3'),
            ('mmocr', None),
            ('mmcv', 'not a version'),
        ],
    )
    def test_misfit_names_package_range_and_remedy(self, name, version):
        (clause,) = find_misfits({**FITTING, name: version})
        assert clause.startswith(f'{name} ')
        assert (version or 'not installed') in clause
        assert f"install '{name}{NEIGHBOURS[name]}'" in clause

    def test_only_line_of_a_failing_import(self, tmp_path):
        pretend_installed(tmp_path, mmdet='3.3.0')
        result = run_python('import odm_mmocr', tmp_path)
        assert result.returncode == 1
        last = result.stderr.strip().splitlines()[-1]
        assert last.startswith('ImportError: odm_mmocr ')
        assert 'mmdet is 3.3.0, needed is >=3.1.0,<3.2' in last

    def test_mmcv_without_operators(self, tmp_path):
        pretend_installed(tmp_path, mmcv='2.0.1')
        tmp_path.joinpath('mmcv').mkdir()
        tmp_path.joinpath('mmcv', '__init__.py').touch()
        result = run_python('import odm_mmocr', tmp_path)
        assert 'mmcv 2.0.1 is without its operators' in result.stderr.splitlines()[-1]

    def test_without_mmengine_the_drawing_rooms_work(self):
        code = (
            'import sys\n'
            'from importlib.machinery import PathFinder\n'
            'hidden, find = {"mmengine", "torch", "mmocr", "mmcv"}, PathFinder.find_spec\n'
            'PathFinder.find_spec = staticmethod(\n'
            '    lambda name, *rest: None if name in hidden else find(name, *rest))\n'
            'import odm_mmocr, odm_mmocr.rendering, odm_mmocr.synthesis\n'
            'assert not {"torch", "mmengine", "odm_mmocr.models"} & set(sys.modules)\n'
        )
        result = run_python(code)
        assert result.returncode == 0, result.stderr
        assert 'mmengine is not installed' in result.stderr


@strict_torch
class TestTrainingState:
    def test_a_run_resumes(self, tmp_path):
        build_runner(tmp_path, iterations=2, resume=False).train()
        resumed = build_runner(tmp_path, iterations=4, resume=True)
        resumed.train()
        assert resumed.iter == 4
        history = resumed.message_hub.get_scalar('train/loss')
        assert len(history.data[0]) == 4  # the first two are those of the first run
        assert torch.load(tmp_path / 'iter_4.pth')['meta']['iter'] == 4

    @pytest.mark.parametrize('kind', ['float64', 'float32', 'int64', 'uint8', 'bool_'])
    def test_numbers_of_numpy_come_back(self, tmp_path, kind):
        saved = {'array': np.arange(3).astype(kind), 'scalar': np.dtype(kind).type(1)}
        torch.save(saved, tmp_path / 'state.pth')
        loaded = torch.load(tmp_path / 'state.pth')
        assert loaded['array'].dtype == np.dtype(kind)
        np.testing.assert_array_equal(loaded['array'], saved['array'])
        assert loaded['scalar'] == saved['scalar']

    def test_files_written_with_numpy_2_come_back(self, tmp_path):
        torch.save({'score': np.float64(0.5)}, tmp_path / 'old.pth')
        with open(tmp_path / 'old.pth', 'rb') as file:
            content = file.read()
        assert b'numpy.core.multiarray' in content
        pickled = pickle.dumps({'score': np.float64(0.5)}, protocol=2)
        pickled = pickled.replace(b'numpy.core.multiarray', b'numpy._core.multiarray')
        assert load_pickle(tmp_path, pickled) == {'score': 0.5}

    def test_allowing_twice_changes_nothing(self):
        before = torch.serialization.get_safe_globals()
        allow_training_state()
        assert torch.serialization.get_safe_globals() == before

    def test_stock_config_that_lists_the_package(self, tmp_path):
        torch.save({'loss': HistoryBuffer([1.0], [1])}, tmp_path / 'state.pth')
        tmp_path.joinpath('stock.py').write_text(
            "_base_ = 'mmocr::textdet/_base_/default_runtime.py'\n"
            "custom_imports = dict(imports=['odm_mmocr'], allow_failed_imports=False)\n"
        )
        code = (
            'import torch, mmocr\n'
            'from mmengine.config import Config\n'
            'from torch.utils.data import DataLoader\n'
            f'Config.fromfile({str(tmp_path / "stock.py")!r})\n'
            'class Reading(list):\n'
            '    def __getitem__(self, index):\n'
            f'        return [torch.load({str(tmp_path / "state.pth")!r})["loss"].mean().item()]\n'
            'print(list(DataLoader(Reading([0]), batch_size=None, num_workers=1)))\n'
        )
        result = run_python(code)
        assert result.returncode == 0, result.stderr
        assert '[[1.0]]' in result.stdout


class Call:
    """Pickles to a call of a function, as an attacker's file does."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def load_pickle(folder: Path, pickled: bytes):
    """Loads a raw pickle the way `torch.load` loads the one inside a checkpoint."""
    path = folder / 'crafted.pth'
    torch.save({}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            archive.writestr(name, pickled if name.endswith('data.pkl') else content)
    return torch.load(path)


GETATTR = b'cbuiltins\ngetattr\n'
HISTORY = b'cmmengine.logging.history_buffer\nHistoryBuffer\n'


def text(value: str) -> bytes:
    """The opcode that puts a string on the stack of a pickle."""
    return pickle.BINUNICODE + len(value).to_bytes(4, 'little') + value.encode()


@strict_torch
class TestCraftedFiles:
    @pytest.mark.parametrize(
        'payload',
        [
            pytest.param(lambda mark: Call(os.system, f'touch {mark}'), id='system'),
            pytest.param(lambda mark: Call(exec, f'open({str(mark)!r}, "w")'), id='exec'),
            pytest.param(lambda mark: Call(open, str(mark), 'w'), id='open'),
            pytest.param(lambda mark: Call(np.fromfile, str(mark)), id='other-of-numpy'),
            pytest.param(lambda mark: Call(pickle.loads, b'N.'), id='pickle-in-pickle'),
            pytest.param(lambda mark: Call(getattr, HistoryBuffer, '__init__'), id='init'),
            pytest.param(lambda mark: Call(getattr, HistoryBuffer, 'from_file'), id='unknown'),
            pytest.param(lambda mark: Call(getattr, np.ndarray, 'tofile'), id='method-of-array'),
            pytest.param(lambda mark: Call(getattr, np.array([1.0]), 'mean'), id='of-instance'),
            pytest.param(lambda mark: np.array([object()], dtype=object), id='object-array'),
        ],
    )
    def test_is_refused(self, tmp_path, payload):
        mark = tmp_path / 'executed'
        path = tmp_path / 'crafted.pth'
        torch.save({'message_hub': payload(mark)}, path)
        with pytest.raises((pickle.UnpicklingError, ValueError), match=r'(?i)unsupported|trust'):
            torch.load(path)
        assert not mark.exists()

    @pytest.mark.parametrize(
        'opcodes',
        [
            pytest.param(HISTORY + text('__subclasses__') + b'\x86R', id='subclasses'),
            pytest.param(HISTORY + text('mean.__globals__') + b'\x86R', id='dotted-name'),
            pytest.param(
                GETATTR + HISTORY + text('mean') + b'\x86R' + text('__globals__') + b'\x86R',
                id='attribute-of-an-allowed-method',
            ),
            pytest.param(b'cos\n__dict__\n' + text('system') + b'\x86R', id='module-os'),
            pytest.param(GETATTR + text('__globals__') + b'\x86R', id='attribute-of-itself'),
            pytest.param(HISTORY + b']\x86R', id='name-that-is-no-string'),
        ],
    )
    def test_getattr_does_not_lead_out(self, tmp_path, opcodes):
        with pytest.raises((pickle.UnpicklingError, ValueError), match=r'trust|blocked'):
            load_pickle(tmp_path, b'\x80\x02' + GETATTR + opcodes + b'.')
