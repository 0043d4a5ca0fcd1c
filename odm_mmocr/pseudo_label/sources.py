"""Where images come from: folders, lists, LMDB files, whatever backend MMEngine has."""

import logging
import os
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath

from mmengine.fileio import LocalBackend, get_file_backend

from odm_mmocr.image_files import check_file, check_inside

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.jp2', '.png', '.tif', '.tiff', '.webp')
_MAGIC = (b'\xff\xd8', b'\x89PNG', b'II*\0', b'MM\0*', b'\0\0\0\x0cjP')
_MAGIC_BYTES = 12  # that tell an image from a label
_SHOWN = 3

logger = logging.getLogger('odm_mmocr.pseudo_label')


class ImageSource:
    """Images that are found and read by name.

    Args:
        root: What names are relative to: a local folder, or an address of MMEngine's backend. Empty
            where names stand alone.
        names: Of the images, each once.
        backend_args: Arguments of MMEngine's file backend; None: by the address.
        folder: Local folder that the files must lie in, links followed; None: anywhere.

    Attributes:
        names: As given.
        root: As given.
    """

    def __init__(
        self,
        root: str,
        names: Iterable[str],
        backend_args: dict | None = None,
        folder: str | None = None,
    ):
        self.root = root
        self.names = list(names)
        self.backend_args = backend_args
        self.folder = folder
        self._backend = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def place(self) -> str:
        """Where its names belong to: the same however a path is written."""
        place = self.root or (self.backend_args or {}).get('db_path', '')
        return os.path.realpath(place) if os.path.exists(place) else place

    def read(self, name: str) -> bytes:
        """The file of an image.

        Raises:
            Exception: Whatever the backend raises; FileNotFoundError where it is gone; ValueError
                where it leads out of the folder; OSError where it is no regular file.
        """
        if self._backend is None:
            self._backend = get_file_backend(self.root or name, backend_args=self.backend_args)
        path = self._backend.join_path(self.root, name) if self.root else name
        if self.folder is not None:
            check_inside(path, self.folder)
        if isinstance(self._backend, LocalBackend):
            check_file(path)
        content = self._backend.get(path)
        if content is None:  # of LMDB
            raise FileNotFoundError(f'there is no {name!r} in it')
        return bytes(content)

    def with_names(self, names: Iterable[str]) -> 'ImageSource':
        """The same place with other images; cheap to send to another process."""
        return ImageSource(self.root, names, self.backend_args, self.folder)

    def __getstate__(self) -> dict:
        return dict(self.__dict__, _backend=None)  # connections do not travel


def open_source(
    images: str | os.PathLike, backend_args: dict | None = None, root: str | None = None
) -> ImageSource:
    """Find images.

    Args:
        images: A folder, searched with all folders in it, each once, however many links lead
            there (links out of it are passed over, unless ``ODM_IMAGE_ROOTS`` allows where they
            lead); an LMDB (a folder with ``data.mdb``, or a file ``.mdb`` or ``.lmdb``); a text
            file with a path or an address in each line, or between NUL characters as
            ``find -print0`` writes them; or an address of a folder that one of MMEngine's backends
            can list, such as ``s3://…``.
        backend_args: Arguments of MMEngine's file backend.
        root: What the names in the result are relative to. None: the folder, or the folder of the
            list; the names in a list of addresses, or with ``backend_args``, stand alone.

    Returns:
        The images, sorted by name in folders and LMDBs, in their order in lists.

    Raises:
        FileNotFoundError: There is no such place, or it holds no images.
        ValueError: It is something else, or a list names an image twice.
        ImportError: LMDB is not installed.
    """
    images = os.fspath(images)
    if '://' in images or (backend_args and not os.path.isfile(images)):
        return _list_backend(images, backend_args)
    path = Path(images).expanduser()
    if not path.exists():
        raise FileNotFoundError(f'there is no file or folder {path}')
    if path.suffix in ('.mdb', '.lmdb') or (path / 'data.mdb').is_file():
        return _list_lmdb(path)
    if path.is_dir():
        return _list_folder(path, root)
    if path.suffix.lower() in SUFFIXES:
        raise ValueError(f'{path} is one image; give its folder, or a text file with its path')
    return _read_list(path, root, backend_args)


