/** Recognizes files that are no readable capture by their first bytes, and names the command that converts them. */

/** Bytes that are looked at. */
export const FOREIGN_HEAD_LEN = 512;

interface Foreign {
  /** Follows "it" in the message. */
  readonly what: string;
  readonly mend: string | undefined;
}

const CONVERT = "convert it: editcap -F pcap IN OUT";
// editcap would keep ERF's link type, which is not read either.
const CONVERT_ERF = "convert it: traceconvert erf:IN pcapfile:OUT (libtrace)";
const SECONDS_2000 = 946_684_800;
const NO_IP = "it holds no IP packets";
const decompressBy = (command: string) => `decompress it: ${command} | pongd replay - OUT PREFIX`;

/** First bytes as latin1 text, where these suffice to recognize a file. */
const MAGIC: readonly (readonly [magic: string, name: string, mend: string])[] = [
  ["\x1f\x8b", "compressed by gzip a second time", decompressBy("gzip -dc IN | gzip -dc")],
  ["\x1f\x9d", "compressed by compress", decompressBy("gzip -dc IN")],
  ["BZh", "compressed by bzip2", decompressBy("bzip2 -dc IN")],
  ["\xfd7zXZ\0", "compressed by xz", decompressBy("xz -dc IN")],
  ["\x28\xb5\x2f\xfd", "compressed by zstd", decompressBy("zstd -dc IN")],
  ["\x04\x22\x4d\x18", "compressed by lz4", decompressBy("lz4 -dc IN")],
  ["LZIP", "compressed by lzip", decompressBy("lzip -dc IN")],
  ["PK\x03\x04", "a zip archive", decompressBy("unzip -p IN")],
  ["7z\xbc\xaf\x27\x1c", "a 7-Zip archive", decompressBy("7z x -so IN")],
  ["snoop\0\0\0", "a capture of Sun's snoop", CONVERT],
  ["GMBU", "a capture of Microsoft Network Monitor 2", CONVERT],
  ["RTSS", "a capture of Microsoft Network Monitor 1", CONVERT],
  ["TRSNIFF data    \x1a", "a capture of Network General's Sniffer", CONVERT],
  ["XCP\0", "a capture of NetXRay, or of Sniffer for Windows", CONVERT],
  ["iptrace 1.0", "a capture of AIX's iptrace", CONVERT],
  ["iptrace 2.0", "a capture of AIX's iptrace", CONVERT],
  ["\x54\x52\x00\x64\x00", "a capture of HP-UX's nettl", "convert it: editcap -T ether -F pcap IN OUT"],
  ["\x7fver", "a capture of EtherPeek or OmniPeek", CONVERT],
  ["ObserverPktBufferVersion=", "a capture of Network Instruments' Observer", CONVERT],
  ["\x01\x10\x4c\0\x01\x05", "a capture of Novell's LANalyzer", CONVERT],
  ["\xaa\xaa\xaa\xaa", "a capture of InfoVista's 5View", CONVERT],
  ["\x05VNF", "a capture of Visual Networks", CONVERT],
  ["btsnoop\0", "a capture of Bluetooth (btsnoop)", NO_IP],
];

/** Says what a file is. `head` has its first FOREIGN_HEAD_LEN bytes, or all of it. */
export function describeForeign(head: Uint8Array): Foreign {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length);
  const text = bytes.toString("latin1");
  const found = MAGIC.find(([magic]) => text.startsWith(magic));
  if (found) return { what: `is ${found[1]}`, mend: found[2] };
  if (text.slice(257, 262) === "ustar") return { what: "is a tar archive", mend: decompressBy("tar -xOf IN MEMBER") };
  if (isErf(bytes)) return { what: "looks like a capture of Endace (ERF)", mend: CONVERT_ERF };
  if (/^[\t\n\r\x20-\x7e\x80-\xff]*$/.test(text)) return describeText(text);
  return { what: "begins as neither pcap nor pcapng does", mend: undefined };
}

function describeText(text: string): Foreign {
  if (/^\W*<(!doctype html|html|head)\b/i.test(text)) {
    return { what: "is an HTML page", mend: "download the file that the page is about" };
  }
  if (/^.*\([io]\) len=\d+:/m.test(text)) return { what: "is a capture of NetScreen's snoop", mend: CONVERT };
  if (/^\s*(0x)?[0-9a-f]{3,8}:?\s+([0-9a-f]{2}){1,2} ([0-9a-f]{2}){1,2}\b/im.test(text)) {
    return { what: "is a hexdump, which is text", mend: "convert it: text2pcap IN OUT" };
  }
  return { what: "is text", mend: "capture with tcpdump -w FILE, or tshark -w FILE" };
}

/** ERF has no magic number. Its records have a time since 2000, a type that exists, and lengths that agree. */
function isErf(bytes: Buffer): boolean {
  if (bytes.length < 16) return false;
  const [seconds, type] = [bytes.readUInt32LE(4), bytes[8] & 0x7f];
  const [recordLen, wireLen] = [bytes.readUInt16BE(10), bytes.readUInt16BE(14)];
  return seconds >= SECONDS_2000 && type >= 1 && type <= 48 && recordLen >= 16 && recordLen <= wireLen + 64;
}
