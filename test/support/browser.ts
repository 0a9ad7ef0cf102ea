/** A browser's page, watched. */
import type { Page } from "playwright-core";

/**
 * Opens `url`. `isOwn`: whether the page may ask for that. Returns what there is to complain of, and goes on to:
 * whatever the console says, and other requests.
 */
export async function goto(page: Page, url: string, isOwn: (requested: string) => boolean): Promise<string[]> {
  const complaints: string[] = [];
  page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("dialog", (dialog) => {
    complaints.push(dialog.message());
    void dialog.dismiss();
  });
  page.on("request", (request) => { if (!isOwn(request.url())) complaints.push(request.url()); });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", ({ violatedDirective }) => { console.error(violatedDirective); });
  });
  await page.goto(url);
  return complaints;
}
