/** Clients of TCP services whose connections the kernel has, in processes of their own that run Python. */
import assert from "node:assert/strict";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";
import { ended, type Netns, type Pongd, sum, within } from "./netns.js";

/**
 * Opens connections to port PORT of many addresses, and does with all of them what each line of standard input says.
 * Says after each line, as JSON, how many of them went which way.
 */
const MANY = `
import collections, json, resource, select, socket, sys
port, own = int(sys.argv[1]), int(sys.argv[2])
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
sockets = []

def begin(count):
    begun = []
    for _ in range(count):
        i = own + len(sockets)
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex((f"10.99.{1 + i % 200}.{1 + i // 200 % 250}", port))
        sockets.append(s)
        begun.append(s)
    return begun

def each(chosen, events, step):
    # Calls step until it says how it went with the socket, whenever one of the events has come.
    poll, left, counted = select.epoll(), {s.fileno(): s for s in chosen}, collections.Counter()
    for fd in left: poll.register(fd, events)
    while left:
        for fd, _ in poll.poll():
            try: how = step(left[fd])
            except BlockingIOError: continue
            except OSError as error: how = error.strerror
            if how is None: continue
            poll.unregister(fd)
            s = left.pop(fd)
            counted[how] += 1
            if how not in ("open", "right"):
                s.close()
                sockets.remove(s)
    return counted

def opened(s):
    error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return OSError(error, __import__("os").strerror(error)).strerror if error else "open"

def open_all(count):
    counted = collections.Counter()
    # Few at a time, so that no SYN is lost.
    for at in range(0, count, 100): counted += each(begin(min(100, count - at)), select.EPOLLOUT, opened)
    return counted

def echo(length):
    wanted, got = {}, {}
    for i, s in enumerate(sockets):
        wanted[s] = (f"{own + i} " * length)[:length].encode()
        got[s] = b""
        try: s.send(wanted[s])
        except OSError: pass
    def step(s):
        data = s.recv(65536)
        got[s] += data
        if not data: return "ended"
        if len(got[s]) == length: return "right" if got[s] == wanted[s] else "wrong"
    return each(sockets, select.EPOLLIN, step)

def end(count):
    chosen = sockets[:count]
    for s in chosen: s.shutdown(socket.SHUT_WR)
    return each(chosen, select.EPOLLIN, lambda s: None if s.recv(65536) else "closed")

def step(command, count):
    if command == "begin": return {"begun": len(begin(count))}
    if command == "opened": return each(sockets[-count:], select.EPOLLOUT, opened)
    if command == "ports": return {"ports": [(s.getsockname()[1], s.getpeername()[0]) for s in sockets[:count]]}
    return {"open": open_all, "echo": echo, "end": end}[command](count)

for line in sys.stdin:
    command, count = line.split()
    print(json.dumps(step(command, int(count))), flush=True)
`;

type Counts = Readonly<Record<string, number>>;

/** Many connections of one process. */
export class Clients {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #errors = "";

