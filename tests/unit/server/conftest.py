"""Fixtures of the server's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.server.kit import Running, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An installation that declared what it recognises people for, shared by the tests of a module."""
    with running(tmp_path_factory.mktemp("server"), declared=True) as it:
        yield it


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Running]:
    """The same, for one test alone."""
    with running(tmp_path, declared=True) as it:
        yield it


@pytest.fixture(scope="module")
def undeclared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An installation without a declaration, shared by the tests of a module."""
    with running(tmp_path_factory.mktemp("undeclared")) as it:
        yield it


@pytest.fixture
def own_undeclared_server(tmp_path: Path) -> Iterator[Running]:
    """The same, for one test alone."""
    with running(tmp_path) as it:
        yield it
