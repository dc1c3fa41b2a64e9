#!/usr/bin/env python3
"""A wire between two network namespaces that delays each packet: python3 wire.py FILE CLIENTS_PID SERVER_PID

FILE is JSON: {"address": {"there_ms": 1, "back_ms": 1, "jitter": 0.1, "ack_ms": 0}, …}, one for each address of the clients' namespace. A packet takes its
way and up to the jitter's part longer, at random, and none overtakes another of its way. `ack_ms` delays what a client acknowledges without data.
What netem of the kernel does, for kernels that do not have it. It prints "ready", and ends with its standard input. Needs root and /dev/net/tun.
"""
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
SERVER = "10.8.0.1"


def device(name, pid, *addresses):
    wire = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(wire, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    # A device goes on when it is moved to another namespace.
    subprocess.run(["ip", "link", "set", name, "netns", pid], check=True)
    inside = ["nsenter", "--net", "--target", pid, "ip"]
    for address in addresses:
        subprocess.run([*inside, "address", "add", f"{address}/32", "dev", name], check=True)
    subprocess.run([*inside, "link", "set", name, "up"], check=True)
    subprocess.run([*inside, "link", "set", "lo", "up"], check=True)
    subprocess.run([*inside, "route", "add", "10.0.0.0/8", "dev", name], check=True)
    return wire


def text(four_bytes):
    return ".".join(str(byte) for byte in four_bytes)


def is_bare_ack(packet):
    header = (packet[0] & 15) * 4
    data = len(packet) - header - (packet[header + 12] >> 4) * 4
    return packet[9] == 6 and data == 0


def main():
    sites = json.load(open(sys.argv[1], encoding="utf-8"))
    clients = device("clientes", sys.argv[2], *sites)
    server = device("servidor", sys.argv[3], SERVER)
    print("ready", flush=True)
    flying, last, number = [], {}, 0
    while True:
        wait = max(0, flying[0][0] - time.monotonic()) if flying else None
        for ready in select.select([clients, server, 0], [], [], wait)[0]:
            if ready == 0:
                return
            packet = os.read(ready, 65536)
            if packet[0] >> 4 != 4:
                continue
            there = ready == clients
            site = text(packet[12:16] if there else packet[16:20])
            if site not in sites:
                continue
            ways = sites[site]
            delay = ways["there_ms" if there else "back_ms"] * (1 + ways["jitter"] * random.random())
            if there and is_bare_ack(packet):
                delay += ways.get("ack_ms", 0)
            arrives = max(time.monotonic() + delay / 1000, last.get((site, there), 0))
            last[site, there] = arrives
            number += 1
            heapq.heappush(flying, (arrives, number, server if there else clients, packet))
        while flying and flying[0][0] <= time.monotonic():
            _, _, to, packet = heapq.heappop(flying)
            try:
                os.write(to, packet)
            except OSError:
                # Its reader has no room or has gone: a packet is lost.
                pass


main()
