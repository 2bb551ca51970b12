"""The looks of a table on a page, in light and dark, without touching anything outside it."""

from __future__ import annotations

from collections.abc import Mapping

from tokenomics_core.rendering._table import MAX_PRIORITY

__all__ = ["CLASS", "STYLE"]

CLASS = "tokenomics"

_LIGHT = {
    "bg": "#ffffff",
    "fg": "#1f2328",
    "muted": "#656d76",
    "line": "#d8dee4",
    "faint": "#eef1f4",
    "wash": "#f6f8fa",
    "bar": "#3f74b5",
    "good": "#1a7f4b",
    "good-bar": "#58a67e",
    "warning": "#8a5a00",
    "error": "#c0282d",
    "error-wash": "#fdecec",
}
_DARK = {
    "bg": "#14171c",
    "fg": "#e4e8ee",
    "muted": "#929ba7",
    "line": "#343b45",
    "faint": "#23282f",
    "wash": "#1c2128",
    "bar": "#6ba3e6",
    "good": "#63c795",
    "good-bar": "#63c795",
    "warning": "#dba63a",
    "error": "#ff8078",
    "error-wash": "#3a1f21",
}

# How a page says that it is dark or light whatever the system prefers: JupyterLab, VS Code, Colab, Sphinx.
_SAYS_DARK = (
    'body[data-jp-theme-light="false"]',
    "body.vscode-dark",
    'html[theme="dark"]',
    'html[data-theme="dark"]',
)
_SAYS_LIGHT = (
    'body[data-jp-theme-light="true"]',
    "body.vscode-light",
    'html[theme="light"]',
    'html[data-theme="light"]',
)


def _palette(colours: Mapping[str, str]) -> str:
    return ";".join(f"--tk-{name}:{value}" for name, value in colours.items())


def _where(pages: tuple[str, ...], colours: Mapping[str, str]) -> str:
    return f"{','.join(f'{page} .{CLASS}' for page in pages)}{{{_palette(colours)}}}"


