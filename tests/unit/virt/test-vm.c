/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM out of its XML: what is understood, and what is refused with which sentence. */
#include "samples.h"
#include "virt/vm.h"

#include <string.h>

static vm *parse(const char *xml)
{
    g_autoptr(GError) error = NULL;
    vm *machine = vm_parse(xml, &error);

    g_assert_no_error(error);
    return machine;
}

static void test_machine(void)
{
    g_autoptr(vm) m = parse(WEB);

    g_assert_cmpstr(m->name, ==, "web01");
    g_assert_cmpstr(m->uuid, ==, "ebab134f-7609-4580-b43d-5ae59ea22778");
    g_assert_cmpstr(m->title, ==, "Web & more");
    g_assert_cmpstr(m->virt_type, ==, "kvm");
    g_assert_cmpstr(m->arch, ==, "x86_64");
    g_assert_cmpstr(m->machine, ==, "pc-q35-7.2");
    g_assert_cmpstr(m->emulator, ==, "/usr/bin/qemu-system-x86_64");
    g_assert_cmpuint(m->memory, ==, 256 << 20);
    g_assert_cmpuint(m->vcpus, ==, 2);
    g_assert_true(g_str_has_prefix(m->cpu_xml, "<cpu "));
    g_assert_cmpuint(m->files->len, ==, 1); /* the console is the serial port */
    g_assert_cmpstr(((vm_file *)m->files->pdata[0])->path, ==, "/var/log/libvirt/web.log");
    g_assert_true(((vm_file *)m->files->pdata[0])->written);
    g_assert_cmpstr(m->security[0], ==, "apparmor");
    g_assert_cmpstr(m->security[1], ==, "dac");
    g_assert_null(m->hostdevs[0]);
    g_assert_null(m->unknown[0]);
    g_assert_false(m->own_label);
}

static void test_disks(void)
{
    g_autoptr(vm) m = parse(WEB);
    const vm_disk *vda = vm_find_disk(m, "vda"), *vdb = vm_find_disk(m, "vdb");
    const vm_disk *vdc = vm_find_disk(m, "vdc"), *sda = vm_find_disk(m, "sda");
    const vm_disk *sdb = vm_find_disk(m, "sdb");

    g_assert_cmpuint(m->disks->len, ==, 5);
    g_assert_cmpstr(vda->source, ==, "/var/lib/libvirt/images/web.qcow2");
    g_assert_cmpstr(vda->alias, ==, "virtio-disk0");
    g_assert_cmpstr(vda->format, ==, "qcow2");
    g_assert_true(vda->has_backing && vda->direct && vm_disk_is_copied(vda));
    g_assert_cmpstr(vdb->source, ==, "/srv/data/web data.raw");
    g_assert_true(!vdb->has_backing && !vdb->direct && vm_disk_is_copied(vdb));
    g_assert_cmpstr(vdc->type, ==, "volume");
    g_assert_cmpstr(vdc->source, ==, "fast/vol1");
    g_assert_true(vm_disk_is_copied(vdc));
    g_assert_true(sda->readonly && !vm_disk_is_copied(sda));
    g_assert_null(sdb->source);
    g_assert_false(vm_disk_is_copied(sdb));
    g_assert_null(vm_find_disk(m, "vdd"));
}

/* libvirt closes every chain it knows: a running VM's disk without <backingStore/> has one. */
static void test_unsaid_chain(void)
{
    g_autoptr(vm) m =
        parse(SMALL("<disk><source file='/a'/><target dev='vda'/></disk>"
                    "<disk><source file='/b'/><backingStore/><target dev='vdb'/></disk>"));

    g_assert_true(vm_find_disk(m, "vda")->has_backing);
    g_assert_false(vm_find_disk(m, "vdb")->has_backing);
}

