"""Notebooks of every format become the cells that JupyterLab shows; what is none is refused with why."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from coursectl.errors import CourseFileError
from coursectl.model.notebook import Notebook, number_lines
from coursectl.notebooks import is_notebook, read_notebook, to_ipynb

HEADER = """---
jupyter:
  jupytext:
    text_representation: {extension: .md, format_name: markdown}
  kernelspec: {display_name: P, language: python, name: gone}
---
"""
MYST = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: P, language: python, name: gone}
---

# Title

+++ {"tags": ["z"]}

more

```{code-cell} ipython3
:tags: [hide-input, x]

a = 1

b = 2
```

```{code-cell}
---
tags: [q]
---
c = 3
```

```python
no = 1
```

````{note}
```{code-cell}
inner = 1
```
````

```{raw-cell}
r
```
"""


def read(folder: Path, name: str, text: str) -> Notebook:
    (folder / name).write_text(text, encoding="utf-8")
    return read_notebook(folder / name, name)


def cells(notebook: Notebook) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(c.kind, c.source, c.tags) for c in notebook.cells]


def check_lines(notebook: Notebook, text: str) -> None:
    """Every cell of a text notebook begins on the line that it says."""
    lines = text.split("\n")
    for cell in notebook.cells:
        assert cell.source.split("\n")[0] in lines[cell.line - 1], cell


def test_myst_loses_options_splits_or_runs_what_is_only_shown(tmp_path: Path) -> None:
    notebook = read(tmp_path, "a.md", MYST)
    assert (notebook.format, notebook.kernel) == ("myst", "gone")
    shown = "```python\nno = 1\n```\n\n````{note}\n```{code-cell}\ninner = 1\n```\n````"
    assert cells(notebook) == [  # as jupytext 1.19 reads it
        ("markdown", "# Title", ()),
        ("markdown", "more", ("z",)),
        ("code", "a = 1\n\nb = 2", ("hide-input", "x")),
        ("code", "c = 3", ("q",)),
        ("markdown", shown, ()),
        ("raw", "r", ()),
    ]
    check_lines(notebook, MYST)


def test_jupytext_markdown_is_cut_elsewhere_than_in_jupyterlab(tmp_path: Path) -> None:
    text = HEADER + (
        '\n# Title\n\nsame cell\n\n\nsecond cell\n\n```python tags=["x", "y"]\nimport numpy\n\na = 1\n```\n\n'
        '```bash\nls\n```\n\n<!-- #region {"tags": ["r"]} -->\none\n\n\nstill one\n<!-- #endregion -->\n\n'
        "- a list\n\n  ```python\n  indented = 1\n  ```\n\n```python .noeval\nno = 1\n```\n"
    )
    notebook = read(tmp_path, "a.md", text)
    assert (notebook.format, notebook.kernel) == ("jupytext-md", "gone")
    assert cells(notebook) == [  # as jupytext 1.19 reads it
        ("markdown", "# Title\n\nsame cell", ()),
        ("markdown", "second cell", ()),
        ("code", "import numpy\n\na = 1", ("x", "y")),
        ("code", "%%bash\nls", ()),
        ("markdown", "one\n\n\nstill one", ("r",)),
        (
            "markdown",
            "- a list\n\n  ```python\n  indented = 1\n  ```\n\n```python .noeval\nno = 1\n```",
            (),
        ),
    ]


def test_plain_markdown_with_python_runs_its_shell_examples(tmp_path: Path) -> None:
    notebook = read(tmp_path, "a.md", "# T\n```python\nx = 1\n```\n```bash\npip install x\n```\n")
    assert [(c.kind, c.source, c.line) for c in notebook.code] == [("code", "x = 1", 3)]
    with pytest.raises(CourseFileError, match=r"^b\.md: not a notebook$"):
        read(tmp_path, "b.md", "# Only text\n```\nx\n```\n")


PERCENT = """#!/usr/bin/env python
# -*- coding: utf-8 -*-
# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: P, language: python, name: gone}
# ---

# %% [markdown]
# # Title
# text

# %% Fit tags=["x"]
# %matplotlib inline
import numpy
# !ls -l
x = 1  # %% no

# %% [raw]
# raw text

# %%
# %%time
a = 1
# plain comment
# # !a commented magic

# %% language="bash"
# echo hi

# %% [markdown] tags=["t"]
\"\"\"
Quoted
\"\"\"
# %%
# pip install emcee
# ?help
"""


def test_percent_scripts_keep_their_magics_commented(tmp_path: Path) -> None:
    notebook = read(tmp_path, "a.py", PERCENT)
    assert (notebook.format, notebook.kernel) == ("jupytext-py", "gone")
    assert cells(notebook) == [  # as jupytext 1.19 reads it
        ("markdown", "# Title\ntext", ()),
        ("code", "%matplotlib inline\nimport numpy\n!ls -l\nx = 1  # %% no", ("x",)),
        ("raw", "raw text", ()),
        ("code", "%%time\na = 1\n# plain comment\n# !a commented magic", ()),
        ("code", "%%bash\necho hi", ()),
        ("markdown", "Quoted", ("t",)),
        ("code", "# pip install emcee\n?help", ()),
    ]
    assert [c.line for c in notebook.cells] == [10, 14, 20, 23, 28, 33, 36]


