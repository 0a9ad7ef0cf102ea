/**
 * Fetches /metrics again and again, over one connection as long as that stays open. The response is another program's,
 * so its length and its time have bounds.
 */
import type { Agent, IncomingMessage } from "node:http";
import * as https from "node:https";
import { http } from "../base/builtin.js";
import type { Figures } from "../telemetry/figures.js";
import { messageOf } from "../base/failure.js";
import type { MetricsAddress } from "./address.js";
import { figuresOf } from "./collect.js";

/** Timeout of a scrape. Prometheus waits as long by default. */
const TIMEOUT_MS = 10_000;
/** Most bytes of a response. 100,000 prefixes take 10 MB. */
const MAX_BODY = 64 << 20;

/** Certificates and key, each in PEM. */
export interface Credentials {
  readonly ca?: Buffer | undefined;
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
}

/** Says in one line why there are no figures, and what mends it. */
export class ScrapeError extends Error {
  override readonly name = "ScrapeError";
}

export class Scraper {
  readonly #address: MetricsAddress;
  readonly #agent: Agent;
  readonly #headers: Record<string, string>;
  readonly #timeoutMs: number;

  constructor(address: MetricsAddress, credentials: Credentials, timeoutMs = TIMEOUT_MS) {
    this.#timeoutMs = timeoutMs;
    this.#address = address;
    this.#agent = address.url.protocol === "https:"
      ? new https.Agent({ keepAlive: true, maxSockets: 1, ...credentials })
      : new http.Agent({ keepAlive: true, maxSockets: 1 });
    this.#headers = {
      accept: "text/plain; version=0.0.4",
      ...address.user !== undefined
      && { authorization: `Basic ${Buffer.from(`${address.user}:${address.password ?? ""}`).toString("base64")}` },
    };
  }

  /** Fetches the figures once. @throws ScrapeError, or the signal's reason once that is aborted */
  async scrape(signal: AbortSignal): Promise<Figures> {
    try {
      const body = await this.#get(signal);
      // Rates need a clock that nobody sets; the wall clock may be set.
      return figuresOf(body, now());
    } catch (error) {
      signal.throwIfAborted();
      throw new ScrapeError(`${this.#address.name}: ${explain(error, this.#address.url.protocol)}`, { cause: error });
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #get(signal: AbortSignal): Promise<string> {
    const { url, connection } = this.#address;
    return new Promise((resolve, reject) => {
      const request = (url.protocol === "https:" ? https : http).get(
        url, { ...connection, agent: this.#agent, headers: this.#headers, signal },
      );
      const fail = (error: Error) => {
        clearTimeout(timer);
        // The rest of the response may never end.
        request.destroy();
        reject(error);
      };
      const timer = setTimeout(
        () => { fail(new Error(`no answer within ${this.#timeoutMs / 1000} s`)); }, this.#timeoutMs,
      );
      request.on("error", fail).on("response", (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on("error", fail).on("data", (chunk: Buffer) => {
          length += chunk.length;
          chunks.push(chunk);
          if (length > MAX_BODY) fail(new Error(`the answer is longer than ${MAX_BODY >> 20} MiB; is it a pongd?`));
        }).on("end", () => {
          clearTimeout(timer);
          resolve(Buffer.concat(chunks).toString());
        });
        const refusal = refusalOf(response);
        if (refusal !== undefined) fail(new Error(refusal));
      });
    });
  }
}

/** Returns Unix time in ms, by a clock that nobody sets. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Returns the reason why a response has no metrics; undefined if it has them. */
function refusalOf({ statusCode, statusMessage = "", headers: { location } }: IncomingMessage): string | undefined {
  switch (statusCode) {
    case 200:
      return undefined;
    case 401:
      return "it wants another user or password; write https://USER@host:port and give --password-file FILE or "
        + "PONGD_PASSWORD";
    case 503:
      return "503: pongd is not up yet";
    default:
      return location === undefined
        ? `${statusCode ?? 0} ${statusMessage}: no metrics are there; is it a pongd?`
        : `${statusCode ?? 0}: it refers to ${location}; give that address`;
  }
}

function explain(error: unknown, protocol: string): string {
  const message = messageOf(error);
  switch (error instanceof Error && "code" in error ? error.code : undefined) {
    case "ECONNREFUSED":
      return "nothing listens there; is pongd running, and with which --listen?";
    case "EACCES":
      return "that socket is for its owner and its group";
    case "ENOENT":
      return "there is no such socket; is pongd running, and with which --listen?";
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "there is no such host";
    case "ECONNRESET":
      return "the connection was closed before the answer's end "
        + `(${message})${protocol === "http:" ? "; with TLS, write https://" : ""}`;
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return `${message}; give the certificate of its authority: --ca FILE`;
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "EPROTO":
      return "it does not speak TLS; write http://";
    case "HPE_INVALID_CONSTANT":
      return "it does not speak HTTP; with TLS, write https://";
    default:
      return message;
  }
}
