"""Packaging of odm_mmocr.

`mim` looks for configs, tools and the model index in `odm_mmocr/.mim/`. A wheel gets copies of them
there, a development install (`python setup.py develop`) gets links.
"""

import os
import shutil
from pathlib import Path

from setuptools import Command, find_packages, setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.develop import develop
except ImportError:  # a setuptools too new for it can still build wheels
    develop = None

ROOT = Path(__file__).resolve().parent
PACKAGE = 'odm_mmocr'
FOR_MIM = ('configs', 'tools', 'model-index.yml')
EXTRAS = ('ppocr', 'craft', 'synthesis', 'pseudo', 'ray', 'demo', 'tests')
# The shell scripts set up a clone, which a wheel is not.
NOT_FOR_WHEELS = shutil.ignore_patterns('__pycache__', '*.py[cod]', '*.sh')


def read_version() -> str:
    """The version in `odm_mmocr/version.py`, read without importing the package."""
    names: dict = {}
    exec((ROOT / PACKAGE / 'version.py').read_text(encoding='utf-8'), names)
    return names['__version__']


def read_requirements(name: str) -> list[str]:
    """The lines of `requirements/<name>.txt` that are requirements."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


def read_description() -> str:
    """The README, or nothing where it is not there yet."""
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.is_file() else ''


class BuildWithMim(build_py):
    """Builds the package from nothing and puts what mim looks for into it."""

    def run(self) -> None:
        editable = getattr(self, 'editable_mode', False)  # unknown to setuptools below 64
        if not editable:
            # A module that was deleted since the last build would otherwise stay in the wheel.
            shutil.rmtree(Path(self.build_lib) / PACKAGE, ignore_errors=True)
        super().run()
        if editable:
            self.run_command('link_mim')
            return
        folder = Path(self.build_lib) / PACKAGE / '.mim'
        for name in FOR_MIM:
            source, target = ROOT / name, folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=NOT_FOR_WHEELS)
            elif source.is_file():
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)


class LinkMim(Command):
    """Links configs, tools and the model index into `odm_mmocr/.mim/` of this source tree."""

    description = 'link what mim looks for into the package'
    user_options: list = []

    def initialize_options(self) -> None:
        pass

    def finalize_options(self) -> None:
        pass

    def run(self) -> None:
        folder = ROOT / PACKAGE / '.mim'
        folder.mkdir(exist_ok=True)
        for name in FOR_MIM:
            link = folder / name
            if link.is_symlink():
                link.unlink()
            link.symlink_to(os.path.join('..', '..', name))


commands = {'build_py': BuildWithMim, 'link_mim': LinkMim}
if develop is not None:

    class DevelopWithMim(develop):
        """A development install with links in the place where mim looks."""

        def run(self) -> None:
            self.run_command('link_mim')
            super().run()

    commands['develop'] = DevelopWithMim

setup(
    name=PACKAGE,
    version=read_version(),
    description='ODM (OCR-Text Destylization Modeling) for MMOCR: pre-trains backbones of text '
    'detectors and spotters',
    long_description=read_description(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    keywords='OCR, scene text, text detection, pre-training, MMOCR, OpenMMLab',
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Operating System :: POSIX',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    # Word lists and the like that stand beside the modules that read them.
    package_data={PACKAGE: ['**/*.txt', '**/*.json', '**/*.yml']},
    exclude_package_data={PACKAGE: ['.mim/*', '.mim/**/*']},
    install_requires=read_requirements('runtime'),
    extras_require={
        **{name: read_requirements(name) for name in EXTRAS},
        'all': sorted({line for name in EXTRAS for line in read_requirements(name)}),
    },
    cmdclass=commands,
    zip_safe=False,
)
