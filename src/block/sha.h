/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA-256 of a block's content, by which both sides speak of blocks the target may hold. Any thread.
 *
 * From nettle, which GnuTLS brings along: 1.8 GB/s on a core with SHA-NI, where libcrypto and
 * libgcrypt give 2.0 and GLib's GChecksum 0.5. */
#pragma once
#include "block/op.h"

void sha_of(const void *bytes, size_t length, uint8_t out[OP_SHA256]);
/* The hint for it: its first bytes as a number. */
uint64_t sha_hint(const uint8_t sha[OP_SHA256]);
