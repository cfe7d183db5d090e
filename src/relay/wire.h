/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The data protocol between two workers, whole: preamble, frames, limits. Pure functions over
 * bytes; no I/O, no allocation; everything is validated before it is handed on. Numbers are
 * big-endian.
 *
 *   dialler                         listener
 *   preamble (clear text) ────────►            names the landing; ferryd hands it to the worker
 *   ◄═══════ TLS 1.3, both sides authenticated ═══════►          net/channel.h
 *   frame* ◄═══════════════════════► frame*    any frame on any channel
 *
 * A *stream* is an ordered sequence of DATA frames in each direction, numbered from 0 per stream
 * and direction. Frames of one stream may travel over different channels and arrive in any
 * order; the receiver puts them in order. ACK n says that all frames of the stream below n have
 * been *consumed* (handed to libvirt, QEMU or the control side), so it is flow control as well.
 * A frame not yet acknowledged when its channel dies is sent again on another one; a duplicate
 * is acknowledged again and dropped. Hence a stream outlives every TCP connection it ever used.
 *
 * The kind of a stream is part of its id, and its first frame to arrive, whatever its number, opens
 * it; only the source opens. Frame 0 may be empty: it opens a stream whose local side waits to be
 * spoken to (an NBD client). Control needs no opening and never ends.
 *
 * A window is counted from the first frame not acknowledged: a sender never has more than
 * WIRE_WINDOW_FRAMES frames or WIRE_WINDOW_BYTES of payload from there on, so a receiver that
 * acknowledges late stops this one stream, and what it must hold is bounded. A frame sent again
 * is the same to the byte. Acknowledgements may be repeated and overtake each other: a lower one
 * is ignored.
 *
 * END closes one direction of a stream. END with BROKEN says that the sender's local connection
 * broke, even after END (then it is an empty frame of its own): the receiver breaks its own and
 * ends its direction in the same way; what is still under way on this stream is thrown away, and
 * acknowledged.
 *
 * The one who has everything of its own acknowledged, and every stream ended in both directions,
 * may say BYE on its channels, and then only acknowledges. The other closes all channels when
 * the same is true for it, which is the answer; until then both go on, and dead channels are
 * dialled again. BYE with BROKEN is said by an end that gives up: the other gives up too,
 * instead of dialling in vain.
 *
 * Either side sends BEAT on a channel on which it has sent nothing for a while, so that silence means
 * that the channel is dead.
 */
#pragma once
#include <gio/gio.h>
#include <stdint.h>

#define WIRE_VERSION         1
#define WIRE_PREAMBLE_SIZE   64
#define WIRE_HEADER_SIZE     16
#define WIRE_PAYLOAD_MAX     (128 * 1024)
#define WIRE_WINDOW_BYTES    (8 * 1024 * 1024) /* unacknowledged payload a stream may have */
#define WIRE_WINDOW_FRAMES   1024              /* and unacknowledged frames */
#define WIRE_STREAMS_MAX     64                /* open at once in a session */
#define WIRE_STREAM_NUMBERS  4096              /* of each kind over its life */
#define WIRE_CHANNELS_MAX    16
#define WIRE_CONTROL_MAX     (64 * 1024)       /* one control message: one frame */

typedef enum {
    STREAM_CONTROL, /* one, both ways: JSON messages of migrate/control.h, one a frame */
    STREAM_RPC,     /* the source's libvirt client <-> the target's libvirtd */
    STREAM_MEMORY,  /* QEMU's migration stream */
    STREAM_DISK,    /* one NBD connection of QEMU's mirror */
    STREAM_KINDS
} stream_kind;
const char *stream_kind_name(stream_kind kind);

/* Stream ids: kind in the upper 4 bits, number within the kind in the lower 12. */
static inline uint16_t wire_stream_id(stream_kind kind, unsigned number)
{
    return (uint16_t)((unsigned)kind << 12 | number);
}
static inline stream_kind wire_stream_kind(uint16_t id)
{
    return (stream_kind)(id >> 12);
}
static inline unsigned wire_stream_number(uint16_t id)
{
    return id & 0xfff;
}

/* Offset Size
 *  0     8   "FERRY-LN"
 *  8     2   version (1)
 * 10     2   channel index, 0 to WIRE_CHANNELS_MAX - 1
 * 12    16   landing id (UUID, binary)
 * 28    36   zero
 */
typedef struct {
    uint16_t channel;
    uint8_t landing[16];
} wire_preamble;
void wire_put_preamble(uint8_t out[WIRE_PREAMBLE_SIZE], const wire_preamble *preamble);
gboolean wire_get_preamble(const uint8_t in[WIRE_PREAMBLE_SIZE], wire_preamble *preamble,
                           GError **error);

typedef enum {
    FRAME_DATA = 1, /* payload of a stream */
    FRAME_ACK = 2,  /* number = the next frame wanted; no payload */
    FRAME_BYE = 3,  /* the session ends here: stream 0, number 0, no payload */
    FRAME_BEAT = 4  /* this channel is alive: stream 0, number 0, no payload, no answer */
} frame_type;

enum {
    FRAME_END = 1,  /* DATA: the last frame of this direction (end of file) */
    FRAME_BROKEN = 2 /* DATA with END: the local connection broke, close yours the hard way;
                      * BYE: not because all is done */
};

/* Offset Size
 *  0     1   type
 *  1     1   flags
 *  2     2   stream id
 *  4     4   payload length, 0 to WIRE_PAYLOAD_MAX
 *  8     8   number
 */
typedef struct {
    uint8_t type;
    uint8_t flags;
    uint16_t stream;
    uint32_t length;
    uint64_t number;
} wire_frame;
void wire_put_frame(uint8_t out[WIRE_HEADER_SIZE], const wire_frame *frame);
/* Fails on anything this version does not define; after a failure the session is closed, not the
 * channel: a peer that sends nonsense is not a broken link. What it lets through: a known type
 * with its flags only; a known kind, control numbered 0; DATA of at most WIRE_PAYLOAD_MAX bytes,
 * empty only with number 0 or END, never of another length than 1 to WIRE_CONTROL_MAX nor with
 * flags on control; ACK, BYE and BEAT without payload; ACK of at least 1. */
gboolean wire_get_frame(const uint8_t in[WIRE_HEADER_SIZE], wire_frame *frame, GError **error);
