/** A chart of the last five minutes, in the browser. */
import type UPlot from "uplot";
import { si } from "../numbers.js";

/** What uplot.js has set. */
declare const uPlot: typeof UPlot;

const SECONDS = 300;
/** Seconds before the end. */
const TICKS = [300, 240, 180, 120, 60, 0];
/** Points from one drawing to the next for those who want less motion. */
const CALM = 10;
const FONT = "12px system-ui, sans-serif";

export interface Line {
  /** What there are so many of a second. */
  readonly name: string;
  /** A custom property of the style sheet. */
  readonly colour: string;
  readonly dash?: number[];
}

export class Chart {
  readonly #plot: UPlot;
  readonly #lines: readonly Line[];
  readonly #reading: Element;
  readonly #xs: number[] = [];
  readonly #ys: (number | null)[][];
  #added = 0;

  /** `figure`: it has a .plot and a .reading. */
  constructor(figure: HTMLElement, lines: readonly Line[]) {
    const place = part(figure, ".plot");
    this.#reading = part(figure, ".reading");
    this.#lines = lines;
    this.#ys = lines.map(() => []);
    const end = () => this.#xs.at(-1) ?? 0;
    const size = () => ({ width: place.clientWidth, height: place.clientHeight });
    const axis: UPlot.Axis = {
      font: FONT, stroke: () => colour("--dim"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { stroke: () => colour("--line"), width: 1, size: 4 },
    };
    this.#plot = new uPlot({
      ...size(),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { time: false, range: () => [end() - SECONDS, end()] },
        // A chart of nothing has a scale, too.
        y: { range: (_, __, most) => [0, Math.max(5, 1.1 * most)] },
      },
      axes: [
        { ...axis, splits: () => TICKS.map((ago) => end() - ago), values: () => TICKS.map((ago) => ago === 0 ? "now" : `−${ago / 60} min`), size: 28 },
        { ...axis, values: (_, splits) => splits.map((split) => si(split)), size: 56 },
      ],
      series: [{}, ...lines.map((line, i): UPlot.Series => ({
        stroke: () => colour(line.colour), width: 2, dash: line.dash, points: { show: false },
        ...i === 0 && { fill: () => `${colour(line.colour)}22` },
      }))],
      hooks: { setCursor: [() => { this.#read(); }] },
    }, this.#data, place);
    new ResizeObserver(() => { this.#plot.setSize(size()); }).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.#plot.redraw(); });
  }

  /** A point for each line; null where there is none. `at`: in seconds; where it goes back, the chart begins anew. */
  add(at: number, values: readonly (number | null)[]): void {
    const anew = at < (this.#xs.at(-1) ?? at);
    this.#xs.push(at);
    values.forEach((value, i) => { this.#ys[i].push(value); });
    const old = anew ? this.#xs.length - 1 : this.#xs.findIndex((x) => x >= at - SECONDS);
    for (const column of [this.#xs, ...this.#ys]) column.splice(0, old);
    if (this.#added++ % (matchMedia("(prefers-reduced-motion: reduce)").matches ? CALM : 1) === 0) this.#plot.setData(this.#data);
    this.#read();
  }

  get #data(): UPlot.AlignedData {
    return [this.#xs, ...this.#ys];
  }

  /** Says what is under the mouse, or the most of each line. */
  #read(): void {
    const index = this.#plot.cursor.idx ?? -1;
    const at = this.#xs.at(index);
    if (index < 0 || at === undefined) {
      this.#reading.textContent = `Most in five minutes: ${this.#lines.map(({ name }, i) => `${si(Math.max(0, ...this.#ys[i].map(Number)))} ${name}`).join(", ")} a second.`;
    } else {
      const ago = Math.round((this.#xs.at(-1) ?? at) - at);
      const values = this.#ys.map((column) => column[index]);
      this.#reading.textContent = `${ago} s ago: ${this.#lines.map(({ name }, i) => `${values[i] === null ? "–" : si(values[i])} ${name}`).join(", ")} a second.`;
    }
  }
}

function part(figure: HTMLElement, selector: string): HTMLElement {
  const found = figure.querySelector<HTMLElement>(selector);
  if (!found) throw new Error(`no ${selector}`);
  return found;
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}
