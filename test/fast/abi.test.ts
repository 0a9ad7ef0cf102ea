/** Tests the layout of linear memory, abi/: no two regions overlap, and counts have room to grow. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as control from "../../abi/control.js";
import {
  ATTEMPT_FAILS, BATCH_BUCKETS, BATCH_SIZES, Counter, COUNTERS, COUNTERS_END, Drop, DROPPED, ERRORS, ERRORS6, IcmpError,
  LATENESS, LATENESS_BUCKETS, MAX_COUNTERS, MAX_DROPS, MAX_ERRORS, MAX_PROTOCOLS, MAX_UNOPENED, PREFIX_REPLIES,
  Protocol, REPLIES,
} from "../../abi/counters.js";
import { IRTT_END, IRTT_KEY, IRTT_SERVICE, IRTT_SESSION_SIZE, IRTT_SESSIONS } from "../../abi/irtt.js";
import { BUCKET_SIZE, ERROR_BUCKETS, LIMITS_END, PREFIX_BUCKETS, SOURCE_BUCKETS, SOURCES } from "../../abi/limits.js";
import { LINKS_END, MAX_KEPT, STATE_WAS, WAY_STATE_SIZE } from "../../abi/links.js";
import { PATH_SETS, PATH_SIZE, PATH_WAYS, PATHS, PATHS_END } from "../../abi/paths.js";
import { FREE, KEPT, KEPT_SIZE, MAX_SLOTS } from "../../abi/pool.js";
import { SHA_END, SHA_K } from "../../abi/sha256.js";
import {
  BATCH, DESCRIPTOR_SIZE, MAX_TOUCHED, RECEIVED, SENDS, SLOT_ALIGN, SLOT_BASE, STAMPED, STAMPED_SIZE, TO_SEND, TOUCHED,
} from "../../abi/slots.js";
import { STREAMS, STREAMS_END, Unopened } from "../../abi/streams.js";
import {
  HOST, HOST6, HOST6_OWNER, HOST_OWNER, LIMIT_SIZE, LINK_DATA, LINK_TABLES, LINKS, MAX_LINK_DATA, MAX_NODES,
  MAX_PATH_DATA, MAX_PORT_LISTS, NODES, PATH_DATA, PORT_LISTS, PREFIX_ANSWERS, PREFIX_INDICES, PREFIX_LIMITS,
  PREFIX_LINK, PREFIX_PATH, ROOT_ENTRIES, SOURCE_LIMIT, SOURCE_ROUTE, TRIE, TRIE6,
} from "../../abi/tables.js";
import { CONNECTION_END, CONNECTION_SIZE, HASH_KEY, TCP_END } from "../../abi/tcp.js";
import {
  EARLIEST, LEVEL_LISTS, LEVELS, LIST_SIZE, OCCUPIED, OCCUPIED_SIZE, TIMERS, TIMERS_END, TURNED, WHEEL,
} from "../../abi/timers.js";
import { LINK_SIZE, LINK_TABLES_SIZE, MAX_LINKS, WAY_END, WAY_SIZE } from "../../abi/ways.js";
import { RINGS, RINGS_SIZE, SIZEOF_SQE, SQ_ENTRIES, SQES, URING_END } from "../../abi/uring.js";

const PAGE = 4096;

/** A region: its first byte, its size in bytes, and the multiple at which it must begin. */
type Region = readonly [name: string, at: number, size: number, align: number];

/** Words of abi/control.ts that are not 4 bytes long: their size and alignment. */
const WIDE: Partial<Record<string, readonly [size: number, align: number]>> = {
  MEMORY_ADDRESS: [8, 8], WOKEN: [8, 8], NOW: [8, 8], WALL: [8, 8], DEADLINE: [8, 8], BATCH_AT: [8, 8],
  CONTEXT: [control.CONTEXT_SIZE, 8], MAC: [6, 2], REPLY_OPTIONS: [40, 4], DEVICE_MAC: [8, 8],
};

