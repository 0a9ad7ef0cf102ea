/** Opens the page of a benchmark in the browser that people would open it with, from phone to desktop. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium, type Browser, type Page } from "playwright-core";
import { renderHtml } from "../../src/bench/html.js";
import {
  BENCH_ENGINES, HTTP_SERVERS, HTTP_TESTS, type EngineReport, type Environment, type HttpReport, type Latency,
  type Report, type Spread, type TunReport,
} from "../../src/bench/report.js";
import { ENGINE_NAMES } from "../../src/engine/contract.js";
import { IO_NAMES } from "../../src/io/contract.js";
import { goto } from "../support/browser.js";
import { needs } from "../support/netns.js";

const HOSTILE = `</script><img src=x onerror=alert(1)>"'&amp;`;
const VIEWPORTS = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 900 } };

const ENVIRONMENT: Environment = {
  date: "2026-01-31T12:34:56.789Z", pongd: "0.1.0", commit: "0123456789ab-dirty", node: "20.19.0",
  v8: "11.3.244.8-node.33", kernel: "6.12.0-amd64",
  cpu: HOSTILE, cores: 2, governor: null, arguments: ["bench", "engine", "--html", HOSTILE], nodeFlags: [], seed: 1,
};

function spread(median: number): Spread {
  return { median, min: median * 0.93, max: median * 1.4, p95: median * 1.2, low: median * 0.97, high: median * 1.04 };
}

const SPEEDUP = { js: 1, wasm: 2.4, "wasm-scalar": 1.7, "js-naive": 0.31 };

const ENGINE: EngineReport = {
  benchmark: "engine",
  complete: false,
  environment: ENVIRONMENT,
  prefixes: 1,
  results: [1, 64].flatMap((batch) => [
    28, 84, 576, 1280, 1500, 65535,
  ].flatMap((packetBytes) => BENCH_ENGINES.map((engine) => {
    const ratio = 1 + (SPEEDUP[engine] - 1) * packetBytes / (packetBytes + 60);
    const ns = (30 + packetBytes / 4 + 90 / batch) / ratio;
    return {
      engine, packetBytes, batch, nsPerPacket: spread(ns), packetsPerSecond: 1e9 / ns,
      bytesPerSecond: packetBytes * 1e9 / ns,
      ratioToJs: ratio, ratioToJsInterval: [ratio * 0.95, ratio * 1.06] as const,
    };
  }))),
  cold: BENCH_ENGINES.map((engine, i) => ({
    engine, loadMs: 0.2 + i, compileMs: 1.1, instantiateMs: 0.05, firstPacketMs: 0.0123, totalMs: 1.4 + i,
  })),
};

/** Returns the latency of `count` pings that took `typical` microseconds or more. */
function latency(typical: number, packetsPerSecond: number, count: number): Latency {
  const histogram = Array.from(
    { length: 40 }, (_, i) => [typical * 1.15 ** i, Math.round(count * 0.28 * 0.72 ** i)] as const,
  ).filter(([, pings]) => pings > 0);
  return {
    packetsPerSecond, count, lost: 1, p50Us: typical * 1.15, p90Us: typical * 2, p99Us: typical * 4,
    p999Us: typical * 10, maxUs: typical * 30, histogram,
  };
}

const TUN: TunReport = {
  benchmark: "tun",
  complete: true,
  environment: ENVIRONMENT,
  results: ENGINE_NAMES.flatMap((engine, e) => IO_NAMES.map((io, i) => ({
    engine, io, packetBytes: 84, repliesPerSecond: spread(1_234_567 / (1 + e / 3 + i)),
    ratioToFirst: 1 / (1 + e / 3 + i), ratioToFirstInterval: null,
    cpuNsPerPacket: 712 * (1 + i), systemCallsPerPacket: i === 0 ? 0.0312 : 2,
    idle: latency(18 + 6 * i + 2 * e, 0, 20_000), halfLoad: e === 0 && i === 0
      ? null
      : latency(60 + 30 * i + 9 * e, 612_345, 180_000),
  }))),
};

const HTTP: HttpReport = {
  benchmark: "http",
  complete: true,
  environment: ENVIRONMENT,
  results: HTTP_TESTS.flatMap((test, t) => HTTP_SERVERS.map((server, s) => {
    const [p50Us, p99Us] = test === "bulk" ? [null, null] : [31.2 + s, 4567 + t];
    return {
      test, server, client: t < 2 ? "wrk" as const : "own" as const, perSecond: spread(98_765 * 10 ** t / (1 + s)),
      ratioToKernel: 2 - s, ratioToKernelInterval: [1.8 - s, 2.2 - s] as const, cpuUs: 38.4, p50Us, p99Us,
    };
  })),
};

/** What a report's page shows: colours of series and whether there are error bars, chart by chart. */
const CHARTS: Readonly<Record<Report["benchmark"], { drawn: readonly number[]; bounded: readonly boolean[] }>> = {
  engine: { drawn: [4, 4, 4], bounded: [true, true, true] },
  tun: { drawn: [4, 4, 3], bounded: [true, false, false] },
  http: { drawn: [2, 2, 2, 2], bounded: [true, true, true, true] },
};

interface Shown {
  readonly scrollWidth: number;
  readonly background: string;
  readonly images: number;
  readonly text: string;
  /** The number of the four colours of series that each canvas shows. */
  readonly drawn: number[];
  /** Left, top, right and bottom of each entry's contents, chart by chart. */
  readonly legends: [number, number, number, number][][];
  /** Readings of the last chart, under the mouse. */
  readonly readings: string[];
}

