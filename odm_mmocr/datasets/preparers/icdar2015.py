"""ICDAR 2015 Incidental Scene Text (Robust Reading Competition, challenge 4)."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from mmengine.utils import track_iter_progress

from .packers import HeaderTextSpottingPacker
from .parsers import ICDARTxtTextSpottingParser
from .preparation import PreparationError, Report, count_words, write_splits

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png')

# Folders of images and of ground truth: as downloaded and unpacked, as MMOCR lays them out, short.
FOLDERS = {
    'train': (
        ('ch4_training_images', 'textdet_imgs/train', 'train_images'),
        ('ch4_training_localization_transcription_gt', 'annotations/train', 'train_gt'),
    ),
    'test': (
        ('ch4_test_images', 'textdet_imgs/test', 'test_images'),
        (
            'Challenge4_Test_Task1_GT',
            'Challenge4_Test_Task4_GT',
            'ch4_test_localization_transcription_gt',
            'annotations/test',
            'test_gt',
        ),
    ),
}


def find_icdar2015(root: str | PathLike) -> dict[str, tuple[Path, Path]]:
    """Find the splits of ICDAR 2015 under a folder.

    Args:
        root (str or path): Folder with the unpacked downloads.

    Returns:
        dict[str, tuple[Path, Path]]: Folder of images and folder of ground truth, for each split
        that is there.

    Raises:
        PreparationError: If there is no such folder, no split in it, or only one half of one.
    """
    if not Path(root).is_dir():
        raise PreparationError(f'there is no folder {root}')
    splits = {}
    for split, names in FOLDERS.items():
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
        wanted = ', '.join(name for names in FOLDERS.values() for part in names for name in part)
        raise PreparationError(f'{root} has none of the folders of ICDAR 2015 ({wanted})')
    return splits


def prepare_icdar2015(
    splits: Mapping[str, tuple[str | PathLike, str | PathLike]],
    out: str | PathLike,
    skip_malformed: bool = False,
) -> Report:
    """Turn the official files into text-spotting annotations of MMOCR.

    Writes `textspotting_<split>.json`, which `OCRDataset` loads with `out` as `data_root`. The
    images stay where they are. Nothing is written where there are problems, unless they may be
    skipped.

    Args:
        splits (Mapping[str, tuple[path, path]]): For each split ('train', 'test') the folder of
            images and the folder of ground truth, `gt_<image name>.txt` for each image.
        out (str or path): Folder of the annotations.
        skip_malformed (bool): Whether to leave out malformed lines, files that are no images, and
            images and ground truth that lack the other. Defaults to False.

    Returns:
        Report: Counts, problems and the files written.

    Raises:
        PreparationError: If a folder does not exist or has no images or no ground truth.
    """
    out = Path(out).absolute()
    report, annotations = Report(), {}
    for split, (images, truth) in splits.items():
        pairs, problems = pair_files(Path(images), Path(truth))
        parser = ICDARTxtTextSpottingParser(split=split)
        packer = HeaderTextSpottingPacker(data_root=str(out), split=split)
        samples = []
        print(f'{split}: {len(pairs)} images')
        for image, ground_truth in track_iter_progress(pairs):
            try:
                samples.append(packer.pack_instance(parser.parse_file(image, ground_truth)))
            except OSError as error:
                problems.append(f'{image}: expected an image and its ground truth: {error}')
        print()
        annotations[split] = packer.add_meta(samples)
        report.counts[split] = count_words(annotations[split])
        report.problems += problems + parser.problems
    if skip_malformed or not report.problems:
        report.written = write_splits(annotations, out)
    return report


def pair_files(images: Path, truth: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """Pair images with their ground truth `gt_<image name>.txt`, in natural order.

    Returns:
        tuple: Pairs of paths, and a description of every file that lacks its other half.

    Raises:
        PreparationError: If a folder does not exist or holds no files of its kind.
    """
    image_files = _list_files(images, IMAGE_SUFFIXES, 'images')
    truth_files = _list_files(truth, ('.txt',), 'ground truth')
    by_name = {path.name.lower(): path for path in truth_files}
    pairs, problems = [], []
    for image in image_files:
        name = f'gt_{image.stem}.txt'
        if name.lower() in by_name:
            pairs.append((str(image), str(by_name.pop(name.lower()))))
        else:
            problems.append(f'{image}: there is no ground truth {truth / name}')
    problems += [f'{path}: there is no image for it in {images}' for path in by_name.values()]
    return pairs, problems


def _list_files(folder: Path, suffixes: tuple[str, ...], what: str) -> list[Path]:
    if not folder.is_dir():
        raise PreparationError(f'there is no folder {folder} (expected {what})')
    files = [path.absolute() for path in folder.iterdir() if path.suffix.lower() in suffixes]
    if not files:
        raise PreparationError(f'{folder} holds no {what} ({", ".join(suffixes)})')
    # Shorter names first puts img_2 before img_10.
    return sorted(files, key=lambda path: (len(path.name), path.name))
