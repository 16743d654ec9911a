"""How the HTML report looks. Text on its ground has a contrast of 4.5:1 or more: a test holds it."""

from __future__ import annotations

LIGHT = {
    "ground": "#ffffff",
    "raised": "#f4f5f7",
    "text": "#1b1d21",
    "quiet": "#55585f",
    "line": "#c9ccd2",
    "link": "#0b4fb3",
    "ok": "#146329",
    "warn": "#6f4700",
    "bad": "#9c1419",
}
DARK = {
    "ground": "#15171b",
    "raised": "#1f2228",
    "text": "#e8e9ec",
    "quiet": "#b2b6be",
    "line": "#4a4e57",
    "link": "#93bdff",
    "ok": "#7fdb98",
    "warn": "#f1c46b",
    "bad": "#ff9f97",
}


def _variables(colours: dict[str, str]) -> str:
    return ";".join(f"--{name}:{value}" for name, value in colours.items())


_RULES = """
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:1rem 1.25rem 4rem;background:var(--ground);color:var(--text);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
a{color:var(--link)}
a:focus-visible,summary:focus-visible,.wide:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-999rem}
.skip:focus{left:1rem;top:.5rem;background:var(--ground);padding:.5rem 1rem;z-index:1}
h1{font-size:1.7rem;line-height:1.25;margin:.5rem 0}
h2{font-size:1.3rem;margin:2.5rem 0 .5rem;padding-top:.5rem;border-top:1px solid var(--line)}
h3{font-size:1.05rem;margin:1.75rem 0 .5rem}
.lead{font-size:1.15rem;font-weight:600;margin:.25rem 0 1rem}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;list-style:none;margin:0;padding:0}
dl{margin:0 0 1rem}
dl div{display:flex;flex-wrap:wrap;gap:0 .75rem}
dt{min-width:9rem;color:var(--quiet)}
dd{margin:0;overflow-wrap:anywhere}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%}
caption{text-align:left;color:var(--quiet);padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line)}
thead th{white-space:nowrap}
tbody th{font-weight:500;overflow-wrap:anywhere;min-width:14rem}
.badge{white-space:nowrap;font-weight:600;font-size:.95rem}
.ok{color:var(--ok)}
.warn{color:var(--warn)}
.bad{color:var(--bad)}
.note,.what,.count{color:var(--quiet);font-size:.875rem;margin:.5rem 0 .15rem}
summary{cursor:pointer;padding:.35rem 0;color:var(--link)}
pre{margin:0;padding:.6rem .8rem;background:var(--raised);border-radius:4px;white-space:pre-wrap;
overflow-wrap:anywhere;font:.875rem/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,
"DejaVu Sans Mono",monospace}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
pre code{font:inherit}
.cell{margin:0 0 1rem;padding-left:.9rem;border-left:3px solid var(--line)}
.cell.text{border-left-color:transparent;white-space:pre-wrap}
.cell.broken{border-left:6px solid var(--bad)}
.text p,.text pre{margin:0 0 .5rem;white-space:pre-wrap}
.text .h{font-weight:700;font-size:1.05rem}
.output{background:transparent;border:1px solid var(--line)}
.output.bad{border-color:var(--bad)}
.said{margin:.4rem 0}
img{display:block;max-width:100%;height:auto;background:#ffffff;margin:.4rem 0}
iframe{display:block;width:100%;border:1px solid var(--line);background:var(--ground);margin:.4rem 0}
footer{margin-top:3rem;color:var(--quiet);font-size:.875rem}
@media print{details::details-content{display:block}.skip{display:none}}
"""

CSS = (
    f":root{{color-scheme:light dark;{_variables(LIGHT)}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}" + _RULES
)
