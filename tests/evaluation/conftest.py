"""Readers and fonts for tests that read."""

import shutil
import subprocess
from pathlib import Path

import pytest

CJK_FONTS = ('wqy-microhei.ttc', 'wqy-zenhei.ttc', 'NotoSansCJK-Regular.ttc', 'simhei.ttf')
FONT_FOLDERS = ('/usr/share/fonts', '/usr/local/share/fonts', '~/.fonts', '~/.local/share/fonts')


@pytest.fixture(scope='session')
def reader():
    """A `WordReader`; skips where the extra `ppocr` is not installed."""
    pytest.importorskip('rapidocr_onnxruntime')
    from odm_mmocr.evaluation.reading import WordReader

    return WordReader()


@pytest.fixture(scope='session')
def cjk_font() -> str:
    """A font with Chinese characters; skips where the machine has none."""
    from odm_mmocr.rendering import load_fonts

    candidates = [
        path
        for folder in FONT_FOLDERS
        for name in CJK_FONTS
        for path in sorted(Path(folder).expanduser().rglob(name))
    ]
    if shutil.which('fc-match'):
        command = ['fc-match', '--format=%{file}', 'sans:lang=zh-cn']
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        candidates += [Path(found)] if found else []
    for path in candidates:
        if path.is_file() and load_fonts(path).covers('中文'):
            return str(path)
    pytest.skip('no font with Chinese characters (install one, such as fonts-wqy-microhei)')
