// Loss: which packets do not come through.

import { STATE_LOSS, STATE_PACKETS } from "../../abi/links";
import { Loss, WAY_LOSS, WAY_LOSS_AT } from "../../abi/ways";
import { Draw, unit } from "./draw";

/** States of Gilbert-Elliott; 0 is before the first packet. */
const GOOD: u8 = 1;
const BAD: u8 = 2;

/** The four states, by their usual names: 1 and 2 lose nothing, between bursts and within one; 3 and 4 do. */
const GAP: u8 = 1;
const BURST_RECEIVED: u8 = 2;
const BURST_LOST: u8 = 3;
const ALONE_LOST: u8 = 4;

/** Returns whether the packet in hand is lost. */
export function isLost(way: usize, state: usize): bool {
  switch (load<u32>(way, WAY_LOSS)) {
    case Loss.random: return unit(Draw.loss) < parameter(way, 0);
    case Loss.gilbert: return gilbert(way, state);
    case Loss.states: return states(way, state);
    case Loss.packets: return isNamed(way, load<u64>(state, STATE_PACKETS));
    default: return false;
  }
}

function parameter(way: usize, index: usize): f64 {
  return load<f64>(way + (index << 3), WAY_LOSS_AT);
}

/**
 * Gilbert-Elliott (Gilbert 1960, Elliott 1963): a good and a bad state, each of which loses packets by a probability of
 * its own. The first packet finds either as often as all others do.
 */
function gilbert(way: usize, state: usize): bool {
  const change = unit(Draw.transition);
  let is = load<u8>(state, STATE_LOSS);
  if (!is) is = change < parameter(way, 4) ? BAD : GOOD;
  else if (is == GOOD) is = change < parameter(way, 0) ? BAD : GOOD;
  else is = change < parameter(way, 1) ? GOOD : BAD;
  store<u8>(state, is, STATE_LOSS);
  return unit(Draw.loss) < parameter(way, is == BAD ? 3 : 2);
}

/** The Markov chain of Salsano, Ludovici and Ordine (2009), whose states say what is lost. */
function states(way: usize, state: usize): bool {
  const change = unit(Draw.transition);
  const p13 = parameter(way, 0);
  const p31 = parameter(way, 1);
  const p32 = parameter(way, 2);
  const p23 = parameter(way, 3);
  const p14 = parameter(way, 4);
  let is = load<u8>(state, STATE_LOSS);
  switch (is) {
    case BURST_RECEIVED:
      if (change < p23) is = BURST_LOST;
      break;
    case BURST_LOST:
      if (change < p32) is = BURST_RECEIVED;
      else if (change < p32 + p31) is = GAP;
      break;
    case ALONE_LOST:
      is = GAP;
      break;
    default:
      is = change < p14 ? ALONE_LOST : change < p14 + p13 ? BURST_LOST : GAP;
  }
  store<u8>(state, is, STATE_LOSS);
  return is >= BURST_LOST;
}

/** Returns whether the packet of this number, from 1 on, is one of those named. */
function isNamed(way: usize, number: u64): bool {
  const ranges: usize = load<u32>(way, WAY_LOSS_AT);
  let low: u32 = 0;
  let high = load<u32>(way, WAY_LOSS_AT + 4);
  while (low < high) {
    const middle = low + high >>> 1;
    if (number > <u64>load<u32>(ranges + (middle << 3), 4)) low = middle + 1;
    else high = middle;
  }
  return low < load<u32>(way, WAY_LOSS_AT + 4) && number >= <u64>load<u32>(ranges + (low << 3));
}
