"""What `pip`, `mim` and the pinned set of requirements promise."""

import email
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from odm_mmocr import __version__
from odm_mmocr.compat import NEIGHBOURS

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'
EXTRAS = ('ppocr', 'craft', 'synthesis', 'pseudo', 'ray', 'demo', 'tests')
FOR_MIM = ('configs', 'tools', 'model-index.yml')


def read_requirements(name: str) -> list[Requirement]:
    lines = (REQUIREMENTS / f'{name}.txt').read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith('#')]


def canonical(name: str) -> str:
    return re.sub(r'[-_.]+', '-', name).lower()


@pytest.fixture(scope='module')
def pins() -> dict[str, Version]:
    """The tested version of each package."""
    found = {}
    for requirement in read_requirements('constraints'):
        (specifier,) = requirement.specifier
        assert specifier.operator == '==', f'{requirement} is not pinned'
        found[canonical(requirement.name)] = Version(specifier.version)
    return found


@pytest.fixture(scope='module')
def source(tmp_path_factory) -> Path:
    """A copy of what a clone holds, so that builds leave nothing in this one."""
    target = tmp_path_factory.mktemp('source') / 'clone'
    target.mkdir()
    for name in ('odm_mmocr', 'requirements', 'configs', 'tools'):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, symlinks=True)
    for pattern in ('*.py', '*.toml', '*.yml', '*.md', 'LICENSE', 'MANIFEST.in'):
        for path in ROOT.glob(pattern):
            shutil.copy2(path, target)
    return target


@pytest.fixture(scope='module')
def wheel(source, tmp_path_factory) -> zipfile.ZipFile:
    """A wheel built from a tree that has already been built, developed and changed since."""
    stale = source / 'build' / 'lib' / 'odm_mmocr'
    stale.mkdir(parents=True)
    (stale / 'deleted_long_ago.py').touch()
    folder = tmp_path_factory.mktemp('wheel')
    run_pip('wheel', '--no-deps', '--no-build-isolation', '-w', str(folder), str(source))
    return zipfile.ZipFile(next(folder.glob('odm_mmocr-*.whl')))


def run_pip(*arguments: str) -> str:
    # Beside the source, never in it: installing must work from any folder.
    command = [sys.executable, '-m', 'pip', *arguments, '--no-index']
    result = subprocess.run(
        command, capture_output=True, text=True, cwd='/', timeout=120, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


class TestRequirements:
    @pytest.mark.parametrize('name', ['runtime', 'openmmlab', 'build', *EXTRAS])
    def test_numpy_and_opencv_stay_where_mmocr_can_use_them(self, name):
        specifiers = {canonical(item.name): item.specifier for item in read_requirements(name)}
        assert '1.26.4' in specifiers['numpy']
        assert '2.0.0' not in specifiers['numpy']
        if name != 'build':
            assert '4.11.0.86' in specifiers['opencv-python']
            assert '4.12.0.88' not in specifiers['opencv-python']

    @pytest.mark.parametrize('name', ['runtime', 'openmmlab', 'build', 'mim', *EXTRAS])
    def test_pinned_set_is_complete_and_in_range(self, pins, name):
        for item in read_requirements(name):
            assert pins[canonical(item.name)] in item.specifier, str(item)

    def test_pinned_set_passes_the_check_on_import(self, pins):
        for name, wanted in NEIGHBOURS.items():
            assert pins[name] in Requirement(f'{name}{wanted}').specifier

    def test_nothing_in_a_plain_install_pulls_in_openmmlab_or_torch(self):
        assert not {canonical(item.name) for item in read_requirements('runtime')} & {
            name for name in NEIGHBOURS if name != 'numpy'
        }

    def test_setuptools_suits_mim_and_every_python(self, pins):
        # pkg_resources: gone in 82, not importable before 66 on Python 3.12.
        assert Version('66') <= pins['setuptools'] < Version('82')


class TestMetadata:
    def test_installed_version_is_that_of_the_module(self):
        assert metadata('odm_mmocr')['Version'] == __version__

    def test_license_text(self):
        text = (ROOT / 'LICENSE').read_text()
        assert 'Apache License' in text
        assert len(text.splitlines()) > 200

    def test_model_index_names_only_configs_that_exist(self):
        index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
        for metafile in index['Import']:
            content = yaml.safe_load((ROOT / metafile).read_text())
            for model in content.get('Models', []):
                assert (ROOT / model['Config']).is_file(), model['Config']

    def test_configs_have_unique_base_names(self):
        # mim refuses a base name that it finds twice in the whole package.
        names = Counter(
            path.name
            for folder in ('configs', 'tools', 'odm_mmocr')
            for path in (ROOT / folder).rglob('*.py')
            if '.mim' not in path.parts
        )
        configs = {path.name for path in (ROOT / 'configs').rglob('*.py')}
        assert {name for name in configs if names[name] > 1} == set()


class TestDevelopmentInstall:
    def test_mim_finds_configs_and_tools(self):
        utils = pytest.importorskip('mim.utils')
        root = Path(utils.get_installed_path('odm_mmocr'))
        assert root.resolve() == ROOT / 'odm_mmocr'
        for name in FOR_MIM:
            assert (root / '.mim' / name).resolve() == ROOT / name

    @pytest.mark.slow
    def test_mim_reaches_config_and_script_from_a_foreign_folder(self, tmp_path):
        pytest.importorskip('mim')
        name = 'odm_pretrain_quickstart.py'
        command = [sys.executable, '-m', 'mim', 'train', 'odm_mmocr', name, '--no-such-option']
        result = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
        )
        # Only our own script, started with the config that was found, complains about the option.
        assert f'train.py {ROOT / "configs" / name} --launcher none' in result.stdout
        assert 'train.py: error: unrecognized arguments: --no-such-option' in result.stderr


