/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The permit against what libvirt 9.0 really said (transcripts/), and against everything else. */
#include "base/bytes.h"
#include "relay/permit.h"

#include <string.h>

#define LIVE_PAUSED 0x21u
#define WITH_DISKS  (LIVE_PAUSED | 0x40u | 1u << 18)

static const char *const both_disks[] = {"vda", "vdb", NULL};
static const permit_terms disks = {.name = "web01",
                                   .open_name = "qemu:///system",
                                   .xml = "<domain>ours</domain>",
                                   .uri = "unix:///srv/ferry/memory.sock",
                                   .disks_uri = "unix:///srv/ferry/disk.sock",
                                   .disks = both_disks,
                                   .flags_required = WITH_DISKS,
                                   .flags_allowed = WITH_DISKS};
static const permit_terms no_disks = {.name = "web01",
                                      .open_name = "qemu:///system",
                                      .xml = "<domain>ours</domain>",
                                      .uri = "unix:///srv/ferry/memory.sock",
                                      .flags_required = LIVE_PAUSED,
                                      .flags_allowed = LIVE_PAUSED};

typedef struct {
    gboolean call;
    GBytes *bytes;
    rpc_packet packet;
} line;

static void line_clear(void *data)
{
    g_bytes_unref(((line *)data)->bytes);
}

static rpc_packet parse(GBytes *bytes)
{
    gsize size;
    const uint8_t *p = g_bytes_get_data(bytes, &size);

    g_assert_cmpuint(get_be32(p), ==, size);
    return (rpc_packet){get_be32(p + 4),           get_be32(p + 8),       (int32_t)get_be32(p + 12),
                        (int32_t)get_be32(p + 16), get_be32(p + 20),      (int32_t)get_be32(p + 24),
                        p + RPC_HEADER_SIZE,       size - RPC_HEADER_SIZE};
}

static GArray *read_transcript(const char *name)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "transcripts", name, NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    GArray *lines = g_array_new(FALSE, FALSE, sizeof(line));

    g_array_set_clear_func(lines, line_clear);
    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    g_auto(GStrv) rows = g_strsplit(g_strchomp(text), "\n", -1);
    for (char **row = rows; *row; row++) {
        GByteArray *bytes = g_byte_array_new();
        for (const char *p = *row + 2; *p; p += 2) {
            uint8_t byte = (uint8_t)(g_ascii_xdigit_value(p[0]) << 4 | g_ascii_xdigit_value(p[1]));
            g_byte_array_append(bytes, &byte, 1);
        }
        line one = {.call = **row == '>', .bytes = g_byte_array_free_to_bytes(bytes)};
        one.packet = parse(one.bytes);
        g_array_append_val(lines, one);
    }
    return lines;
}

static gboolean has(GBytes *bytes, const char *text)
{
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);

    return memmem(data, size, text, strlen(text)) != NULL;
}

/* Passes the first `count` lines. */
static void pass(permit *p, GArray *lines, guint count)
{
    for (guint i = 0; i < count; i++) {
        const line *one = &g_array_index(lines, line, i);
        g_autoptr(GBytes) instead = NULL;
        g_autoptr(GError) error = NULL;
        if (one->call)
            permit_call(p, &one->packet, &instead, &error);
        else
            permit_reply(p, &one->packet, &error);
        g_assert_no_error(error);
        if (one->packet.procedure >= RPC_MIGRATE_PREPARE3_PARAMS && one->call) {
            g_assert_true(has(instead, "<domain>ours</domain>"));
            g_assert_false(has(instead, "<emulator>"));
            /* The cookie is left alone; a cancelled FINISH3 has none. */
            g_assert_cmpint(has(instead, "<qemu-migration>"), ==,
                            has(one->bytes, "<qemu-migration>"));
        } else {
            g_assert_null(instead);
        }
    }
}

static guint index_of(GArray *lines, int32_t procedure, gboolean call)
{
    for (guint i = 0; i < lines->len; i++)
        if (g_array_index(lines, line, i).packet.procedure == procedure &&
            g_array_index(lines, line, i).call == call)
            return i;
    g_error("not in the transcript");
}

