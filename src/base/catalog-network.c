/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Findings FERRY-2xxx: network; see catalog.h. */
#include "base/catalog-parts.h"

const catalog_entry catalog_network[] = {
    {2001, FINDING_BLOCKS, "No such switch",
     "The target has no switch (or, for a macvtap NIC, no network card) of the name the NIC uses. "
     "The sentence lists what the target has.",
     "`--switch OLD=NEW[:VLAN]`; the fix has an example that would work."},
    {2002, FINDING_BLOCKS, "The switch cannot tag",
     "The NIC needs a VLAN, and the switch it goes to cannot tag: a Linux bridge, or a libvirt "
     "network that is not on Open vSwitch.",
     "An Open vSwitch bridge, or `--switch OLD=NEW:untagged` when the bridge is in that VLAN "
     "already."},
    {2003, FINDING_BLOCKS, "No such switch in the map",
     "The switch a map names does not exist on the target.",
     "Name one that does; the sentence lists them."},
    {2004, FINDING_BLOCKS, "Network not active", "The libvirt network on the target is not active.",
     "`virsh net-start` there."},
    {2005, FINDING_BLOCKS, "NIC that ends at its host",
     "The NIC is of a type that ends at its host (vhostuser, ethernet, mcast, …).",
     "`--switch MAC=NEW`."},
    {2006, FINDING_BLOCKS, "No such network filter",
     "The NIC has a network filter that the target does not have.",
     "`virsh nwfilter-dumpxml` at the source, `virsh nwfilter-define` at the target."},
    {2007, FINDING_BLOCKS, "Network of host devices",
     "The network on the target gives out devices of the host (`forward mode='hostdev'`), which a "
     "running VM cannot take over.",
     "Another switch."},
    {2008, FINDING_BLOCKS, "Network filter on Open vSwitch",
     "The NIC has a network filter, and libvirt applies none on Open vSwitch.",
     "A Linux bridge, or take the filter off first."},
    {2009, FINDING_CHANGED, "Tap name taken",
     "The name chosen for the NIC's tap (`<target dev=…>`) is taken on the target: libvirt "
     "chooses one.",
     NULL},
    {2010, FINDING_NOTE, "Bridge and network of one name",
     "The target has a bridge and a network of the name a map gives; the bridge is used.",
     "`network:NAME` means the network."},
    {2011, FINDING_NOTE, "No VLAN on Open vSwitch",
     "A map sends the NIC, which has no VLAN, to a switch that can tag, and says none. There the NIC "
     "is in no VLAN: the switch takes its packets untagged and lets it see those of all VLANs, as on a "
     "trunk. Where it comes from the switch may be that of a single VLAN.",
     "`--switch OLD=NEW:VLAN` if it has to be in one; `:untagged` says that it is meant so."},
    {0}};
