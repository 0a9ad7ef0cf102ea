/**
 * Paths: the routers on the way to a prefix. A path is part of a table (tables.ts). Each way through its forks is a
 * route: a list of hops. What a hop remembers from one packet to the next outlasts tables; the words that say where it
 * lies are in links.ts, and assembly/path/ has the code.
 */
import { LINK_STATE_SIZE } from "./links.ts";

/** Maximum number of routes of a path: a packet's is kept in a byte. */
export const MAX_ROUTES = 256;

// ---- the beginning of what a table has of paths; the host alone uses it ---------------------------------------------

/** u32: number of hops, and the address of a HopRecord for each. */
export const HOP_RECORDS = 0;
export const HOP_RECORDS_AT = HOP_RECORDS + 4;
export const PATHS_HEADER_SIZE = HOP_RECORDS_AT + 4;

/** {u32 address, u32 bytes}: what its errors are counted as, and the name of its path. */
export const RECORD_LABEL = 0;
export const RECORD_PATH = RECORD_LABEL + 8;
/** u32: index of the one prefix that has the path, if that has no name. */
export const RECORD_PREFIX = RECORD_PATH + 8;
/** u32: address of its state. */
export const RECORD_STATE = RECORD_PREFIX + 4;
export const HOP_RECORD_SIZE = RECORD_STATE + 4;

// ---- a path ---------------------------------------------------------------------------------------------------------

/** u32: number of forks, and their address. */
export const PATH_FORKS = 0;
export const PATH_FORKS_AT = PATH_FORKS + 4;
/** u32: number of routes, from 1 on, and their address. */
export const PATH_ROUTES = PATH_FORKS_AT + 4;
export const PATH_ROUTES_AT = PATH_ROUTES + 4;
/** u64: seed of what decides on branches. */
export const PATH_SEED = PATH_ROUTES_AT + 4;
/** u32: the longest packet that all its hops forward that say if they do not. */
export const PATH_MTU = PATH_SEED + 8;
/** u32: the most copies that the ways back of the links of a route's hops make of a packet. */
export const PATH_COPIES = PATH_MTU + 4;
export const PATH_RECORD_SIZE = PATH_COPIES + 4;

// ---- a fork ---------------------------------------------------------------------------------------------------------

/** u32: number of branches, from 1 on. */
export const FORK_BRANCHES = 0;
/** u32, a ForkBy. */
export const FORK_BY = FORK_BRANCHES + 4;
/** u32: how far apart the routes of two branches are. */
export const FORK_STRIDE = FORK_BY + 4;
/** u32: address of its state. */
export const FORK_STATE = FORK_STRIDE + 4;
export const FORK_SIZE = FORK_STATE + 4;

/** A fork's way to decide on the branch; the members' names are the model's values. */
export enum ForkBy {
  flow,
  destination,
  packet,
}

// ---- a route --------------------------------------------------------------------------------------------------------

/** u32: number of hops, and the address of their addresses. */
export const ROUTE_HOPS = 0;
export const ROUTE_HOPS_AT = ROUTE_HOPS + 4;
/** u32: hops of the way back. */
export const ROUTE_BACK = ROUTE_HOPS_AT + 4;
/** u32: the longest packet that no black hole takes. */
export const ROUTE_HOLE = ROUTE_BACK + 4;
/** u32: ROUTE_ flags. */
export const ROUTE_FLAGS = ROUTE_HOLE + 4;
export const ROUTE_SIZE = ROUTE_FLAGS + 4;

/** Packets wait until they have come through it, since a way out has to have packets in the order of time. */
export const ROUTE_IN_TIME = 1;

// ---- a hop ----------------------------------------------------------------------------------------------------------

/** u8[16] and u8[4]: its addresses. */
export const HOP_IPV6 = 0;
export const HOP_IPV4 = HOP_IPV6 + 16;
/** u32: HOP_ flags. */
export const HOP_FLAGS = HOP_IPV4 + 4;
/** u32: address of the link that leads to it, or 0. */
export const HOP_LINK = HOP_FLAGS + 4;
/** u32: the longest packet that it forwards. */
export const HOP_MTU = HOP_LINK + 4;
/** u32: TTL with which its errors start. */
export const HOP_TTL = HOP_MTU + 4;
/** u32: address of its state. */
export const HOP_STATE = HOP_TTL + 4;
/** f32: errors a millisecond, and at once. */
export const HOP_RATE = HOP_STATE + 4;
export const HOP_BURST = HOP_RATE + 4;
/** {u32 address, u32 bytes}: the extension structure (RFC 4884 §7) of its errors over IPv4, and over IPv6. */
export const HOP_EXTENSION = HOP_BURST + 4;
export const HOP_EXTENSION6 = HOP_EXTENSION + 8;
export const HOP_SIZE = HOP_EXTENSION6 + 8;

/** It says something over IPv4, and over IPv6. */
export const HOP_SAYS = 1;
export const HOP_SAYS6 = 2;
/** It drops what is too long without saying so. */
export const HOP_BLACK_HOLE = 4;

// ---- the state of a hop, or of a fork -------------------------------------------------------------------------------

/** Errors of hops; the member's name is the label's value. */
export enum HopError {
  time_exceeded,
  packet_too_big,
}
export const MAX_HOP_ERRORS = 4;

/** A state of the link that leads to it, if that has no name; of a fork: u64, packets that have come. */
export const HOP_LINK_STATE = 0;
/** {f64, u64}: the bucket of its errors (limits.ts). */
export const HOP_BUCKET = HOP_LINK_STATE + LINK_STATE_SIZE;
/** f64[MAX_HOP_ERRORS]: its errors. */
export const HOP_ERRORS = HOP_BUCKET + 16;
export const HOP_STATE_SIZE = (HOP_ERRORS + 8 * MAX_HOP_ERRORS + 63) & -64;
/** Maximum number of hops and forks of a table, of which a path that prefixes share counts once. */
export const HOP_STATES = 8192;
