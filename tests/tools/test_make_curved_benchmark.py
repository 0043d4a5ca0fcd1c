import pytest

pytest.importorskip('mmengine')


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('make_curved_benchmark')


def test_a_benchmark_is_made_and_counted(tool, tmp_path, capsys):
    out = tmp_path / 'curved'
    arguments = ['--train', '2', '--test', '1', '--size', '160x128', '--texture-share', '1']
    assert tool.main([str(out), *arguments]) == 0
    printed = capsys.readouterr()
    assert 'train: 2 images' in printed.out
    assert 'test: 1 images' in printed.out
    assert 'task/s' in printed.err
    assert sorted(path.name for path in out.glob('textdet_*')) == [
        'textdet_test.json',
        'textdet_train.json',
    ]
    assert '--size 160x128 --texture-share 1' in (out / 'README.md').read_text()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--train', '0'], 'error: train is 0'),
        (['--backgrounds', 'nowhere'], "'nowhere' does not exist"),
        (['--texture-share', '2'], 'texture_share is 2'),
    ],
)
def test_bad_settings_end_with_one_line(tool, tmp_path, capsys, arguments, message):
    assert tool.main([str(tmp_path / 'out'), *arguments]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('size', ['640', 'axb', '640x', '1x2x3'])
def test_a_bad_size_is_refused(tool, tmp_path, capsys, size):
    with pytest.raises(SystemExit) as stopped:
        tool.main([str(tmp_path / 'out'), '--size', size])
    assert stopped.value.code == 2
    assert 'is not WIDTHxHEIGHT' in capsys.readouterr().err
