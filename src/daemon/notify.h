/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling the service manager how we are: sd_notify(3)'s protocol, one datagram to NOTIFY_SOCKET.
 */
#pragma once

/* "READY=1", "RELOADING=1\nMONOTONIC_USEC=…", "STOPPING=1". Nothing happens without a service
 * manager. */
void notify_manager(const char *state);
