# SPDX-License-Identifier: LGPL-2.1-or-later
"""Open vSwitch in a lab host: a userspace datapath of its own, and the lab's bridges."""

from . import topology
from .cables import ip_batch, offload

DB = "/etc/openvswitch/conf.db"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


def start(host):
    run, log = "/run/openvswitch", "/var/log/openvswitch"
    host.run(["rm", "-f", DB])  # of a host that was up before
    host.run(["ovsdb-tool", "create", DB, SCHEMA])
    host.run(["ovsdb-server", DB, f"--remote=punix:{run}/db.sock", "--detach", "--no-chdir",
              f"--pidfile={run}/ovsdb-server.pid", f"--log-file={log}/ovsdb-server.log"])
    host.run(["ovs-vsctl", "--no-wait", "init"])
    host.run(["ovs-vswitchd", f"unix:{run}/db.sock", "--detach", "--no-chdir",
              f"--pidfile={run}/ovs-vswitchd.pid", f"--log-file={log}/ovs-vswitchd.log"])


def bridges(host, ports):
    """ports: {bridge: [(interface, [column=value, …])]}; interfaces exist already."""
    command = ["ovs-vsctl"]
    for bridge, members in ports.items():
        command += ["--", "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev"]
        for interface, columns in members:
            offload(host, interface, "off")
            command += ["--", "add-port", bridge, interface, *columns]
    host.run(command)
    ip_batch(host, [f"link set {name} up" for bridge, members in ports.items()
                    for name in (bridge, *(interface for interface, _ in members))])


def hypervisor(host, plan):
    """The virtual switches of a hypervisor."""
    start(host)
    bridges(host, {switch.name: [(switch.uplink, [])]
                   for switch in plan.switches if switch.openvswitch})
    for switch in plan.switches:
        if not switch.openvswitch:
            offload(host, switch.uplink, "off")
            ip_batch(host, [f"link add {switch.name} type bridge",
                            f"link set {switch.uplink} master {switch.name}",
                            f"link set {switch.uplink} up", f"link set {switch.name} up"])


def tor(host, cables, hypervisors):
    """The top-of-rack switch."""
    start(host)
    bridges(host, {"tor": []})
    ip_batch(host, [line for network in topology.NETWORKS
                    for line in (f"link add {network} type bridge", f"link set {network} up")])
    plug(host, cables, hypervisors)


def plug(host, cables, hypervisors):
    """Plug cables into the tor, which also marks what comes from each hypervisor; those that were in
    it before, too (they are new interfaces of the old names)."""
    trunk = "trunks=" + ",".join(map(str, topology.VLANS))
    switched = [cable for cable in cables if not cable.bridged]
    # In one transaction with what follows Open vSwitch would see no change, and listen at the interface that is gone.
    host.run(["ovs-vsctl"] + [word for cable in switched
                              for word in ("--", "--if-exists", "del-port", "tor", cable.tor_end)])
    command = ["ovs-vsctl"]
    for cable in switched:
        offload(host, cable.tor_end, "off")
        command += ["--", "add-port", "tor", cable.tor_end,
                    f"tag={cable.vlan}" if cable.vlan else trunk]
    host.run(command)
    tos = {plan.name: plan.tos for plan in hypervisors}
    flows = [f"priority=100,ip,in_port={cable.tor_end},actions=mod_nw_tos:{tos[cable.host]},NORMAL"
             for cable in switched if cable.host in tos]
    host.run(["ovs-ofctl", "add-flows", "tor", "-"], input="\n".join(flows) + "\n")
    lines = [f"link set {cable.tor_end} up" for cable in cables]
    lines += [f"link set {cable.tor_end} master {cable.interface}"
              for cable in cables if cable.bridged]
    ip_batch(host, lines)
