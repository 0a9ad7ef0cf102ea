// Which packets netem loses, as loss_event().

import { STATE_LAST_LOSS, STATE_LOSS } from "../../../abi/links";
import { NETEM_LOSS, NETEM_MODEL, NETEM_MODEL_AT, NetemLoss } from "../../../abi/netem";
import { happens, random } from "./random";

const GOOD: u8 = 1;
const BAD: u8 = 2;

const GAP: u8 = 1;
const BURST_RECEIVED: u8 = 2;
const BURST_LOST: u8 = 3;
const ALONE_LOST: u8 = 4;

/** Returns whether the packet in hand is lost. */
export function isLost(netem: usize, state: usize): bool {
  switch (load<u32>(netem, NETEM_MODEL)) {
    case NetemLoss.states: return states(netem, state);
    case NetemLoss.gilbert: return gilbert(netem, state);
    default: return happens(state, netem + NETEM_LOSS, state + STATE_LAST_LOSS);
  }
}

function parameter(netem: usize, index: usize): u32 {
  return load<u32>(netem + (index << 2), NETEM_MODEL_AT);
}

/** As loss_gilb_ell(): the state before decides what is lost, and the transition is drawn first. */
function gilbert(netem: usize, state: usize): bool {
  const change = random(state);
  const loss = random(state);
  if (load<u8>(state, STATE_LOSS) == BAD) {
    if (change < parameter(netem, 1)) store<u8>(state, GOOD, STATE_LOSS);
    return loss > parameter(netem, 2);
  }
  if (change < parameter(netem, 0)) store<u8>(state, BAD, STATE_LOSS);
  return loss < parameter(netem, 3);
}

/** As loss_4state(), whose sums are of 32 bits. */
function states(netem: usize, state: usize): bool {
  const drawn = random(state);
  const p13 = parameter(netem, 0);
  const p31 = parameter(netem, 1);
  const p32 = parameter(netem, 2);
  const p14 = parameter(netem, 3);
  const p23 = parameter(netem, 4);
  let is = load<u8>(state, STATE_LOSS);
  switch (is) {
    case BURST_RECEIVED:
      if (drawn < p23) is = BURST_LOST;
      break;
    case BURST_LOST:
      if (drawn < p32) is = BURST_RECEIVED;
      else if (drawn < p31 + p32) is = GAP;
      break;
    case ALONE_LOST:
      is = GAP;
      break;
    default:
      is = drawn < p14 ? ALONE_LOST : drawn < p13 + p14 ? BURST_LOST : GAP;
  }
  store<u8>(state, is, STATE_LOSS);
  return is >= BURST_LOST;
}
