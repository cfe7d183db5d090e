/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's packets at the target: put together from pieces of any length, judged by the permit, and
 * only what it allows reaches the local libvirt, with the landing's own XML. The pump is played
 * here.
 *
 * Input: pieces: 2 (bit 15: from the local libvirt; 15 bits length), bytes. */
#include "base/bytes.h"
#include "fuzz.h"
#include "relay/permit.h"
#include "relay/pump.h"

#define LIVE_PAUSED 0x21u
#define WITH_DISKS  (LIVE_PAUSED | 0x40u | 1u << 18)
#define OURS        "<domain>ours</domain>"

static const char *const both_disks[] = {"vda", "vdb", NULL};
static const permit_terms terms = {.name = "web01",
                                   .open_name = "qemu:///system",
                                   .xml = OURS,
                                   .uri = "unix:///srv/ferry/memory.sock",
                                   .disks_uri = "unix:///srv/ferry/disk.sock",
                                   .disks = both_disks,
                                   .flags_required = LIVE_PAUSED,
                                   .flags_allowed = WITH_DISKS};

struct pump {
    permit *permit;
    int holds;
    guint prepares, finishes;
    gboolean answered; /* the local libvirt has said that it is prepared */
};

frame *pump_frame(pump *self, uint32_t capacity)
{
    return frame_new(NULL, capacity);
}

/* Answers on their way back: nothing that nobody asked for. */
void pump_to_peer(pump *self, frame *bytes)
{
    g_assert_cmpuint(bytes->length, >, 0);
    g_assert_cmpuint(bytes->length, <=, bytes->capacity);
    frame_unref(bytes);
}

void pump_hold(pump *self)
{
    self->holds++;
}

void pump_release(pump *self)
{
    self->holds--;
}

static void check_call(pump *self, const uint8_t *p, size_t length)
{
    int32_t procedure = (int32_t)get_be32(p + 12);

    g_assert_cmpuint(self->holds, ==, 1);
    g_assert_cmphex(get_be32(p + 4), ==, RPC_PROGRAM_REMOTE);
    g_assert_cmpuint(get_be32(p + 16), ==, RPC_CALL);
    switch (procedure) {
    case RPC_AUTH_LIST:
    case RPC_CONNECT_CLOSE:
        g_assert_cmpuint(length, ==, RPC_HEADER_SIZE);
        break;
    case RPC_CONNECT_SUPPORTS_FEATURE:
        g_assert_cmpuint(length, ==, RPC_HEADER_SIZE + 4);
        break;
    case RPC_CONNECT_OPEN:
        g_assert_nonnull(memmem(p, length, "qemu:///system", 14));
        break;
    case RPC_MIGRATE_PREPARE3_PARAMS:
        g_assert_cmpuint(++self->prepares, ==, 1);
        g_assert_nonnull(memmem(p, length, OURS, strlen(OURS)));
        break;
    case RPC_MIGRATE_FINISH3_PARAMS:
        g_assert_cmpuint(++self->finishes, ==, 1);
        g_assert_true(permit_prepared(self->permit));
        g_assert_nonnull(memmem(p, length, OURS, strlen(OURS)));
        break;
    default:
        g_assert_not_reached();
    }
}

/* One whole packet, and one that is allowed; or our answer to the local libvirt's keepalive. */
void pump_to_local(pump *self, const void *bytes, size_t length)
{
    g_assert_cmpuint(length, >=, RPC_HEADER_SIZE);
    g_assert_cmpuint(length, <=, RPC_PACKET_MAX);
    g_assert_cmpuint(get_be32(bytes), ==, length);
    if (get_be32((const uint8_t *)bytes + 4) == RPC_PROGRAM_KEEPALIVE)
        g_assert_cmpint(self->holds, ==, 0);
    else
        check_call(self, bytes, length);
}

static gboolean judge(const rpc_packet *packet, rpc_direction direction, void *user,
                      GBytes **instead, GError **error)
{
    permit *p = user;

    return direction == RPC_FROM_PEER ? permit_call(p, packet, instead, error)
                                      : permit_reply(p, packet, error);
}

static frame *piece(fuzz_input *in, size_t most)
{
    size_t length = most;
    g_autofree uint8_t *bytes = fuzz_take(in, &length);
    frame *f;

    if (length == 0)
        return NULL;
    f = frame_new(NULL, (uint32_t)length);
    memcpy(f->payload, bytes, length);
    f->length = (uint32_t)length;
    return f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    g_autoptr(permit) p = permit_new(&terms);
    rpc_judge its_judge = {.judge = judge, .user = p};
    pump_codec *codec = rpc_codec_new(&its_judge);
    pump io = {.permit = p};
    gboolean good = TRUE;

    while (good && in.left) {
        uint16_t what = fuzz_short(&in);
        frame *f = piece(&in, what & 0x7fff);
        g_autoptr(GError) error = NULL;
        if (!f)
            continue;
        good = what & 0x8000 ? codec->from_local(codec, &io, f, &error)
                             : codec->from_peer(codec, &io, f, &error);
        g_assert_cmpint(good, ==, error == NULL);
        g_assert_cmpint(io.holds, ==, 0);
        g_assert_true(!permit_finished(p) || io.finishes == 1);
        g_assert_true(!permit_prepared(p) || io.prepares == 1);
    }
    codec->free(codec);
    return 0;
}