static void replay(const char *name, const permit_terms *terms, gboolean finished)
{
    g_autoptr(GArray) lines = read_transcript(name);
    g_autoptr(permit) p = permit_new(terms);
    guint prepared = index_of(lines, RPC_MIGRATE_PREPARE3_PARAMS, FALSE);
    guint finish = index_of(lines, RPC_MIGRATE_FINISH3_PARAMS, FALSE);

    pass(p, lines, prepared);
    g_assert_false(permit_prepared(p));
    g_clear_pointer(&p, permit_free);
    p = permit_new(terms);
    pass(p, lines, finish);
    g_assert_true(permit_prepared(p));
    g_assert_false(permit_declined(p));
    g_assert_false(permit_finished(p));
    g_clear_pointer(&p, permit_free);
    p = permit_new(terms);
    pass(p, lines, lines->len);
    g_assert_cmpint(permit_finished(p), ==, finished);
    for (guint i = 0; i < lines->len; i++)
        g_assert_cmpint(permit_finish_reply(&g_array_index(lines, line, i).packet), ==,
                        i != finish ? FINISH_NOT_IT
                        : finished  ? FINISH_LOADED
                                    : FINISH_FAILED);
}

static void test_transcripts(void)
{
    replay("disks.txt", &disks, TRUE);
    replay("no-disks.txt", &no_disks, TRUE);
    replay("cancelled.txt", &disks, FALSE);
}

