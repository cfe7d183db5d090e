/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes the first corpus of every target, made by Ferry's own encoders:
 *
 *   fuzz-seeds CORPUS TRANSCRIPTS
 *
 * Files of the same names are replaced, others (what fuzzing has found) are left alone. */
#include "base/bytes.h"
#include "base/json.h"
#include "block/nbd.h"
#include "block/op.h"
#include "block/pack.h"
#include "migrate/landing.h"
#include "relay/wire.h"
#include "unit/virt/samples.h"

#include <glib/gstdio.h>
#include <string.h>

static const char *corpus;

static void write_seed(const char *target, const char *name, const void *bytes, size_t length)
{
    g_autofree char *folder = g_build_filename(corpus, target, NULL);
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;

    if (g_mkdir_with_parents(folder, 0755) != 0 ||
        !g_file_set_contents(path, bytes, (gssize)length, &error))
        g_error("%s: %s", path, error ? error->message : "cannot be made");
}

static void write_array(const char *target, const char *name, GByteArray *bytes)
{
    write_seed(target, name, bytes->data, bytes->len);
    g_byte_array_set_size(bytes, 0);
}

static void add(GByteArray *to, const void *bytes, size_t length)
{
    g_byte_array_append(to, bytes, (guint)length);
}

static void add_number(GByteArray *to, uint64_t number, guint width)
{
    uint8_t bytes[8];

    put_be64(bytes, number);
    add(to, bytes + 8 - width, width);
}

static void seed_wire(GByteArray *b)
{
    static const wire_frame frames[] = {
        {.type = FRAME_DATA, .stream = 0, .length = 40},
        {.type = FRAME_DATA, .stream = 1 << 12, .length = 0},
        {.type = FRAME_DATA, .stream = 2 << 12, .length = WIRE_PAYLOAD_MAX, .number = 7},
        {.type = FRAME_DATA, .stream = 3 << 12 | 2, .flags = FRAME_END, .number = 1ULL << 40},
        {.type = FRAME_DATA, .stream = 3 << 12, .flags = FRAME_END | FRAME_BROKEN, .number = 3},
        {.type = FRAME_ACK, .stream = 2 << 12, .number = 9},
        {.type = FRAME_BYE},
        {.type = FRAME_BYE, .flags = FRAME_BROKEN},
        {.type = FRAME_BEAT}};
    uint8_t preamble[WIRE_PREAMBLE_SIZE], header[WIRE_HEADER_SIZE];

    wire_put_preamble(preamble, &(wire_preamble){.channel = 3, .landing = {1, 2, 3, 4, 5, 6, 7}});
    add(b, preamble, sizeof preamble);
    for (guint i = 0; i < G_N_ELEMENTS(frames); i++) {
        wire_put_frame(header, &frames[i]);
        add(b, header, sizeof header);
    }
    write_array("wire", "all-frames", b);
}

/* Steps as fuzz-mux.c reads them. */
static void seed_mux(GByteArray *b)
{
    static const uint8_t in_order[] = {1, 0xf8, 0x40, 0, 0, 0,    0xf8, 0x40, 1,    0x40, 0,
                                       0xf8, 0x40, 2, 0, 1, 3, 1, 0,    5,    0xf8, 0xc0, 0,
                                       0,    0,    3, 2, 0, 5},
                         crossing[] = {1, 0x00, 0xc0, 0, 0, 0,    0x08, 0xc0, 1,    0x10, 0, 0x10,
                                       0xc0, 2, 0x10, 0, 0x18, 0xc0, 3,    0,    1, 0x12, 0x0a,
                                       0x1a, 2, 3, 1, 0, 7, 0x0a, 3,    1,    0, 5},
                         sending[] = {0, 0x87, 0x97, 4, 1, 0x10, 0, 4, 2, 0x20, 0, 5, 0x0d, 6,
                                      0x40, 1, 7, 5, 4, 1, 0, 1, 5, 6, 0x40, 2, 4, 2, 0, 3, 5},
                         beyond[] = {1, 0xf8, 0x40, 0x6f, 0xff, 0xf0, 0xf8, 0x40, 0x70, 0xff, 0xf0};

    write_seed("mux", "in-order", in_order, sizeof in_order);
    write_seed("mux", "crossing", crossing, sizeof crossing);
    write_seed("mux", "sending", sending, sizeof sending);
    write_seed("mux", "window", beyond, sizeof beyond);
    add_number(b, 1, 1);
    for (guint i = 0; i < 66; i++) { /* as many bytes as a window takes, and more */
        add(b, "\xf8\x40", 2);
        add_number(b, i, 1);
        add_number(b, 0x7ffc, 2);
    }
    write_array("mux", "bytes", b);
    add_number(b, 1, 1);
    for (guint i = 0; i < 80; i++) { /* a window filled and emptied in part, again and again */
        add(b, "\xf8\x40", 2);
        add_number(b, i % 20, 1);
        add_number(b, 0x7ffc, 2);
        if (i % 20 == 19)
            add(b, "\x03\x01\x02\x0d", 4);
    }
    write_array("mux", "full", b);
}

