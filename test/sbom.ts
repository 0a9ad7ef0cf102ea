/**
 * `npm run sbom` prints a CycloneDX list of what is installed with pongd. npm itself would leave out, with what is for
 * development alone, all that this shares with pongd.
 */
import { execFileSync } from "node:child_process";
import { source } from "./support/assembly.js";

interface Component {
  readonly "bom-ref": string;
  readonly properties: readonly { readonly name: string; readonly value: string }[];
}

interface Bom {
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

const bom = JSON.parse(
  execFileSync("npm", ["sbom", "--sbom-format", "cyclonedx"], { cwd: source(""), encoding: "utf8" }),
) as Bom;
const components = bom.components.filter(
  ({ properties }) => !properties.some(({ name, value }) => name === "cdx:npm:package:development" && value === "true"),
);
const refs = new Set([bom.metadata.component, ...components].map((component) => component["bom-ref"]));
const dependencies = bom.dependencies.filter(({ ref }) => refs.has(ref)).map(
  ({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((each) => refs.has(each)) }),
);
process.stdout.write(`${JSON.stringify({ ...bom, components, dependencies }, null, 2)}\n`);
