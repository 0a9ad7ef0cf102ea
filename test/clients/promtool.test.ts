/** Checks /metrics, and what deploy/prometheus/ has for it, by Prometheus' own checker. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { source } from "../support/assembly.js";
import { needs, needsCommands, Netns, Pongd } from "../support/netns.js";

const promtool = (args: readonly string[], input?: string) => spawnSync(
  "promtool", args, { cwd: source("deploy/prometheus"), input, encoding: "utf8" },
);

test("promtool finds nothing to complain of in pongd's metrics", needs("promtool"), async () => {
  const ns = await Netns.open();
  const pongd = await Pongd.start(ns, "10.99.0.0/16");
  const { body } = await pongd.get("/metrics");
  const { stdout, stderr } = promtool(["check", "metrics"], body);
  // Process metrics get their names from prom-client, so complaints about them do not count.
  const complaints = (stdout + stderr)
    .split("\n")
    .filter((line) => line.startsWith("pongd_") || line.includes("error"));
  assert.deepEqual(complaints, []);
  await pongd.stop();
  await ns.close();
});

describe("deploy/prometheus", needsCommands("promtool"), () => {
  test("the configuration and the rules it names are valid, and so is what is in comments there", () => {
    const { status, stdout, stderr } = promtool(["check", "config", "prometheus.yml"]);
    assert.equal(status, 0, stdout + stderr);
    const folder = mkdtempSync(join(tmpdir(), "pongd-prometheus-"));
    cpSync(source("deploy/prometheus"), folder, { recursive: true });
    const [plain, secrets] = readFileSync(join(folder, "prometheus.yml"), "utf8").split("as its file has it:\n");
    const [start, alerting] = plain.split("sends alerts on:\n");
    const secured = start + "\n" + alerting.replaceAll(/^# (?=alerting| )/gm, "") + "\n"
      + secrets.replaceAll(/^ {4}# /gm, "    ");
    assert.deepEqual(Object.keys(parse(secured) as object), ["global", "alerting", "rule_files", "scrape_configs"]);
    assert.deepEqual(
      Object.keys((parse(secured) as { scrape_configs: [object] }).scrape_configs[0]),
      ["job_name", "static_configs", "scheme", "tls_config", "basic_auth"],
    );
    writeFileSync(join(folder, "prometheus.yml"), secured);
    // The certificates and passwords that it names are not here.
    const checked = promtool(["check", "config", "--syntax-only", join(folder, "prometheus.yml")]);
    rmSync(folder, { recursive: true });
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  });

  test("recording rules come to what they say, and each alert fires when it should, and not when it should not", () => {
    const { status, stdout, stderr } = promtool(["test", "rules", "pongd.test.yml"]);
    assert.equal(status, 0, stdout + stderr);
  });

  test("there is a test of each alert firing and one of it not firing, and each says how bad it is and "
    + "what to look at", () => {
    const read = (file: string) => parse(readFileSync(source(`deploy/prometheus/${file}`), "utf8")) as unknown;
    const { groups: [{ rules }] } = read("pongd.alerts.yml") as { groups: [{
      rules: { alert: string; labels: { severity: string }; annotations: Record<"summary" | "description", string> }[];
    }]; };
    const { tests } = read("pongd.test.yml") as {
      tests: { alert_rule_test?: { alertname: string; exp_alerts?: unknown[] }[] }[];
    };
    const tested = tests.flatMap(({ alert_rule_test: cases = [] }) => cases);
    for (const { alert, labels, annotations } of rules) {
      const fires = tested.filter(({ alertname }) => alertname === alert)
        .map(({ exp_alerts: expected = [] }) => expected.length > 0);
      assert.deepEqual([fires.includes(true), fires.includes(false)], [true, true], alert);
      assert.match(labels.severity, /^(critical|warning)$/, alert);
      assert.match(annotations.summary, /\{\{ \$labels\.instance \}\}/, alert);
      assert.match(annotations.description, /Look at /, alert);
    }
  });
});