/* Expects the refusal of a call after the first `count` lines. */
static void refused_after(const permit_terms *terms, GArray *lines, guint count,
                          const rpc_packet *packet, const char *why)
{
    g_autoptr(permit) p = permit_new(terms);
    g_autoptr(GBytes) instead = NULL;
    g_autoptr(GError) error = NULL;

    pass(p, lines, count);
    g_assert_false(permit_call(p, packet, &instead, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
    g_assert_null(instead);
    if (!strstr(error->message, why))
        g_error("\"%s\" does not say \"%s\"", error->message, why);
}

/* Every call of the dialogue is refused at every other place in it. */
static void test_order(void)
{
    g_autoptr(GArray) lines = read_transcript("disks.txt");
    unsigned refusals = 0;

    for (guint at = 0; at <= lines->len; at++) {
        gboolean asked = at > 0 && g_array_index(lines, line, at - 1).call;
        for (guint i = 0; i < lines->len; i++) {
            const line *one = &g_array_index(lines, line, i);
            int32_t procedure = one->packet.procedure;
            guint open = index_of(lines, RPC_CONNECT_OPEN, FALSE) + 1;
            guint prepare = index_of(lines, RPC_MIGRATE_PREPARE3_PARAMS, FALSE) + 1;
            gboolean fits =
                !asked &&
                ((procedure == RPC_AUTH_LIST && at == 0) ||
                 (procedure == RPC_CONNECT_SUPPORTS_FEATURE && at > 0 && at < prepare) ||
                 (procedure == RPC_CONNECT_OPEN && at > 0 && at < open) ||
                 (procedure == RPC_MIGRATE_PREPARE3_PARAMS && at >= open && at < prepare) ||
                 (procedure == RPC_MIGRATE_FINISH3_PARAMS && at == prepare) ||
                 (procedure == RPC_CONNECT_CLOSE && at > 0 && at < lines->len));
            if (!one->call || fits)
                continue;
            refused_after(&disks, lines, at, &one->packet,
                          asked ? "before the answer" : "out of turn");
            refusals++;
        }
    }
    g_assert_cmpuint(refusals, >, 80);
}

static void test_other_procedures(void)
{
    g_autoptr(GArray) lines = read_transcript("disks.txt");
    guint open = index_of(lines, RPC_CONNECT_OPEN, FALSE) + 1;
    rpc_packet packet = {.program = RPC_PROGRAM_REMOTE, .version = 1, .body = (const uint8_t *)""};

    for (packet.procedure = -1; packet.procedure < 600; packet.procedure++) {
        g_autofree char *why = g_strdup_printf("calls procedure %d,", packet.procedure);
        if (packet.procedure != 66 && packet.procedure != 60 && packet.procedure != 1 &&
            packet.procedure != 303 && packet.procedure != 306 && packet.procedure != 2)
            refused_after(&disks, lines, open, &packet, why);
    }
    packet = g_array_index(lines, line, open).packet;
    packet.program = 0x20008087; /* the QEMU program: monitor commands */
    refused_after(&disks, lines, open, &packet, "program 0x20008087");
    packet = g_array_index(lines, line, open).packet;
    packet.version = 2;
    refused_after(&disks, lines, open, &packet, "version 2");
    packet = g_array_index(lines, line, open).packet;
    packet.type = RPC_REPLY;
    refused_after(&disks, lines, open, &packet, "not a call");
    packet.type = RPC_STREAM;
    refused_after(&disks, lines, open, &packet, "not a call");
    packet.type = RPC_CALL;
    packet.status = RPC_CONTINUE;
    refused_after(&disks, lines, open, &packet, "not a call");
}

/* Arguments made by hand. */

static void add_u32(GByteArray *body, uint32_t value)
{
    uint8_t bytes[4];

    put_be32(bytes, value);
    g_byte_array_append(body, bytes, 4);
}

static void add_bytes(GByteArray *body, const void *bytes, uint32_t length)
{
    add_u32(body, length);
    g_byte_array_append(body, bytes, length);
    while (body->len % 4)
        g_byte_array_append(body, (const uint8_t *)"", 1);
}

typedef struct {
    const char *field, *value;
} pair_of;

static const pair_of good[] = {{"migrate_uri", "unix:///srv/ferry/memory.sock"},
                               {"destination_xml", "<anything/>"},
                               {"migrate_disks", "vda"},
                               {"migrate_disks", "vdb"},
                               {"disks_uri", "unix:///srv/ferry/disk.sock"},
                               {"destination_name", "web01"}};
#define GOOD G_N_ELEMENTS(good)

static GByteArray *arguments(const pair_of *parameters, guint count, uint32_t flags,
                             gboolean finish)
{
    GByteArray *body = g_byte_array_new();

    add_u32(body, count);
    for (guint i = 0; i < count; i++) {
        add_bytes(body, parameters[i].field, (uint32_t)strlen(parameters[i].field));
        add_u32(body, 7);
        add_bytes(body, parameters[i].value, (uint32_t)strlen(parameters[i].value));
    }
    add_bytes(body, "<qemu-migration>", 16);
    add_u32(body, flags);
    if (finish)
        add_u32(body, 0);
    return body;
}

typedef struct {
    GArray *lines;
    guint at;
    int32_t procedure;
} place;

static gboolean try_body(const place *where, const permit_terms *terms, const GByteArray *body,
                         GError **error)
{
    g_autoptr(permit) p = permit_new(terms);
    g_autoptr(GBytes) instead = NULL;
    rpc_packet packet = {.program = RPC_PROGRAM_REMOTE,
                         .version = 1,
                         .serial = 99,
                         .procedure = where->procedure,
                         .body = body->data,
                         .body_length = body->len};

    pass(p, where->lines, where->at);
    return permit_call(p, &packet, &instead, error);
}

static void body_refused(const place *where, GByteArray *body, const char *why)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(try_body(where, &disks, body, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
    if (!strstr(error->message, why))
        g_error("\"%s\" does not say \"%s\"", error->message, why);
    g_byte_array_unref(body);
}

static void wrong_arguments(const place *where, gboolean finish)
{
    const char *const missing[] = {"migrate_uri is missing", "destination_xml is missing",
                                   "does not name vda", "does not name vdb",
                                   "disks_uri is missing"};
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) whole = arguments(good, GOOD, WITH_DISKS, finish);
    g_autoptr(GByteArray) without_name = arguments(good, GOOD - 1, WITH_DISKS, finish);
    pair_of p[70];

    try_body(where, &disks, whole, &error);
    g_assert_no_error(error);
    try_body(where, &disks, without_name, &error);
    g_assert_no_error(error);

    for (guint i = 0; i < GOOD; i++) { /* each one wrong, missing, twice */
        memcpy(p, good, sizeof good);
        if (i != 1) {
            p[i].value = "unix:///tmp/elsewhere";
            body_refused(where, arguments(p, GOOD, WITH_DISKS, finish), good[i].field);
        }
        memcpy(p, good, sizeof good);
        memmove(p + i, p + i + 1, (GOOD - i - 1) * sizeof *p);
        if (i < G_N_ELEMENTS(missing))
            body_refused(where, arguments(p, GOOD - 1, WITH_DISKS, finish), missing[i]);
        memcpy(p, good, sizeof good);
        p[GOOD] = p[i];
        body_refused(where, arguments(p, GOOD + 1, WITH_DISKS, finish), good[i].field);
    }
    const char *const unknown[] = {"bandwidth",      "graphics_uri",    "listen_address",
                                   "persistent_xml", "tls.destination", "",
                                   "migrate_uri\n"};
    for (guint i = 0; i < G_N_ELEMENTS(unknown); i++) {
        memcpy(p, good, sizeof good);
        p[GOOD] = (pair_of){unknown[i], "1"};
        body_refused(where, arguments(p, GOOD + 1, WITH_DISKS, finish), "is not part of a landing");
    }
    for (guint i = 0; i < 65; i++)
        p[i] = good[0];
    body_refused(where, arguments(p, 65, WITH_DISKS, finish), "at most 64");
    for (unsigned bit = 0; bit < 32; bit++) /* one flag more or less */
        body_refused(where, arguments(good, GOOD, WITH_DISKS ^ 1u << bit, finish),
                     WITH_DISKS & 1u << bit ? "are missing" : "are not allowed");
}

static void malformed(const place *where, gboolean finish)
{
    g_autoptr(GByteArray) whole = arguments(good, GOOD, WITH_DISKS, finish);
    GByteArray *body;

    for (guint length = 0; length < whole->len; length++) { /* cut anywhere */
        body = g_byte_array_new();
        g_byte_array_append(body, whole->data, length);
        body_refused(where, body, "DOMAIN_MIGRATE");
    }
    body = arguments(good, GOOD, WITH_DISKS, finish);
    add_u32(body, 0);
    body_refused(where, body, "malformed");
    body = arguments(good, GOOD, WITH_DISKS, finish);
    put_be32(body->data + 4, UINT32_MAX); /* the length of the first field */
    body_refused(where, body, "malformed");
    body = arguments(good, GOOD, WITH_DISKS, finish);
    body->data[8 + 11] = 1; /* its padding */
    body_refused(where, body, "malformed");
    for (uint32_t type = 0; type < 7; type++) {
        body = arguments(good, GOOD, WITH_DISKS, finish);
        put_be32(body->data + 8 + 12, type);
        body_refused(where, body, "is not a string");
    }
    if (finish) {
        body = arguments(good, GOOD, WITH_DISKS, finish);
        body->data[body->len - 1] = 2; /* cancelled */
        body_refused(where, body, "malformed");
    }
}

static void test_migrate_arguments(void)
{
    g_autoptr(GArray) lines = read_transcript("disks.txt");
    const place prepare = {lines, index_of(lines, RPC_MIGRATE_PREPARE3_PARAMS, TRUE),
                           RPC_MIGRATE_PREPARE3_PARAMS};
    const place finish = {lines, index_of(lines, RPC_MIGRATE_FINISH3_PARAMS, TRUE),
                          RPC_MIGRATE_FINISH3_PARAMS};

    wrong_arguments(&prepare, FALSE);
    malformed(&prepare, FALSE);
    wrong_arguments(&finish, TRUE);
    malformed(&finish, TRUE);
    /* A landing without disks knows no disk parameters. */
    g_autoptr(GArray) other = read_transcript("no-disks.txt");
    const place without = {other, index_of(other, RPC_MIGRATE_PREPARE3_PARAMS, TRUE),
                           RPC_MIGRATE_PREPARE3_PARAMS};
    for (guint i = 2; i < 5; i++) {
        pair_of p[] = {good[0], good[1], good[i]};
        g_autoptr(GByteArray) body = arguments(p, 3, LIVE_PAUSED, FALSE);
        g_autoptr(GError) error = NULL;
        g_assert_false(try_body(&without, &no_disks, body, &error));
        g_assert_nonnull(strstr(error->message, good[i].field));
    }
}

static GByteArray *open_arguments(uint32_t named, const char *name, uint32_t flags)
{
    GByteArray *body = g_byte_array_new();

    add_u32(body, named);
    if (name)
        add_bytes(body, name, (uint32_t)strlen(name));
    add_u32(body, flags);
    return body;
}

static void test_open_arguments(void)
{
    g_autoptr(GArray) lines = read_transcript("disks.txt");
    const place where = {lines, index_of(lines, RPC_CONNECT_OPEN, TRUE), RPC_CONNECT_OPEN};
    g_autoptr(GByteArray) right = open_arguments(1, "qemu:///system", 0);
    g_autoptr(GError) error = NULL;

    try_body(&where, &disks, right, &error);
    g_assert_no_error(error);
    body_refused(&where, open_arguments(1, "lxc:///system", 0), "opens \"lxc:///system\"");
    body_refused(&where, open_arguments(1, "qemu:///system/", 0), "instead of qemu:///system");
    body_refused(&where, open_arguments(0, NULL, 0), "instead of qemu:///system");
    body_refused(&where, open_arguments(1, "qemu:///system", 1), "flags 0x1");
    body_refused(&where, open_arguments(2, "qemu:///system", 0), "malformed");
    body_refused(&where, open_arguments(1, NULL, 0), "malformed");
}

static void test_many_features(void)
{
    g_autoptr(GArray) lines = read_transcript("disks.txt");
    g_autoptr(permit) p = permit_new(&disks);
    guint at = index_of(lines, RPC_CONNECT_SUPPORTS_FEATURE, TRUE);
    GBytes *instead = NULL;
    unsigned asked = 0;

    pass(p, lines, at);
    while (permit_call(p, &g_array_index(lines, line, at).packet, &instead, NULL)) {
        g_assert_true(permit_reply(p, &g_array_index(lines, line, at + 1).packet, NULL));
        g_assert_cmpuint(asked++, <, 100);
    }
    g_assert_cmpuint(asked, ==, 64);
}

static void test_replies(void)
{
    g_autoptr(GArray) lines = read_transcript("disks.txt");
    guint at = index_of(lines, RPC_MIGRATE_PREPARE3_PARAMS, FALSE);
    const rpc_packet right = g_array_index(lines, line, at).packet;
    rpc_packet wrong[8];

    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++)
        wrong[i] = right;
    wrong[0].serial++;
    wrong[1].procedure = RPC_CONNECT_CLOSE;
    wrong[2].type = RPC_EVENT;
    wrong[3].type = RPC_CALL;
    wrong[4].status = RPC_CONTINUE;
    wrong[5].program++;
    wrong[6].version++;
    wrong[7].status = -1;
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(permit) p = permit_new(&disks);
        g_autoptr(GError) error = NULL;
        pass(p, lines, at);
        g_assert_false(permit_reply(p, &wrong[i], &error));
        g_assert_nonnull(strstr(error->message, "what nobody asked for"));
        g_assert_false(permit_prepared(p));
        g_assert_true(permit_reply(p, &right, NULL));
        g_assert_false(permit_reply(p, &right, NULL)); /* once */
    }
}

