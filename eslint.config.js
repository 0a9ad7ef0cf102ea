import stylistic from "@stylistic/eslint-plugin";
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  { ignores: ["build/", "node_modules/"] },
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  stylistic.configs.customize({
    quotes: "double", semi: true, braceStyle: "1tbs", arrowParens: true, quoteProps: "as-needed",
  }),
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ["eslint.config.js"] }, tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      "@stylistic/max-statements-per-line": ["error", { max: 2 }],
      "@stylistic/max-len": ["error", {
        code: 120, ignoreUrls: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true,
      }],
      "@typescript-eslint/no-floating-promises": ["error", {
        allowForKnownSafeCalls: [{ from: "package", package: "node:test", name: ["test", "describe"] }],
      }],
      // Numbers in messages are what they are for.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    },
  },
  {
    // They are what users copy: JavaScript that no project of TypeScript's has.
    files: ["examples/*.mjs"],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { parserOptions: { projectService: false } },
  },
  {
    // To TypeScript all of AssemblyScript's integers are one type: what a rule concludes from types there is wrong.
    files: ["assembly/**/*.ts", "test/{held,recover}/assembly/*.ts"],
    extends: [tseslint.configs.disableTypeChecked],
    rules: {
      // <u64>x + <u64>y widens each; the other form would have to be read twice.
      "@typescript-eslint/consistent-type-assertions": ["error", { assertionStyle: "angle-bracket" }],
      // A check, a drop and on to the next packet, on one line.
      "@stylistic/max-statements-per-line": ["error", { max: 3 }],
    },
  },
);
