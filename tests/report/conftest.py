"""Searches of every kind, as fixtures."""

import pytest
from searches import KINDS, ODD, Search, fill


@pytest.fixture
def made(tmp_path):
    return Search(tmp_path)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def any_search(request, tmp_path):
    made = Search(tmp_path)
    request.param(made)
    return made


@pytest.fixture
def filled(made):
    fill(made)
    return made


@pytest.fixture
def odd(tmp_path):
    made = Search(tmp_path, ODD, each=6)
    fill(made)
    return made