const NO_WORDS: readonly string[] = ["CONTROL_END", "CONTEXT_SIZE", "UNKNOWN_ERROR"];
const words = Object.entries(control)
  .filter((entry): entry is [string, number] => typeof entry[1] === "number")
  .filter(([name]) => !NO_WORDS.includes(name))
  .map(([name, at]): Region => [name, at, ...WIDE[name] ?? [4, 4] as const]);

const MEMORY: readonly Region[] = [
  ...words,
  ["COUNTERS", COUNTERS, COUNTERS_END - COUNTERS, SLOT_ALIGN],
  ["ERROR_BUCKETS", ERROR_BUCKETS, 2 * MAX_ERRORS * BUCKET_SIZE, 8],
  ["PREFIX_BUCKETS", PREFIX_BUCKETS, PREFIX_INDICES * BUCKET_SIZE, 8],
  ["SOURCE_BUCKETS", SOURCE_BUCKETS, SOURCES * BUCKET_SIZE, 8],
  ["PATHS", PATHS, PATH_SETS * PATH_WAYS * PATH_SIZE, SLOT_ALIGN],
  ["TURNED", TURNED, 8, SLOT_ALIGN],
  ["TIMERS", TIMERS, 4, 4],
  ["EARLIEST", EARLIEST, 4, 4],
  ["OCCUPIED", OCCUPIED, LEVELS * OCCUPIED_SIZE, 8],
  ["WHEEL", WHEEL, LEVELS * LEVEL_LISTS * LIST_SIZE, 8],
  ["RINGS", RINGS, RINGS_SIZE, PAGE],
  ["SQES", SQES, SQ_ENTRIES * SIZEOF_SQE, PAGE],
  ["RECEIVED", RECEIVED, BATCH * DESCRIPTOR_SIZE, 8],
  ["TO_SEND", TO_SEND, SENDS * DESCRIPTOR_SIZE, 8],
  ["FREE", FREE, 4 * MAX_SLOTS, 4],
  ["KEPT", KEPT, KEPT_SIZE * MAX_SLOTS, 8],
  ["TCP", HASH_KEY, TCP_END - HASH_KEY, SLOT_ALIGN],
  ["STREAMS", STREAMS, STREAMS_END - STREAMS, SLOT_ALIGN],
  ["SHA", SHA_K, SHA_END - SHA_K, SLOT_ALIGN],
  ["IRTT", IRTT_KEY, IRTT_SESSIONS - IRTT_KEY, SLOT_ALIGN],
  ["IRTT_SESSIONS", IRTT_SESSIONS, IRTT_END - IRTT_SESSIONS, SLOT_ALIGN],
  ["LINKS", MAX_KEPT, LINKS_END - MAX_KEPT, SLOT_ALIGN],
  ["TOUCHED", TOUCHED, 4 * MAX_TOUCHED, 4],
  ["STAMPED", STAMPED, STAMPED_SIZE * BATCH, 4],
  ["SLOT_BASE", SLOT_BASE, MAX_SLOTS * SLOT_ALIGN, PAGE],
];

const COUNTED: readonly Region[] = [
  ["Counter", 0, MAX_COUNTERS, 1],
  ["REPLIES", REPLIES, MAX_PROTOCOLS, 1],
  ["DROPPED", DROPPED, MAX_DROPS, 1],
  ["BATCH_SIZES", BATCH_SIZES, BATCH_BUCKETS, 1],
  ["ERRORS", ERRORS, MAX_ERRORS, 1],
  ["ERRORS6", ERRORS6, MAX_ERRORS, 1],
  ["ATTEMPT_FAILS", ATTEMPT_FAILS, MAX_UNOPENED, 1],
  ["LATENESS", LATENESS, LATENESS_BUCKETS, 1],
  ["PREFIX_REPLIES", PREFIX_REPLIES, PREFIX_INDICES, 1],
];