/* The target refuses to prepare: nothing can follow but the end. */
static void test_prepare_failed(void)
{
    g_autoptr(GArray) lines = read_transcript("disks.txt");
    g_autoptr(permit) p = permit_new(&disks);
    guint at = index_of(lines, RPC_MIGRATE_PREPARE3_PARAMS, FALSE);
    rpc_packet failed = g_array_index(lines, line, at).packet;
    GBytes *instead = NULL;

    pass(p, lines, at);
    failed.status = RPC_FAILED;
    g_assert_false(permit_declined(p));
    g_assert_true(permit_reply(p, &failed, NULL));
    g_assert_false(permit_prepared(p));
    g_assert_true(permit_declined(p));
    g_assert_false(permit_call(p, &g_array_index(lines, line, at + 1).packet, &instead, NULL));
    g_assert_false(permit_call(p, &g_array_index(lines, line, at - 1).packet, &instead, NULL));
    g_assert_true(
        permit_call(p, &g_array_index(lines, line, index_of(lines, RPC_CONNECT_CLOSE, TRUE)).packet,
                    &instead, NULL));
}

/* Whatever the server answers: a move whose source has cancelled is not finished. */
static void test_cancelled_is_not_finished(void)
{
    g_autoptr(GArray) lines = read_transcript("cancelled.txt");
    g_autoptr(GArray) success = read_transcript("disks.txt");
    g_autoptr(permit) p = permit_new(&disks);
    guint at = index_of(lines, RPC_MIGRATE_FINISH3_PARAMS, FALSE);

    pass(p, lines, at);
    g_assert_true(permit_reply(p, &g_array_index(success, line, at).packet, NULL));
    g_assert_false(permit_finished(p));
}

