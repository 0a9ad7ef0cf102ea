/** Writes the table of settings in docs/reference.md. */
import { purposeOf, inWords, optionOf, SETTINGS, variableOf, type Setting } from "../config/keys.js";
import { expected, isWords } from "../config/types.js";

const HEADING = ["key", "option", "variable", "default", "reload", "what it does"];

/** Replaces the first table under "## Settings" by the current one, or adds it at the end of that section. */
export function withSettings(document: string): string {
  return document.replace(/^## Settings\n[^]*?(?=^## |(?![^]))/m, (section) => {
    const old = /^(\|.*\n)+/m;
    return old.test(section) ? section.replace(old, table) : `${section.trimEnd()}\n\n${table()}`;
  });
}

function table(): string {
  const rows = [HEADING, HEADING.map(() => "---"), ...SETTINGS.map(rowOf)];
  return rows.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

function rowOf(setting: Setting): string[] {
  const { key, type, reload } = setting;
  const what = `${purposeOf(setting)} Values: ${expected(type)}.`;
  return [
    code(key), ...givenBy(setting), defaultOf(setting),
    reload ? "yes" : "no", what.replaceAll("|", "\\|"),
  ];
}

/** Returns the option and the variable of a setting. Some settings are for a file alone. */
function givenBy(setting: Setting): readonly [option: string, variable: string] {
  const option = optionOf(setting);
  if (option) return [code(option.flags), code(variableOf(option.flags))];
  return setting.key === "prefixes" ? ["arguments", code(variableOf())] : ["none", "none"];
}

function defaultOf({ default: usual, js, defaultText }: Setting): string {
  if (defaultText !== undefined) return defaultText;
  // The words for an empty list are no value that anybody could write, so they are not code.
  const words = isWords(usual) && usual.length === 0 ? inWords(usual) : code(inWords(usual));
  return js === undefined ? words : `${words}, or ${code(inWords(js))} with ${code("engine: js")}`;
}

function code(text: string): string {
  return `\`${text}\``;
}
