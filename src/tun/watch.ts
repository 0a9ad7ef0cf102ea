/** Notifications of rtnetlink(7): tells when a link, its addresses or its routes may have changed. */
import * as libc from "../sys/libc.js";
import { newsOf } from "./messages.js";
import { openNetlink } from "./socket.js";
import * as uapi from "../sys/uapi.js";

/**
 * Groups of notifications about everything that may change how a link is reached. RTMGRP_IPV6_IFINFO reports that a
 * sysctl has disabled or enabled IPv6.
 */
const WATCHED = uapi.RTMGRP_LINK | uapi.RTMGRP_IPV4_IFADDR | uapi.RTMGRP_IPV6_IFADDR | uapi.RTMGRP_IPV4_ROUTE
  | uapi.RTMGRP_IPV6_ROUTE | uapi.RTMGRP_IPV6_IFINFO;
/**
 * Datagrams that are read before the event loop goes on. A routing daemon that starts may cause
 * a million notifications.
 */
const READ_AT_ONCE = 256;

/**
 * Calls back from the event loop when the link, its addresses or its routes changed or may have changed. The callback
 * has to look at the present state, since one call may stand for several changes. `link` says whether the link itself
 * may have changed. Returns a function that ends this. @throws SystemError from socket(2) or bind(2).
 */
export function watchLink(index: number, callback: (link: boolean) => void): () => void {
  const fd = openNetlink({ groups: WATCHED });
  const buffer = Buffer.alloc(65536);
  // After ENOBUFS the kernel drops notifications, without another error, until all that wait have been read.
  let overrun = false;
  const unwatch = libc.onReadable(fd, () => {
    let [link, reach] = [false, false];
    for (let i = 0; i < READ_AT_ONCE; i++) {
      const length = libc.recv(fd, buffer, buffer.length, 0);
      if (length < 0 && libc.errno() === libc.E.EAGAIN) {
        reach ||= overrun;
        overrun = false;
        break;
      }
      overrun ||= length < 0;
      const news = length < 0 ? { link: false, reach: true } : newsOf(buffer.subarray(0, length), index);
      link ||= news.link;
      reach ||= news.reach;
    }
    if (link || reach) callback(link);
  });
  return () => {
    unwatch();
    libc.close(fd);
  };
}
