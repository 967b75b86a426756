"""The style and the script of the HTML report. Both stand in the page itself, which loads nothing."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #1b1f24; --soft: #59636e; --line: #d1d9e0; --tint: #f6f8fa;
  --good: #1a7f37; --held: #9a6700; --bad: #cf222e; --dry: #0969da;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #0d1117; --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --tint: #161b22;
    --good: #3fb950; --held: #d29922; --bad: #f85149; --dry: #58a6ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main { max-width: 90rem; margin: 0 auto; padding: 1.5rem clamp(1rem, 3vw, 2.5rem) 3rem; }
header { border-left: .4rem solid var(--soft); padding: .1rem 0 .1rem 1rem; }
header.good { border-color: var(--good); }
header.held { border-color: var(--held); }
header.bad { border-color: var(--bad); }
header p { margin: .25rem 0; }
.what { color: var(--soft); font-size: .875rem; }
.note { color: var(--held); }
h1 { font-size: clamp(1.3rem, 4vw, 1.8rem); line-height: 1.25; margin: .1rem 0 .4rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 0 0 .4rem; font-weight: normal; color: var(--soft); }
p, li { max-width: 75ch; overflow-wrap: anywhere; }
code, dd { font-family: ui-monospace, SFMono-Regular, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
code { font-size: .8125rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: .6rem 2rem; }
dl div { min-width: 0; }
dt { color: var(--soft); font-size: .8125rem; }
dd { margin: 0; font-size: .8125rem; overflow-wrap: anywhere; }
.counts { display: flex; flex-wrap: wrap; gap: .6rem; list-style: none; margin: 0; padding: 0; }
.counts li { border: 1px solid var(--line); border-radius: .5rem; padding: .4rem .9rem;
  background: var(--tint);
}
.counts b { display: block; font-size: 1.35rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem; border-top: 1px solid var(--line); }
thead th { background: var(--tint); border-top: 0; padding: 0; white-space: nowrap; }
td[data-label="Size"] { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td > span:not(.pill), td > code { display: block; overflow-wrap: anywhere; }
td code { white-space: nowrap; }
th button {
  width: 100%; font: inherit; font-weight: 600; color: inherit; background: none; border: 0; text-align: left;
  padding: .5rem .75rem; cursor: pointer;
}
th button::after { content: " ↕"; color: var(--soft); opacity: .6; }
th[aria-sort="ascending"] button::after { content: " ↑"; opacity: 1; }
th[aria-sort="descending"] button::after { content: " ↓"; opacity: 1; }
.pill {
  display: inline-block; border: 1px solid currentColor; border-radius: 1rem; padding: 0 .6rem;
  color: var(--soft); font-size: .8125rem; white-space: nowrap;
}
.pill.good { color: var(--good); }
.pill.held { color: var(--held); }
.pill.bad { color: var(--bad); }
.pill.dry { color: var(--dry); }
article { border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; margin: 0 0 .8rem; }
article p { margin: .3rem 0; }
ul.ids { list-style: none; padding: 0; margin: .4rem 0 0; columns: 21rem auto; column-gap: 2rem; }
ul.ids li { break-inside: avoid; }
ul.plain { margin: .3rem 0; padding-left: 1.2rem; }
q { color: var(--soft); }
@media screen and (max-width: 60rem) {
  .wide { border: 0; overflow: visible; }
  table, tbody, tr, td { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr { border: 1px solid var(--line); border-radius: .5rem; padding: .4rem .8rem; margin: 0 0 .8rem; }
  td, td[data-label="Size"] {
    display: grid; grid-template-columns: 8.5rem minmax(0, 1fr); text-align: left;
    border: 0; padding: .15rem 0;
  }
  td::before { content: attr(data-label); color: var(--soft); font-size: .8125rem; }
  td > span, td > code { grid-column: 2; }
  td code { white-space: normal; overflow-wrap: anywhere; }
  td .pill { justify-self: start; }
}
@media screen and (max-width: 28rem) {
  td, td[data-label="Size"] { grid-template-columns: 5.2rem minmax(0, 1fr); }
  td code { font-size: .6875rem; }
}
@media print {
  :root {
    --paper: #fff; --ink: #000; --soft: #444; --line: #999; --tint: #fff;
    --good: #000; --held: #000; --bad: #000; --dry: #000;
  }
  @page { margin: 1.5cm; }
  body { font-size: 10pt; }
  dl { grid-template-columns: repeat(3, 1fr); gap: .3rem 1rem; }
  dd { font-size: 8pt; }
  main { padding: 0; max-width: none; }
  h2, h3 { break-after: avoid; }
  tr, article, .counts li { break-inside: avoid; }
  th button::after { content: ""; }
  .wide { overflow: visible; }
  table { font-size: 8pt; }
  th button { padding: .3rem .4rem; }
  th, td { padding: .3rem .4rem; }
  td code { white-space: normal; font-size: 7pt; }
}
"""

SCRIPT = """
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, row = head.parentElement;
    const down = head.getAttribute("aria-sort") === "ascending";
    const at = [...row.children].indexOf(head), body = row.closest("table").tBodies[0];
    for (const other of row.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const by = (line) => line.children[at].dataset.by;
    const order = (one, two) => by(one).localeCompare(by(two)) * (down ? -1 : 1);
    body.append(...[...body.rows].sort(order));
  });
}
"""
