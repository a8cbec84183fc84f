"""How the page looks: light and dark by the reader's own setting, and on a narrow screen as well."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5b6570; --line: #d5dae0; --paper: #ffffff;
  --card: #f5f7f9; --good: #0a6b3d; --bad: #b3261e; --odd: #8a5a00; --mark: #fff1c9; --code: #eceff2;
  --lane: #c3cad2; --sql: #2457a6; --stripe: #6b3fa0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #9aa5b1; --line: #343c45;
  --paper: #14181c; --card: #1c2228; --good: #5fd39a; --bad: #ff8a80; --odd: #f0bd5b; --mark: #4a3d12;
  --code: #242b32;
  --lane: #46515c; --sql: #8ab4f8; --stripe: #c8a2ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.25rem;
  background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1.05rem; margin: 1.25rem 0 .35rem; } p { margin: .35rem 0; }
a { color: inherit; } a:focus-visible, summary:focus-visible, [tabindex]:focus-visible {
  outline: 3px solid var(--sql); outline-offset: 2px; border-radius: 3px; }
.soft { color: var(--soft); } .clean { color: var(--good); } .violated { color: var(--bad); }
.inconclusive, .skipped, .interrupted { color: var(--odd); } .verdict { font-weight: 700; }
nav { margin: .75rem 0; } nav a { margin-right: 1rem; display: inline-block; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0;
  border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .25rem 1rem 1rem; margin: 1rem 0; }
ol.proof { padding-left: 1.4rem; margin: .35rem 0; } ol.proof li { margin: .25rem 0; }
.conclusion { border-left: 4px solid var(--bad); padding-left: .75rem; }
details { margin: .15rem 0; } summary { cursor: pointer; }
details.step > summary { font-family: ui-monospace, monospace; font-size: .85rem; }
details.step.marked > summary { background: var(--mark); }
pre, code { font-family: ui-monospace, monospace; font-size: .85rem; }
pre { background: var(--code); border-radius: 6px; padding: .6rem; margin: .35rem 0; overflow-x: auto;
  white-space: pre-wrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .9rem; margin: .35rem 0; }
dt { color: var(--soft); } dd { margin: 0; min-width: 0; }
svg { display: block; min-width: 44rem; width: 100%; height: auto; font: 12px ui-monospace, monospace; }
svg text { fill: var(--ink); } svg .head { font-weight: 700; } svg .soft { fill: var(--soft); }
svg .lane { stroke: var(--lane); } svg .sql { stroke: var(--sql); fill: none; } svg .dot { fill: var(--ink); }
svg .stripe { stroke: var(--stripe); fill: none; }
svg .open { stroke: var(--sql); stroke-width: 5; opacity: .35; }
svg .waits { stroke: var(--odd); stroke-width: 3; stroke-dasharray: 3 3; } svg .marked { fill: var(--mark); }
svg .pair { stroke: var(--bad); stroke-width: 2; fill: none; }
@media (max-width: 40rem) { body { padding: .75rem; } dl { grid-template-columns: 1fr; }
  dd { margin-bottom: .4rem; } }
@media print { details { break-inside: avoid; } }
"""
