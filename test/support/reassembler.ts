/**
 * Reassembles as plainly as it can be put, byte by byte. It is the oracle for the engine's reassembly, and tests read
 * replies with it.
 */

interface Datagram {
  readonly bytes: (number | undefined)[];
  /** The range of each fragment that came. */
  readonly ranges: Set<string>;
  header: Uint8Array | undefined;
  end: number;
  last: boolean;
  packets: number;
}

/** A packet as a part of its datagram. */
interface Fragment {
  readonly key: string;
  /** The header as the datagram is to have it. */
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
  readonly offset: number;
  readonly more: boolean;
}

export class Reassembler {
  readonly #datagrams = new Map<string, Datagram>();
  readonly #most: number;
  held = 0;
  replied = 0;
  readonly dropped: Record<string, number> = {};

  /** Keeps at most `most` datagrams at a time. */
  constructor(most = Infinity) {
    this.#most = most;
  }

  /** Takes a fragment. Returns its datagram once that is whole, with don't-fragment off, and counts it as replied. */
  insert(packet: Uint8Array): Uint8Array | undefined {
    const ipv4 = packet[0] >> 4 === 4;
    const { key, header, payload, offset, more } = (ipv4 ? fragment : fragment6)(packet);

    let datagram = this.#datagrams.get(key);
    if (!datagram) {
      // A map keeps the order in which its keys came, so the first one is the oldest.
      const [oldest] = this.#datagrams.keys();
      if (this.#datagrams.size === this.#most) this.#drop(oldest, "frag_evicted");
      datagram = { bytes: [], ranges: new Set(), header: undefined, end: 0, last: false, packets: 0 };
      this.#datagrams.set(key, datagram);
    }
    const end = offset + payload.length;
    const possible = payload.length > 0 && end <= 65535 && !(more && payload.length % 8 !== 0);
    const agrees = more
      ? !datagram.last || end <= datagram.end
      : datagram.last ? end === datagram.end : end >= datagram.end;
    if (!possible || !agrees) {
      this.#discard(key);
      return undefined;
    }
    datagram.end = Math.max(datagram.end, end);
    datagram.last ||= !more;

    // RFC 8200 §4.5: only an exact duplicate does not count as an overlap.
    if (datagram.ranges.has(`${offset} ${end}`) && payload.every((byte, i) => datagram.bytes[offset + i] === byte)) {
      this.#count("dup_frag", 1);
      return undefined;
    }
    if (payload.some((_, i) => datagram.bytes[offset + i] !== undefined)) {
      this.#discard(key);
      return undefined;
    }
    datagram.ranges.add(`${offset} ${end}`);
    payload.forEach((byte, i) => { datagram.bytes[offset + i] = byte; });
    if (offset === 0) datagram.header = header.slice();
    datagram.packets++;
    this.held++;

    if (!datagram.header || !datagram.last || datagram.bytes.length !== datagram.end
      || datagram.bytes.includes(undefined)) return undefined;
    const totalLen = datagram.header.length + datagram.end;
    if (totalLen > (ipv4 ? 65535 : 65575)) {
      this.#drop(key, "bad_frag");
      return undefined;
    }
    this.#datagrams.delete(key);
    this.held -= datagram.packets;
    this.replied += datagram.packets;
    const whole = Uint8Array.of(...datagram.header, ...datagram.bytes as number[]);
    if (ipv4) {
      new DataView(whole.buffer).setUint16(2, totalLen);
      whole[6] = whole[7] = 0;
    } else {
      new DataView(whole.buffer).setUint16(4, totalLen - 40);
    }
    return whole;
  }

  #discard(key: string): void {
    this.#count("bad_frag", 1);
    this.#drop(key, "bad_frag");
  }

  #drop(key: string, reason: string): void {
    const packets = this.#datagrams.get(key)?.packets ?? 0;
    this.#datagrams.delete(key);
    this.held -= packets;
    this.#count(reason, packets);
  }

  #count(reason: string, packets: number): void {
    if (packets > 0) this.dropped[reason] = (this.dropped[reason] ?? 0) + packets;
  }
}

function fragment(packet: Uint8Array): Fragment {
  const view = new DataView(packet.buffer, packet.byteOffset);
  const headerLen = (packet[0] & 15) * 4;
  return {
    key: [view.getUint16(4), packet[9], ...packet.subarray(12, 20)].join(),
    header: packet.subarray(0, headerLen),
    payload: packet.subarray(headerLen, view.getUint16(2)),
    offset: (view.getUint16(6) & 0x1fff) * 8,
    more: (view.getUint16(6) & 0x2000) !== 0,
  };
}

function fragment6(packet: Uint8Array): Fragment {
  const view = new DataView(packet.buffer, packet.byteOffset);
  let field = 6;
  let at = 40;
  while (packet[field] !== 44) [field, at] = [at, at + (packet[at + 1] + 1) * 8];
  const header = packet.slice(0, at);
  header[field] = packet[at];
  return {
    key: [view.getUint32(at + 4), ...packet.subarray(8, 40)].join(),
    header,
    payload: packet.subarray(at + 8, 40 + view.getUint16(4)),
    offset: view.getUint16(at + 2) & 0xfff8,
    more: (packet[at + 3] & 1) !== 0,
  };
}
