/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domain XMLs as libvirt 9 writes them, for the tests of src/virt. */
#pragma once

#define HEAD(name)                                                                                 \
    "<domain type='kvm'>\n  <name>" name "</name>\n"                                               \
    "  <uuid>EBAB134F-7609-4580-B43D-5AE59EA22778</uuid>\n  <title>Web &amp; more</title>\n"       \
    "  <metadata><app:x xmlns:app='http://example.org/app' a='1'>käse</app:x></metadata>\n"       \
    "  <memory unit='KiB'>262144</memory>\n  <currentMemory unit='KiB'>131072</currentMemory>\n"   \
    "  <vcpu placement='static' current='1'>2</vcpu>\n"                                            \
    "  <os>\n    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>\n  </os>\n"                   \
    "  <cpu mode='custom' match='exact' check='full'>\n    <model "                                \
    "fallback='forbid'>EPYC</model>\n"                                                             \
    "  </cpu>\n"

#define DISKS                                                                                      \
    "    <disk type='file' device='disk'>\n"                                                       \
    "      <driver name='qemu' type='qcow2' cache='none' discard='unmap'/>\n"                      \
    "      <source file='/var/lib/libvirt/images/web.qcow2' index='4'/>\n"                         \
    "      <backingStore type='file' index='5'>\n        <format type='qcow2'/>\n"                 \
    "        <source file='/var/lib/libvirt/images/base.qcow2'/>\n        <backingStore/>\n"       \
    "      </backingStore>\n"                                                                      \
    "      <mirror type='file' job='copy'><source file='/x'/></mirror>\n"                          \
    "      <target dev='vda' bus='virtio'/>\n      <iotune>\n"                                     \
    "        <total_iops_sec>500</total_iops_sec>\n      </iotune>\n"                              \
    "      <serial>S1</serial>\n      <alias name='virtio-disk0'/>\n"                              \
    "      <address type='pci' domain='0x0000' bus='0x06' slot='0x00' function='0x0'/>\n"          \
    "    </disk>\n"                                                                                \
    "    <disk type='file' device='disk'>\n      <driver name='qemu' type='raw'/>\n"               \
    "      <source file='/srv/data/web data.raw'/>\n      <backingStore/>\n"                       \
    "      <target dev='vdb' bus='virtio'/>\n    </disk>\n"                                        \
    "    <disk type='volume' device='disk'>\n      <driver name='qemu' type='qcow2'/>\n"           \
    "      <source pool='fast' volume='vol1'/>\n      <backingStore/>\n"                           \
    "      <target dev='vdc' bus='virtio'/>\n    </disk>\n"                                        \
    "    <disk type='file' device='cdrom'>\n      <driver name='qemu' type='raw'/>\n"              \
    "      <source file='/srv/iso/debian.iso'/>\n      <backingStore/>\n"                          \
    "      <target dev='sda' bus='sata'/>\n      <readonly/>\n    </disk>\n"                       \
    "    <disk type='file' device='cdrom'>\n      <driver name='qemu'/>\n"                         \
    "      <target dev='sdb' bus='sata'/>\n      <readonly/>\n    </disk>\n"

/* Three NICs on two switches: Open vSwitch with a VLAN, a network with a port group, a macvtap. */
#define NICS                                                                                       \
    "    <interface type='bridge'>\n      <mac address='52:54:00:00:00:05'/>\n"                    \
    "      <source bridge='vSwitch-VLAN500'/>\n"                                                   \
    "      <vlan>\n        <tag id='500'/>\n      </vlan>\n"                                       \
    "      <virtualport type='openvswitch'>\n"                                                     \
    "        <parameters interfaceid='c1c132b6-a095-4415-8615-f9a3ffc9ee2f'/>\n"                   \
    "      </virtualport>\n      <target dev='vnet0'/>\n      <model type='virtio'/>\n"            \
    "      <driver queues='4'/>\n      <alias name='net0'/>\n"                                     \
    "      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>\n"          \
    "    </interface>\n"                                                                           \
    "    <interface type='bridge'>\n      <mac address='52:54:00:00:00:06'/>\n"                    \
    "      <source network='ovsnet' portgroup='p600' "                                             \
    "portid='c5bf7a2d-d122-4b35-a57f-d084d67288f2' "                                               \
    "bridge='vSwitch-VLAN600'/>\n"                                                                 \
    "      <vlan>\n        <tag id='600'/>\n      </vlan>\n"                                       \
    "      <virtualport type='openvswitch'>\n"                                                     \
    "        <parameters interfaceid='9c0a87b4-cf29-407d-96ad-c55b711fd246'/>\n"                   \
    "      </virtualport>\n      <target dev='web-lan'/>\n      <model type='virtio'/>\n"          \
    "    </interface>\n"                                                                           \
    "    <interface type='network'>\n      <mac address='52:54:00:00:00:07'/>\n"                   \
    "      <source network='vSwitch-VLAN600'/>\n      <model type='e1000'/>\n    </interface>\n"

#define TAIL                                                                                       \
    "    <serial type='file'>\n      <source path='/var/log/libvirt/web.log'/>\n"                  \
    "      <target type='isa-serial' port='0'/>\n    </serial>\n"                                  \
    "    <console type='file'>\n      <source path='/var/log/libvirt/web.log'/>\n"                 \
    "      <target type='serial' port='0'/>\n    </console>\n"                                     \
    "  </devices>\n"                                                                               \
    "  <seclabel type='dynamic' model='apparmor' relabel='yes'/>\n"                                \
    "  <seclabel type='dynamic' model='dac' relabel='yes'/>\n</domain>\n"

#define EMULATOR "  <devices>\n    <emulator>/usr/bin/qemu-system-x86_64</emulator>\n"
#define WEB      HEAD("web01") EMULATOR DISKS NICS TAIL

/* The least a VM can be. */
#define SMALL(devices)                                                                             \
    "<domain type='qemu'><name>s</name><uuid>ebab134f-7609-4580-b43d-5ae59ea22778</uuid>"          \
    "<memory>1024</memory><os><type arch='x86_64'>hvm</type></os><devices>" devices                \
    "</devices></domain>"
