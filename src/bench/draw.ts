/** Runs in the page of html.ts. */
import type uPlot from "uplot";
import type { Axis, ChartData, Series } from "./charts.js";

/** Draws each chart into its figure. Its own text goes into the page, so it uses only its arguments and the browser. */
export function draw(Plot: typeof uPlot, charts: readonly ChartData[]): void {
  const font = (scale: number) => `${12 * scale}px system-ui, sans-serif`;
  const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name);
  /** Upper bound of labels' width in that font, in CSS pixels: no digit is wider than 7.5. */
  const widest = (lines: readonly string[]) => 7.5 * Math.max(...lines.map((line) => line.length));

  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- an ambient const enum has no value.
  const scaleOf = ({ log, range }: Axis): uPlot.Scale => ({ time: false, distr: log ? 3 : 1, range });
  const axisOf = ({ ticks, labels }: Axis, axis: uPlot.Axis): uPlot.Axis => ({
    font: font(1),
    stroke: () => colour("--dim"),
    grid: { stroke: () => colour("--line"), width: 1 },
    ticks: { stroke: () => colour("--line"), width: 1, size: 5 },
    splits: ticks,
    // uPlot's own filter leaves out labels of logarithmic axes.
    filter: (_, splits) => splits,
    values: () => [...labels],
    ...axis,
  });

  /** Leaves out labels that would touch the label before them. */
  const spaced = (plot: uPlot, { ticks, labels }: Axis) => {
    let end = -Infinity;
    return labels.map((label, i) => {
      const at = plot.valToPos(ticks[i], "x");
      const half = widest(label.split("\n")) / 2 + 3;
      if (at - half < end) return null;
      end = at + half;
      return label;
    });
  };

  /** Returns how far a series is drawn beside its x, in CSS pixels, so that error bars do not cover one another. */
  const besides = ({ bars, bounded, series }: ChartData, i: number) => bounded && !bars
    ? 5 * (i - (series.length - 1) / 2)
    : 0;

  /** Draws a line through points that are beside their x. */
  const lineBeside = (pixels: number): uPlot.Series.PathBuilder => (plot, ...args) => {
    const paths = Plot.paths.linear?.()(plot, ...args) ?? null;
    if (!(paths?.stroke instanceof Path2D)) return paths;
    const stroke = new Path2D();
    stroke.addPath(paths.stroke, new DOMMatrix().translate(pixels * Plot.pxRatio, 0));
    return { ...paths, stroke };
  };

  /** Draws error bars, and each point's shape or each bar's text. */
  const mark = (plot: uPlot, { bars, xs }: ChartData, { look, points }: Series, beside: number) => {
    const { ctx } = plot;
    points.forEach((point, i) => {
      if (point === null) return;
      const [x, y, low, high] = [
        plot.valToPos(xs[i], "x", true),
        ...[point.value, point.low, point.high].map((value) => plot.valToPos(value, "y", true)),
      ];
      ctx.save();
      ctx.translate(x, y);
      ctx.scale(Plot.pxRatio, Plot.pxRatio);
      ctx.translate(beside, 0);
      ctx.lineWidth = 1.5;
      // The dashes of the last line would still apply.
      ctx.setLineDash([]);
      const [bottom, top] = [(low - y) / Plot.pxRatio, (high - y) / Plot.pxRatio];
      ctx.fillStyle = colour("--ink");
      ctx.strokeStyle = colour(bars ? "--ink" : look.colour);
      if (point.low < point.high) ctx.stroke(new Path2D(`M-4 ${bottom}h8M0 ${bottom}V${top}M-4 ${top}h8`));
      if (bars) {
        ctx.font = font(1);
        ctx.textAlign = "center";
        ctx.textBaseline = "bottom";
        ctx.fillText(point.text, 0, top - 4);
      } else {
        ctx.fillStyle = colour(look.colour);
        ctx.fill(new Path2D(look.shape));
      }
      ctx.restore();
    });
  };

  const plots = Array.from(document.querySelectorAll("figure"), (figure, i) => {
    const chart = charts[i];
    const { bars, xs, xTexts, x, y, series } = chart;
    const place = figure.querySelector<HTMLElement>(".plot") ?? figure;
    const readings = figure.querySelectorAll(".reading");
    const size = () => ({ width: place.clientWidth, height: place.clientHeight });
    const plot: uPlot = new Plot({
      ...size(),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: { x: scaleOf(x), y: scaleOf(y) },
      axes: [
        axisOf(x, { values: (self) => spaced(self, x), size: bars ? 46 : 28 }),
        axisOf(y, { size: widest(y.labels) + 14 }),
      ],
      series: [{}, ...series.map(({ look }, s): uPlot.Series => ({
        points: { show: false },
        ...bars
          ? { paths: Plot.paths.bars?.({ size: [0.6, 90] }), width: 0, fill: () => colour(look.colour) }
          : { paths: lineBeside(besides(chart, s)), stroke: () => colour(look.colour), width: 2, dash: look.dash },
      }))],
      hooks: {
        draw: [(self) => { series.forEach((one, s) => { mark(self, chart, one, besides(chart, s)); }); }],
        setCursor: [({ cursor: { idx } }) => {
          const texts = [...series.map(({ points }) => points[idx ?? -1]?.text), xTexts[idx ?? -1]];
          readings.forEach((reading, r) => { reading.textContent = texts[r] ?? ""; });
        }],
      },
    }, [xs, ...series.map(({ points }) => points.map((point) => point?.value ?? null))], place);
    new ResizeObserver(() => { plot.setSize(size()); }).observe(place);
    return plot;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener(
    "change", () => { for (const plot of plots) plot.redraw(); },
  );
}