  /** `first` decides which addresses are spoken to, so that several do not need each other's ports. */
  constructor(ns: Netns, port: number, first = 0) {
    this.#child = ns.spawn("python3", "-c", MANY, String(port), String(first));
    this.#child.stderr.on("data", (chunk) => { this.#errors += String(chunk); });
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  /** Opens so many more connections. Says how it went: how many are `open`, and how many failed with which error. */
  open(count: number): Promise<Counts> {
    return this.#ask("open", count);
  }

  /** Begins so many more connections, and does not wait for them. */
  begin(count: number): Promise<Counts> {
    return this.#ask("begin", count);
  }

  /** Waits until those last begun are open, and says how it went as open() does. */
  opened(count: number): Promise<Counts> {
    return this.#ask("opened", count);
  }

  /** Sends so many bytes on each connection, and says on how many they came back `right`, or what came instead. */
  echo(length: number): Promise<Counts> {
    return this.#ask("echo", length);
  }

  /** Ends so many connections in the order in which they were opened, and says how many the other side `closed`. */
  end(count: number): Promise<Counts> {
    return this.#ask("end", count);
  }

  /** Returns local port and remote address of the first connections. */
  async places(count: number): Promise<[port: number, address: string][]> {
    return (await this.#ask<{ ports: [number, string][] }>("ports", count)).ports;
  }

  /** Ends the process, and so all of its connections. */
  async close(): Promise<void> {
    this.#child.stdin.end();
    assert.equal(await ended(this.#child), 0, this.#errors);
  }

  async #ask<T = Counts>(command: string, count: number): Promise<T> {
    this.#child.stdin.write(`${command} ${count}\n`);
    const { value } = await within(this.#lines.next(), `an answer to ${command} ${count}`) as { value: string | undefined };
    assert.ok(value !== undefined, this.#errors);
    return JSON.parse(value) as T;
  }
}

/**
 * One connection, MODE HOST PORT: `up` sends, `down` reads, `both` does both, until standard input ends. Then it ends
 * its side, reads to the end, and prints how many bytes there were. Each byte that it reads must be right: those of
 * chargen for `down`, its own for `both`.
 */
const BULK = `
import json, random, socket, sys, threading
mode, host, port = sys.argv[1:]
if mode == "down":
    unit = b"".join(bytes(32 + (line + column) % 95 for column in range(72)) + b"\\r\\n" for line in range(95))
else:
    unit = random.Random(1).randbytes(65521)
PIECE = 65536
text = unit * (PIECE // len(unit) + 2)
def at(position, length): return text[position % len(unit):][:length]

s = socket.create_connection((host, int(port)))
over = threading.Event()
count = {"sent": 0, "got": 0}
def send():
    while mode != "down" and not over.is_set():
        s.sendall(at(count["sent"], PIECE))
        count["sent"] += PIECE
    over.wait()
    s.shutdown(socket.SHUT_WR)
sender = threading.Thread(target=send, daemon=True)
sender.start()
def until():
    sys.stdin.read()
    over.set()
threading.Thread(target=until, daemon=True).start()
while data := s.recv(PIECE):
    if data != at(count["got"], len(data)): sys.exit(f"wrong from byte {count['got']} on")
    count["got"] += len(data)
sender.join()
print(json.dumps(count))
`;

/** A transfer that goes on until it is ended. */
export class Bulk {
  readonly #child: ChildProcessWithoutNullStreams;
  #output = "";
  #errors = "";

  constructor(ns: Netns, mode: "up" | "down" | "both", host: string, port: number) {
    this.#child = ns.spawn("python3", "-c", BULK, mode, host, String(port));
    this.#child.stdout.on("data", (chunk) => { this.#output += String(chunk); });
    this.#child.stderr.on("data", (chunk) => { this.#errors += String(chunk); });
  }

  /** Ends it, and returns how many bytes were sent, and came. @throws AssertionError where one of them was wrong */
  async end(): Promise<{ sent: number; got: number }> {
    this.#child.stdin.end();
    assert.equal(await ended(this.#child), 0, this.#errors);
    return JSON.parse(this.#output) as { sent: number; got: number };
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/** Connects to HOST PORT COUNT times, sends all the time and never reads. Ends with standard input, by resets. */
const STALLED = `
import socket, sys, threading
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
request = sys.argv[4].encode() * 1000
def run(i):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    s.connect((f"{host}.{i + 1}", port))
    while True: s.sendall(request)
for i in range(count): threading.Thread(target=run, args=(i,), daemon=True).start()
sys.stdin.read()
`;

/** Connections that ask for ever more, and never read. */
export class Stalled {
  readonly #child: ChildProcessWithoutNullStreams;

  /** Connects to the first addresses of a /24, which is the three bytes `net`. */
  constructor(ns: Netns, net: string, port: number, count: number, request: string) {
    this.#child = ns.spawn("python3", "-c", STALLED, net, String(port), String(count), request);
  }

  async end(): Promise<void> {
    this.#child.stdin.end();
    await ended(this.#child);
  }
}

/** Returns how many bytes of streams went that way. */
export function bytes(metrics: Map<string, number>, direction: "in" | "out"): number {
  return [...metrics].filter(([key]) => key.startsWith(`pongd_tcp_bytes_total{direction="${direction}"`))
    .reduce((total, [, value]) => total + value, 0);
}

/** Returns how many packets queue 0 dropped for that reason. */
export function dropped(metrics: Map<string, number>, reason: string): number {
  return metrics.get(`pongd_packets_dropped_total{reason="${reason}",queue="0"}`) ?? NaN;
}

/** Waits until no connection is left, and asserts that nothing else is left of them. Returns the metrics. */
export async function allGone(pongd: Pongd): Promise<Map<string, number>> {
  const metrics = await pongd.until((metrics) => sum(metrics, "pongd_tcp_connections") === 0);
  for (const name of ["pongd_tcp_half_open_connections", "pongd_tcp_memory_bytes"]) {
    assert.equal(sum(metrics, name), 0, name);
  }
  return metrics;
}

/** Waits until more than `more` bytes have gone each of these ways. */
export async function moved(pongd: Pongd, more: number, ...directions: ("in" | "out")[]): Promise<void> {
  const begun = await pongd.metrics();
  await pongd.until((metrics) => directions.every((way) => bytes(metrics, way) > bytes(begun, way) + more));
}
