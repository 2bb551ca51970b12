"""How the page of an audit looks and the little that moves on it; both may be left out by a browser."""

from __future__ import annotations

__all__ = ["SCRIPT", "STYLE"]

_LIGHT = (
    "--bg:#fff;--card:#f6f8fa;--fg:#1f2328;--muted:#59626c;--line:#d0d7de;--faint:#e9edf1;--bar:#3f74b5;"
    "--waste:#b35900;--link:#0a58ca;--good:#1a7f4b;--code:#eef1f4;--focus:#0a58ca"
)
_DARK = (
    "--bg:#14171c;--card:#1c2128;--fg:#e4e8ee;--muted:#a3acb8;--line:#3a424d;--faint:#262c34;--bar:#6ba3e6;"
    "--waste:#f0a04b;--link:#8ab8ff;--good:#63c795;--code:#23282f;--focus:#8ab8ff"
)

STYLE = f""":root{{color-scheme:light dark;{_LIGHT}}}
@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}
*{{box-sizing:border-box}}
body{{margin:0;background:var(--bg);color:var(--fg);line-height:1.5;font-size:16px;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;
font-variant-numeric:tabular-nums;overflow-wrap:anywhere}}
a{{color:var(--link)}}
:focus-visible{{outline:3px solid var(--focus);outline-offset:2px;border-radius:3px}}
.skip{{position:absolute;left:8px;top:-60px;padding:8px 14px;background:var(--bg);
border:1px solid var(--line)}}
.skip:focus{{top:8px;z-index:2}}
header,main,footer{{max-width:1080px;margin:0 auto;padding:0 20px}}
header{{padding-top:28px}}
h1{{font-size:1.75rem;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}}
h2{{font-size:1.3rem;margin:44px 0 6px;padding-top:18px;border-top:1px solid var(--line)}}
h3{{font-size:1.05rem;margin:30px 0 6px}}
p{{margin:6px 0 10px;max-width:76ch}}
.muted,footer{{color:var(--muted)}}
footer{{margin-top:48px;padding-bottom:40px;font-size:.875rem}}
nav ul{{display:flex;flex-wrap:wrap;gap:4px 20px;list-style:none;margin:14px 0 0;padding:0}}
nav a,.figures a{{display:inline-block;padding:5px 0}}
.figures{{display:flex;flex-wrap:wrap;gap:14px 36px;margin:18px 0}}
.figures div{{min-width:110px}}
.figures dt{{font-size:.8125rem;color:var(--muted)}}
.figures dd{{margin:0;font-size:1.5rem;font-weight:600;letter-spacing:-.01em}}
.figures dd small{{font-size:.875rem;font-weight:400;color:var(--muted);letter-spacing:0}}
article{{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:4px 18px 14px;margin:16px 0}}
article h3{{margin-top:14px}}
article .figures{{margin:8px 0 10px;gap:8px 30px}}
article .figures dd{{font-size:1.1rem}}
.fix{{position:relative;margin:4px 0 8px}}
.fix span{{display:block;font-size:.8125rem;color:var(--muted);margin-bottom:3px}}
pre{{margin:0;padding:11px 12px;background:var(--code);border:1px solid var(--line);border-radius:6px;
overflow-x:auto;white-space:pre;overflow-wrap:normal;font-size:.875rem}}
code,pre{{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}}
button{{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer}}
.copy{{margin-top:7px;padding:4px 14px;border:1px solid var(--line);border-radius:6px;background:var(--bg);
font-size:.875rem}}
th button{{font-weight:inherit;text-align:inherit;padding:4px 0;white-space:nowrap}}
th button::after{{content:"\\2195";display:inline-block;width:1.1em;text-align:center;color:var(--muted)}}
th[aria-sort=descending] button::after{{content:"\\2193";color:inherit}}
th[aria-sort=ascending] button::after{{content:"\\2191";color:inherit}}
.scroll{{overflow-x:auto;max-width:100%;margin:8px 0 14px}}
table{{border-collapse:collapse;width:100%;font-size:.9375rem}}
article table{{width:auto;min-width:min(100%,26rem)}}
caption{{text-align:left;color:var(--muted);font-size:.8125rem;padding-bottom:5px}}
th,td{{text-align:left;vertical-align:baseline;padding:6px 20px 6px 0;border-bottom:1px solid var(--faint);
font-weight:400}}
td,thead th{{overflow-wrap:normal;white-space:nowrap}}
th:last-child,td:last-child{{padding-right:2px}}
thead th{{font-weight:600;font-size:.8125rem;border-bottom:1px solid var(--line);vertical-align:bottom}}
tbody th,tfoot th{{min-width:10.5rem;max-width:30rem}}
tfoot th,tfoot td{{font-weight:600;border-top:1px solid var(--line);border-bottom:0}}
.number{{text-align:right;white-space:nowrap}}
.unknown{{color:var(--muted);font-style:italic}}
tr[data-rest]{{color:var(--muted)}}
details{{margin:6px 0 12px}}
summary{{cursor:pointer;padding:6px 0;color:var(--link)}}
details ul{{margin:4px 0;padding-left:22px}}
figure{{margin:10px 0 0}}
figcaption{{font-size:.875rem;color:var(--muted)}}
.key{{display:inline-block;width:30px;height:11px;vertical-align:-1px;margin:0 6px 0 2px}}
.chart{{display:block;width:100%;height:auto;font-size:12px;overflow:visible}}
.chart.narrow{{display:none}}
.chart text{{fill:var(--fg)}}
.chart .tick,.chart .title{{fill:var(--muted)}}
.chart .grid{{stroke:var(--faint)}}
.chart .axis{{stroke:var(--muted)}}
.chart .bar{{fill:var(--bar)}}
.ground{{fill:var(--bg)}}
.stroke{{fill:var(--waste)}}
.notice{{border-left:4px solid var(--waste);padding:4px 0 4px 14px;margin:14px 0}}
.good{{border-left:4px solid var(--good);padding:4px 0 4px 14px;margin:14px 0}}
.notice p,.good p{{margin:2px 0}}
.hidden{{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}}
@media (max-width:640px){{
body{{font-size:15px}}header,main,footer{{padding-left:14px;padding-right:14px}}
.chart.wide{{display:none}}.chart.narrow{{display:block}}
article{{padding:2px 13px 12px}}.figures dd{{font-size:1.25rem}}
th,td{{padding-right:12px}}tbody th,tfoot th{{min-width:9rem;max-width:13rem}}
}}
@media print{{.copy,.skip,nav{{display:none}}article{{break-inside:avoid}}}}
@media (prefers-reduced-motion:no-preference){{html{{scroll-behavior:smooth}}}}
"""

