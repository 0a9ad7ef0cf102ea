/** Reads as much of deploy/grafana/pongd.json as tests need. */
import { readFileSync } from "node:fs";
import { source } from "./assembly.js";

export interface Target {
  readonly expr: string;
  readonly refId: string;
  readonly instant: boolean;
  readonly range: boolean;
  readonly legendFormat: string;
  readonly datasource: unknown;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly description?: string;
  readonly targets?: readonly Target[];
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
}

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly query: string | { readonly query: string };
}

export interface Dashboard {
  readonly id: null;
  readonly uid: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr?: string }[] };
  readonly templating: { readonly list: readonly Variable[] };
}

export const DASHBOARD_FILE = source("deploy/grafana/pongd.json");

export function readDashboard(): Dashboard {
  return JSON.parse(readFileSync(DASHBOARD_FILE, "utf8")) as Dashboard;
}

export interface Expression {
  readonly where: string;
  readonly expr: string;
  /** Labels in the legend, written `{{label}}`. */
  readonly legend: readonly string[];
}

/** Returns every expression in the dashboard, with Grafana's variables replaced by their values in `variables`. */
export function expressionsOf(
  { panels, annotations }: Dashboard, variables: Readonly<Record<string, string>>,
): Expression[] {
  const replaced = (expr: string) => expr.replace(/\$(\w+)/g, (_, name: string) => {
    if (!(name in variables)) throw new Error(`$${name}: no such variable`);
    return variables[name];
  });
  return [
    ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr, legendFormat }) => (
      {
        where: title, expr: replaced(expr),
        legend: [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label),
      }
    ))),
    ...annotations.list.flatMap(
      ({ name, expr }) => expr === undefined ? [] : [{ where: name, expr: replaced(expr), legend: [] }],
    ),
  ];
}