const TABLE: readonly Region[] = [
  ["HOST", HOST, 4, 4],
  ["HOST_OWNER", HOST_OWNER, 4, 4],
  ["HOST6_OWNER", HOST6_OWNER, 4, 4],
  ["HOST6", HOST6, 16, 8],
  ["SOURCE_ROUTE", SOURCE_ROUTE, 4, 4],
  ["SOURCE_LIMIT", SOURCE_LIMIT, LIMIT_SIZE, 8],
  ["TRIE", TRIE, 4 * ROOT_ENTRIES, SLOT_ALIGN],
  ["TRIE6", TRIE6, 4 * ROOT_ENTRIES, SLOT_ALIGN],
  ["PREFIX_ANSWERS", PREFIX_ANSWERS, 4 * PREFIX_INDICES, 4],
  ["PREFIX_LIMITS", PREFIX_LIMITS, LIMIT_SIZE * PREFIX_INDICES, 4],
  ["PREFIX_LINK", PREFIX_LINK, 4 * PREFIX_INDICES, 4],
  ["LINK_TABLES", LINK_TABLES, LINK_TABLES_SIZE, 8],
  ["LINKS", LINKS, LINK_SIZE * MAX_LINKS, SLOT_ALIGN],
  ["LINK_DATA", LINK_DATA, MAX_LINK_DATA, 8],
  ["PREFIX_PATH", PREFIX_PATH, 4 * PREFIX_INDICES, 4],
  ["PATH_DATA", PATH_DATA, MAX_PATH_DATA, SLOT_ALIGN],
  ["PORT_LISTS", PORT_LISTS, MAX_PORT_LISTS, 4],
  ["NODES", NODES, MAX_NODES, SLOT_ALIGN],
];

describe("no two regions overlap, and each begins where it may", () => {
  for (const [what, regions] of Object.entries({ memory: MEMORY, counters: COUNTED, table: TABLE })) {
    test(what, () => {
      const inOrder = [...regions].sort(([, a], [, b]) => a - b);
      let [last, end] = ["the beginning", 0];
      for (const [name, at, size, align] of inOrder) {
        assert.ok(at >= end, `${name} begins at ${at}, and ${last} ends at ${end}`);
        assert.equal(at % align, 0, `${name} begins at ${at}, which is no multiple of ${align}`);
        [last, end] = [name, at + size];
      }
    });
  }
  test("each file's end is behind what it has", () => {
    const ends = {
      control: control.CONTROL_END, limits: LIMITS_END, paths: PATHS_END, timers: TIMERS_END, uring: URING_END,
    };
    const last = {
      control: Math.max(...words.map(([, at, size]) => at + size)),
      limits: SOURCE_BUCKETS + SOURCES * BUCKET_SIZE,
      paths: PATHS + PATH_SETS * PATH_WAYS * PATH_SIZE,
      timers: WHEEL + LEVELS * LEVEL_LISTS * LIST_SIZE,
      uring: SQES + SQ_ENTRIES * SIZEOF_SQE,
    };
    for (const [file, end] of Object.entries(ends)) assert.ok(end >= last[file as keyof typeof last], file);
  });
});

describe("what is counted has room to grow", () => {
  for (const [name, members, room, left] of [
    ["Counter", Counter, MAX_COUNTERS, 4],
    ["Protocol", Protocol, MAX_PROTOCOLS, 4],
    ["Drop", Drop, MAX_DROPS, 20],
    ["IcmpError", IcmpError, MAX_ERRORS, 2],
    ["Unopened", Unopened, MAX_UNOPENED, 8],
  ] as const) {
    test(`${name}: at least ${left} more`, () => {
      const count = Object.keys(members).length / 2;
      assert.ok(count + left <= room, `${count} of ${room} are taken: raise the room in abi/counters.ts`);
    });
  }
});

test("a control block of TCP has all of its fields in four cache lines", () => {
  assert.equal(CONNECTION_SIZE, 256);
  assert.ok(CONNECTION_END <= CONNECTION_SIZE, `${CONNECTION_END} bytes`);
});

test("a session of IRTT has all of its fields in two cache lines", () => {
  assert.equal(IRTT_SESSION_SIZE, 128);
  assert.ok(IRTT_SERVICE + 4 <= IRTT_SESSION_SIZE);
});

test("a way of a link, and its state, have room for all of their fields", () => {
  assert.ok(WAY_END <= WAY_SIZE, `${WAY_END} bytes`);
  assert.ok(STATE_WAS < WAY_STATE_SIZE);
});
