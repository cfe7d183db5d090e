/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel command line asks of the lab guest; README.md describes each parameter. */
#pragma once

#include "report.h"

#include <netinet/in.h>
#include <stdbool.h>

#define OPTIONS_WRITES_MAX 10000  /* records per second */
#define OPTIONS_DIRTY_MAX 16384   /* MiB per second */
#define OPTIONS_WSET_MAX (1 << 20) /* MiB */

struct options {
    char vm[REPORT_NAME];
    struct sockaddr_in witness; /* sin_port 0: nobody to report to */
    bool nic[REPORT_NICS];      /* ethN has an address */
    uint32_t report_nic;        /* the one reports leave by */
    char disk[REPORT_DISKS][32]; /* device paths */
    unsigned disks;
    unsigned ring_mib; /* per disk */
    unsigned writes;   /* records per second */
    unsigned dirty;    /* MiB per second */
    unsigned wset;     /* MiB */
};

/* Reads the NUL-terminated command line LINE. False with one sentence in ERROR (SIZE bytes) when a
 * parameter is wrong; parameters that are not the guest's are the kernel's and left alone. */
bool options_parse(struct options *o, const char *line, char *error, size_t size);

/* Reads TEXT as a whole decimal number of at most MAX. */
bool options_number(const char *text, unsigned max, unsigned *number);
