/** Opens a page in a browser and watches it. */
import type { Page } from "playwright-core";

/**
 * Opens `url` and returns a list of complaints, which grows as the page goes on: console messages, exceptions, dialogs,
 * and requests for which `isOwn` is false.
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
