/** Styles of the page at /, besides those that all pages share. */
export const STYLE = `
:root { --good: var(--series-2); --bad: var(--series-1); --raised: #f5f6f8; }
@media (prefers-color-scheme: dark) { :root { --raised: #1d2127; } }
a { color: var(--series-0); text-underline-offset: 0.2em; }
:focus-visible { outline: 2px solid var(--series-0); outline-offset: 2px; }
code { font-family: ui-monospace, monospace; font-size: 0.9375em; color: var(--ink); }
header {
  display: flex; flex-wrap: wrap; align-items: baseline; gap: 0.5rem 1.25rem; padding-bottom: 1rem;
  border-bottom: 1px solid var(--line);
}
header h1, header p { margin: 0; }
#version { font-weight: 400; color: var(--dim); }
nav { margin-left: auto; display: flex; gap: 1rem; }
nav a { padding: 0.25rem 0; }
#state { color: var(--ink); }
#state::before {
  content: ""; display: inline-block; width: 0.625rem; height: 0.625rem; margin-right: 0.5rem;
  border: 2px solid var(--dim); border-radius: 50%;
}
#state.live::before { border-color: var(--good); background: var(--good); }
#state.trouble::before { border-color: var(--bad); background: var(--bad); border-radius: 0; }
#uptime { font-variant-numeric: tabular-nums; }
button {
  padding: 0.25rem 0.75rem; font: inherit; font-size: 0.875rem; color: inherit; background: none;
  border: 1px solid var(--dim); border-radius: 0.375rem; cursor: pointer;
}
button:hover { background: var(--raised); }
button[aria-pressed="true"] { color: var(--paper); background: var(--ink); border-color: var(--ink); }
#hint {
  margin: 1.5rem 0 0; padding: 0.75rem 1rem; background: var(--raised);
  border-left: 3px solid var(--series-0); border-radius: 0.25rem;
}
#traffic-title { margin-top: 1.5rem; }
.tiles {
  display: grid; gap: 0.75rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 9rem), 1fr)); margin: 0 0 1.75rem;
}
.tiles div { padding: 0.75rem 1rem; background: var(--raised); border-radius: 0.5rem; }
.tiles dt { display: flex; justify-content: space-between; align-items: center; gap: 0.5rem; font-weight: 600; }
.tiles dd { font-size: 0.875rem; color: var(--dim); font-variant-numeric: tabular-nums; }
.rate span { font-size: 1.75rem; line-height: 1.4; font-weight: 600; color: var(--ink); }
.swatch { flex: none; }
.replies { color: var(--series-0); }
.drops { color: var(--series-1); }
.overruns { color: var(--series-3); }
.plot { height: 12rem; }
.reading { margin: 0.25rem 0 0; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
section > p { font-size: 0.875rem; }
.scroll {
  background:
    linear-gradient(to left, transparent, var(--paper) 1.5rem) 0 0 / 3rem 100% no-repeat local,
    linear-gradient(to right, transparent, var(--paper) 1.5rem) 100% 0 / 3rem 100% no-repeat local,
    linear-gradient(to right, var(--line), transparent) 0 0 / 0.75rem 100% no-repeat scroll,
    linear-gradient(to left, var(--line), transparent) 100% 0 / 0.75rem 100% no-repeat scroll;
}
.columns { display: grid; gap: 0 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
.columns section { min-width: 0; }
.columns .tiles { align-self: start; }
.columns .scroll, #services-part .scroll { max-height: 26rem; overflow: auto; }
.columns thead, #services-part thead { position: sticky; top: 0; background: var(--paper); box-shadow: inset 0 -1px var(--line); }
table { width: 100%; }
tr > :first-child { padding-left: 0; }
tr > :last-child { padding-right: 0; }
tbody th { font-weight: 400; }
.columns tbody th { min-width: 7rem; white-space: normal; overflow-wrap: anywhere; }
tr:has(+ .note) > * { padding-bottom: 0; border-bottom: 0; }
.note td { padding: 0 0 0.3rem; font-size: 0.8125rem; color: var(--dim); white-space: normal; overflow-wrap: anywhere; }
#more { margin-top: 0.5rem; }
@media (scripting: none) { #figures, #state, #pause { display: none; } }
@media (max-width: 30rem) {
  header { gap: 0.5rem 0.75rem; }
  h1 { font-size: 1.4rem; }
  .rate span { display: block; font-size: 1.5rem; }
  th, td { padding: 0.3rem 0.4rem; }
  .columns tbody th { font-size: 0.8125rem; }
}
`;
