/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM as its libvirt domain XML describes it, as far as Ferry must understand it. Pure: XML in, facts
 * out; no connection. XML from a peer is hostile: size and nesting are bounded, no network, no entities,
 * no external DTD (libxml2 options), names and paths validated.
 */
#pragma once
#include <gio/gio.h>

#define VM_XML_MAX  (256 * 1024)
#define VM_DISKS_MAX 32
#define VM_NICS_MAX  32

typedef struct {
    char *target;       /* "vda" */
    char *type;         /* file, block, network, volume, … as in <disk type=…> */
    char *device;       /* disk, cdrom, floppy, lun */
    char *source;       /* path, or NULL when empty (no medium) */
    char *format;       /* qcow2, raw, …; from <driver type=…> */
    gboolean readonly, shareable, has_backing;
    guint64 capacity;   /* bytes the guest sees; 0 until virt_domain_measure or a request filled it in */
    guint64 allocation; /* bytes it takes at the source; likewise */
} vm_disk;

typedef struct {
    char *mac;            /* lower case */
    char *type;           /* bridge, network, direct, user, hostdev, … */
    char *switch_name;    /* bridge or network name; NULL for other types */
    char *portgroup;      /* or NULL */
    char *virtualport;    /* <virtualport type=…>, or NULL */
    GArray *vlans;        /* of guint16, in order; empty: untagged */
    gboolean trunk;
} vm_nic;

typedef struct {
    char *name, *uuid, *title;
    char *virt_type; /* kvm, qemu */
    char *arch, *machine, *emulator;
    guint64 memory; /* bytes, maximum */
    guint vcpus;    /* maximum */
    GPtrArray *disks; /* of vm_disk, owned */
    GPtrArray *nics;  /* of vm_nic, owned */
    GStrv hostdevs;   /* what ties the VM to its host, for findings: "hostdev pci 0000:00:02.0", … */
    char *cpu_xml;    /* the <cpu> element, or NULL */
} vm;

/* Errors: G_IO_ERROR_INVALID_DATA, naming the element. */
vm *vm_parse(const char *xml, GError **error);
void vm_free(vm *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(vm, vm_free)
vm_disk *vm_find_disk(const vm *self, const char *target);

/* Does this disk cross the wire? Disks with a source, not read-only, not shareable. */
gboolean vm_disk_is_copied(const vm_disk *disk);
