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
/* vmties.c: files, hostdevs, security and tpm of self. */
gboolean vm_read_ties(vm *self, const xmlNode *domain, GError **error);