SCRIPT = """(() => {
"use strict";
const status = document.getElementById("status");
const value = (row, column) => row.cells[column].dataset.v;
const sort = (table, heads, column) => {
  const head = heads[column], numbers = table.tBodies[0].querySelector(`td:nth-child(${column + 1})[data-v]`);
  const before = head.getAttribute("aria-sort");
  const down = before ? before === "ascending" : Boolean(numbers);
  const rows = [...table.tBodies[0].rows];
  const compare = numbers
    ? (a, b) => Number(value(a, column)) - Number(value(b, column))
    : (a, b) => a.cells[column].textContent.localeCompare(b.cells[column].textContent);
  const last = (row) => Number("rest" in row.dataset);
  rows.sort((a, b) => last(a) - last(b) || (down ? -compare(a, b) : compare(a, b)));
  table.tBodies[0].append(...rows);
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  status.textContent = `sorted by ${head.textContent}, ${down ? "largest" : "smallest"} first`;
};
document.querySelectorAll("table[data-sort]").forEach((table) => {
  if (table.tBodies[0].rows.length < 2) return;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, heads, column));
  });
});
document.querySelectorAll(".fix").forEach((fix) => {
  const code = fix.querySelector("code"), button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${fix.dataset.of}`);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      status.textContent = button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      status.textContent = button.textContent = "Selected; copy it with the keyboard";
    }
  });
  fix.append(button);
});
})();
"""
