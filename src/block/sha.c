/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA-256 of blocks; see sha.h. */
#include "block/sha.h"
#include "base/bytes.h"

#include <nettle/sha2.h>

void sha_of(const void *bytes, size_t length, uint8_t out[OP_SHA256])
{
    struct sha256_ctx context;

    G_STATIC_ASSERT(OP_SHA256 == SHA256_DIGEST_SIZE);
    sha256_init(&context);
    sha256_update(&context, length, bytes);
    sha256_digest(&context, OP_SHA256, out);
}

uint64_t sha_hint(const uint8_t sha[OP_SHA256])
{
    return get_be64(sha);
}
