/**
 * Sets up the device for a run: opens and configures it, checks that its MTU suits the prefixes, and warns if other
 * machines cannot reach it.
 */
import type { Logger } from "pino";
import { Mode } from "../../abi/control.js";
import { EXIT, Failure } from "../base/failure.js";
import { word } from "../base/shell.js";
import { FAMILIES, type Address, type Family, type Prefix } from "../prefix/prefixes.js";
import { MIN_TCP_MTU } from "../engine/memory.js";
import { inheritedSockets } from "../sys/activation.js";
import { forwardingLack } from "../sys/forwarding.js";
import { startWithoutPrivileges } from "../sys/privileges.js";
import { IPV6_MIN_MTU } from "../sys/uapi.js";
import { TunDevice } from "../tun/device.js";
import { disableOffload, enableOffload, probeOffload } from "../tun/offload.js";
import type { RunOptions } from "../config/runoptions.js";

/**
 * Opens and configures the device. Work on its routes, here or by a reload, ends once `stop` is settled.
 * @throws Failure or, because of `stop`, Stopped; with the device closed again.
 */
export async function openDevice(options: RunOptions, log: Logger, stop?: Promise<unknown>): Promise<TunDevice> {
  const { serving: { prefixes }, hostAddresses, hostAddressGiven, link, mtu, queues, queueFds, routes } = options;
  const device = new TunDevice({
    name: options.device, mode: link ? Mode.tap : Mode.tun, mtu, queues, fds: queueFds,
    vnetHeader: options.engine === "js" ? "refused" : options.offload ? "wanted" : "allowed",
  });
  const end = () => { device.routing.stop(); };
  void stop?.then(end, end);
  try {
    checkMtu(device, options);
    const addresses = device.premade && !hostAddressGiven ? [] : hostAddresses;
    for (const line of await device.routing.configure(addresses, routes ? prefixes.blocks : [])) log.warn(line);
    // With queueFds, the process image before this one had the privileges, and has logged these warnings.
    if (routes && queueFds === undefined) for (const line of notForwarded(device, prefixes.families)) log.warn(line);
    log.debug({
      device: device.name, premade: device.premade, mtu: device.mtu, queues: device.queues.length,
    }, "device open");
    return device;
  } catch (error) {
    device.close();
    throw error;
  }
}

/**
 * Makes the device, then starts this process again with the device and without privileges. Does not return.
 * @throws Failure
 */
export async function handOver(options: RunOptions, log: Logger): Promise<never> {
  const device = await openDevice(options, log);
  try {
    return startWithoutPrivileges(device.queues, inheritedSockets().map(({ fd }) => fd));
  } finally {
    device.close();
  }
}

/**
 * Turns offload on, where the options want it and a real packet shows that it works. Returns OFFLOAD_ bits, or
 * undefined if the device puts no header before packets.
 */
export function startOffload(
  device: TunDevice, { link, offload, offloadGiven }: RunOptions, log: Logger,
): number | undefined {
  const off = (why: string) => { log[offloadGiven ? "warn" : "info"](`offload is off: ${why}`); };
  if (!device.vnetHeader) {
    if (offload) off(`device ${device.name} was made without room for it; see --offload of pongd device create`);
    return undefined;
  }
  const [fd] = device.queues;
  if (!offload) {
    disableOffload(fd);
    return 0;
  }
  const bits = enableOffload(fd);
  const refused = bits === 0 ? "this kernel has none (TUNSETOFFLOAD)" : probeOffload(fd, link ? Mode.tap : Mode.tun);
  if (refused === undefined) return bits;
  disableOffload(fd);
  off(refused);
  return 0;
}

/**
 * Returns the addresses on the device. The first of each family is the host's own; a pre-made device may have `others`.
 */
export function addressesOf({ routing }: TunDevice): {
  readonly hosts: readonly Address[];
  readonly others: readonly Prefix[];
} {
  const hosts = FAMILIES.flatMap((family) => routing.addresses.find((own) => own.family === family) ?? []);
  const others = routing.addresses.filter((own) => !hosts.includes(own)).map((own) => {
    const length = 8 * own.bytes.length;
    return { ...own, length, text: `${own.text}/${length}` };
  });
  return { hosts, others };
}

/**
 * Returns a line for each of these families, for which the device has prefixes, if it has no address there and this
 * host does not forward. Only other machines send such packets, so without forwarding none arrive.
 */
export function notForwarded({ name, routing }: TunDevice, families: readonly Family[]): string[] {
  return families.flatMap((family) => {
    if (routing.addresses.some((own) => own.family === family)) return [];
    const lack = forwardingLack(family, name);
    return lack ? [`${lack.what}; ${lack.mend}`] : [];
  });
}

/** @throws Failure if the device's MTU is too small for IPv6 and there are IPv6 prefixes, or for services of TCP. */
export function checkMtu({ name, mtu }: TunDevice, { serving: { prefixes }, accepts }: RunOptions): void {
  const refuse = (what: string, least: number, otherwise: string) => {
    throw new Failure(`device ${name} has MTU ${mtu}: ${what} need at least ${least}`, EXIT.RUNTIME, {
      mend: `sudo ip link set ${word(name)} mtu ${least}, or ${otherwise}`,
    });
  };
  if (mtu < IPV6_MIN_MTU && prefixes.families.includes(6)) {
    refuse("IPv6 prefixes", IPV6_MIN_MTU, "give IPv4 prefixes alone");
  }
  if (mtu < MIN_TCP_MTU && accepts) refuse("TCP's services", MIN_TCP_MTU, "leave the services out");
}
