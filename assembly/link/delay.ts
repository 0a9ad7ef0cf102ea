// Delay: how long a packet is under way.

import { STATE_NORMAL } from "../../abi/links";
import { LINK_TABLES } from "../../abi/tables";
import {
  NORMAL, PHI, PHI_RANGE, QUANTILES, WAY_CORRELATION, WAY_DELAY, WAY_JITTER, WAY_QUANTILES, WAY_REST, WAY_TRACE,
  WAY_TRACE_LEN, WAY_TRACE_STEP,
} from "../../abi/ways";
import { table } from "../prefix";
import { Draw, unit } from "./draw";

/** Returns the delay in ns, which is not negative, of a packet that comes to the way at a time of NOW. */
export function delayOf(way: usize, state: usize, came: u64): f64 {
  let delay = load<f64>(way, WAY_DELAY);
  const trace: usize = load<u32>(way, WAY_TRACE);
  if (trace) {
    const step = <u32>(came / load<u64>(way, WAY_TRACE_STEP) % <u64>load<u32>(way, WAY_TRACE_LEN));
    delay += load<f64>(trace + (step << 3));
  }
  const jitter = load<f64>(way, WAY_JITTER);
  return jitter ? max<f64>(0, delay + jitter * variate(way, state)) : delay;
}

/** Returns a variate of the way's distribution, of which the last one of the state may decide a part. */
function variate(way: usize, state: usize): f64 {
  let u = unit(Draw.jitter);
  const correlation = load<f64>(way, WAY_CORRELATION);
  if (correlation) {
    // The normal variates are an autoregressive process, and keep their distribution; so does what is made of them.
    let normal = interpolate(table() + LINK_TABLES + NORMAL, u);
    // The first one has none before it. That packets came before does not say so: they may have been lost.
    const last = load<f64>(state, STATE_NORMAL);
    if (last) normal = correlation * last + load<f64>(way, WAY_REST) * normal;
    store<f64>(state, normal, STATE_NORMAL);
    const place = max<f64>(0, min<f64>(1, normal / (2 * PHI_RANGE) + 0.5));
    u = interpolate(table() + LINK_TABLES + PHI, place);
  }
  const quantiles: usize = load<u32>(way, WAY_QUANTILES);
  return quantiles ? interpolate(quantiles, u) : 2 * u - 1;
}

/** Returns the value of an f32[QUANTILES + 1] at a place from 0 to 1. */
function interpolate(values: usize, place: f64): f64 {
  const at = place * QUANTILES;
  const index = min<u32>(<u32>at, QUANTILES - 1);
  const low = <f64>load<f32>(values + (index << 2));
  return low + (<f64>load<f32>(values + (index << 2), 4) - low) * (at - <f64>index);
}
