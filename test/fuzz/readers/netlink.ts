/**
 * Fuzzes what the kernel sends over netlink. Each datagram ends, in messages or in a Failure. What was asked for can be
 * read from the bytes that ask.
 */
import assert from "node:assert/strict";
import { Failure } from "../../../src/base/failure.js";
import { FAMILIES, formatBytes, type Prefix } from "../../../src/prefix/prefixes.js";
import {
  addressOf, attribute, cString, ifinfomsg, linkOf, messages, newsOf, outcomeOf, request, statsOf, u32,
} from "../../../src/tun/messages.js";
import { ROUTE_METRIC, routeOf, routeTo } from "../../../src/tun/route.js";
import * as uapi from "../../../src/sys/uapi.js";
import type { Reader } from "../guided.js";
import { refusalOr } from "./refused.js";

const INDEX = 7;
const V4: Prefix = { family: 4, bytes: Uint8Array.of(10, 99, 0, 0), length: 16, text: "10.99.0.0/16" };
const V6: Prefix = {
  family: 6, bytes: Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), length: 64,
  text: "2001:db8::/64",
};

const nested = (type: number, ...within: Uint8Array[]) => attribute(type | uapi.NLA_F_NESTED, Buffer.concat(within));
const tun = nested(uapi.IFLA_LINKINFO, attribute(uapi.IFLA_INFO_KIND, cString("tun")), nested(uapi.IFLA_INFO_DATA,
  attribute(uapi.IFLA_TUN_TYPE, Uint8Array.of(1)), attribute(uapi.IFLA_TUN_OWNER, u32(1000)),
  attribute(uapi.IFLA_TUN_PERSIST, Uint8Array.of(1)), attribute(uapi.IFLA_TUN_NUM_QUEUES, u32(2))));
const link = request(uapi.RTM_NEWLINK, 0, 1, [ifinfomsg(INDEX, uapi.IFF_UP), attribute(
  uapi.IFLA_IFNAME, cString("pong0"),
), attribute(uapi.IFLA_MTU, u32(1500)), tun,
nested(uapi.IFLA_AF_SPEC, nested(uapi.AF_INET6, attribute(uapi.IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(1)))),
attribute(uapi.IFLA_STATS64, new Uint8Array(192))]);
const address = request(uapi.RTM_NEWADDR, 2, 1, [
  Buffer.from([2, 32, 0x80, 0, INDEX, 0, 0, 0]), attribute(uapi.IFA_ADDRESS, V4.bytes),
  attribute(uapi.IFA_LOCAL, V4.bytes),
]);
const error = request(uapi.NLMSG_ERROR, uapi.NLM_F_ACK_TLVS | uapi.NLM_F_CAPPED, 1, [
  u32(0xffffffff), new Uint8Array(16), attribute(uapi.NLMSGERR_ATTR_MSG, cString("no such thing")),
]);
const quoting = request(uapi.NLMSG_ERROR, uapi.NLM_F_ACK_TLVS, 1, [
  u32(0xffffffef), link, attribute(uapi.NLMSGERR_ATTR_MSG, cString("exists")),
]);

export const netlink: Reader = {
  covers: ["/build/src/tun/"],
  dictionary: [
    attribute(uapi.IFLA_IFNAME, cString("x")), attribute(uapi.IFLA_MTU, u32(1)), attribute(uapi.RTA_DST, V4.bytes),
    attribute(uapi.RTA_OIF, u32(1)), attribute(uapi.RTA_PRIORITY, u32(1)),
    attribute(uapi.IFLA_INFO_KIND, cString("tun")), u32(INDEX),
  ],
  seeds: [
    link, address, error, quoting, Buffer.concat([link, address, request(uapi.NLMSG_DONE, 2, 1, [u32(0)])]),
    ...[V4, V6].map((prefix) => request(
      uapi.RTM_NEWROUTE, 2, 1, [...routeTo(INDEX, prefix, prefix), attribute(uapi.RTA_TABLE, u32(1000))],
    )),
  ],
  feed(input) {
    const datagram = Buffer.from(input);
    let count = 0;
    refusalOr(() => {
      for (const message of messages(datagram)) {
        count++;
        const { payload } = message;
        const found = refusalOr(() => linkOf(payload));
        if (!(found instanceof Failure)) assert.doesNotMatch(found.name + (found.kind ?? ""), /\0/);
        const stats = refusalOr(() => statsOf(payload));
        if (stats && !(stats instanceof Failure)) {
          assert.ok(stats.rxPackets >= 0 && stats.txPackets >= 0 && stats.txDropped >= 0);
        }
        const own = refusalOr(() => addressOf(payload, INDEX));
        if (own && !(own instanceof Failure)) assert.equal(own.bytes.length, own.family === 4 ? 4 : 16);
        for (const family of FAMILIES) {
          const route = refusalOr(() => routeOf(payload, family));
          if (!route || route instanceof Failure) continue;
          assert.ok(route.bytes.length === (family === 4 ? 4 : 16) && route.length <= 8 * route.bytes.length);
          checkRoute(
            { family, bytes: Uint8Array.from(route.bytes), length: route.length, text: formatBytes(route.bytes) },
            route.oif,
          );
        }
        const outcome = refusalOr(() => outcomeOf(message));
        if (!(outcome instanceof Failure)) assert.doesNotMatch(outcome.text ?? "", /\0/);
      }
    });
    assert.ok(count <= datagram.length / uapi.SIZEOF_NLMSGHDR);
    newsOf(datagram, INDEX);
  },
};

/** Asserts that a route can be read from the request that asks for it. */
function checkRoute(prefix: Prefix, oif: number): void {
  const [message] = messages(request(uapi.RTM_NEWROUTE, 0, 1, routeTo(oif & 0x7fffffff, prefix, undefined)));
  const read = routeOf(message.payload, prefix.family);
  assert.deepEqual({ ...read, bytes: Uint8Array.from(read?.bytes ?? []) }, {
    bytes: prefix.bytes, length: prefix.length, type: uapi.RTN_UNICAST, oif: oif & 0x7fffffff,
    table: uapi.RT_TABLE_MAIN, tos: 0, metric: ROUTE_METRIC[prefix.family], protocol: uapi.RTPROT_STATIC,
  });
}