def test_light_scripts_are_cut_within_functions(tmp_path: Path) -> None:
    text = (
        "# ---\n# jupyter:\n#   jupytext: {text_representation: {format_name: light}}\n# ---\n\n"
        "# # Title\n\nimport numpy\n# a comment in code\n\n\ndef f():\n    x = 1\n\n    return x\n\n"
        '# +\nc = 1\n\nd = 2\n# -\n\n# + [markdown] tags=["m"]\n# Md\n#\n# x\n# -\n\n'
        "# %matplotlib inline\ne = 3\n"
    )
    notebook = read(tmp_path, "a.py", text)
    assert cells(notebook) == [
        ("markdown", "# Title", ()),
        ("code", "import numpy\n# a comment in code", ()),
        ("code", "def f():\n    x = 1\n\n    return x", ()),
        ("code", "c = 1\n\nd = 2", ()),
        ("markdown", "Md\n\nx", ("m",)),
        ("code", "%matplotlib inline\ne = 3", ()),
    ]
    check_lines(read(tmp_path, "b.py", "# %%\nx = 1\n# %%\n\ny = 1\n"), "# %%\nx = 1\n# %%\n\ny = 1\n")


def test_old_notebooks_have_no_cells(tmp_path: Path) -> None:
    old = {
        "nbformat": 3,
        "metadata": {"name": ""},
        "worksheets": [
            {"cells": [{"cell_type": "heading", "level": 2, "source": ["T"]}]},
            {"cells": [{"cell_type": "code", "input": ["a\n", "b"], "language": "python", "outputs": []}]},
        ],
    }
    notebook = read(tmp_path, "a.ipynb", json.dumps(old))
    assert cells(notebook) == [("markdown", "## T", ()), ("code", "a\nb", ())]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.ipynb", b"", "not JSON"),
        ("a.ipynb", b'{"cells": [', "not JSON"),
        ("a.ipynb", b"[" * 100_000, "not JSON"),
        ("a.ipynb", b"[]", "not a notebook"),
        ("a.ipynb", b'{"cells": 3}', "not a notebook"),
        ("a.ipynb", b'{"cells": ["x = 1"]}', "cell 1 is not a cell"),
        ("a.ipynb", b"\xff\xfe{}", "not UTF-8"),
        ("a.py", b"import numpy\n", "not a notebook"),
        ("a.txt", b"x", "not a notebook"),
    ],
)
def test_a_file_that_is_no_notebook_is_a_traceback(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CourseFileError, match=f"^{name}: {message}") as caught:
        read_notebook(tmp_path / name, name)
    assert str(tmp_path) not in str(caught.value)


def test_a_wrong_option_does_not_name_its_line(tmp_path: Path) -> None:
    with pytest.raises(CourseFileError, match=r"^a\.md:[45]: ") as caught:
        read(tmp_path, "a.md", "text\n\n```{code-cell}\n:tags: [a\nx = 1\n```\n")
    assert caught.value.cause is not None
    with pytest.raises(CourseFileError, match=r"^b\.md:3: "):
        read(tmp_path, "b.md", "---\njupytext:\n\t- x\n---\n```{code-cell}\n```\n")


def test_the_document_that_is_run_is_no_notebook_or_changes_from_day_to_day(tmp_path: Path) -> None:
    for name, text in (("a.md", MYST), ("a.py", PERCENT)):
        notebook = read(tmp_path, name, text)
        made = to_ipynb(notebook)
        assert made == to_ipynb(read_notebook(tmp_path / name, name))
        nbformat.validate(made)
        (tmp_path / "again.ipynb").write_text(json.dumps(made), encoding="utf-8")
        again = read_notebook(tmp_path / "again.ipynb", "again.ipynb")
        assert cells(again) == cells(notebook)
        assert again.kernel == "python3"


def test_half_a_character_stops_the_run(tmp_path: Path) -> None:
    text = '{"cells": [{"cell_type": "code", "source": "x = \'\\ud83d\'"}]}'
    made = to_ipynb(read(tmp_path, "a.ipynb", text))
    json.dumps(made, ensure_ascii=False).encode("utf-8")


def test_pictures_in_markdown_are_lost(tmp_path: Path) -> None:
    cell = {"cell_type": "markdown", "source": "![](attachment:a.png)", "metadata": {}}
    cell["attachments"] = {"a.png": {"image/png": "AA=="}}
    made = to_ipynb(read(tmp_path, "a.ipynb", json.dumps({"cells": [cell]})))
    nbformat.validate(made)
    assert made["cells"][0]["attachments"] == cell["attachments"]  # type: ignore[index]


def test_scripts_and_readmes_are_taken_for_notebooks(tmp_path: Path) -> None:
    for name, text, expected in (
        ("helper.py", "import numpy\n", False),
        ("README.md", "# Course\n```python\nx\n```\n", False),
        ("a.py", "# %%\nx = 1\n", True),
        ("a.md", MYST, True),
        ("a.ipynb", "", True),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert is_notebook(tmp_path / name) is expected, name


def test_a_promised_number_is_misread() -> None:
    source = (
        "# coursectl: mass = 125.1 +- 0.3\nx = '''\n# coursectl: no = 1\n'''\n"
        "    # coursectl: fit(a=1)['b'] = -2.5e-3 ± 2%  # a comment\n#coursectl: n=3\n"
    )
    found = [(n.line, n.name, n.expected, n.tolerance, n.relative) for n in number_lines(source)]
    assert found == [
        (1, "mass", 125.1, 0.3, False),
        (5, "fit(a=1)['b']", -2.5e-3, 0.02, True),
        (6, "n", 3.0, None, False),
    ]


@pytest.mark.parametrize("line", ["mass 125", "mass = heavy", "mass == 3", "a b = 3", "mass = 3 +- x", ""])
def test_a_promise_that_says_nothing_is_overlooked(line: str) -> None:
    with pytest.raises(ValueError, match=r"line 2: .* does not say NAME = NUMBER"):
        list(number_lines(f"x = 1\n# coursectl: {line}"))
