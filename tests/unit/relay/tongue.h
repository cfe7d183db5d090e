/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The source's end of a disk stream, spoken by hand: messages of block/op.h go out and come in one at
 * a time, over a real session to whatever is offered at the target. Waiting for what does not come is
 * ended by the test's time limit. */
#pragma once
#include "block/op.h"
#include "pair.h"

typedef struct {
    int fd;            /* -1: closed */
    op_digest running; /* as the source keeps it */
    uint32_t id;       /* the last one used */
    uint8_t heard[WIRE_PAYLOAD_MAX]; /* the last message that came */
} tongue;

/* Makes the source's session listen for these streams. */
void tongue_listen(pair *p, unsigned most);
void tongue_connect(tongue *self, pair *p);
/* The end of our direction. */
void tongue_close(tongue *self);

/* Sends a message as it is, nothing checked. FALSE: the stream has ended. */
gboolean tongue_send(tongue *self, const op *message, const void *body, uint32_t length);
void tongue_open(tongue *self, const char *export, uint64_t size);
/* All three count in the running digest, and return the id. */
uint32_t tongue_data(tongue *self, uint64_t offset, const void *bytes, uint32_t length);
uint32_t tongue_zstd(tongue *self, uint64_t offset, const void *bytes, uint32_t length);
uint32_t tongue_zero(tongue *self, uint64_t offset, uint64_t length, gboolean unmap);
uint32_t tongue_known(tongue *self, uint64_t offset, const void *bytes, uint32_t length);
/* The same id again, with the bytes. */
void tongue_again(tongue *self, uint32_t id, uint64_t offset, const void *bytes, uint32_t length);
uint32_t tongue_flush(tongue *self);

/* The next message from the target; FALSE: the stream has ended. */
gboolean tongue_hear(tongue *self, op *message);
/* Hears DONE messages until all of these ids are done; others are forgotten. Returns the last error
 * among them that is not 0. */
uint32_t tongue_await(tongue *self, uint32_t first, uint32_t last);
