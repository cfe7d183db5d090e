/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UUIDs between their text and their 16 bytes. */
#pragma once
#include <glib.h>
#include <stdint.h>

/* `text` must be valid (g_uuid_string_is_valid). */
static inline void uuid_to_bytes(const char *text, uint8_t bytes[16])
{
    for (int i = 0; i < 16; text += 2, i++) {
        if (*text == '-')
            text++;
        bytes[i] = (uint8_t)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
    }
}

/* Lower case, caller frees. */
static inline char *uuid_from_bytes(const uint8_t b[16])
{
    return g_strdup_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                           b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
                           b[12], b[13], b[14], b[15]);
}
