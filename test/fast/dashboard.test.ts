/** Tests deploy/grafana/pongd.json against the model that Grafana's documentation describes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { source } from "../support/assembly.js";
import { DASHBOARD_FILE, expressionsOf, readDashboard } from "../support/dashboard.js";
import { namedIn } from "../support/promql.js";

const dashboard = readDashboard();
const { panels } = dashboard;
const DATASOURCE = { type: "prometheus", uid: "${datasource}" };
/** Panels that come with Grafana. */
const BUILT_IN = ["bargauge", "heatmap", "row", "stat", "state-timeline", "table", "timeseries"];

test("dashboard: it is one that Grafana 10.4 and newer import as they are", () => {
  assert.deepEqual([dashboard.id, dashboard.uid, dashboard.schemaVersion], [null, "pongd", 39]);
  assert.deepEqual(
    dashboard.templating.list.map(({ name, type }) => [name, type]),
    [["datasource", "datasource"], ["job", "query"], ["instance", "query"]],
  );
  assert.deepEqual([...new Set(panels.map(({ type }) => type))].sort(), BUILT_IN);
});

test("dashboard: panels have an id and a title each, lie within 24 columns, and none covers another", () => {
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length);
  const taken = new Map<string, string>();
  for (const { title, gridPos: { x, y, w, h } } of panels) {
    assert.ok(w > 0 && h > 0 && x >= 0 && x + w <= 24, title);
    for (let row = y; row < y + h; row++) for (let column = x; column < x + w; column++) {
      assert.equal(taken.get(`${row},${column}`), undefined, title);
      taken.set(`${row},${column}`, title);
    }
  }
});

test("dashboard: every panel says what it shows, and in which unit", () => {
  for (const { type, title, description, fieldConfig } of panels) {
    if (type === "row") continue;
    assert.match(description ?? "", /^[A-Z].*\.$/, title);
    if (!["table", "heatmap", "state-timeline"].includes(type)) assert.ok(fieldConfig?.defaults.unit, title);
  }
});

test("dashboard: every query asks the chosen data source, of the chosen jobs and instances", () => {
  for (const { title, targets = [] } of panels) {
    assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
    for (const { datasource, instant, range } of targets) {
      assert.deepEqual([datasource, instant], [DATASOURCE, !range], title);
    }
  }
  for (const { where, expr } of expressionsOf(
    dashboard, { job: "JOB", instance: "INSTANCE", __range: "1h", __rate_interval: "1m" },
  )) {
    const { selectors } = namedIn(expr);
    assert.ok(selectors.length > 0, where);
    for (const { matchers } of selectors) {
      const chosen = matchers.filter(({ label }) => label === "job" || label === "instance");
      assert.deepEqual(
        chosen.map(({ label, operator, value }) => label + operator + value),
        ["job=~JOB", "instance=~INSTANCE"],
        `${where}: ${expr}`,
      );
    }
  }
});

test("dashboard: what it leaves out of faulty packets is what the alert leaves out", () => {
  const excluded = (text: string) => [...text.matchAll(/reason!~\\?"([\w|]+)/g)].map(([, reasons]) => reasons);
  const [ofRule, ...none] = excluded(readFileSync(source("deploy/prometheus/pongd.rules.yml"), "utf8"));
  assert.deepEqual([none, new Set(excluded(readFileSync(DASHBOARD_FILE, "utf8")))], [[], new Set([ofRule])]);
});
