"""Errors of libraries, in a line."""

import pytest

from search.system.errors import first_line, with_kind

pytestmark = pytest.mark.quick
CALL = "Exception encountered when calling Mine.call().\n\n\x1b[1m{}\x1b[0m\n\nArguments received by Mine.call():\n  x"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no such name\nGiven: 3"), "no such name"),
        (ValueError("\n  Unknown layer\n"), "Unknown layer"),
        (ValueError(" \n"), "ValueError"),
        (KeyError("a"), "'a'"),
        (KeyError(CALL.format("a")), "Exception encountered when calling Mine.call(). a"),
        (TypeError(CALL.format("3 is odd")), "Exception encountered when calling Mine.call(). 3 is odd"),
        (ValueError("x" * 1000), "x" * 400),
    ],
)
def test_the_line_that_says_why_is_found(error, line):
    kind = type(error).__name__
    assert first_line(error) == line
    assert with_kind(error) == (kind if line == kind else f"{kind}: {line}")
