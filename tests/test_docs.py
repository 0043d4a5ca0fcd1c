"""The documents: what they link to is part of the repository."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r'\]\((?!https?://|mailto:)([^)\s#]*)(?:#([^)\s]*))?\)')
FENCE = re.compile(r'^```.*?^```', re.DOTALL | re.MULTILINE)
HEADING = re.compile(r'^#+ +(.*?) *$', re.MULTILINE)


def tracked_files():
    """Names of all files of the repository, relative to its root."""
    try:
        listed = subprocess.run(
            ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip('not a git checkout: files that are ignored cannot be told from others')
    return {name for name in listed.stdout.split('\0') if name}


def anchors(text):
    """The anchors that a forge gives to the headings of a document."""
    return {
        re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')
        for heading in HEADING.findall(FENCE.sub('', text))
    }


def test_links_lead_to_what_is_in_the_repository():
    tracked = tracked_files()
    known = tracked | {str(parent) for name in tracked for parent in Path(name).parents}
    documents = {name: (ROOT / name).read_text() for name in tracked if name.endswith('.md')}
    assert 'README.md' in documents
    broken, seen = [], 0
    for name, text in documents.items():
        for path, anchor in LINK.findall(FENCE.sub('', text)):
            seen += 1
            target = (ROOT / name).parent / path if path else ROOT / name
            target = str(target.resolve().relative_to(ROOT))
            if target not in known:
                broken.append(f'{name}: {path} is not in the repository')
            elif anchor and anchor not in anchors(documents[target]):
                broken.append(f'{name}: {path} has no heading #{anchor}')
    assert broken == []
    assert seen > 50
