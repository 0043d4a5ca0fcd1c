import pytest

from odm_mmocr.models.ocr_features.packages import packaged_file


def test_file_of_a_package():
    assert packaged_file('odm_mmocr', 'version.py', 'Network', 'install it').is_file()


def test_missing_package_and_missing_file_are_told_apart():
    with pytest.raises(ImportError, match=r'Network needs the package no_such_package.*x\.pth; do'):
        packaged_file('no_such_package', 'x.pth', 'Network', 'do this')
    with pytest.raises(
        FileNotFoundError, match=r'odm_mmocr is installed, but without .*x\.pth; do'
    ):
        packaged_file('odm_mmocr', 'x.pth', 'Network', 'do this')
