import json

import cv2
import pytest


@pytest.fixture
def plot(load_tool, as_command):
    """Run the tool in this process."""
    return as_command(load_tool('plot_run'))


@pytest.fixture
def make_run(tmp_path):
    """Function from a name to a work directory with a log of three iterations."""

    def make(name, end=''):
        path = tmp_path / name / '20260101_000000' / 'vis_data' / 'scalars.json'
        path.parent.mkdir(parents=True)
        lines = [json.dumps(dict(loss=3 / i, lr=0.1, iter=i, step=i)) for i in (1, 2, 3)]
        path.write_text('\n'.join(lines) + '\n' + end)
        return tmp_path / name

    return make


def test_two_runs_make_a_picture_and_a_table(plot, make_run, tmp_path, capsys):
    out, table = tmp_path / 'new' / 'curves.png', tmp_path / 'other' / 'curves.csv'
    first, second = make_run('a/odm'), make_run('b/odm', end='{"half')
    plot(first, second, '--out', out, '--csv', table, '--keys', 'loss*', '--labels', 'x', 'y')
    told = capsys.readouterr()
    assert f'1 panel(s) of 2 run(s) drawn to {out}' in told.out
    assert 'half written' in told.err
    assert cv2.imread(str(out)).std() > 0
    rows = table.read_text().splitlines()
    assert len(rows) == 1 + 2 * 3 and rows[1].startswith('x,loss,1,')


def test_folders_of_one_name_are_told_apart(plot, make_run, tmp_path):
    table = tmp_path / 'curves.csv'
    first, second = make_run('a/odm'), make_run('b/odm')
    plot(first, second, '--out', tmp_path / 'curves.png', '--csv', table, '--keys', 'loss')
    assert {row.split(',')[0] for row in table.read_text().splitlines()[1:]} == {
        str(first), str(second)
    }  # fmt: skip


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['NONE'], 'does not exist'),
        (['EMPTY'], 'has no log of a training'),
        (['RUN', '--keys', 'odm/*'], r"no curve fits 'odm/\*'; there are loss, lr"),
        (['RUN', '--smooth', '1'], r'smooth=1\.0: from 0'),
        (['RUN', '--out', 'curves.what'], 'what'),
    ],
)
def test_mistakes_end_with_one_line(plot, make_run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    folders = dict(NONE='none', EMPTY='empty', RUN=make_run('run'))
    with pytest.raises(SystemExit, match=f'^error: [^\n]*{message}[^\n]*$'):
        plot(*(folders.get(a, a) for a in arguments))


@pytest.mark.parametrize(
    ('labels', 'message'), [(['a'], '1 labels for 2 runs'), (['a', 'a'], 'the same label')]
)
def test_labels_that_do_not_tell_runs_apart_are_refused(plot, capsys, labels, message):
    with pytest.raises(SystemExit):
        plot('a', 'b', '--labels', *labels)
    assert message in capsys.readouterr().err
