# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a lab consists of: hosts, switches, networks, addresses. Only data, no behaviour.

                 tor (top-of-rack switch, OVS "tor")
        ┌───────────┬──────────────┬───────────────┬───────────┐
   access 500   access 600     trunk 500,600   access 500      access 500 / 600
        │           │              │               │                │
   vSwitch-     vSwitch-       Converged       br-plain        vlan500 / vlan600
   VLAN500      VLAN600                     (cannot tag)     10.50.0.1 / 10.60.0.1
   └───── alpha ─────┘         └────── zulu ───────┘               client

Beside these, every hypervisor is on the networks mig0 and mig1 and, with client, on mgmt.
"""

import dataclasses

VLANS = (500, 600)  # client is 10.50.0.1/24 and 10.60.0.1/24 on them; VMs take .5 and up

MIGRATION_NETWORKS = ("mig0", "mig1")
MANAGEMENT_NETWORK = "mgmt"
NETWORKS = {"mig0": "10.70.0", "mig1": "10.71.0", "mgmt": "10.80.0"}  # /24; last part: number

CLIENT = "client"
CLIENT_NUMBER = 3
TOR = "tor"


@dataclasses.dataclass(frozen=True)
class Switch:
    """A virtual switch of a hypervisor and its one uplink to the top-of-rack switch.

    vlan: the tor's port is an access port of this VLAN; None: it is a trunk of all VLANS.
    """
    name: str
    uplink: str
    vlan: int | None
    openvswitch: bool = True


@dataclasses.dataclass(frozen=True)
class HypervisorPlan:
    """number: last part of its addresses, unique, 1–15 and not CLIENT_NUMBER."""
    name: str
    number: int
    switches: tuple[Switch, ...]

    @property
    def tos(self):
        """The TOS byte the tor writes into every IPv4 packet that comes from this host.

        The witness on client reads it: 0x10 is alpha, 0x20 is zulu.
        """
        return self.number << 4

    def address(self, network):
        return f"{NETWORKS[network]}.{self.number}"


ALPHA = HypervisorPlan("alpha", 1, (
    Switch("vSwitch-VLAN500", "up500", 500),
    Switch("vSwitch-VLAN600", "up600", 600),
))
ZULU = HypervisorPlan("zulu", 2, (
    Switch("Converged", "trunk", None),
    Switch("br-plain", "plain", 500, openvswitch=False),
))


def another(name, number):
    """A further hypervisor with one converged switch, like zulu's."""
    return HypervisorPlan(name, number, (Switch("Converged", "trunk", None),))


def vlan_address(vlan, number):
    """E.g. (500, 1) gives 10.50.0.1."""
    return f"10.{vlan // 10}.0.{number}"


def hosts_file(hypervisors):
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    numbers = {host.name: host.number for host in hypervisors} | {CLIENT: CLIENT_NUMBER}
    for name, number in numbers.items():
        lines.append(f"{NETWORKS[MANAGEMENT_NETWORK]}.{number} {name}")
    return "\n".join(lines) + "\n"