static void test_nics(void)
{
    g_autoptr(vm) m = parse(WEB);
    const vm_nic *a = m->nics->pdata[0], *b = m->nics->pdata[1], *c = m->nics->pdata[2];

    g_assert_cmpuint(m->nics->len, ==, 3);
    g_assert_cmpstr(a->mac, ==, "52:54:00:00:00:05");
    g_assert_cmpstr(a->type, ==, "bridge");
    g_assert_cmpstr(a->switch_name, ==, "vSwitch-VLAN500");
    g_assert_cmpstr(a->virtualport, ==, "openvswitch");
    g_assert_cmpuint(a->vlans->len, ==, 1);
    g_assert_cmpuint(g_array_index(a->vlans, guint16, 0), ==, 500);
    g_assert_null(a->port);
    g_assert_cmpstr(b->type, ==, "network"); /* as it was configured, not as it is shown */
    g_assert_cmpstr(b->switch_name, ==, "ovsnet");
    g_assert_cmpstr(b->device, ==, "vSwitch-VLAN600");
    g_assert_cmpstr(b->portgroup, ==, "p600");
    g_assert_cmpstr(b->port, ==, "web-lan");
    g_assert_cmpstr(c->type, ==, "network");
    g_assert_cmpuint(c->vlans->len, ==, 0);
}

static void test_ties(void)
{
    static const char *const expected[] = {"hostdev pci 0000:65:00.1",
                                           "hostdev usb 0x0781:0x5591",
                                           "interface hostdev 0000:03:10.2",
                                           "filesystem /srv/share",
                                           "tpm",
                                           "QEMU arguments of its own (qemu:commandline)"};
    g_autoptr(vm) m = parse(
        "<domain type='kvm' "
        "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>s</name>"
        "<uuid>ebab134f-7609-4580-b43d-5ae59ea22778</uuid><memory unit='GiB'>4</memory>"
        "<memoryBacking><hugepages/></memoryBacking>"
        "<os><type "
        "arch='x86_64'>hvm</type><kernel>/boot/vmlinuz</kernel><loader>/usr/share/O.fd</loader>"
        "<nvram "
        "template='/usr/share/V.fd'>/var/lib/libvirt/qemu/nvram/s.fd</nvram></os><devices>"
        "<hostdev mode='subsystem' type='pci'><source><address domain='0x0000' bus='0x65' "
        "slot='0x00' "
        "function='0x1'/></source></hostdev>"
        "<hostdev mode='subsystem' type='usb'><source><vendor id='0x0781'/><product "
        "id='0x5591'/>"
        "</source></hostdev>"
        "<interface type='hostdev'><mac address='52:54:00:00:00:09'/><source><address "
        "type='pci' "
        "domain='0x0000' bus='0x03' slot='0x10' function='0x2'/></source></interface>"
        "<filesystem type='mount'><source dir='/srv/share'/><target dir='x'/></filesystem>"
        "<tpm><backend type='passthrough'/></tpm>"
        "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
        "<channel type='unix'><source mode='bind' "
        "path='/var/lib/libvirt/qemu/c.sock'/></channel>"
        "</devices><qemu:commandline><qemu:arg value='-x'/></qemu:commandline></domain>");

    for (guint i = 0; i < G_N_ELEMENTS(expected); i++)
        g_assert_true(g_strv_contains((const char *const *)m->hostdevs, expected[i]));
    g_assert_cmpuint(g_strv_length(m->hostdevs), ==, G_N_ELEMENTS(expected));
    g_assert_true(m->huge_pages && !m->tpm);
    g_assert_cmpuint(m->memory, ==, 4ull << 30);
    g_assert_cmpuint(m->files->len, ==, 5);
}

/* Something besides the devices, and something of <os>. */
#define TOP(x)                                                                                     \
    "<domain type='qemu'><name>s</name><uuid>ebab134f-7609-4580-b43d-5ae59ea22778</uuid>"          \
    "<memory>1024</memory><os><type arch='x86_64'>hvm</type></os>" x "</domain>"
#define OS(x)                                                                                      \
    "<domain type='qemu'><name>s</name><uuid>ebab134f-7609-4580-b43d-5ae59ea22778</uuid>"          \
    "<memory>1024</memory><os><type arch='x86_64'>hvm</type>" x "</os><devices/></domain>"
#define QEMU "xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'"

