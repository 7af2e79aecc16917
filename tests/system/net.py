#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest's network, on a TAP of dom0: ping, and TCP both ways at once, with the checksum of all that goes over it. In
one case the device model is killed 20 times meanwhile, in the other there are four processors with a queue each.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testbed"))
# pylint: disable=wrong-import-position
from board import Board, Domain, Failed
from cases import cases_of, main
from scene import ANY_FAILED, binding, ended, healthy, kernel

# GIC, the guest's processors, kernel, times that it is killed, options
CASES = {
    "gic3_1cpu_6.12_killed": (3, 1, "6.12", 20, ""),
    "gic2_4cpus_4queues_6.1": (2, 4, "6.1", 0, ",queues=4"),
}
ANNOUNCE, MQ, HOST_TSO4, GUEST_TSO4 = 21, 22, 11, 7


def streams(name):
    """What one end has sent is what the other has received."""
    gic, cpus, version, kills, options = CASES[name]
    guest = Domain(kernel=kernel(version), cpus=cpus, run="use-network", properties=binding(interrupts=(44, 20)),
                   modules=["virtio_net"])
    console = Board(f"net-{name}", [guest], gic=gic, dom0_run="serve-network", dom0_modules=["tun"],
                    dom0_words=f"sb.kills={kills} sb.net={options}", dom0_kernel=kernel(version), timeout=600).run(
        until=[ended(1, "use-network"), ended(0, "serve-network")], unless=[ANY_FAILED])
    healthy(console, "dom1")
    console.require(f"dom0: sb: dom0 killed it {kills} times")
    features = console.require(r"dom1: sb: guest features ([01]{64})")[1]
    wanted = {ANNOUNCE: True, HOST_TSO4: True, GUEST_TSO4: True, MQ: cpus > 1}
    for feature, there in wanted.items():
        if (features[feature] == "1") != there:
            raise Failed(f"virtio feature {feature} is {features[feature]} (console: {console.log})")
    console.require(r"dom1: .*5 packets transmitted, 5 packets received")
    for sender, receiver in (("dom0", "guest"), ("guest", "dom0")):
        sent = console.require(rf"sb: {sender} sent (\w{{64}})")[1]
        received = console.require(rf"sb: {receiver} received (\w{{64}})")[1]
        if sent != received:
            raise Failed(f"{receiver} received {received}, {sender} sent {sent} (console: {console.log})")


if __name__ == "__main__":
    cases_of(CASES, streams)
    main()