/** Runs in the page, and returns what it shows. */
function inspect(): Shown {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const series = [0, 1, 2, 3].map((i) => {
    if (context === null) return "";
    context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--series-${i}`);
    context.fillRect(0, 0, 1, 1);
    return context.getImageData(0, 0, 1, 1).data.join();
  });
  const drawn = Array.from(document.querySelectorAll("canvas"), (canvas) => {
    const data = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
    const pixels = new Set(Array.from({ length: data.length / 4 }, (_, i) => data.slice(4 * i, 4 * i + 4).join()));
    return series.filter((colour) => pixels.has(colour)).length;
  });
  const legends = Array.from(document.querySelectorAll(".legend"), (legend) => Array.from(legend.children, (entry) => {
    const range = document.createRange();
    range.selectNodeContents(entry);
    const { left, top, right, bottom } = range.getBoundingClientRect();
    return [left, top, right, bottom] as [number, number, number, number];
  }));
  const readings = Array.from(
    document.querySelectorAll("figure:last-of-type .reading"), (reading) => reading.textContent,
  );
  const { scrollWidth } = document.documentElement;
  return {
    scrollWidth, background: getComputedStyle(document.body).backgroundColor, images: document.images.length,
    text: document.body.innerText, drawn, legends, readings,
  };
}

/** Runs in the page. Returns what is on its canvases, once it has drawn what it was about to draw. */
async function pictures(): Promise<string[]> {
  for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
  return Array.from(document.querySelectorAll("canvas"), (canvas) => canvas.toDataURL());
}

describe("the page of a benchmark", needs("chromium"), () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-html-"));
  let browser: Browser;
  before(async () => {
    const executablePath = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
    browser = await chromium.launch({ executablePath });
  });
  after(async () => {
    rmSync(dir, { recursive: true });
    await browser.close();
  });

  /** Opens the report's page, and collects complaints. */
  async function open(
    report: Report, colorScheme: "light" | "dark", viewport: { width: number; height: number },
  ): Promise<{ page: Page; complaints: string[] }> {
    const file = join(dir, `${report.benchmark}.html`);
    writeFileSync(file, renderHtml(report, `wasm is 2.4 times as fast as js with ${HOSTILE}`));
    const page = await browser.newPage({ colorScheme, viewport });
    const url = pathToFileURL(file).href;
    const complaints = await goto(page, url, (requested) => requested === url);
    return { page, complaints };
  }

  for (const report of [ENGINE, TUN, HTTP]) {
    const backgrounds = new Set<string>();
    for (const colorScheme of ["light", "dark"] as const) {
      for (const [name, viewport] of Object.entries(VIEWPORTS)) {
        test(`${report.benchmark}, ${colorScheme}, ${name}: it is drawn, fits, and asks for nothing`, async () => {
          const { page, complaints } = await open(report, colorScheme, viewport);
          await page.locator(".plot").last().hover();
          const shown = await page.evaluate(inspect);
          assert.deepEqual(complaints, []);
          assert.equal(shown.images, 0);
          assert.equal(shown.text.split(HOSTILE).length - 1, 3, "headline, CPU and arguments show the hostile text");
          assert.ok(shown.scrollWidth <= viewport.width, `${shown.scrollWidth} pixels wide`);
          assert.deepEqual(shown.drawn, CHARTS[report.benchmark].drawn);
          // Bars have their figures written on them.
          const isRead = report === HTTP ? shown.readings.length === 0 : shown.readings.length > 3;
          assert.ok(isRead && !shown.readings.includes(""), String(shown.readings));
          for (const legend of shown.legends) {
            assert.deepEqual(legend.filter((a, i) => legend.slice(0, i).some((b) => overlap(a, b))), []);
          }
          backgrounds.add(shown.background);
          await page.close();
        });
      }
    }

    test(`${report.benchmark}: what error bars are is said, and nothing else has any`, async () => {
      const { page } = await open(report, "light", VIEWPORTS.desktop);
      const said = await page.locator("figure").evaluateAll((figures) => figures.map(
        (figure) => figure.textContent.includes("Error bars: bounds of the medians with 95 % confidence."),
      ));
      assert.deepEqual(said, CHARTS[report.benchmark].bounded);
      await page.close();
    });

    test(`${report.benchmark}: it is dark where dark is asked for`, () => { assert.equal(backgrounds.size, 2); });

    test(`${report.benchmark}: it follows the window and the system`, async () => {
      const { page } = await open(report, "light", VIEWPORTS.desktop);
      const asFresh = async (viewport: { width: number; height: number }) => {
        const { page: fresh } = await open(report, "dark", viewport);
        assert.deepEqual(await page.evaluate(pictures), await fresh.evaluate(pictures));
        await fresh.close();
      };
      await page.emulateMedia({ colorScheme: "dark" });
      await asFresh(VIEWPORTS.desktop);
      await page.setViewportSize(VIEWPORTS.phone);
      await asFresh(VIEWPORTS.phone);
      await page.close();
    });
  }
});

test("error bars of equal engines are beside one another, each in its own colour", needs("chromium"), async () => {
  const equal = {
    nsPerPacket: spread(100), packetsPerSecond: 1e7, bytesPerSecond: 84e7, ratioToJs: 1,
    ratioToJsInterval: [0.8, 1.2] as const,
  };
  const results = BENCH_ENGINES.map((engine) => ({ engine, packetBytes: 84, batch: 64, ...equal }));
  const browser = await chromium.launch(
    { executablePath: execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim() },
  );
  try {
    const page = await browser.newPage();
    await page.setContent(renderHtml({ ...ENGINE, results }, ""));
    await page.locator("canvas").last().waitFor();
    const { drawn } = await page.evaluate(inspect);
    assert.deepEqual(drawn, [4, 4, 4]);
  } finally {
    await browser.close();
  }
});

function overlap(a: readonly number[], b: readonly number[]): boolean {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}
