// A page in a real browser, and what it complained of and loaded from elsewhere while it was looked at.
import assert from "node:assert/strict";
import { type Browser, chromium, type ConsoleMessage, type Page } from "playwright-core";
import { findProgram } from "../../scripts/launcher/find-programs.ts";
import { installPrograms } from "../../scripts/launcher/install-programs.ts";

export interface WatchedPage {
  readonly page: Page;
  /** Errors of the page's scripts, and the messages of its console that count as one. */
  readonly complaints: readonly string[];
  /** Requests to anybody but the shop. */
  readonly elsewhere: readonly string[];
  close(): Promise<void>;
}

export interface WatchedPageOptions {
  /** Where everything must be loaded from. */
  readonly origin: string;
  readonly viewport: { readonly width: number; readonly height: number };
  readonly stepTimeoutMs: number;
  /** Which console messages are complaints; errors unless given. */
  readonly isComplaint?: (message: ConsoleMessage) => boolean;
}

/** An empty page; Chromium is installed as the launcher installs servers, where it may be. */
export async function openWatchedPage(options: WatchedPageOptions): Promise<WatchedPage> {
  const { origin, viewport, stepTimeoutMs, isComplaint = isError } = options;
  const browser = await launch();
  const page = await browser.newPage({ viewport });
  const complaints: string[] = [];
  const elsewhere: string[] = [];
  page.setDefaultTimeout(stepTimeoutMs);
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (isComplaint(message)) complaints.push(message.text());
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !url.startsWith("data:")) elsewhere.push(url);
  });
  return { page, complaints, elsewhere, close: () => browser.close() };
}

function isError(message: ConsoleMessage): boolean {
  return message.type() === "error";
}

async function launch(): Promise<Browser> {
  if (findProgram("chromium") === null) await installPrograms(["chromium"]);
  const executablePath = findProgram("chromium");
  assert.ok(executablePath !== null);
  return await chromium.launch({ executablePath, args: ["--no-sandbox"] });
}
