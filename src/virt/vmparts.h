/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pieces of vm_parse that other files of src/virt use; only inside src/virt. */
#pragma once
#include "virt/vm.h"
#include "virt/xml.h"

/* Sets G_IO_ERROR_INVALID_DATA; FALSE, for use in `return`. */
gboolean vm_invalid(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Takes `value` into *field; an error when it is neither NULL nor a sane name. */
gboolean vm_take_name(char **field, char *value, const char *what, GError **error);
/* The tags of a <vlan> (NULL: none), of guint16; NULL when one is no VLAN ID. */
GArray *vm_parse_vlans(const xmlNode *vlan);
/* libvirt's units of memory (formatdomain: memory allocation); no unit is KiB. */
gboolean vm_parse_memory(const xmlNode *node, guint64 *bytes);
/* Does a <seclabel> ask for this host's protection, with labels that libvirt makes here? A peer
 * may, but choose neither the labels nor to have none. What libvirt itself made of such a request,
 * the <label> in a running VM's XML, makes no difference when `made` is set. */
gboolean vm_label_asks_protection(const xmlNode *label, gboolean made);
/* vmknown.c: self's `unknown`. */
void vm_read_unknown(vm *self, const xmlNode *domain);
/* vmties.c: files, hostdevs, security, own_label and tpm of self. */
gboolean vm_read_ties(vm *self, const xmlNode *domain, GError **error);
