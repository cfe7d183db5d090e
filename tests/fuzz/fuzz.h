/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every fuzz target (fuzz-NAME.c) gives: libFuzzer's entry, called with one input after the
 * other by libFuzzer or by replay.c. It asserts what the module promises, keeps nothing from one
 * input to the next, and does the same for the same input. And a cursor over the input. */
#pragma once
#include <glib.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Always 0. `size` may be 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    const uint8_t *at;
    size_t left;
} fuzz_input;

/* The next byte; 0 when there is none. */
static inline uint8_t fuzz_byte(fuzz_input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

/* The next two, big-endian. */
static inline uint16_t fuzz_short(fuzz_input *in)
{
    uint8_t high = fuzz_byte(in);

    return (uint16_t)(high << 8 | fuzz_byte(in));
}

/* Up to `length` bytes, copied so that reading one too many is found. Caller frees. */
static inline uint8_t *fuzz_take(fuzz_input *in, size_t *length)
{
    uint8_t *copy;

    *length = MIN(*length, in->left);
    copy = g_malloc(MAX(*length, 1));
    if (*length)
        memcpy(copy, in->at, *length);
    in->at += *length;
    in->left -= *length;
    return copy;
}
