/**
 * Prepares the process of each test file, so that it runs alike
 * on every machine, and makes it end. Imported for its effects.
 */
import { after } from "node:test";

/** The longest that things still open after the last test may take to close. */
const CLOSING_MS = 10_000;

// A user's settings do not reach the tests: a test that needs one sets it. Programs speak the language that tests read.
for (const name of Object.keys(process.env)) {
  if (/^(?:PONGD_.*|LANGUAGE|LC_.*|FORCE_COLOR|NO_COLOR|NODE_DISABLE_COLORS|COLUMNS|MANPAGER|MANOPT|GROFF_.*)$/
    .test(name)) Reflect.deleteProperty(process.env, name);
}
// smokeping does not bear LC_ALL.
process.env.LANG = "C.UTF-8";
process.umask(0o022);

// A test that fails may leave a server or a timer behind, which would keep its file from ending.
after(() => {
  setTimeout(() => {
    console.error(
      `still open ${CLOSING_MS / 1000} s after the last test: ${process.getActiveResourcesInfo().join(", ")}`,
    );
    process.exit(1);
  }, CLOSING_MS).unref();
});
