/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's RPC on its way through the relay: packets put together, keepalives answered here, and
 * every other packet shown to a judge before it goes on.
 *
 * Packet: u32 length (with itself), u32 program, u32 version, i32 procedure, i32 type, u32
 * serial, i32 status, then XDR (libvirt: src/rpc/virnetprotocol.x). Longer than RPC_PACKET_MAX,
 * shorter than its header, or of a type beyond RPC_STREAM (passing descriptors): the session
 * fails.
 *
 * Keepalives (libvirt: src/rpc/virkeepalive.c) are a question to whoever is connected: a PING of
 * the local side is answered with a PONG at once, a PONG is dropped, and none crosses; one that
 * comes from the peer fails the session.
 */
#pragma once
#include "relay/session.h"

#define RPC_PROGRAM_REMOTE    0x20008086u
#define RPC_PROGRAM_KEEPALIVE 0x6b656570u
#define RPC_HEADER_SIZE       28
#define RPC_PACKET_MAX        (4 * 1024 * 1024)

enum { RPC_CALL = 0, RPC_REPLY = 1, RPC_EVENT = 2, RPC_STREAM = 3 };
enum { RPC_OK = 0, RPC_FAILED = 1, RPC_CONTINUE = 2 };
enum { /* procedures of the remote program that a landing may use, in the order they come */
    RPC_AUTH_LIST = 66,
    RPC_CONNECT_SUPPORTS_FEATURE = 60,
    RPC_CONNECT_OPEN = 1,
    RPC_MIGRATE_PREPARE3_PARAMS = 303,
    RPC_MIGRATE_FINISH3_PARAMS = 306,
    RPC_CONNECT_CLOSE = 2
};

typedef struct {
    uint32_t program, version;
    int32_t procedure, type;
    uint32_t serial;
    int32_t status;
    const uint8_t *body; /* XDR behind the header; borrowed */
    size_t body_length;
} rpc_packet;

typedef enum {
    RPC_TO_PEER,  /* came from the local libvirt */
    RPC_FROM_PEER /* came over the session, goes to the local libvirt */
} rpc_direction;

typedef struct {
    /* TRUE: the packet goes on. FALSE with an error: the session fails with it. May block: it
     * runs in the stream's own threads, and nothing but this stream waits for it. Asked one
     * packet at a time, whatever the direction; while it thinks about a packet, keepalives of
     * the local libvirt are answered as long as no other packet comes in front of them.
     * Keepalive packets never get here. Before session_free it must return: session_fail does
     * not interrupt it. *instead, NULL before, may be set to a body (XDR) that goes on in place
     * of the packet's; the caller of the judge unrefs it. When the packet would be longer than
     * RPC_PACKET_MAX with it, the session fails. */
    gboolean (*judge)(const rpc_packet *packet, rpc_direction direction, void *user,
                      GBytes **instead, GError **error);
    void *user;
} rpc_judge;

/* A codec for session_listen and session_offer, whose user is an rpc_judge. */
pump_codec *rpc_codec_new(void *judge);
