#!/bin/sh
# Records recorded.txt anew: what Linux's netem does to the packets of cases.json. By hand, as root:
#
#   record.sh LINUX
#
# LINUX is a kernel for user mode, whose clock is virtual. To build one of Linux 6.12's source:
#
#   make ARCH=um defconfig
#   scripts/config -d UML_NET -d IPV6 -d EXT4_FS -d MODULES -d SOUND \
#     -e PACKET -e NET_SCHED -e NET_SCH_NETEM -e TUN -e HOSTFS -e UML_TIME_TRAVEL_SUPPORT
#   make ARCH=um olddefconfig && make ARCH=um linux
#
# The machine needs Python 3 and tc (iproute2), which the kernel finds in the machine's own files.
set -eu
linux=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
out=$(mktemp -d)
trap 'rm -r "$out"' EXIT
printf '#!/bin/sh\nexec python3 %s/record.py %s\n' "$here" "$out" > "$out/init"
chmod +x "$out/init"
"$linux" mem=256M time-travel=inf-cpu root=/dev/root rootfstype=hostfs rootflags=/ rw init="$out/init" \
  con=null con0=null,fd:1 > "$out/log" 2>&1 < /dev/null || true
if ! test -s "$out/recorded.txt"; then
  cat "$out/log"
  exit 1
fi
cp "$out/recorded.txt" "$here/recorded.txt"
