/** Gets what a running pongd serves. The response is another program's, so its length and its time have bounds. */
import type { Agent, IncomingMessage } from "node:http";
import * as https from "node:https";
import { http } from "../base/builtin.js";
import { messageOf } from "../base/failure.js";
import type { MetricsAddress } from "./address.js";

/** Most bytes of a response. 100,000 prefixes take 10 MB, and 50,000 connections 35 MB. */
const MAX_BODY = 64 << 20;

/** Certificates and key, each in PEM. */
export interface Credentials {
  readonly ca?: Buffer | undefined;
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
}

export interface Asked {
  /** What is asked for, as messages name it. */
  readonly what: string;
  readonly accept: string;
  readonly timeoutMs: number;
}

/** Says in one line why there is no answer, and what mends it. */
export class ScrapeError extends Error {
  override readonly name = "ScrapeError";
}

/** A connection to a pongd, which is used again as long as it stays open. */
export class Client {
  readonly #address: MetricsAddress;
  readonly #agent: Agent;
  readonly #headers: Record<string, string>;
  readonly #asked: Asked;

  /** `address`: where the thing lies that is asked for. */
  constructor(address: MetricsAddress, credentials: Credentials, asked: Asked) {
    this.#asked = asked;
    this.#address = address;
    this.#agent = address.url.protocol === "https:"
      ? new https.Agent({ keepAlive: true, maxSockets: 1, ...credentials })
      : new http.Agent({ keepAlive: true, maxSockets: 1 });
    this.#headers = {
      accept: asked.accept,
      ...address.user !== undefined
      && { authorization: `Basic ${Buffer.from(`${address.user}:${address.password ?? ""}`).toString("base64")}` },
    };
  }

  /**
   * Gets it once, and returns what `read` makes of it.
   * @throws ScrapeError, also for what `read` throws; or the signal's reason once that is aborted
   */
  async get<T>(read: (body: string) => T, signal?: AbortSignal): Promise<T> {
    try {
      return read(await this.#get(signal));
    } catch (error) {
      signal?.throwIfAborted();
      throw new ScrapeError(`${this.#address.name}: ${explain(error, this.#address.url.protocol)}`, { cause: error });
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #get(signal: AbortSignal | undefined): Promise<string> {
    const { url, connection } = this.#address;
    const { what, timeoutMs } = this.#asked;
    return new Promise((resolve, reject) => {
      const request = (url.protocol === "https:" ? https : http).get(
        url, { ...connection, agent: this.#agent, headers: this.#headers, ...signal && { signal } },
      );
      const fail = (error: Error) => {
        clearTimeout(timer);
        // The rest of the response may never end.
        request.destroy();
        reject(error);
      };
      const timer = setTimeout(
        () => { fail(new Error(`no answer within ${timeoutMs / 1000} s`)); }, timeoutMs,
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
        const refusal = refusalOf(response, what);
        if (refusal !== undefined) fail(new Error(refusal));
      });
    });
  }
}

/** Returns the reason why a response does not have what is asked for; undefined if it has that. */
function refusalOf(
  { statusCode, statusMessage = "", headers: { location } }: IncomingMessage, what: string,
): string | undefined {
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
        ? `${statusCode ?? 0} ${statusMessage}: no ${what} are there; is it a pongd?`
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
