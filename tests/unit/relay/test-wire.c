/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The wire format: what is put comes out again, and nothing else comes out. */
#include "relay/wire.h"

#include <string.h>

static const uint16_t disk7 = STREAM_DISK << 12 | 7;

static void refused(const wire_frame *frame, const char *why)
{
    g_autoptr(GError) error = NULL;
    uint8_t bytes[WIRE_HEADER_SIZE];
    wire_frame got = {.type = 0xee};

    wire_put_frame(bytes, frame);
    g_assert_false(wire_get_frame(bytes, &got, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
    if (!strstr(error->message, why))
        g_error("\"%s\" does not say \"%s\"", error->message, why);
    g_assert_cmpint(got.type, ==, 0xee);
}

static void accepted(const wire_frame *frame)
{
    g_autoptr(GError) error = NULL;
    uint8_t bytes[WIRE_HEADER_SIZE];
    wire_frame got;

    wire_put_frame(bytes, frame);
    wire_get_frame(bytes, &got, &error);
    g_assert_no_error(error);
    g_assert_cmpint(got.type, ==, frame->type);
    g_assert_cmpint(got.flags, ==, frame->flags);
    g_assert_cmpint(got.stream, ==, frame->stream);
    g_assert_cmpuint(got.length, ==, frame->length);
    g_assert_cmpuint(got.number, ==, frame->number);
}

static void test_layout(void)
{
    static const uint8_t wanted[] = {1, 1, 0x30, 7, 0, 1, 2, 3, 1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t bytes[WIRE_HEADER_SIZE];

    wire_put_frame(bytes, &(wire_frame){.type = FRAME_DATA,
                                        .flags = FRAME_END,
                                        .stream = disk7,
                                        .length = 0x010203,
                                        .number = 0x0102030405060708});
    g_assert_cmpmem(bytes, sizeof bytes, wanted, sizeof wanted);
    g_assert_cmpint(wire_stream_kind(disk7), ==, STREAM_DISK);
    g_assert_cmpuint(wire_stream_number(disk7), ==, 7);
    g_assert_cmpuint(wire_stream_id(STREAM_DISK, 7), ==, disk7);
}

static void test_legal_frames(void)
{
    for (unsigned kind = 0; kind < STREAM_KINDS; kind++)
        for (unsigned number = 0; number < (kind ? WIRE_STREAM_NUMBERS : 1); number += 819) {
            uint16_t id = wire_stream_id(kind, number);
            accepted(&(wire_frame){.type = FRAME_DATA, .stream = id, .length = 1});
            accepted(&(wire_frame){.type = FRAME_DATA,
                                   .stream = id,
                                   .length = WIRE_CONTROL_MAX,
                                   .number = UINT64_MAX});
            accepted(&(wire_frame){.type = FRAME_ACK, .stream = id, .number = 1});
            accepted(&(wire_frame){.type = FRAME_ACK, .stream = id, .number = UINT64_MAX});
        }
    for (uint8_t flags = 0; flags < 4; flags++)
        if (flags != FRAME_BROKEN)
            accepted(&(wire_frame){.type = FRAME_DATA,
                                   .flags = flags,
                                   .stream = disk7,
                                   .length = WIRE_PAYLOAD_MAX,
                                   .number = 5});
    accepted(&(wire_frame){.type = FRAME_DATA, .stream = disk7});
    accepted(&(wire_frame){.type = FRAME_DATA, .flags = FRAME_END, .stream = disk7, .number = 9});
    accepted(&(wire_frame){.type = FRAME_BEAT});
    accepted(&(wire_frame){.type = FRAME_BYE});
    accepted(&(wire_frame){.type = FRAME_BYE, .flags = FRAME_BROKEN});
}

static void test_illegal_frames(void)
{
    for (unsigned type = 0; type < 256; type++)
        if (type < FRAME_DATA || type > FRAME_BEAT)
            refused(&(wire_frame){.type = (uint8_t)type, .stream = disk7, .length = 1},
                    "unknown type");
    for (unsigned kind = STREAM_KINDS; kind < 16; kind++)
        refused(&(wire_frame){.type = FRAME_DATA, .stream = (uint16_t)(kind << 12), .length = 1},
                "unknown kind");
    for (unsigned flags = 2; flags < 256; flags++)
        if (flags != (FRAME_END | FRAME_BROKEN))
            refused(
                &(wire_frame){
                    .type = FRAME_DATA, .flags = (uint8_t)flags, .stream = disk7, .length = 1},
                "flags");
    for (unsigned flags = 1; flags < 256; flags++) {
        refused(&(wire_frame){.type = FRAME_DATA, .flags = (uint8_t)flags, .length = 1}, "flags");
        refused(&(wire_frame){.type = FRAME_ACK, .flags = (uint8_t)flags, .number = 1},
                "acknowledgement");
        if (flags != FRAME_BROKEN)
            refused(&(wire_frame){.type = FRAME_BYE, .flags = (uint8_t)flags}, "goodbye");
    }
    for (unsigned number = 1; number < WIRE_STREAM_NUMBERS; number++)
        refused(&(wire_frame){.type = FRAME_DATA, .stream = (uint16_t)number, .length = 1},
                "control stream");
    refused(&(wire_frame){.type = FRAME_DATA, .length = 0}, "0 bytes");
    refused(&(wire_frame){.type = FRAME_DATA, .length = WIRE_CONTROL_MAX + 1}, "65537 bytes");
    refused(&(wire_frame){.type = FRAME_DATA, .stream = disk7, .length = WIRE_PAYLOAD_MAX + 1},
            "131073 bytes");
    refused(&(wire_frame){.type = FRAME_DATA, .stream = disk7, .length = UINT32_MAX}, "bytes");
    refused(&(wire_frame){.type = FRAME_DATA, .stream = disk7, .number = 1}, "empty");
    refused(&(wire_frame){.type = FRAME_ACK, .stream = disk7}, "acknowledgement");
    refused(&(wire_frame){.type = FRAME_ACK, .stream = disk7, .number = 1, .length = 1},
            "acknowledgement");
    refused(&(wire_frame){.type = FRAME_BYE, .stream = disk7}, "goodbye");
    refused(&(wire_frame){.type = FRAME_BYE, .number = 1}, "goodbye");
    refused(&(wire_frame){.type = FRAME_BYE, .length = 1}, "goodbye");
    refused(&(wire_frame){.type = FRAME_BEAT, .flags = FRAME_END}, "heartbeat");
    refused(&(wire_frame){.type = FRAME_BEAT, .stream = disk7}, "heartbeat");
    refused(&(wire_frame){.type = FRAME_BEAT, .number = 1}, "heartbeat");
    refused(&(wire_frame){.type = FRAME_BEAT, .length = 1}, "heartbeat");
}

static void test_preamble(void)
{
    wire_preamble in = {.channel = WIRE_CHANNELS_MAX - 1}, out;
    uint8_t good[WIRE_PREAMBLE_SIZE], bad[WIRE_PREAMBLE_SIZE];

    for (unsigned i = 0; i < sizeof in.landing; i++)
        in.landing[i] = (uint8_t)(0xf0 + i);
    wire_put_preamble(good, &in);
    g_assert_cmpmem(good, 12, "FERRY-LN\0\1\0\17", 12);
    g_assert_true(wire_get_preamble(good, &out, NULL));
    g_assert_cmpint(out.channel, ==, in.channel);
    g_assert_cmpmem(out.landing, sizeof out.landing, in.landing, sizeof in.landing);
    /* Every bit outside the landing's id and the low bits of the index is fixed. */
    for (unsigned bit = 0; bit < 8 * WIRE_PREAMBLE_SIZE; bit++) {
        g_autoptr(GError) error = NULL;
        unsigned byte = bit / 8;
        if ((byte >= 12 && byte < 28) || (byte == 11 && bit % 8 < 4))
            continue;
        memcpy(bad, good, sizeof bad);
        bad[byte] ^= (uint8_t)(1 << bit % 8);
        g_assert_false(wire_get_preamble(bad, &out, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
    }
}

static void test_kind_names(void)
{
    g_assert_cmpstr(stream_kind_name(STREAM_CONTROL), ==, "control");
    g_assert_cmpstr(stream_kind_name(STREAM_DISK), ==, "disk");
    g_assert_cmpstr(stream_kind_name(STREAM_KINDS), ==, "unknown");
}

/* Whatever is let through is the very header that putting it again gives: no byte is ignored. */
static void test_random(void)
{
    GRand *random = g_rand_new_with_seed(5);
    unsigned good = 0;

    for (int i = 0; i < 1000000; i++) {
        uint8_t bytes[WIRE_HEADER_SIZE], again[WIRE_HEADER_SIZE];
        wire_frame frame;
        for (int j = 0; j < WIRE_HEADER_SIZE; j++)
            bytes[j] =
                g_rand_boolean(random) ? 0 : (uint8_t)g_rand_int_range(random, 0, j ? 256 : 5);
        if (!wire_get_frame(bytes, &frame, NULL))
            continue;
        good++;
        wire_put_frame(again, &frame);
        g_assert_cmpmem(again, sizeof again, bytes, sizeof bytes);
        g_assert_cmpuint(frame.length, <=, WIRE_PAYLOAD_MAX);
        g_assert_cmpuint(wire_stream_kind(frame.stream), <, STREAM_KINDS);
    }
    g_assert_cmpuint(good, >, 1000);
    g_rand_free(random);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay/wire/layout-is-fixed", test_layout);
    g_test_add_func("/relay/wire/legal-frames-come-out-as-put", test_legal_frames);
    g_test_add_func("/relay/wire/illegal-frames-are-refused", test_illegal_frames);
    g_test_add_func("/relay/wire/preamble-has-no-free-bits", test_preamble);
    g_test_add_func("/relay/wire/random-headers", test_random);
    g_test_add_func("/relay/wire/kinds-have-names", test_kind_names);
    return g_test_run();
}
