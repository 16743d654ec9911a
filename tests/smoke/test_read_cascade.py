"""Which errors are consequences of another. A root error that is called a consequence is never looked at."""

from __future__ import annotations

from coursectl.model.execution import CellRun
from coursectl.model.suite import CellError
from coursectl.workflows.smoke_read_cascade import cascade
from smoke.read_kit import book


def run(cell: int, error: tuple[int | None, str, str] | None = None, *defined: str) -> CellRun:
    """What came of a cell; `error` is its line, name and message."""
    made = None
    if error is not None:
        made = CellError(cell=cell, line=error[0], name=error[1], message=error[2], traceback="")
    return CellRun(cell=cell, seconds=0, error=made, warnings=(), defined=defined)


def causes(sources: list[str], *runs: CellRun) -> dict[int, int | None]:
    given = {r.cell: r for r in runs}
    every = [given.get(n, run(n)) for n in range(1, len(sources) + 1)]
    return {e.cell: e.cascade_of for e in cascade(book(*sources), every)}


def undefined(line: int, name: str) -> tuple[int, str, str]:
    return (line, "NameError", f"name '{name}' is not defined")


def test_a_missing_name_is_a_breakage_of_its_own() -> None:
    sources = ["x = np.float(1)\ny = 2", "print(y)", "z = y + 1\nw = 3", "print(w)", "print(other)"]
    found = causes(
        sources,
        run(1, (1, "AttributeError", "module 'numpy' has no attribute 'float'")),
        run(2, undefined(1, "y")),
        run(3, undefined(1, "y")),
        run(4, undefined(1, "w")),
        run(5, undefined(1, "other")),
    )
    assert found == {1: None, 2: 1, 3: 1, 4: 1, 5: None}


def test_what_ran_before_the_error_counts_as_undone() -> None:
    sources = ["a = 1\nfor i in range(3):\n    b = i\n    c = fail(i)", "print(a.x, b)", "print(b.x)"]
    found = causes(
        sources,
        run(1, (4, "ValueError", "no"), "a", "i", "b"),
        run(2, undefined(1, "b")),
        run(3, (1, "AttributeError", "'NoneType' object has no attribute 'x'")),
    )
    assert found == {1: None, 2: None, 3: None}


def test_an_error_within_a_function_hides_what_it_needs() -> None:
    sources = ["def area(r):\n    return PI * r", "PI = load()", "area(2)", "class A:\n    x = PI"]
    found = causes(
        sources,
        run(2, (1, "OSError", "no file")),
        run(3, undefined(1, "PI")),
        run(4, undefined(2, "PI")),
    )
    assert found == {2: None, 3: 2, 4: 2}


def test_an_older_value_that_another_cell_replaced_is_blamed() -> None:
    sources = ["model = None", "model = fit()", "model.predict(x)", "model = other()", "model.score(x)"]
    none = (1, "AttributeError", "'NoneType' object has no attribute 'predict'")
    found = causes(sources, run(2, (1, "TypeError", "x")), run(3, none), run(5, none))
    assert found == {2: None, 3: 2, 5: None}


def test_another_signature_or_a_vanished_attribute_is_hidden_by_an_earlier_failure() -> None:
    sources = ["import pandas as pd\ndf = pd.read()", "df = df.dropna()", *["df.use()"] * 5]
    found = causes(
        sources,
        run(2, (1, "ValueError", "x")),
        run(3, (1, "AttributeError", "'DataFrame' object has no attribute 'append'")),
        run(4, (1, "TypeError", "use() got an unexpected keyword argument 'sparse'")),
        run(5, (1, "AttributeError", "module 'pandas' has no attribute 'Panel'")),
        run(6, (1, "ImportError", "cannot import name 'x'")),
        run(7, (1, "ValueError", "shapes do not match")),
    )
    assert found == {2: None, 3: None, 4: None, 5: None, 6: None, 7: 2}


def test_a_column_a_file_or_a_fit_that_was_not_made_is_a_breakage_of_its_own() -> None:
    sources = [
        "df = table()\nmodel = Model()",
        "fail()\ndf['mass'] = 1\ndf.to_csv('out/mass.csv')\nmodel.fit(df)\nself.width = 3",
        *["df['mass'].mean()", "read('out/mass.csv')", "print(model.coef_)", "model.predict(df)", "me.width"],
        "read('other.csv')",
    ]
    found = causes(
        sources,
        run(2, (1, "RuntimeError", "x")),
        run(3, (1, "KeyError", "'mass'")),
        run(4, (1, "FileNotFoundError", "[Errno 2] No such file or directory: 'out/mass.csv'")),
        run(5, (1, "AttributeError", "'Model' object has no attribute 'coef_'")),
        run(6, (1, "NotFittedError", "call fit first")),
        run(7, (1, "AttributeError", "'Me' object has no attribute 'width'")),
        run(8, (1, "FileNotFoundError", "[Errno 2] No such file or directory: 'other.csv'")),
    )
    assert found == {2: None, 3: 2, 4: 2, 5: 2, 6: 2, 7: 2, 8: None}


def test_a_stale_value_is_not_followed_through_cells_that_ran() -> None:
    sources = ["x = [1]", "x = long(x)", "y = 2 * x", "use(y)", "y = 3\nuse(y)"]
    wrong = (1, "ValueError", "too short")
    found = causes(sources, run(2, wrong), run(4, wrong), run(5, (2, "ValueError", "too short")))
    assert found == {2: None, 4: 2, 5: None}


def test_a_module_that_was_to_be_imported_again_is_blamed_for_all() -> None:
    sources = ["import numpy as np", "fail()\nimport numpy as np\nnp.random.seed(1)", "np.load('x')"]
    found = causes(
        sources, run(2, (1, "NameError", "name 'fail' is not defined")), run(3, (1, "ValueError", "x"))
    )
    assert found == {2: None, 3: None}


def test_a_cell_that_is_no_python_defines_nothing() -> None:
    sources = ["import numpy as np\nprint 'x'\nx = 1\ndef f(): pass", "print(x)", "f()", "np.zeros(3)"]
    found = causes(
        sources,
        run(1, (None, "SyntaxError", "invalid syntax")),
        run(2, undefined(1, "x")),
        run(3, undefined(1, "f")),
        run(4, undefined(1, "np")),
    )
    assert found == {1: None, 2: 1, 3: 1, 4: 1}


def test_a_star_import_defines_nothing() -> None:
    found = causes(
        ["from pylab import *", "plot(x)"],
        run(1, (1, "ModuleNotFoundError", "No module named 'pylab'")),
        run(2, undefined(1, "plot")),
    )
    assert found == {1: None, 2: 1}
