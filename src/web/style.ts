/**
 * Styles that a benchmark's report and the page at / share. The colours are Okabe and Ito's, which the colour-blind can
 * tell apart, darker on white and lighter on black.
 */
export const STYLE = `
:root {
  color-scheme: light dark; --paper: #fff; --ink: #1b1e23; --dim: #565d66; --line: #dcdfe4;
  --series-0: #0072b2; --series-1: #c65200; --series-2: #00825f; --series-3: #a8508a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --ink: #e8eaed; --dim: #a5acb5; --line: #353b43;
    --series-0: #56b4e9; --series-1: #f0a13c; --series-2: #2fc79a; --series-3: #e9a3cc;
  }
}
* { box-sizing: border-box; }
body {
  max-width: 80rem; margin: 0 auto; padding: 1.5rem 1rem 3rem;
  font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  overflow-wrap: anywhere;
}
h1 { margin: 0 0 1rem; font-size: 1.6rem; line-height: 1.25; max-width: 50rem; }
h2 { margin: 2.5rem 0 0.5rem; font-size: 1.2rem; }
p { margin: 0 0 0.5rem; color: var(--dim); }
.charts { display: grid; gap: 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; }
.plot { overflow: hidden; }
dd { margin: 0; }
.scroll { overflow-x: auto; }
table {
  border-collapse: collapse; overflow-wrap: normal; font-size: 0.875rem;
  font-variant-numeric: tabular-nums; white-space: nowrap;
}
th, td { padding: 0.3rem 0.6rem; border-bottom: 1px solid var(--line); text-align: right; }
th { font-weight: 600; }
thead th { vertical-align: bottom; white-space: normal; }
tbody th, .name { text-align: left; }
`;
