// Ports: which service a port has. A prefix has a list of ranges for each protocol (abi/tables.ts), which very many
// prefixes may share.

import { PORT_RANGE_SIZE } from "../abi/tables";
import { Service, SERVICE_KIND } from "../abi/tcp";

/** Returns the record of the service at a port of the list at `list`, or 0. */
export function serviceIn(list: usize, port: u32): usize {
  if (!list) return 0;
  let low: u32 = 0;
  let high = load<u32>(list);
  while (low < high) {
    const middle = low + high >>> 1;
    const range = list + 4 + <usize>middle * PORT_RANGE_SIZE;
    if (port < <u32>load<u16>(range)) high = middle;
    else if (port > <u32>load<u16>(range, 2)) low = middle + 1;
    else return load<u32>(range, 4);
  }
  return 0;
}

export function kindOf(service: usize): Service {
  return <Service>load<u32>(service, SERVICE_KIND);
}