static void add_op(GByteArray *b, const op *message, const void *body)
{
    uint8_t header[OP_HEADER];
    uint32_t length = op_put(header, message);

    add_number(b, length + message->body_length, 2);
    add(b, header, length);
    add(b, body, message->body_length);
}

static void seed_op(GByteArray *b)
{
    uint8_t block[512] = {1, 2, 3}, packed[256], entries[64] = {0};
    op_digest digest = op_digest_of(block, sizeof block);
    pack *packer = pack_new();
    uint32_t packed_length = pack_shrink(packer, packed, sizeof packed, block, sizeof block);

    add_number(b, 1, 1); /* from the source, before OPEN */
    add_op(b, &(op){.type = OP_OPEN, .length = 10 * OP_BLOCK + 512, .body_length = 3}, "vda");
    add_op(b, &(op){.type = OP_DATA, .id = 1, .length = 512, .digest = digest, .body_length = 512},
           block);
    add_op(b, &(op){.type = OP_DATA, .form = OP_ZSTD, .id = 2, .offset = OP_BLOCK, .length = 512,
                    .digest = digest, .body_length = packed_length},
           packed);
    add_op(b, &(op){.type = OP_DATA, .form = OP_KNOWN, .id = 3, .offset = 10 * OP_BLOCK,
                    .length = 512, .digest = digest, .body_length = OP_SHA256},
           block);
    add_op(b, &(op){.type = OP_ZERO, .id = 4, .unmap = TRUE, .offset = 9, .length = OP_BLOCK * 5},
           NULL);
    add_op(b, &(op){.type = OP_FLUSH, .id = 5, .digest = digest}, NULL);
    write_array("op", "from-source", b);
    add_number(b, 6, 1); /* from the target, after OPEN */
    op_put_done(entries, 0, 1, 0);
    op_put_done(entries, 1, 2, 28);
    add_op(b, &(op){.type = OP_DONE, .count = 2, .body_length = 16}, entries);
    op_put_need(entries, 0, 77);
    add_op(b, &(op){.type = OP_NEED, .count = 1, .body_length = 4}, entries);
    op_put_hint(entries, 0, 0x0123456789abcdef);
    add_op(b, &(op){.type = OP_HINTS, .count = 3, .body_length = 24}, entries);
    add_op(b, &(op){.type = OP_HINTS, .last = TRUE}, NULL);
    write_array("op", "from-target", b);
    pack_free(packer);
}

static void add_option(GByteArray *b, uint32_t option, const char *name, uint32_t length)
{
    add_number(b, 0x49484156454f5054, 8);
    add_number(b, option, 4);
    add_number(b, length, 4);
    add(b, name, length);
}

static void add_request(GByteArray *b, uint16_t flags, nbd_command command, uint64_t offset,
                        uint32_t length)
{
    add_number(b, 0x25609513, 4);
    add_number(b, flags, 2);
    add_number(b, command, 2);
    add_number(b, 0x1122334455667788, 8);
    add_number(b, offset, 8);
    add_number(b, length, 4);
}

static void seed_nbd(GByteArray *b)
{
    static const char go[] = "\0\0\0\3vda\0\2\0\3\0\1", info[] = "\0\0\0\3vda\0\0";

    add_number(b, 3, 4);
    add_option(b, 3, NULL, 0);              /* LIST */
    add_option(b, 8, NULL, 0);              /* STRUCTURED_REPLY */
    add_option(b, 6, info, sizeof info - 1);
    add_option(b, 7, go, sizeof go - 1);
    add_request(b, 0, NBD_WRITE, 512, 16);
    add(b, "0123456789abcdef", 16);
    add_request(b, 1, NBD_WRITE_ZEROES, 0, 65536);
    add_request(b, 2, NBD_WRITE_ZEROES, 655360, 512);
    add_request(b, 0, NBD_TRIM, 0, 655872);
    add_request(b, 0, NBD_FLUSH, 0, 0);
    add_request(b, 0, NBD_READ, 0, 512);
    add_request(b, 0, NBD_DISC, 0, 0);
    write_array("nbd", "go", b);
    add_number(b, 1, 4);
    add_option(b, 1, "vda", 3); /* EXPORT_NAME */
    add_request(b, 0, NBD_WRITE_ZEROES, 655871, 2);
    write_array("nbd", "export-name", b);
    add_number(b, 1, 4);
    add_option(b, 2, NULL, 0); /* ABORT */
    write_array("nbd", "abort", b);
}

