/**
 * Makes X.509 certificates for tests, written as RFC 5280 §4.1 says: version 3, ECDSA on P-256, valid from yesterday to
 * the day after tomorrow.
 */
import { createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto";
import ipaddr from "ipaddr.js";

const DAY_MS = 86_400_000;

/** The DER tags that are used here. */
const Tag = {
  boolean: 0x01, integer: 0x02, bitString: 0x03, octetString: 0x04, oid: 0x06, utf8: 0x0c, utcTime: 0x17,
  sequence: 0x30, set: 0x31,
};
/** RFC 5280 §4.2.1.6: the kinds of GeneralName. */
const NAMES: Readonly<Record<string, number>> = { email: 0x81, DNS: 0x82, URI: 0x86, IP: 0x87 };

const OID = {
  ecdsaWithSha256: der(Tag.oid, Buffer.from("2a8648ce3d040302", "hex")),
  commonName: der(Tag.oid, Buffer.from("550403", "hex")),
  subjectAltName: der(Tag.oid, Buffer.from("551d11", "hex")),
  basicConstraints: der(Tag.oid, Buffer.from("551d13", "hex")),
};
const ALGORITHM = der(Tag.sequence, OID.ecdsaWithSha256);
const TRUE = der(Tag.boolean, Buffer.of(0xff));

/** A certificate and its key, in PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/**
 * Makes a certificate with these names (`DNS:a,IP:127.0.0.1`), signed by `issuer`, or by itself. It may sign others.
 */
export function certificate(names: string, issuer?: Pair): Pair {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const subject = distinguishedName(names);
  const now = Date.now();
  const body = der(
    Tag.sequence,
    der(0xa0, der(Tag.integer, Buffer.of(2))),
    der(Tag.integer, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    ALGORITHM,
    issuer ? distinguishedName(new X509Certificate(issuer.cert).subject.replace(/^CN=/, "")) : subject,
    der(Tag.sequence, utcTime(now - DAY_MS), utcTime(now + 2 * DAY_MS)),
    subject,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(
      Tag.sequence,
      der(Tag.sequence, OID.basicConstraints, TRUE, der(Tag.octetString, der(Tag.sequence, TRUE))),
      der(
        Tag.sequence, OID.subjectAltName, der(Tag.octetString, der(Tag.sequence, ...names.split(",").map(generalName))),
      ),
    )),
  );
  const signature = sign("sha256", body, issuer ? createPrivateKey(issuer.key) : privateKey);
  const cert = der(Tag.sequence, body, ALGORITHM, der(Tag.bitString, Buffer.of(0), signature));
  const lines = cert.toString("base64").match(/.{1,64}/g) ?? [];
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function der(tag: number, ...contents: Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const length = content.length < 0x80 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...length), content]);
}

/** Returns a name that is only a common name. */
function distinguishedName(text: string): Buffer {
  const name = text.replaceAll(/[^\w.]/g, "-").slice(0, 64);
  return der(Tag.sequence, der(Tag.set, der(Tag.sequence, OID.commonName, der(Tag.utf8, Buffer.from(name)))));
}

function utcTime(ms: number): Buffer {
  return der(Tag.utcTime, Buffer.from(new Date(ms).toISOString().replaceAll(/^..|[-:T]|\.\d+/g, "")));
}

/** Encodes a name such as DNS:a. */
function generalName(text: string): Buffer {
  const [, kind, value] = /^(\w+):(.*)$/.exec(text) ?? [];
  return der(NAMES[kind], kind === "IP" ? Buffer.from(ipaddr.parse(value).toByteArray()) : Buffer.from(value));
}
