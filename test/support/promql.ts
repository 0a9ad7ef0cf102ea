/** Finds what a PromQL expression names, by Prometheus' own grammar. */
import { parser } from "@prometheus-io/lezer-promql";

export interface Matcher {
  readonly label: string;
  readonly operator: string;
  readonly value: string;
}

export interface Named {
  /** Each selector's metric with its matchers. */
  readonly selectors: readonly { readonly metric: string; readonly matchers: readonly Matcher[] }[];
  /** The labels of by, without, on, ignoring, group_left and group_right. */
  readonly grouping: readonly string[];
}

type Tree = ReturnType<typeof parser.parse>["topNode"];

/** @throws SyntaxError */
export function namedIn(expression: string): Named {
  const textOf = ({ from, to }: Tree) => expression.slice(from, to);
  const childOf = (node: Tree, name: string) => {
    const child = node.getChild(name);
    if (!child) throw new SyntaxError(`${textOf(node)}: no ${name}`);
    return textOf(child);
  };
  const selectors: { metric: string; matchers: Matcher[] }[] = [];
  const grouping: string[] = [];
  parser.parse(expression).iterate({
    enter: ({ type, node }) => {
      if (type.isError) throw new SyntaxError(`${expression}: at ${node.from}, ${JSON.stringify(textOf(node))}`);
      if (type.name === "VectorSelector") selectors.push({ metric: childOf(node, "Identifier"), matchers: [] });
      if (type.name === "GroupingLabels") grouping.push(...node.getChildren("LabelName").map(textOf));
      if (type.name === "UnquotedLabelMatcher") {
        selectors.at(-1)?.matchers.push({
          label: childOf(node, "LabelName"), operator: childOf(node, "MatchOp"),
          value: JSON.parse(childOf(node, "StringLiteral")) as string,
        });
      }
    },
  });
  return { selectors, grouping };
}