static void seed_pack(GByteArray *b)
{
    static const guint lengths[] = {1, 512, 4096, 65536, 131072};
    g_autofree uint8_t *plain = g_malloc0(131072), *packed = g_malloc(200000);
    GRand *random = g_rand_new_with_seed(3);
    pack *packer = pack_new();

    for (guint i = 0; i < G_N_ELEMENTS(lengths); i++)
        for (guint kind = 0; kind < 2; kind++) { /* zeroes; words that come again */
            g_autofree char *name = g_strdup_printf("%u-%s", lengths[i], kind ? "words" : "zeroes");
            for (guint at = 0; at < lengths[i]; at++)
                plain[at] = kind ? (uint8_t)"abcdefgh"[g_rand_int_range(random, 0, 8)] : 0;
            if (kind && lengths[i] > 4096)
                memset(plain + 4096, 'x', lengths[i] - 4096); /* the file stays small */
            uint32_t length = pack_shrink(packer, packed, 200000, plain, lengths[i]);
            add_number(b, lengths[i] - 1, 3);
            add(b, packed, length);
            write_array("pack", name, b);
        }
    pack_free(packer);
    g_rand_free(random);
    /* A frame header that announces 2^62 bytes and a window of 2^41. */
    add(b, "\0\xff\xff\x28\xb5\x2f\xfd\xc0\xf8\0\0\0\0\0\0\0\x40\1\0\0", 20);
    write_array("pack", "huge-window", b);
    add(b, "\0\xff\xff\x50\x2a\x4d\x18\x10\0\0\0", 11);
    write_array("pack", "skippable", b);
    /* 4096 blocks of one repeated byte, 128 KiB each. */
    add(b, "\0\xff\xff\x28\xb5\x2f\xfd\x20\xff", 9);
    for (guint i = 0; i < 4096; i++)
        add(b, "\x02\0\x10z", 4);
    write_array("pack", "bomb", b);
}

/* One line of a transcript as pieces of at most that many bytes. */
static void add_line(GByteArray *b, const char *line, size_t most)
{
    size_t length = strlen(line + 2) / 2;

    for (size_t at = 0; at < length; at += most) {
        size_t n = MIN(most, length - at);
        add_number(b, n | (*line == '<' ? 0x8000 : 0), 2);
        for (size_t i = at; i < at + n; i++)
            add_number(b, (guint)(g_ascii_xdigit_value(line[2 + 2 * i]) << 4 |
                                  g_ascii_xdigit_value(line[3 + 2 * i])), 1);
    }
}

/* What libvirt 9.0 says and is answered, in pieces; call `odd` with its answer not at all, or twice. */
static void seed_rpc(GByteArray *b, char **lines, const char *name, size_t most, guint odd,
                     guint times)
{
    for (guint i = 0; lines[i]; i += 2)
        for (guint n = i / 2 == odd ? times : 1; n > 0; n--) {
            add_line(b, lines[i], most);
            add_line(b, lines[i + 1], most);
        }
    write_array("rpc", name, b);
}

static void seed_transcript(GByteArray *b, const char *folder, const char *name)
{
    g_autofree char *path = g_strdup_printf("%s/%s.txt", folder, name), *text = NULL;
    g_autofree char *pieces = g_strconcat(name, "-in-pieces", NULL);
    g_autoptr(GError) error = NULL;

    if (!g_file_get_contents(path, &text, NULL, &error))
        g_error("%s", error->message);
    g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
    seed_rpc(b, lines, name, 32767, G_MAXUINT, 1);
    seed_rpc(b, lines, pieces, 61, G_MAXUINT, 1);
    if (strcmp(name, "disks"))
        return;
    for (guint i = 0; i < g_strv_length(lines) / 2; i++) {
        g_autofree char *without = g_strdup_printf("without-call-%u", i);
        g_autofree char *twice = g_strdup_printf("twice-call-%u", i);
        seed_rpc(b, lines, without, 32767, i, 0);
        seed_rpc(b, lines, twice, 32767, i, 2);
    }
}

