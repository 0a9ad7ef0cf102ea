/**
 * The way to the kernel's sockets: a veth pair between the network namespaces of two processes. On the server's side
 * every address of the prefix is local. On the client's they lie behind the pair, as they lie behind pongd's device.
 */
import { parseAddress } from "../prefix/prefixes.js";
import * as libc from "../sys/libc.js";
import * as uapi from "../sys/uapi.js";
import { attribute, cString, ifinfomsg, messages, outcomeOf, request, u32 } from "../tun/messages.js";
import { Netlink } from "../tun/netlink.js";
import { NetlinkError } from "../tun/refusal.js";
import { DATAGRAM, openNetlink, receive, send } from "../tun/socket.js";
import { PREFIX } from "./pongd.js";

/** Ends of the pair: names, and addresses that RFC 2544 has for benchmarks. */
const CLIENT = { name: "client0", address: parseAddress("198.18.0.2") };
const SERVER = { name: "server0", address: parseAddress("198.18.0.1") };
const MTU = 1500;
const TX_QUEUE_LEN = 1000;

/** Makes the pair, one end of it in the namespace of process `server`. Needs the rights for both. */
export function createPair(server: number): void {
  const peer = [
    ifinfomsg(0), attribute(uapi.IFLA_IFNAME, cString(SERVER.name)), attribute(uapi.IFLA_NET_NS_PID, u32(server)),
  ];
  const info = [
    attribute(uapi.IFLA_INFO_KIND, cString("veth")),
    attribute(uapi.IFLA_INFO_DATA, attribute(uapi.VETH_INFO_PEER, Buffer.concat(peer))),
  ];
  ask(uapi.RTM_NEWLINK, [
    ifinfomsg(0), attribute(uapi.IFLA_IFNAME, cString(CLIENT.name)), attribute(uapi.IFLA_LINKINFO, Buffer.concat(info)),
  ], `${CLIENT.name}, of kind veth`);
}

/** Sets up the client's end. */
export function connectClient(): void {
  const index = setUp(CLIENT);
  route({
    ...PREFIX, index, table: uapi.RT_TABLE_MAIN, scope: uapi.RT_SCOPE_UNIVERSE, type: uapi.RTN_UNICAST,
    gateway: SERVER.address.bytes,
  });
}

/** Sets up the server's end, and makes the prefix local. */
export function connectServer(): void {
  const index = setUp(SERVER);
  route({
    ...CLIENT.address, length: 32, index, table: uapi.RT_TABLE_MAIN, scope: uapi.RT_SCOPE_LINK, type: uapi.RTN_UNICAST,
  });
  const netlink = new Netlink();
  const { index: loopback } = netlink.link("lo");
  netlink.close();
  route({
    ...PREFIX, index: loopback, table: uapi.RT_TABLE_LOCAL, scope: uapi.RT_SCOPE_HOST, type: uapi.RTN_LOCAL,
  });
}

function setUp({ name, address }: typeof CLIENT): number {
  const netlink = new Netlink();
  const { index } = netlink.link(name);
  netlink.addAddress(index, address);
  netlink.setLinkUp(index, MTU, TX_QUEUE_LEN);
  netlink.close();
  return index;
}

interface Way {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly index: number;
  readonly table: number;
  readonly scope: number;
  readonly type: number;
  readonly gateway?: Uint8Array;
}

function route({ bytes, length, index, table, scope, type, gateway }: Way): void {
  // struct rtmsg: u8 family, dst_len, src_len, tos, table, protocol, scope, type; u32 flags
  const header = Buffer.alloc(uapi.SIZEOF_RTMSG);
  header.set([uapi.AF_INET, length, 0, 0, table, uapi.RTPROT_STATIC, scope, type]);
  // The gateway has no route of its own.
  if (gateway) header.writeUInt32LE(uapi.RTNH_F_ONLINK, 8);
  ask(uapi.RTM_NEWROUTE, [
    header, attribute(uapi.RTA_DST, bytes), attribute(uapi.RTA_OIF, u32(index)),
    ...gateway ? [attribute(uapi.RTA_GATEWAY, gateway)] : [],
  ], `route to ${bytes.join(".")}/${length}`);
}

/** Has the kernel make something. @throws NetlinkError */
function ask(type: number, payload: readonly Uint8Array[], subject: string): void {
  const fd = openNetlink();
  try {
    send(fd, request(type, uapi.NLM_F_ACK | uapi.NLM_F_CREATE | uapi.NLM_F_EXCL, 1, payload), subject);
    const answer = Buffer.alloc(DATAGRAM);
    for (const message of messages(answer.subarray(0, receive(fd, answer, subject)))) {
      const { errno, text } = outcomeOf(message);
      if (errno !== 0) throw new NetlinkError("netlink:", subject, errno, text);
    }
  } finally {
    libc.close(fd);
  }
}
