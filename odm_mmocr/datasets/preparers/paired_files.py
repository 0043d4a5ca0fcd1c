"""Data sets with a folder of images and a folder of ground truth, a file for each image."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path

from odm_mmocr.image_files import check_file, check_inside

from .preparation import ImageAnnotation, PreparationError, SplitReader

OFFICIAL_SUFFIXES = ('.jpg', '.jpeg', '.png')

Folders = Mapping[str, tuple[Sequence[str], Sequence[str]]]
"""For each split the names of its folder of images, and of that of its ground truth."""


def find_pairs_of_folders(
    root: str | PathLike, folders: Folders, dataset: str
) -> dict[str, tuple[Path, Path]]:
    """Find the splits of a data set under a folder.

    Args:
        root (str or path): Folder with the unpacked downloads.
        folders (Folders): See there. The first name that is there counts.
        dataset (str): Its name, for errors.

    Returns:
        dict[str, tuple[Path, Path]]: Folder of images and folder of ground truth, for each split
        that is there.

    Raises:
        PreparationError: If there is no such folder, no split in it, or only one half of one.
    """
    if not Path(root).is_dir():
        raise PreparationError(f'there is no folder {root}')
    splits = {}
    for split, names in folders.items():
        images, truth = (
            next((Path(root, name) for name in choice if Path(root, name).is_dir()), None)
            for choice in names
        )
        if images and truth:
            splits[split] = (images, truth)
        elif images or truth:
            wanted = ' or '.join(names[1] if images else names[0])
            raise PreparationError(f'{images or truth} is there, but not, in {root}, {wanted}')
    if not splits:
        wanted = ', '.join(name for names in folders.values() for part in names for name in part)
        raise PreparationError(f'{root} has none of the folders of {dataset} ({wanted})')
    return splits


def name_truth(stem: str) -> Sequence[str]:
    """`gt_<image name>.txt`, the name of a ground truth in ICDAR's data sets."""
    return (f'gt_{stem}.txt',)


def pair_files(
    images: Path,
    truth: Path,
    names: Callable[[str], Sequence[str]] = name_truth,
    suffixes: Sequence[str] = OFFICIAL_SUFFIXES,
) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Pair images with their ground truth, in natural order.

    Args:
        images (Path): Folder of images.
        truth (Path): Folder of ground truth; may be the same.
        names (callable): From the name of an image without suffix to the names that its ground
            truth may have; the case of letters does not count. Defaults to `gt_<image name>.txt`.
        suffixes (Sequence[str]): Of images. Defaults to those of JPEG and PNG.

    Returns:
        tuple: Pairs of paths, and a description of every file that lacks its other half, or is a
        link that leads out of its folder.

    Raises:
        PreparationError: If a folder does not exist or holds no files of its kind.
    """
    image_files = list_files(images, suffixes, 'images')
    of_truth = tuple({Path(name).suffix for name in names('image')})
    truth_files = list_files(truth, of_truth, 'ground truth')
    by_name = {path.name.lower(): path for path in truth_files}
    pairs, problems = [], []
    for image in image_files:
        wanted = names(image.stem)
        found = [by_name.pop(name.lower()) for name in wanted if name.lower() in by_name]
        if found:
            try:
                check_inside(image, images)
                check_inside(found[0], truth)
                check_file(found[0])
            except (OSError, ValueError) as error:
                problems.append(str(error))
            else:
                pairs.append((image, found[0]))
        else:
            problems.append(
                f'{image}: there is no ground truth {" or ".join(str(truth / n) for n in wanted)}'
            )
    problems += [f'{path}: there is no image for it in {images}' for path in by_name.values()]
    return pairs, problems


def list_files(folder: Path, suffixes: Sequence[str], what: str) -> list[Path]:
    """List the files of a kind in a folder, in natural order.

    Raises:
        PreparationError: If there is no such folder, or none of these files in it.
    """
    if not folder.is_dir():
        raise PreparationError(f'there is no folder {folder} (expected {what})')
    files = [
        path.absolute()
        for path in folder.iterdir()
        # Archives packed on a Mac have a shadow ._NAME of each file.
        if path.suffix.lower() in suffixes and not path.name.startswith('._')
    ]
    if not files:
        raise PreparationError(f'{folder} holds no {what} ({", ".join(sorted(suffixes))})')
    # Shorter names first puts img_2 before img_10.
    return sorted(files, key=lambda path: (len(path.name), path.name))


class PairedFilesReader(SplitReader):
    """Reads a split with a file of ground truth for each image.

    Args:
        pairs (Sequence[tuple[Path, Path]]): Images and their ground truth.
        problems (Sequence[str]): What is wrong with the split already.
        parse (callable): From a file of ground truth to its instances and problems.
        with_text (bool): Whether the ground truth has texts. Defaults to True.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Path, Path]],
        problems: Sequence[str],
        parse: Callable[[Path], tuple[list[dict], list[str]]],
        with_text: bool = True,
    ) -> None:
        self.pairs = pairs
        self.problems = problems
        self.parse = parse
        self.with_text = with_text

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, start: int) -> Iterator[ImageAnnotation]:
        """See :meth:`SplitReader.read`."""
        for image, truth in self.pairs[start:]:
            yield ImageAnnotation(image, *self.parse(truth))

    def select(self, indices: Sequence[int]) -> 'PairedFilesReader':
        """A reader of some of the images."""
        pairs = [self.pairs[i] for i in indices]
        return PairedFilesReader(pairs, self.problems, self.parse, self.with_text)


def read_pairs(
    splits: Mapping[str, tuple[str | PathLike, str | PathLike]],
    parse: Callable[[Path], tuple[list[dict], list[str]]],
    names: Callable[[str], Sequence[str]] = name_truth,
    with_text: bool = True,
) -> dict[str, PairedFilesReader]:
    """Readers of splits.

    Args:
        splits (Mapping[str, tuple[path, path]]): For each split the folder of images and the folder
            of ground truth.
        parse, with_text: As of :class:`PairedFilesReader`.
        names: As of :func:`pair_files`.

    Raises:
        PreparationError: If a folder does not exist or holds no files of its kind.
    """
    return {
        split: PairedFilesReader(*pair_files(Path(images), Path(truth), names), parse, with_text)
        for split, (images, truth) in splits.items()
    }