static void test_finish_reply(void)
{
    g_autoptr(GArray) lines = read_transcript("disks.txt");
    guint at = index_of(lines, RPC_MIGRATE_FINISH3_PARAMS, FALSE);
    rpc_packet reply = g_array_index(lines, line, at).packet;

    for (size_t length = 0; length < reply.body_length; length++) {
        rpc_packet cut = reply;
        cut.body_length = length;
        g_assert_cmpint(permit_finish_reply(&cut), ==, FINISH_FAILED);
    }
    g_assert_cmpint(permit_finish_reply(&reply), ==, FINISH_LOADED);
}

/* Real calls with random bytes changed: nothing of the peer's XML ever passes. */
static void test_mutations(void)
{
    g_autoptr(GArray) lines = read_transcript("disks.txt");
    const guint places[] = {index_of(lines, RPC_CONNECT_OPEN, TRUE),
                            index_of(lines, RPC_MIGRATE_PREPARE3_PARAMS, TRUE),
                            index_of(lines, RPC_MIGRATE_FINISH3_PARAMS, TRUE)};
    GRand *random = g_rand_new_with_seed(17);
    unsigned refused = 0;

    for (int i = 0; i < 6000; i++) {
        guint at = places[i % 3];
        rpc_packet packet = g_array_index(lines, line, at).packet;
        g_autofree uint8_t *body = g_memdup2(packet.body, packet.body_length);
        g_autoptr(permit) p = permit_new(&disks);
        g_autoptr(GBytes) instead = NULL;
        int changes = g_rand_int_range(random, 1, 5);
        gint32 within = (gint32)packet.body_length;

        if (g_rand_boolean(random)) /* the structure more often than the XML */
            within = MIN(within, 80);
        while (changes-- > 0)
            body[g_rand_int_range(random, 0, within)] = (uint8_t)g_rand_int_range(random, 0, 256);
        if (g_rand_int_range(random, 0, 4) == 0)
            packet.body_length = (size_t)g_rand_int_range(random, 0, (gint32)packet.body_length);
        packet.body = body;
        pass(p, lines, at);
        if (!permit_call(p, &packet, &instead, NULL))
            refused++;
        else if (at != places[0])
            g_assert_true(has(instead, "<domain>ours</domain>") && !has(instead, "<emulator>"));
    }
    g_assert_cmpuint(refused, >, 2000);
    g_rand_free(random);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay/permit/lets-real-migrations-through", test_transcripts);
    g_test_add_func("/relay/permit/order-is-fixed", test_order);
    g_test_add_func("/relay/permit/other-procedures-are-refused", test_other_procedures);
    g_test_add_func("/relay/permit/migrate-arguments", test_migrate_arguments);
    g_test_add_func("/relay/permit/mutated-calls", test_mutations);
    g_test_add_func("/relay/permit/open-arguments", test_open_arguments);
    g_test_add_func("/relay/permit/features-are-limited", test_many_features);
    g_test_add_func("/relay/permit/only-answers-come-back", test_replies);
    g_test_add_func("/relay/permit/failed-prepare-ends-it", test_prepare_failed);
    g_test_add_func("/relay/permit/cancelled-is-not-finished", test_cancelled_is_not_finished);
    g_test_add_func("/relay/permit/finish-reply-is-read-whole", test_finish_reply);
    return g_test_run();
}