/* What libvirt would act upon on another host, each in an otherwise harmless VM: it is listed. */
static void test_reaching_out(void)
{
    static const struct {
        const char *xml, *words;
    } bad[] = {
        {TOP("<q:commandline " QEMU "/>"), "QEMU arguments"},
        {TOP("<l:namespace xmlns:l='x'/>"), "<l:namespace> in <domain>"},
        {SMALL("<disk><q:commandline " QEMU "/><target dev='vda'/></disk>"),
         "<q:commandline> in <disk>"},
        {SMALL("<disk><x:source xmlns:x='x' file='/a'/><target dev='vda'/></disk>"), "<x:source>"},
        {SMALL("<disk><backingStore><x:source xmlns:x='x' file='/a'/></backingStore>"
               "<target dev='vda'/></disk>"),
         "<x:source> in <backingStore>"},
        {SMALL("<interface type='user'><mac address='52:54:00:00:00:05'/>"
               "<x:script xmlns:x='x' path='/a'/></interface>"),
         "<x:script> in <interface>"},
        {SMALL("<disk x:type='block' xmlns:x='x'><target dev='vda'/></disk>"), "x:type"},
        {SMALL("<q:disk " QEMU "/>"), "<q:disk> in <devices>"},
        {SMALL("<newdevice/>"), "<newdevice> in <devices>"},
        {TOP("<bootloader>/bin/sh</bootloader>"), "<bootloader>"},
        {TOP("<blkiotune><device><path>/dev/sda</path></device></blkiotune>"), "/dev/sda"},
        {SMALL("<interface type='user'><mac address='52:54:00:00:00:05'/>"
               "<script path='/bin/sh'/></interface>"),
         "<script> in <interface>"},
        {SMALL("<interface type='user'><mac address='52:54:00:00:00:05'/>"
               "<backend type='passt' logFile='/srv/x'/></interface>"),
         "/srv/x in <backend logFile"},
        {SMALL("<interface type='user'><mac address='52:54:00:00:00:05'/>"
               "<portForward proto='tcp'/></interface>"),
         "<portForward>"},
        {SMALL("<interface type='direct'><mac address='52:54:00:00:00:05'/>"
               "<source dev='eth0' mode='passthrough'/></interface>"),
         "interface eth0"},
        {SMALL("<disk><source file='/a'><reservations><source type='unix' path='/srv/s'/>"
               "</reservations></source><target dev='vda'/></disk>"),
         "<reservations> in <source>"},
        {SMALL("<disk><transient/><target dev='vda'/></disk>"), "<transient>"},
        {SMALL("<redirdev bus='usb' type='tcp'><source mode='connect' host='127.0.0.1' "
               "service='22'/></redirdev>"),
         "redirdev"},
        {SMALL("<redirdev bus='usb' type='dev'><source path='/dev/sda'/></redirdev>"),
         "redirdev /dev/sda"},
        {SMALL("<serial type='udp'><source mode='bind'/><source mode='connect'/></serial>"),
         "serial"},
        {SMALL("<serial type='unix'><source mode='connect' path='/srv/s'/></serial>"),
         "serial /srv/s"},
        {SMALL("<serial type='file'><source path='/srv/a'/><source path='/srv/b'/></serial>"),
         "serial /srv/a"},
        {SMALL("<channel type='nosuch'/>"), "channel"},
        {SMALL("<rng model='virtio'><backend model='random'>/srv/other.raw</backend></rng>"),
         "rng"},
        {SMALL("<rng model='virtio'><backend model='egd' type='unix'><source mode='connect' "
               "path='/srv/s'/></backend></rng>"),
         "rng"},
        {SMALL("<smartcard mode='host-certificates'><database>/etc/pki</database></smartcard>"),
         "smartcard"},
        {SMALL("<smartcard mode='passthrough' type='dev'><source path='/dev/x'/></smartcard>"),
         "smartcard /dev/x"},
        {SMALL("<audio id='1' type='file' path='/srv/a.wav'/>"), "audio"},
        {SMALL("<audio id='1' type='pulseaudio' serverName='/run/x'/>"), "audio"},
        {SMALL("<graphics type='sdl' display=':0' xauth='/root/.Xauthority'/>"), "graphics"},
        {SMALL("<graphics type='dbus' address='unix:path=/srv/s'/>"), "graphics"},
        {SMALL("<graphics type='dbus' p2p='yes'/>"), "graphics"},
        {SMALL("<graphics type='egl-headless'><gl rendernode='/dev/sda'/></graphics>"),
         "/dev/sda in <gl rendernode"},
        {SMALL("<tpm><backend type='external'><source type='unix' path='/srv/s'/></backend></tpm>"),
         "tpm"},
        {SMALL("<tpm><backend type='emulator'><source type='dir' path='/srv/s'/></backend></tpm>"),
         "tpm"},
        {SMALL("<memory model='sgx-epc'/>"), "memory"},
        {SMALL("<crypto model='virtio'><backend model='lkcf'/></crypto>"), "crypto"},
        {SMALL("<lease><target path='/srv/l'/></lease>"), "lease"},
        {SMALL("<pstore backend='acpi-erst'><path>/srv/p</path></pstore>"), "<pstore>"},
        {SMALL("<panic><path>/srv/p</path></panic>"), "<path> in <panic>"},
        {SMALL("<video><model type='virtio'><acceleration rendernode='/dev/sda'/></model></video>"),
         "/dev/sda"},
        {OS("<loader type='pflash'>/srv/other.raw</loader>"), "firmware that it can write to"},
        {OS("<loader type='pflash' readonly='no'>/srv/other.raw</loader>"), "firmware"},
        {OS("<nvram type='block'><source dev='/dev/sda'/></nvram>"), "NVRAM of type block"},
        {OS("<init>/bin/sh</init>"), "<init> in <os>"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(vm) m = parse(bad[i].xml);
        g_autofree char *ties = g_strjoinv("\n", m->hostdevs);
        g_autofree char *unknown = g_strjoinv("\n", m->unknown);

        if (!strstr(ties, bad[i].words) && !strstr(unknown, bad[i].words))
            g_error("\"%s\" is not listed (%s; %s): %s", bad[i].words, ties, unknown, bad[i].xml);
    }
}

/* What ordinary VMs have is neither a tie nor unknown. */
static void test_harmless(void)
{
    static const char xml[] =
        "<domain type='kvm'><name>s</name><uuid>ebab134f-7609-4580-b43d-5ae59ea22778</uuid>"
        "<genid>ebab134f-7609-4580-b43d-5ae59ea22778</genid><title>/srv/web</title>"
        "<metadata><x:a xmlns:x='x' path='/etc/a'><x:b>/etc/b</x:b></x:a></metadata>"
        "<memory>1048576</memory><memoryBacking><source type='memfd'/></memoryBacking>"
        "<vcpu>2</vcpu><iothreads>1</iothreads><resource><partition>/machine</partition></resource>"
        "<sysinfo type='smbios'><system><entry name='serial'>/1/</entry></system></sysinfo>"
        "<os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type>"
        "<loader readonly='yes' type='pflash'>/usr/share/O.fd</loader>"
        "<nvram template='/usr/share/V.fd'>/srv/nvram/s.fd</nvram><kernel>/boot/k</kernel>"
        "<cmdline>/init root=/dev/vda</cmdline><boot dev='hd'/><smbios mode='sysinfo'/></os>"
        "<features><acpi/><apic/><smm state='on'/></features><clock offset='utc'/>"
        "<on_poweroff>destroy</on_poweroff><pm><suspend-to-mem enabled='no'/></pm><devices>"
        "<emulator>/usr/bin/q</emulator><disk type='file'><driver name='qemu' type='raw'/>"
        "<source file='/a'/><backingStore/><target dev='vda'/><serial>/1</serial></disk>"
        "<controller type='pci' model='pcie-root-port'><model name='x'/><target chassis='1'/>"
        "</controller><interface type='user'><mac address='52:54:00:00:00:05'/>"
        "<model type='virtio'/><driver queues='4'/><link state='up'/><rom bar='off'/></interface>"
        "<serial type='pty'><source path='/dev/pts/3'/><target port='0'/><log file='/var/log/l'/>"
        "</serial><console type='pty' tty='/dev/pts/3'><target type='serial'/></console>"
        "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>"
        "<channel type='unix'><source mode='bind' path='/srv/s'/><target type='virtio'/></channel>"
        "<redirdev bus='usb' type='spicevmc'><address type='usb' bus='0' port='2'/></redirdev>"
        "<smartcard mode='passthrough' type='spicevmc'/><input type='tablet' bus='usb'/>"
        "<graphics type='vnc' port='-1' autoport='yes' passwd='/x'><listen type='address' "
        "address='127.0.0.1'/></graphics><graphics type='spice'><listen type='socket' "
        "socket='/srv/spice.sock'/><image compression='off'/></graphics>"
        "<video><model type='qxl'/></video><sound model='ich9'><audio id='1'/></sound>"
        "<audio id='1' type='spice'/><watchdog model='itco' action='reset'/>"
        "<memballoon model='virtio'><stats period='5'/></memballoon>"
        "<rng model='virtio'><backend model='random'>/dev/urandom</backend><rate bytes='1'/></rng>"
        "<rng model='virtio'><backend model='builtin'/></rng><panic model='isa'/>"
        "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
        "<vsock model='virtio'><cid auto='yes'/></vsock><memory model='dimm'><target>"
        "<size unit='KiB'>1024</size><node>0</node></target></memory></devices>"
        "<seclabel type='dynamic' model='dac' relabel='yes'><label>+1:+1</label>"
        "<imagelabel>+1:+1</imagelabel></seclabel></domain>";
    g_autoptr(vm) m = parse(xml);
    g_autofree char *ties = g_strjoinv("\n", m->hostdevs);
    g_autofree char *unknown = g_strjoinv("\n", m->unknown);

    g_assert_cmpstr(ties, ==, "");
    g_assert_cmpstr(unknown, ==, "");
    g_assert_false(m->own_label);
    g_assert_true(m->tpm);
}

static void expect_file(const char *xml, const char *path, gboolean written)
{
    g_autoptr(vm) m = parse(xml);

    for (guint i = 0; i < m->files->len; i++) {
        const vm_file *file = m->files->pdata[i];
        if (!strcmp(file->path, path) && file->written == written)
            return;
    }
    g_error("%s is not listed as %s: %s", path, written ? "written" : "read", xml);
}

static void test_files(void)
{
    expect_file(SMALL("<graphics type='vnc' socket='/srv/s'/>"), "/srv/s", TRUE);
    expect_file(SMALL("<graphics type='vnc'><listen type='address'/><listen type='socket' "
                      "socket='/srv/s'/></graphics>"),
                "/srv/s", TRUE);
    /* QEMU writes it, whatever the mode says. */
    expect_file(SMALL("<serial type='file'><source mode='connect' path='/srv/s'/></serial>"),
                "/srv/s", TRUE);
    expect_file(SMALL("<redirdev type='file'><source path='/srv/s'/></redirdev>"), "/srv/s", TRUE);
    expect_file(SMALL("<interface type='user'><mac address='52:54:00:00:00:05'/>"
                      "<rom file='/srv/r'/></interface>"),
                "/srv/r", FALSE);
    expect_file(OS("<nvram type='file'><source file='/srv/n'/></nvram>"), "/srv/n", TRUE);
    expect_file(OS("<acpi><table type='slic'>/srv/1</table><table type='x'>/srv/2</table></acpi>"),
                "/srv/2", FALSE);
}

static void test_labels(void)
{
    static const char *const own[] = {
        TOP("<seclabel type='static' model='dac'><label>+0:+0</label></seclabel>"),
        TOP("<seclabel type='none'/>"),
        TOP("<seclabel type='dynamic' model='dac' relabel='no'/>"),
        TOP("<seclabel type='dynamic'><baselabel>b</baselabel></seclabel>"),
        SMALL("<disk><source file='/a'><seclabel model='dac' relabel='no'/></source>"
              "<target dev='vda'/></disk>"),
    };

    for (guint i = 0; i < G_N_ELEMENTS(own); i++) {
        g_autoptr(vm) m = parse(own[i]);
        g_assert_true(m->own_label);
    }
}

/* Cells and DIMMs are memory, too, whatever <memory> says. */
static void test_memory(void)
{
    g_autoptr(vm) m = parse(TOP("<devices><memory model='dimm'><target><size "
                                "unit='GiB'>2</size></target></memory></devices>"
                                "<cpu><numa><cell id='0' memory='1' unit='GiB'/><cell id='1' "
                                "memory='1048576'/></numa></cpu>"));

    g_assert_cmpuint(m->memory, ==, 4ull << 30);
}

/* Each is refused with a sentence that has these words. */
static void test_refusals(void)
{
    static const struct {
        const char *xml, *words;
    } bad[] = {
        {"", "XML"},
        {"hello", "XML"},
        {"<network/>", "not a <domain>"},
        {"<domain type='qemu'/>", "<name>"},
        {"<d:domain xmlns:d='x' type='qemu'/>", "not a <domain>"},
        {"<!DOCTYPE domain [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]><domain type='qemu'>"
         "<name>&b;</name></domain>",
         "document type"},
        {"<!DOCTYPE domain SYSTEM 'http://192.0.2.1/x.dtd'><domain type='qemu'/>", "document type"},
        {"<domain type='qemu'><name>&undefined;</name></domain>", "XML"},
        {"<domain type='qemu'><name>a\nb</name><os><type arch='x'/></os></domain>", "<name>"},
        {"<domain type='qemu'><name>../x</name><os><type arch='x'/></os></domain>", "<name>"},
        {"<domain type='qemu'><name>s</name><os><type arch='x'/></os></domain>", "<uuid>"},
        {"<domain type='qemu'><name>s</name><uuid>ebab134f</uuid><os><type "
         "arch='x'/></os></domain>",
         "<uuid>"},
        {"<domain type='qemu'><name>s</name></domain>", "arch"},
        {"<domain type='qemu'><name>s</name><uuid>ebab134f-7609-4580-b43d-5ae59ea22778</uuid>"
         "<os><type arch='x'/></os></domain>",
         "<memory>"},
        {"<domain type='qemu'><name>s</name><uuid>ebab134f-7609-4580-b43d-5ae59ea22778</uuid>"
         "<memory unit='TiB'>99999999</memory><os><type arch='x'/></os></domain>",
         "<memory>"},
        {"<domain type='qemu'><name>s</name><uuid>ebab134f-7609-4580-b43d-5ae59ea22778</uuid>"
         "<memory>-4</memory><os><type arch='x'/></os></domain>",
         "<memory>"},
        {SMALL("<emulator>qemu</emulator>"), "<emulator>"},
        {SMALL("</devices><devices>"), "more than one <devices>"},
        {SMALL("</devices><os><type arch='x86_64'>hvm</type></os><devices>"), "more than one <os>"},
        {SMALL("<emulator>/bin/q</emulator><emulator>/bin/q</emulator>"),
         "more than one <emulator>"},
        {SMALL("<disk><source file='/a'/><source file='/b'/><target dev='vda'/></disk>"),
         "more than one <source>"},
        {SMALL("<disk><backingStore/><backingStore/><target dev='vda'/></disk>"),
         "more than one <backingStore>"},
        {SMALL("<interface type='user'><mac address='52:54:00:00:00:05'/>"
               "<mac address='52:54:00:00:00:06'/></interface>"),
         "more than one <mac>"},
        {SMALL("<serial type='pty'><log file='/a'/><log file='/b'/></serial>"),
         "more than one <log>"},
        {SMALL("<rng><backend model='builtin'/><backend model='egd'/></rng>"),
         "more than one <backend>"},
        {OS("<kernel>/a</kernel><kernel>/b</kernel>"), "more than one <kernel>"},
        {TOP("<cpu><numa><cell memory='x'/></numa></cpu>"), "<cell>"},
        {HEAD("5d0c7b1e-0000-4000-8000-000000000001") EMULATOR TAIL, "is a UUID"},
        {SMALL("<disk><source file='/a'/></disk>"), "no target"},
        {SMALL("<disk><source file='/a'/><target dev='../a'/></disk>"), "no target"},
        {SMALL("<disk><source file='a.img'/><target dev='vda'/></disk>"), "vda"},
        {SMALL("<disk><source file='/srv/../etc/passwd'/><target dev='vda'/></disk>"), "vda"},
        {SMALL("<disk><source file='/srv/a&#10;b'/><target dev='vda'/></disk>"), "vda"},
        {SMALL("<disk type='volume'><source pool='../p' volume='v'/><target dev='vda'/></disk>"),
         "vda"},
        {SMALL("<disk><target dev='vda'/></disk><disk><target dev='vda'/></disk>"),
         "two <disk>s vda"},
        {SMALL("<interface type='bridge'><source bridge='b'/></interface>"), "MAC"},
        {SMALL(
             "<interface type='bridge'><mac address='52:54:00:00:00:05&#10;'/><source bridge='b'/>"
             "</interface>"),
         "MAC"},
        {SMALL("<interface type='bridge'><mac address='52:54:00:00:00:05'/></interface>"),
         "switch"},
        {SMALL("<interface type='bridge'><mac address='52:54:00:00:00:05'/><source bridge='a/b'/>"
               "</interface>"),
         "switch"},
        {SMALL("<interface type='bridge'><mac address='52:54:00:00:00:05'/><source bridge='b'/>"
               "<vlan><tag id='4096'/></vlan></interface>"),
         "<vlan>"},
        {SMALL("<interface type='bridge'><mac address='52:54:00:00:00:05'/><source bridge='b'/>"
               "<vlan><tag id='5x'/></vlan></interface>"),
         "<vlan>"},
        {SMALL("<serial type='file'><source path='/var/log/../../etc/x'/></serial>"), "serial"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(vm) m = vm_parse(bad[i].xml, &error);

        if (m)
            g_error("accepted: %s", bad[i].xml);
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
        if (!strstr(error->message, bad[i].words))
            g_error("\"%s\" lacks \"%s\"", error->message, bad[i].words);
        g_assert_null(strchr(error->message, '\n'));
    }
}

static void expect_refusal(const char *xml)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(vm_parse(xml, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
}

static void test_bombs(void)
{
    g_autofree char *big = g_malloc(10 << 20);
    g_autoptr(GString) deep = g_string_new(NULL), many = g_string_new(NULL);
    g_autofree char *utf16 = NULL, *crowd = NULL;

    memset(big, 'a', (10 << 20) - 1);
    big[(10 << 20) - 1] = 0;
    memcpy(big, "<domain>", 8);
    expect_refusal(big);

    g_string_append(deep, "<domain type='qemu'>");
    for (guint i = 0; i < 20000; i++)
        g_string_append(deep, "<a>");
    expect_refusal(deep->str);

    /* An encoding that hides a document type from a search for its bytes. */
    utf16 = g_strdup("<?xml version='1.0' encoding='UTF-7'?>+ADwAIQ-DOCTYPE domain []><domain/>");
    expect_refusal(utf16);
    expect_refusal("<?xml version='1.0' encoding='UTF-16'?><domain/>");
    expect_refusal("<domain type='qemu'><name>\xff\xfe</name></domain>");

    for (guint i = 0; i <= VM_DISKS_MAX; i++)
        g_string_append_printf(many, "<disk><target dev='vd%u'/></disk>", i);
    crowd = g_strconcat("<domain type='qemu'><name>s</name>"
                        "<uuid>ebab134f-7609-4580-b43d-5ae59ea22778</uuid><memory>1</memory>"
                        "<os><type arch='x'/></os><devices>",
                        many->str, "</devices></domain>", NULL);
    expect_refusal(crowd);
}

/* Cut anywhere, it is an error and nothing worse. */
static void test_cut(void)
{
    const char *whole = WEB;
    size_t end = (size_t)(strrchr(whole, '>') - whole);

    for (size_t length = 0; length < end; length += 7) {
        g_autofree char *part = g_strndup(whole, length);
        expect_refusal(part);
    }
}

static void test_sane(void)
{
    g_assert_true(vm_path_is_sane("/srv/web data/a..b.raw"));
    g_assert_false(vm_path_is_sane("srv/a"));
    g_assert_false(vm_path_is_sane("/srv/../a"));
    g_assert_false(vm_path_is_sane("/srv/a/.."));
    g_assert_false(vm_path_is_sane("/srv/./a"));
    g_assert_false(vm_path_is_sane("/srv/a\x1b[2J"));
    g_assert_false(vm_path_is_sane(""));
    g_assert_true(vm_name_is_sane("vSwitch VLAN500"));
    g_assert_false(vm_name_is_sane("a/b"));
    g_assert_false(vm_name_is_sane(".."));
    g_assert_false(vm_name_is_sane(""));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virt/vm/machine", test_machine);
    g_test_add_func("/virt/vm/disks", test_disks);
    g_test_add_func("/virt/vm/a-chain-nobody-mentions", test_unsaid_chain);
    g_test_add_func("/virt/vm/nics", test_nics);
    g_test_add_func("/virt/vm/ties-to-the-host", test_ties);
    g_test_add_func("/virt/vm/reaching-out", test_reaching_out);
    g_test_add_func("/virt/vm/harmless", test_harmless);
    g_test_add_func("/virt/vm/files-besides-disks", test_files);
    g_test_add_func("/virt/vm/labels-of-its-own", test_labels);
    g_test_add_func("/virt/vm/all-of-its-memory", test_memory);
    g_test_add_func("/virt/vm/refusals-say-why", test_refusals);
    g_test_add_func("/virt/vm/bombs", test_bombs);
    g_test_add_func("/virt/vm/cut-anywhere", test_cut);
    g_test_add_func("/virt/vm/names-and-paths", test_sane);
    return g_test_run();
}
