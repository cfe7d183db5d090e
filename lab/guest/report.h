/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The whole format the lab guest and its witness share: records on disk, datagrams, read-back. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Everything is little-endian and naturally aligned, so that a struct is its own encoding; both ends
 * are built for little-endian machines only. Every struct carries a CRC32C of its whole self, taken
 * with the field `sum` set to 0.
 *
 *   guest   UDP  REPORT_GUEST_PORT    answers each struct probe with a report of kind ECHO
 *   guest   TCP  REPORT_GUEST_PORT    the service: lines in, see service.h; "read" streams entries
 *   witness UDP  REPORT_WITNESS_PORT  (default) receives reports of every kind
 */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian");

#define REPORT_GUEST_PORT 4006
#define REPORT_WITNESS_PORT 4005

#define REPORT_VERSION 1
#define REPORT_NAME 32     /* bytes of a VM name, NUL padded, at least one NUL */
#define REPORT_NICS 8      /* NICs of a guest, at most */
#define REPORT_DISKS 8     /* disks a guest writes to, at most */
#define REPORT_SLOTS (1u << 18) /* record slots per disk, at most (1 GiB) */
#define REPORT_FAILURES 1024    /* failed writes a guest remembers */

/*
 * On disk. Record `seq` (1, 2, …; it goes on over reboots) is written to disk (seq % disks), slot
 * ((seq / disks) % slots), which is at byte slot * 4096 of that disk. The next record is written only
 * after this one's write returned, so at any time every record of the last disks * slots must be
 * there, except the one in flight and those whose write failed.
 */
#define RECORD_MAGIC 0x44524345u /* "ECRD" */
#define RECORD_SIZE 4096

struct record {
    uint32_t magic;
    uint32_t sum;
    char vm[REPORT_NAME];
    uint64_t boot; /* random, one per boot of the guest */
    uint64_t seq;
    uint64_t mono_ns; /* the guest's CLOCK_MONOTONIC when the record was made */
    uint32_t disk, disks;
    uint32_t slot, slots;
    uint32_t previous; /* sum of record seq - 1 as it was sent to its disk; 0 when there was none */
    uint32_t pad;
    uint8_t fill[RECORD_SIZE - 88]; /* incompressible, different in each record */
};
_Static_assert(sizeof(struct record) == RECORD_SIZE, "a record is one block");
_Static_assert(offsetof(struct record, boot) == 40 && offsetof(struct record, fill) == 88, "record");

/* Guest to witness, one per datagram. Fields not named for a kind are 0. */
#define REPORT_MAGIC 0x54504552u /* "REPT" */

enum report_kind {
    REPORT_RECORD = 1, /* a write returned: seq disk slot record_sum latency_us */
    REPORT_FAILED = 2, /* a write failed: the same, and error (errno) */
    REPORT_BEAT = 3,   /* every 100 ms: seq (last attempted), latency_us (age of the write in flight) */
    REPORT_ECHO = 4,   /* answers a probe, on the NIC it came by: series, number */
};

struct report {
    uint32_t magic;
    uint16_t version;
    uint16_t kind;
    char vm[REPORT_NAME];
    uint64_t boot;
    uint64_t count;   /* datagrams sent by this NIC since boot, this one included: never repeats */
    uint64_t mono_ns; /* CLOCK_MONOTONIC when it was sent */
    uint32_t nic;     /* the NIC it was sent by, 0-based */
    uint32_t sum;
    uint32_t disks, slots; /* geometry, in every kind */
    uint64_t seq;
    uint32_t disk, slot;
    uint32_t record_sum;
    int32_t error;
    uint64_t latency_us;
    uint64_t number;
    uint32_t series;
    uint32_t memory_errors; /* in every kind: pages found with other content than was written */
};
_Static_assert(sizeof(struct report) == 128, "a report");
_Static_assert(offsetof(struct report, seq) == 80 && offsetof(struct report, series) == 120, "report");

/* Witness to guest. */
#define PROBE_MAGIC 0x45425250u /* "PRBE" */

struct probe {
    uint32_t magic;
    uint16_t version;
    uint16_t pad;
    uint32_t series; /* the witness's own, returned as it is */
    uint32_t sum;
    uint64_t number; /* within the series */
};
_Static_assert(sizeof(struct probe) == 24, "a probe");

/*
 * Read-back, guest to witness over TCP: BEGIN, then GOOD and BAD entries (blank slots are left out)
 * and FAILED entries, then END. Slots are read while the guest goes on writing: what must be there are the
 * records after END.seq - disks * slots and up to BEGIN.seq.
 */
#define ENTRY_MAGIC 0x59525445u /* "ETRY" */

enum entry_kind {
    ENTRY_BEGIN = 1,  /* boot; seq = last one acknowledged; first = first one of this boot; disks, slots */
    ENTRY_GOOD = 2,   /* the head of a valid record found at disk, slot */
    ENTRY_BAD = 3,    /* what is at disk, slot is no valid record; error = errno if it cannot be read */
    ENTRY_FAILED = 4, /* the write of seq failed with error (the last REPORT_FAILURES of them) */
    ENTRY_END = 5,    /* seq = last one attempted; first = number of failed writes */
};

struct entry {
    uint32_t magic;
    uint32_t kind;
    uint32_t sum;
    uint32_t record_sum;
    uint32_t previous;
    int32_t error;
    uint32_t disk, disks;
    uint32_t slot, slots;
    uint64_t boot;
    uint64_t seq;
    uint64_t first;
    uint64_t mono_ns;
    char vm[REPORT_NAME];
};
_Static_assert(sizeof(struct entry) == 104, "an entry");

/* CRC32C (Castagnoli) of LENGTH bytes at DATA; no preparation needed, safe from any thread. */
uint32_t report_crc32c(const void *data, size_t length);

/* The three ends below set or check `sum` of the struct at DATA; SUM points into it. */
void report_seal(void *data, size_t length, uint32_t *sum);
int report_sealed(const void *data, size_t length, const uint32_t *sum);

/* Whether NAME is a VM name: 1–31 letters, digits, '-', '_', '.', then only NULs. */
int report_name_valid(const char name[REPORT_NAME]);

/* Whether RECORD, found at DISK and SLOT, is whole, where it belongs, and VM's (NULL: any VM's). */
int report_record_valid(const struct record *record, uint32_t disk, uint32_t slot, const char *vm);

/* Whether R, of LENGTH bytes, is a report to be believed: everything in it is within its bounds. */
int report_valid(const struct report *r, size_t length);
