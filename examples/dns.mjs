// A DNS stub on every address of two prefixes: whatever name is asked for, its address is the one that was asked.
//
//     sudo node examples/dns.mjs
//     dig +short anything.example @10.99.7.7
import { open } from "pongd";

const HEADER = 12;
const [A, AAAA] = [1, 28];

const pongd = await open({ prefixes: ["10.99.0.0/16", "fd99::/64"] });
await pongd.bind(53, (message, remote, reply) => {
  const question = questionOf(message);
  if (!question) return;
  const type = question.readUInt16BE(question.length - 4);
  const known = type === (remote.family === "IPv4" ? A : AAAA);
  // RFC 1035, 4.1.1: a response, authoritative, with the query's id and "recursion desired".
  const header = Buffer.from([message[0], message[1], 0x84 | message[2] & 1, 0, 0, 1, 0, known ? 1 : 0, 0, 0, 0, 0]);
  reply(Buffer.concat(known ? [header, question, record(type, remote.localAddress)] : [header, question]));
});
console.log(`try: dig +short anything.example @${pongd.addresses.join(", or @")}`);
process.once("SIGINT", () => pongd.close());

/** Returns the question of a query: labels, type and class. */
function questionOf(message) {
  if (message.length < HEADER + 5 || message[2] & 0xf8 || message.readUInt16BE(4) !== 1) return undefined;
  let end = HEADER;
  while (message[end] > 0) end += message[end] + 1;
  return end + 5 <= message.length ? message.subarray(HEADER, end + 5) : undefined;
}

/** An answer for the name of the question, for a minute. */
function record(type, address) {
  const data = bytesOf(address);
  return Buffer.from([0xc0, HEADER, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length, ...data]);
}

function bytesOf(address) {
  if (!address.includes(":")) return address.split(".").map(Number);
  const [before, after] = address.split("::").map((half) => half.split(":").filter(Boolean));
  const groups = after ? [...before, ...Array(8 - before.length - after.length).fill("0"), ...after] : before;
  return groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]);
}
