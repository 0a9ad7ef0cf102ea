/** Draws a chart in the browser. It begins with a minute, and grows to five. */
import type UPlot from "uplot";
import { si } from "../../telemetry/numbers.js";

/** Global that uplot.js has set. */
declare const uPlot: typeof UPlot;

/** Shortest and longest time that a chart shows, in seconds. */
const MIN_SPAN = 60;
const MAX_SPAN = 300;
/** Points per redraw for those who want less motion. */
const CALM = 10;
const FONT = "12px system-ui, sans-serif";

export interface Line {
  /** Name of what is counted per second. */
  readonly name: string;
  /** Custom property of the style sheet. */
  readonly colour: string;
}

export class Chart {
  readonly #plot: UPlot;
  readonly #line: Line;
  readonly #reading: Element;
  readonly #xs: number[] = [];
  readonly #ys: (number | null)[] = [];
  #added = 0;

  /** `figure` contains a .plot and a .reading. */
  constructor(figure: HTMLElement, line: Line) {
    const place = part(figure, ".plot");
    this.#reading = part(figure, ".reading");
    this.#line = line;
    const end = () => this.#xs.at(-1) ?? 0;
    const span = () => Math.min(MAX_SPAN, Math.max(MIN_SPAN, end() - (this.#xs.at(0) ?? 0)));
    const size = () => ({ width: place.clientWidth, height: place.clientHeight });
    const axis: UPlot.Axis = {
      font: FONT, stroke: () => colour("--dim"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: {
        stroke: () => colour("--line"), width: 1, size: 4,
      },
    };
    this.#plot = new uPlot({
      ...size(),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { time: false, range: () => [end() - span(), end()] },
        // A chart of zeros needs a scale, too.
        y: { range: (_, __, most) => [0, Math.max(5, 1.1 * most)] },
      },
      axes: [
        {
          ...axis, splits: () => ticks(span()).map((ago) => end() - ago), values: () => ticks(span()).map(before),
          size: 28,
        },
        { ...axis, values: (_, splits) => splits.map((split) => si(split)), size: 56 },
      ],
      series: [{}, {
        stroke: () => colour(line.colour), fill: () => `${colour(line.colour)}22`, width: 2, points: { show: false },
      }],
      hooks: { setCursor: [() => { this.#read(); }] },
    }, this.#data, place);
    new ResizeObserver(() => { this.#plot.setSize(size()); }).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.#plot.redraw(); });
  }

  /** Adds a point, or null for a gap. `at`: time in seconds; if it goes back, the chart begins anew. */
  add(at: number, value: number | null): void {
    const anew = at < (this.#xs.at(-1) ?? at);
    this.#xs.push(at);
    this.#ys.push(value);
    const old = anew ? this.#xs.length - 1 : this.#xs.findIndex((x) => x >= at - MAX_SPAN);
    this.#xs.splice(0, old);
    this.#ys.splice(0, old);
    if (this.#added++ % (matchMedia("(prefers-reduced-motion: reduce)").matches ? CALM : 1) === 0) {
      this.#plot.setData(this.#data);
    }
    this.#read();
  }

  get #data(): UPlot.AlignedData {
    return [this.#xs, this.#ys];
  }

  /** Writes the value under the mouse, or the peak. */
  #read(): void {
    const index = this.#plot.cursor.idx ?? -1;
    const at = this.#xs.at(index);
    if (index < 0 || at === undefined) {
      this.#reading.textContent = `Peak: ${si(Math.max(0, ...this.#ys.map(Number)))} ${this.#line.name} a second.`;
    } else {
      const ago = Math.round((this.#xs.at(-1) ?? at) - at);
      const value = this.#ys[index];
      this.#reading.textContent = `${ago} s ago: ${value === null ? "–" : si(value)} ${this.#line.name} a second.`;
    }
  }
}

/** Returns where to have ticks, in seconds before the end. */
function ticks(span: number): number[] {
  const step = span <= 60 ? 15 : span <= 120 ? 30 : 60;
  return Array.from({ length: Math.floor(span / step) + 1 }, (_, i) => i * step).reverse();
}

function before(ago: number): string {
  if (ago === 0) return "now";
  return ago % 60 === 0 ? `−${ago / 60} min` : `−${ago} s`;
}

function part(figure: HTMLElement, selector: string): HTMLElement {
  const found = figure.querySelector<HTMLElement>(selector);
  if (!found) throw new Error(`no ${selector}`);
  return found;
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}
