/**
 * Reads OpenMetrics 1.0.0 as strictly as its grammar has it (its §Protocol Negotiation aside): the lines, the families,
 * and the samples of each.
 */
import assert from "node:assert/strict";

export interface Family {
  type: string;
  help: string;
  samples: Map<string, number>;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = "[a-zA-Z_][a-zA-Z0-9_]*=\"(?:[^\"\\\\\\n]|\\\\[\\\\\"n])*\"";
const NUMBER = "[+-]?(?:\\d+\\.?\\d*(?:e[+-]?\\d+)?|\\.\\d+(?:e[+-]?\\d+)?|inf(?:inity)?)|nan";
const SAMPLE = new RegExp(`^(${NAME})(\\{(?:${LABEL}(?:,${LABEL})*)?\\})? (${NUMBER})$`, "i");
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ["_total"], gauge: [""], histogram: ["_bucket", "_count", "_sum"], summary: ["", "_count", "_sum"],
};

/** Returns the families by name. @throws AssertionError for what the format does not allow. */
export function parseOpenMetrics(text: string): Map<string, Family> {
  assert.ok(text.endsWith("\n# EOF\n"), "ends with # EOF");
  const families = new Map<string, Family>();
  let name = "";
  for (const line of text.slice(0, -"# EOF\n".length - 1).split("\n")) {
    const metadata = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (metadata) {
      const [, keyword, about, rest] = metadata;
      if (about !== name) {
        assert.ok(!families.has(about), `${about} stands in one place`);
        assert.match(about, new RegExp(`^${NAME}$`));
        families.set(name = about, { type: "", help: "", samples: new Map() });
      }
      const family = families.get(name);
      assert.ok(family);
      assert.equal(family.samples.size, 0, `${line} stands before the samples`);
      if (keyword === "TYPE") {
        assert.ok(rest in SUFFIXES, line);
        family.type = rest;
      } else {
        assert.match(rest, /^(?:[^"\\]|\\[\\"n])*$/, line);
        family.help = rest;
      }
      continue;
    }
    const [, metric, labels = "", value] = SAMPLE.exec(line) ?? [];
    assert.ok(metric, `neither metadata nor a sample: ${JSON.stringify(line)}`);
    const family = families.get(name);
    assert.ok(
      family && metric.startsWith(name) && SUFFIXES[family.type].includes(metric.slice(name.length)),
      `${line} is a sample of ${name}, a ${family?.type ?? ""}`,
    );
    assert.ok(!family.samples.has(metric + labels), `${line} stands once`);
    family.samples.set(metric + labels, Number(value.replace(/\+?inf/i, "Infinity")));
  }
  // Samples belong to one family alone, whatever the suffix.
  const all = [...families].flatMap(([family, { type }]) => SUFFIXES[type].map((suffix) => family + suffix));
  assert.equal(new Set(all).size, all.length);
  for (const [family, { type, samples }] of families) if (type === "histogram") checkHistogram(family, samples);
  return families;
}

function checkHistogram(name: string, samples: ReadonlyMap<string, number>): void {
  const buckets = [...samples].filter(([key]) => key.startsWith(`${name}_bucket`));
  const series = new Map<string, [number, number][]>();
  for (const [key, value] of buckets) {
    const le = /le="([^"]*)"/.exec(key)?.[1] ?? "";
    const others = key.replace(/le="[^"]*",?/, "")
      .replace(`${name}_bucket`, "")
      .replace(/,?\}$/, "}")
      .replace("{}", "");
    series.set(others, [...series.get(others) ?? [], [Number(le.replace("+Inf", "Infinity")), value]]);
  }
  for (const [labels, counts] of series) {
    assert.equal(counts.at(-1)?.[0], Infinity, `${name}${labels} ends with +Inf`);
    assert.deepEqual(counts, [...counts].sort(([a, x], [b, y]) => a - b || x - y), `${name}${labels} is cumulative`);
    assert.equal(samples.get(`${name}_count${labels}`), counts.at(-1)?.[1]);
    assert.ok(samples.has(`${name}_sum${labels}`));
  }
}
