/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network namespaces for tests: "here" and "there", made for this process, with links between
 * them. Nothing of the machine's own network is touched. */
#pragma once
#include <glib.h>

typedef struct {
    int outside, here, there; /* namespace descriptors */
} nets;

/* Enters a new "here" beside a new "there", loopback up in both; FALSE (and the test is marked as
 * skipped, with the reason) where that is not permitted or ip(8) is missing. */
gboolean nets_enter(nets *self);
/* Back to where we were. */
void nets_leave(nets *self);
/* Which one new sockets and nets_ip are in, for the calling thread. */
void nets_be_here(nets *self);
void nets_be_there(nets *self);
/* Runs ip(8); it must succeed. */
void nets_ip(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* A pair of links, `name`0 here and `name`1 there, both up, with addresses (IPv4 or IPv6 with their
 * lengths). */
void nets_link(nets *self, const char *name, const char *address_here, const char *address_there);

/* A listening TCP socket on an address, port 16551, where the thread is now. */
int nets_listen(const char *address);
/* Its next connection, within 30 s. */
int nets_accept(int listener);
