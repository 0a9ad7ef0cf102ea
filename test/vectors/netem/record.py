"""Records what this kernel's netem does to packets: init of the virtual machine that record.sh starts.

Each line of recorded.txt is one of cases.json: what becomes of its packets, one each GAP ns from 0 on. Each packet is
LATE:FATE. LATE says how many ns late it was sent, and FATE how many ns later it came out, or "-" if it did not; "+" is
between those that came twice, "!" behind one that is spoilt, and "^" behind one that is marked (RFC 3168).
"""
import ctypes
import errno
import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
import traceback

COUNT = 400
GAP = 1_000_000
# Longest that a packet is waited for.
QUIET = 5_000_000_000
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = sys.argv[1]
NAME = "tun0"

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
RTM_NEWQDISC, RTM_GETQDISC, NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 36, 38, 1, 4, 0x300
TCA_KIND, TCA_OPTIONS, TCA_NETEM_PRNG_SEED = 1, 2, 14
QOPT_LEN = 24
TC_H_ROOT = 0xFFFFFFFF


def mount(kind, at):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", at.encode(), kind.encode(), 0, None):
        raise OSError(ctypes.get_errno(), f"mount {kind}")


def device():
    # tc asks there for the kernel's clock.
    mount("proc", "/proc")
    mount("tmpfs", "/mnt")
    os.mknod("/mnt/tun", 0o20600, os.makedev(10, 200))
    fd = os.open("/mnt/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", NAME.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", NAME, "up"], check=True)
    return fd


def attributes(data):
    while len(data) >= 4:
        length, kind = struct.unpack_from("HH", data)
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3:]


def attribute(kind, data):
    return struct.pack("HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def ask(netlink, kind, flags, body):
    netlink.send(struct.pack("IHHII", 16 + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body)


def give_seed(index, seed):
    """Changes the qdisc into itself, with a seed: tc 6.1 has no word for that."""
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    ask(netlink, RTM_GETQDISC, NLM_F_DUMP, struct.pack("BxxxiIII", 0, index, 0, 0, 0))
    options = None
    done = False
    while not done:
        data = netlink.recv(1 << 16)
        while data:
            length, kind = struct.unpack_from("IH", data)
            done = done or kind == 3
            if kind == RTM_NEWQDISC and struct.unpack_from("i", data, 20)[0] == index:
                handle = struct.unpack_from("I", data, 24)[0]
                found = dict(attributes(data[36:length]))
                if found[TCA_KIND] == b"netem\0":
                    options = found[TCA_OPTIONS]
            data = data[(length + 3) & ~3:]
    changed = options[:QOPT_LEN]
    for kind, value in attributes(options[QOPT_LEN:]):
        if kind != TCA_NETEM_PRNG_SEED:
            changed += attribute(kind, value)
    changed += attribute(TCA_NETEM_PRNG_SEED, struct.pack("Q", seed))
    body = struct.pack("BxxxiIII", 0, index, handle, TC_H_ROOT, 0)
    body += attribute(TCA_KIND, b"netem\0") + attribute(TCA_OPTIONS, changed)
    ask(netlink, RTM_NEWQDISC, NLM_F_ACK, body)
    error = struct.unpack_from("i", netlink.recv(1 << 16), 16)[0]
    if error:
        raise OSError(-error, "RTM_NEWQDISC")


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(number, length, ect):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 2 if ect else 0, length, 0, 0x4000, 64, 253, 0,
                         bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    # Thrice, so that a spoilt packet still says which one it is.
    return (header + 3 * struct.pack("!I", number)).ljust(length, b"\x5a")


def number_of(data):
    numbers = struct.unpack_from("!III", data, 20)
    return max(numbers, key=numbers.count)


def unmarked(data, ect):
    if not ect or data[1] != 3:
        return data, False
    header = data[:1] + b"\x02" + data[2:10] + b"\0\0" + data[12:20]
    return header[:10] + struct.pack("!H", checksum(header)) + data[12:], True


def record(fd, sender, case):
    length, ect = case.get("len", 84), case.get("ect", False)
    subprocess.run(["tc", "qdisc", "del", "dev", NAME, "root"], stderr=subprocess.DEVNULL, check=False)
    subprocess.run(["tc", "qdisc", "add", "dev", NAME, "root", "netem", *case["words"].split()], check=True)
    give_seed(socket.if_nametoindex(NAME), int(case["seed"]))
    time.sleep(0.1)
    begin = time.monotonic_ns() // GAP * GAP + 10 * GAP
    came = [[] for _ in range(COUNT)]
    times = []
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    libc = ctypes.CDLL(None)
    while True:
        now = time.monotonic_ns()
        while len(times) < COUNT and begin + len(times) * GAP <= now:
            times.append(time.monotonic_ns())
            try:
                sender.send(packet(len(times) - 1, length, ect))
            except OSError as error:
                # The queue has no room.
                if error.errno != errno.ENOBUFS:
                    raise
        try:
            data = os.read(fd, 2000)
        except BlockingIOError:
            until = begin + len(times) * GAP + (QUIET if len(times) == COUNT else 0)
            if len(times) == COUNT and now >= until:
                break
            wait = max(0, until - time.monotonic_ns())
            pollfd = struct.pack("ihh", fd, select.POLLIN, 0)
            libc.ppoll(pollfd, 1, struct.pack("qq", *divmod(wait, 1_000_000_000)), None)
            continue
        number = number_of(data)
        plain, marked = unmarked(data, ect)
        spoilt = plain != packet(number, length, ect)
        after = time.monotonic_ns() - times[number]
        came[number].append(f"{after}{'!' if spoilt else ''}{'^' if marked else ''}")
    late = [at - begin - number * GAP for number, at in enumerate(times)]
    return " ".join(f"{late[number]}:{'+'.join(each) or '-'}" for number, each in enumerate(came))


def main():
    # The kernel is to wake this process when it is time, and not 50 us later (PR_SET_TIMERSLACK).
    ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    fd = device()
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    sender.bind((NAME, 0x0800))
    with open(f"{HERE}/cases.json", encoding="utf-8") as file:
        cases = json.load(file)
    lines = [record(fd, sender, case) for case in cases]
    with open(f"{OUT}/recorded.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


try:
    main()
except BaseException:
    traceback.print_exc()
    with open(f"{OUT}/error.txt", "w", encoding="utf-8") as file:
        traceback.print_exc(file=file)
os.sync()
ctypes.CDLL(None).reboot(0x4321FEDC)