static void seed_keepalive(GByteArray *b)
{
    add_number(b, 0x8000 | 28, 2);
    add_number(b, 28, 4);
    add_number(b, 0x6b656570, 4);
    add_number(b, 1, 4);
    add_number(b, 1, 4);
    add_number(b, 2, 4);
    add_number(b, 0, 8);
    write_array("rpc", "keepalive", b);
}

static void seed_control(GByteArray *b)
{
    static const struct {
        guint sender;
        const char *name, *text;
    } said[] = {
        {1, "commit", "{\"op\":\"commit\",\"token\":\"0123456789abcdef0123456789abcdef\"}"},
        {1, "done", "{\"op\":\"done\"}"},
        {0, "started", "{\"op\":\"started\"}"},
        {0, "refused", "{\"op\":\"refused\",\"why\":\"no room f\\u00fcr it\"}"},
        {0, "alive", "{\"op\":\"alive\"}"},
        {1, "rate", "{\"op\":\"rate\",\"bytes\":104857600}"},
        {0, "abort", "{\"op\":\"abort\",\"why\":\"cancelled\",\"more\":[1,{\"a\":null}]}"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(said); i++) {
        add_number(b, said[i].sender, 1);
        add(b, said[i].text, strlen(said[i].text));
        write_array("control", said[i].name, b);
    }
}

static const char small[] = SMALL("<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
                                  "<source file='/srv/a.raw'/><target dev='vda'/></disk>");

static void check_landing(const char *text, size_t length, gboolean answer)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = json_parse(text, (gssize)length, &error);

    g_assert_no_error(error);
    if (answer)
        landing_answer_free(landing_answer_from_json(object, &error));
    else
        landing_request_free(landing_request_from_json(object, &error));
    g_assert_no_error(error);
}

static void seed_landing(GByteArray *b)
{
    static const char tail[] =
        "\"id\":\"5d0f1c2e-0000-4000-8000-00000000000a\",\"dry_run\":false,"
        "\"host_uuid\":\"5d0f1c2e-0000-4000-8000-00000000000b\",\"autostart\":true,\"way_back\":24,"
        "\"disks\":[{\"target\":\"vda\",\"capacity\":1048576,\"allocation\":65536}],"
        "\"names\":{\"vda\":\"b.raw\"},\"switches\":{\"br0\":\"br1\"},\"storage\":{\"/srv\":\"fast\"},"
        "\"formats\":{\"vda\":\"qcow2\"}}",
        answer[] = "{\"findings\":[],\"host_uuid\":\"5d0f1c2e-0000-4000-8000-00000000000b\","
                   "\"addresses\":[\"192.0.2.1\",\"2001:db8::1\"],\"port\":16550,"
                   "\"directory\":\"/run/ferry/5d0f1c2e\"}";
    g_autoptr(JsonObject) object = json_object_new();

    json_object_set_string_member(object, "live_xml", small);
    json_object_set_string_member(object, "stored_xml", small);
    g_autofree char *head = json_text(object);
    head[strlen(head) - 1] = ',';
    add_number(b, 0, 1);
    add(b, head, strlen(head));
    add(b, tail, strlen(tail));
    check_landing((const char *)b->data + 1, b->len - 1, FALSE);
    write_array("landing", "request", b);
    add_number(b, 1, 1);
    add(b, answer, strlen(answer));
    check_landing(answer, strlen(answer), TRUE);
    write_array("landing", "answer", b);
}

/* A seed that is refused at once would be of little use. */
static void check_vm(const char *xml)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(vm) machine = vm_parse(xml, &error);

    g_assert_no_error(error);
}

static void seed_vm(void)
{
    static const char bomb[] =
        "<!DOCTYPE d [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
        "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]><domain type='kvm'><name>&c;</name></domain>";

    check_vm(WEB);
    check_vm(small);
    write_seed("vm", "web", WEB, strlen(WEB));
    write_seed("vm", "small", small, strlen(small));
    write_seed("vm", "entities", bomb, strlen(bomb));
}

int main(int argc, char **argv)
{
    static const char *const transcripts[] = {"disks", "no-disks", "cancelled"};
    g_autoptr(GByteArray) b = g_byte_array_new();

    if (argc != 3)
        g_error("usage: fuzz-seeds CORPUS TRANSCRIPTS");
    corpus = argv[1];
    seed_wire(b);
    seed_mux(b);
    seed_op(b);
    seed_nbd(b);
    seed_pack(b);
    for (guint i = 0; i < G_N_ELEMENTS(transcripts); i++)
        seed_transcript(b, argv[2], transcripts[i]);
    seed_keepalive(b);
    seed_control(b);
    seed_landing(b);
    seed_vm();
    return 0;
}