class TestWheel:
    def test_has_what_mim_looks_for(self, wheel, source):
        names = set(wheel.namelist())
        for folder in ('configs', 'tools'):
            expected = {
                f'odm_mmocr/.mim/{path.relative_to(source).as_posix()}'
                for path in (source / folder).rglob('*.py')
            }
            assert expected
            assert expected <= names
        assert 'odm_mmocr/.mim/model-index.yml' in names

    def test_has_the_package_and_nothing_else(self, wheel, source):
        names = wheel.namelist()
        assert {name.partition('/')[0] for name in names} <= {
            'odm_mmocr',
            f'odm_mmocr-{__version__}.dist-info',
        }
        modules = {
            path.relative_to(source).as_posix()
            for path in (source / 'odm_mmocr').rglob('*.py')
            if '.mim' not in path.parts
        }
        built = {
            name
            for name in names
            if name.startswith('odm_mmocr/') and name.endswith('.py') and '.mim' not in name
        }
        assert built == modules
        assert not [name for name in names if '__pycache__' in name or name.endswith('.sh')]

    def test_extras_hold_numpy_and_opencv(self, wheel):
        (name,) = [name for name in wheel.namelist() if name.endswith('.dist-info/METADATA')]
        content = email.message_from_bytes(wheel.read(name))
        assert {*EXTRAS, 'all'} <= set(content.get_all('Provides-Extra'))
        required = [Requirement(line) for line in content.get_all('Requires-Dist')]
        for extra in (*EXTRAS, 'all'):
            names = {
                item.name
                for item in required
                if item.marker and item.marker.evaluate({'extra': extra})
            }
            assert {'numpy', 'opencv-python'} <= names
        for item in required:
            if item.name == 'numpy':
                assert '2.0.0' not in item.specifier
            if item.name == 'opencv-python':
                assert '4.12.0.88' not in item.specifier

    @pytest.mark.parametrize('extras', ['', '[all]'])
    def test_install_changes_nothing_else(self, source, extras):
        output = run_pip('install', '--dry-run', '--no-build-isolation', f'{source}{extras}')
        (line,) = [line for line in output.splitlines() if line.startswith('Would install')]
        assert [canonical(name) for name in line.split()[2:]] == [
            canonical(f'odm_mmocr-{__version__}')
        ]
