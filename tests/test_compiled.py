"""What numba compiles works with and without a place to keep it."""

import pytest
from numba.core.caching import CompileResultCacheImpl

from lossprint.compiled import compiled


def twice(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize("kept", [True, False])
def test_functions_are_compiled_where_nothing_can_be_kept(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kept:  # as for a user without a home, of an installation that is read-only
        monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [])
    assert compiled(twice).py_func is twice
    assert compiled(error_model="numpy")(twice).targetoptions["error_model"] == "numpy"