def _list_folder(path: Path, root: str | None) -> ImageSource:
    names, others = [], Counter()
    seen = {_identity(path)}
    for folder, folders, files in os.walk(path, onerror=_tell, followlinks=True):
        found = [os.path.join(folder, name) for name in folders if not name.startswith('.')]
        found.sort(key=lambda entry: (os.path.islink(entry), entry))
        folders.clear()
        for entry in found:
            # Links may lead in circles.
            if (identity := _identity(entry)) in seen:
                continue
            seen.add(identity)
            try:
                check_inside(entry, path)
            except ValueError as error:
                logger.warning('passed over a link: %a', error)
            else:
                folders.append(os.path.basename(entry))
        for name in files:
            suffix = os.path.splitext(name)[1].lower()
            if suffix in SUFFIXES and not name.startswith('.'):
                names.append(os.path.relpath(os.path.join(folder, name), root or path))
            else:
                others[suffix or 'none'] += 1
    if not names:
        found = ', '.join(f'{count:,} {suffix}' for suffix, count in others.most_common(_SHOWN))
        held = f'; it holds {sum(others.values()):,} other files ({found})' if others else ''
        raise FileNotFoundError(
            f'the folder {path} holds no images ({", ".join(SUFFIXES)}), nor do folders in it{held}'
        )
    return ImageSource(str(root or path), sorted(names), folder=str(path))


def _identity(folder: str | os.PathLike) -> tuple:
    try:
        status = os.stat(folder)
    except OSError:
        return (folder,)  # walking tells what is wrong with it
    return status.st_dev, status.st_ino


def _tell(error: OSError) -> None:
    logger.warning('passed over %a: %s', error.filename, error.strerror)


def _list_backend(address: str, backend_args: dict | None) -> ImageSource:
    try:
        backend = get_file_backend(address, backend_args=backend_args)
    except (KeyError, TypeError, ValueError, ImportError, AssertionError) as error:
        raise ValueError(f'{address}: {type(error).__name__}: {error}') from error
    try:
        if not hasattr(backend, 'list_dir_or_file'):
            raise NotImplementedError
        listed = backend.list_dir_or_file(address, list_dir=False, suffix=None, recursive=True)
        names = sorted(n for n in listed if PurePath(n).suffix.lower() in SUFFIXES)
    except NotImplementedError as error:
        raise ValueError(
            f'{address}: this backend cannot list its files; give a text file of them'
        ) from error
    except (KeyError, ValueError) as error:
        raise ValueError(f'{address}: {type(error).__name__}: {error}') from error
    if not names:
        raise FileNotFoundError(f'{address} holds no images ({", ".join(SUFFIXES)})')
    return ImageSource(address, names, backend_args)


def _list_lmdb(path: Path) -> ImageSource:
    try:
        import lmdb
    except ImportError as error:
        raise ImportError(f'{path} is an LMDB; install the package lmdb') from error
    names = []
    try:
        with (
            lmdb.open(str(path), readonly=True, lock=False, subdir=path.is_dir()) as database,
            database.begin(buffers=True) as transaction,
        ):
            for key, value in transaction.cursor():
                if _is_image(bytes(value[:_MAGIC_BYTES])):
                    names.append(bytes(key).decode('ascii'))
    except lmdb.Error as error:
        raise ValueError(f'{path} cannot be opened as LMDB: {error}') from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{path}: the key {error.object!r} is not ASCII, which MMEngine cannot ask for'
        ) from error
    if not names:
        raise FileNotFoundError(f'{path} holds no images')
    backend_args = dict(backend='lmdb', db_path=str(path), subdir=path.is_dir())
    return ImageSource('', names, backend_args)


def _is_image(start: bytes) -> bool:
    """By the first bytes; of BMP and WebP the first alone might be those of a word."""
    if start.startswith(b'BM'):
        return start[6:10] == bytes(4)
    return start.startswith(_MAGIC) or (start.startswith(b'RIFF') and start[8:] == b'WEBP')


def _read_list(path: Path, root: str | None, backend_args: dict | None) -> ImageSource:
    content = path.read_bytes().removeprefix(BOM_UTF8)
    parts = content.split(b'\0') if b'\0' in content[:65536] else content.splitlines()
    try:
        if b'\0' not in content[:65536]:
            content.decode('utf-8')
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{path} is no list of images: expected a text file with a path in each line ({error})'
        ) from error
    names = [os.fsdecode(part) for part in parts if part.strip()]
    if not names:
        raise FileNotFoundError(f'the list {path} names no images')
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f'{path} names {len(twice):,} images twice, the first is {twice[0]!r}')
    if root is None and not backend_args and not any('://' in name for name in names):
        root = str(path.parent)
    return ImageSource(str(root or ''), names, backend_args)