# A doubled class outweighs the rules that notebooks lay over every table.
_RULES = """
.C.C{container-type:inline-size;margin:4px 0 8px}
.C.C .tk-card{box-sizing:border-box;display:inline-block;max-width:100%;padding:14px 18px 12px;
background:var(--jp-layout-color0,var(--vscode-editor-background,var(--tk-bg)));
color:var(--jp-content-font-color1,var(--vscode-editor-foreground,var(--tk-fg)));
border:1px solid var(--tk-line);border-radius:8px;
font-family:var(--jp-ui-font-family,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif);
font-size:13px;line-height:1.4;font-variant-numeric:tabular-nums lining-nums;text-align:left}
.C.C .tk-title{font-size:15px;font-weight:600}
.C.C .tk-subtitle{color:var(--tk-muted);font-weight:400;font-size:12px;margin-left:10px}
.C.C dl.tk-figures{display:flex;flex-wrap:wrap;gap:6px 30px;margin:10px 0 12px;padding:0}
.C.C dl.tk-figures>div{margin:0}
.C.C dl.tk-figures dt,.C.C dl.tk-figures dd{margin:0;padding:0;width:auto;float:none}
.C.C dl.tk-figures dt{font-size:11px;font-weight:400;color:var(--tk-muted)}
.C.C dl.tk-figures dd{font-size:19px;font-weight:600;line-height:1.25;letter-spacing:-.01em;
white-space:nowrap}
.C.C dl.tk-figures dd small{font-size:12px;font-weight:400;letter-spacing:0;margin-left:6px}
.C.C .tk-scroll{overflow-x:auto}
.C.C table{border-collapse:collapse;border:0;margin:0;width:auto;min-width:100%;table-layout:auto;
font-size:13px;background:transparent;color:inherit}
.C.C table caption,.C.C .tk-hidden{position:absolute;width:1px;height:1px;overflow:hidden;
clip-path:inset(50%);white-space:nowrap}
.C.C table tr,.C.C table tbody tr:nth-child(odd),.C.C table tbody tr:nth-child(even){
background:transparent;border:0}
.C.C table th,.C.C table td{padding:4px 0 4px 18px;border:0;background:transparent;color:inherit;
font-size:13px;font-weight:400;line-height:1.35;text-align:right;vertical-align:baseline;
white-space:nowrap;max-width:none}
.C.C table tr>:first-child{padding-left:6px}
.C.C table tr>:last-child{padding-right:6px}
.C.C table .tk-left{text-align:left}
.C.C table .tk-center{text-align:center}
.C.C table thead th{font-size:11.5px;font-weight:500;color:var(--tk-muted);vertical-align:bottom;
padding-bottom:5px;border-bottom:1px solid var(--tk-line)}
.C.C table thead th:first-child,.C.C table th.tk-group{font-size:12px;font-weight:600;color:inherit}
.C.C table th.tk-group{padding-top:16px;padding-bottom:5px;text-align:left;
border-bottom:1px solid var(--tk-line)}
.C.C table tbody tr+tr:not(.tk-first)>*{border-top:1px solid var(--tk-faint)}
.C.C table tbody tr.tk-row:hover>*{background:var(--tk-wash)}
.C.C table tfoot tr>*{border-top:1.5px solid var(--tk-line);font-weight:600;padding-top:7px}
.C.C table .tk-part{padding-left:13px;font-size:12px;color:var(--tk-muted)}
.C.C table .tk-strong{font-weight:600}
.C.C .tk-muted{color:var(--tk-muted)}
.C.C .tk-good{color:var(--tk-good)}
.C.C .tk-warning{color:var(--tk-warning)}
.C.C .tk-error{color:var(--tk-error)}
.C.C .tk-zero{color:var(--tk-muted);opacity:.65}
.C.C .tk-tilde{color:var(--tk-muted);font-weight:400}
.C.C .tk-pill{background:var(--tk-error-wash);border-radius:4px;padding:0 6px;margin-right:-6px;
font-weight:600}
.C.C table .tk-note{display:block;font-size:11px;font-weight:500;line-height:1.2}
.C.C .tk-decimals{display:inline-block;text-align:left}
.C.C .tk-bar{display:flex;width:104px;height:9px;border-radius:2.5px;overflow:hidden;
background:var(--tk-faint);print-color-adjust:exact;-webkit-print-color-adjust:exact;
forced-color-adjust:none}
.C.C .tk-bar i{display:block;height:100%;min-width:2px;flex:none;
--tk-ink:var(--tk-bar);background:var(--tk-ink)}
.C.C .tk-bar i.tk-good{--tk-ink:var(--tk-good-bar)}
.C.C .tk-bar i.tk-warning{--tk-ink:var(--tk-warning)}
.C.C .tk-bar i.tk-error{--tk-ink:var(--tk-error)}
.C.C .tk-bar i.tk-muted{--tk-ink:var(--tk-muted)}
.C.C .tk-bar i.tk-hatched{
background:repeating-linear-gradient(135deg,var(--tk-ink) 0 1.5px,transparent 1.5px 4px)}
.C.C ul.tk-notices{list-style:none;margin:10px 0 0;padding:7px 6px 0;font-size:12px;
border-top:1px solid var(--tk-faint)}
.C.C ul.tk-notices li{margin:2px 0;padding:0;white-space:normal;max-width:92ch}
.C.C ul.tk-notices li.tk-error{font-weight:500}
""".replace(".C.C", f".{CLASS}.{CLASS}").replace("\n", "")

# Where the page is narrow, columns go by their priority, as in a terminal; the rest can be scrolled to.
_NARROW = "".join(
    f"@container (max-width:{470 + 90 * priority}px){{.{CLASS}.{CLASS} .tk-p{priority}{{display:none}}}}"
    for priority in range(1, MAX_PRIORITY + 1)
)

STYLE = (
    f".{CLASS}{{{_palette(_LIGHT)}}}"
    f"@media (prefers-color-scheme:dark){{.{CLASS}{{{_palette(_DARK)}}}}}"
    f"{_where(_SAYS_LIGHT, _LIGHT)}{_where(_SAYS_DARK, _DARK)}{_RULES}{_NARROW}"
)
