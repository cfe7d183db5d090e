/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM as its libvirt domain XML describes it, as far as Ferry must understand it. Pure: XML in,
 * facts out; no connection. XML from a peer is hostile: size and nesting are bounded, no network,
 * no entities, no external DTD (libxml2 options), names and paths validated. Any thread.
 */
#pragma once
#include "base/json.h"

#define VM_XML_MAX   (256 * 1024)
#define VM_DISKS_MAX 32
#define VM_NICS_MAX  32
#define VM_FILES_MAX 64

typedef struct {
    char *target; /* "vda" */
    char *type;   /* file, block, network, volume, … as in <disk type=…> */
    char *device; /* disk, cdrom, floppy, lun */
    /* Absolute path without "..", or NULL when empty (no medium) or of a type without one. Of type
     * volume: "POOL/VOLUME", until virt_domain_measure has asked the pool for the path. */
    char *source;
    char *format; /* qcow2, raw, …; from <driver type=…> */
    char *alias;  /* libvirt's name for it in the XML of a running VM, "virtio-disk0"; or NULL */
    gboolean readonly, shareable, encrypted;
    gboolean direct; /* its cache mode needs O_DIRECT */
    /* In the XML of a running VM: other images are below this one. (libvirt closes every chain it
     * knows with an empty <backingStore/>; the stored definition does not tell.) */
    gboolean has_backing;
    /* Names images below it or a copy under way, which libvirt would open. */
    gboolean names_more;
    guint64
        capacity; /* bytes the guest sees; 0 until virt_domain_measure or a request filled it in */
    guint64 allocation; /* bytes it takes at the source; likewise */
} vm_disk;

typedef struct {
    char *mac;         /* lower case */
    char *type;        /* bridge, network, direct, user, hostdev, … */
    char *switch_name; /* bridge or network name; NULL for other types */
    char *device;      /* the host's bridge or link behind it, where the XML tells and it is not the
                          switch */
    char *portgroup;   /* or NULL */
    char *virtualport; /* <virtualport type=…>, or NULL */
    char *filter;      /* <filterref filter=…>, or NULL */
    char *port;        /* the name chosen for its tap, or NULL (libvirt's own "vnet0" is none) */
    GArray *vlans;     /* of guint16, in order; empty: untagged */
    gboolean trunk;
} vm_nic;

/* A file of the host that is not a disk: kernel, firmware, log of a serial port, … */
typedef struct {
    char *what;       /* "kernel" */
    char *path;       /* absolute, without ".." */
    gboolean written; /* QEMU or libvirt creates or writes it; else it must be there */
} vm_file;

typedef struct {
    char *name, *uuid, *title;
    char *virt_type; /* kvm, qemu */
    char *arch, *machine, *emulator;
    guint64 memory; /* bytes, maximum; with that of its NUMA cells and DIMMs */
    guint vcpus;    /* maximum */
    gboolean huge_pages, tpm;
    GPtrArray *disks; /* of vm_disk, owned */
    GPtrArray *nics;  /* of vm_nic, owned */
    GPtrArray *files; /* of vm_file, owned */
    GStrv hostdevs; /* what ties the VM to its host, for findings: "hostdev pci 0000:00:02.0", … */
    GStrv unknown; /* what is not known to be harmless on another host: "<script> in <interface>" */
    GStrv security;     /* models of its <seclabel>s */
    gboolean own_label; /* a label that does not ask for its host's protection as it is */
    char *cpu_xml;      /* the <cpu> element, or NULL */
} vm;

/* Errors: G_IO_ERROR_INVALID_DATA, naming the element. */
vm *vm_parse(const char *xml, GError **error);
void vm_free(vm *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(vm, vm_free)
vm_disk *vm_find_disk(const vm *self, const char *target);

/* Where the images of the disks that are copied lie, {"vda": "/srv/a.qcow2"}, once
 * virt_domain_measure has found it out: when the guest is gone libvirt may not tell any more. */
JsonObject *vm_paths_to_json(const vm *self);
/* Back into a VM of the same XML. Errors: a copied disk without a path, a path that is none, or
 * another than the XML itself names. */
gboolean vm_take_paths(vm *self, JsonObject *paths, GError **error);

/* A drive without a medium. One of a type whose source is none of ours is not empty. */
gboolean vm_disk_is_empty(const vm_disk *disk);
/* Does this disk cross the wire? Disks with a source, not read-only, not shareable. */
gboolean vm_disk_is_copied(const vm_disk *disk);

/* Is it 1 to 4095 bytes, absolute, printable UTF-8, and without "." or ".." as a component? */
gboolean vm_path_is_sane(const char *path);
/* Is it 1 to 255 bytes of printable UTF-8 without a slash? */
gboolean vm_name_is_sane(const char *name);
