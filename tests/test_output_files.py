import errno
import fcntl

import pytest

from odm_mmocr.output_files import lock_file, lock_output, open_output, written_whole


def test_other_errors_pass_unchanged(tmp_path):
    with pytest.raises(ZeroDivisionError), written_whole(tmp_path / 'file'):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_through_a_link(tmp_path):
    """An archive of images may hold one where an annotation is to be written."""
    victim = tmp_path / 'victim'
    victim.write_text('precious')
    (tmp_path / '.out.json.part').symlink_to(victim)
    with (
        pytest.raises(OSError, match=r'out\.json\.part is a link'),
        written_whole(tmp_path / 'out.json') as file,
    ):
        file.write(b'x')
    for mode in ('wb', 'ab', 'a+b'):
        (tmp_path / 'link').unlink(missing_ok=True)
        (tmp_path / 'link').symlink_to(victim)
        with pytest.raises(OSError, match='is a link, through which nothing is written'):
            open_output(tmp_path / 'link', mode)
    assert victim.read_text() == 'precious'


def test_lock_holds_others_off_until_the_file_is_closed(tmp_path):
    path = tmp_path / 'file'
    with open(path, 'a') as other:
        with open(path, 'a') as file:
            assert lock_file(file)
            assert lock_file(other) is False
            with pytest.raises(BlockingIOError, match=r'another process writes .*out\.json'):
                lock_output(other, tmp_path / 'out.json')
        assert lock_file(other)


def test_file_systems_without_locks_hold_nobody_off(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(fcntl, 'flock', fail)
    with open(tmp_path / 'file', 'a') as file:
        assert lock_file(file) is None
        assert lock_file(file, wait=True) is None
        lock_output(file, tmp_path / 'file')
