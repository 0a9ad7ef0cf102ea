/** sd_listen_fds(3): sockets that the service manager has opened and hands over, socket activation by its name. */

/** SD_LISTEN_FDS_START. */
const FIRST_FD = 3;

/** A descriptor that was open when this process began. */
export interface InheritedSocket {
  readonly fd: number;
  /** FileDescriptorName= of its socket unit, by default the unit's name. */
  readonly name: string;
}

/** What this process was handed over; nothing where the variables are meant for another one. */
export function inheritedSockets(environment: NodeJS.ProcessEnv = process.env): InheritedSocket[] {
  const { LISTEN_PID: pid, LISTEN_FDS: count = "", LISTEN_FDNAMES: names } = environment;
  if (pid !== String(process.pid) || !/^\d{1,4}$/.test(count)) return [];
  const given = names?.split(":") ?? [];
  return Array.from({ length: Number(count) }, (_, i) => ({ fd: FIRST_FD + i, name: given.at(i) ?? "unknown" }));
}

/** Keeps children from taking them for their own. */
export function forgetInheritedSockets(environment: NodeJS.ProcessEnv = process.env): void {
  for (const name of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) Reflect.deleteProperty(environment, name);
}
