/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checksums and validation of what the lab guest and its witness exchange. */
#include "report.h"

#include <pthread.h>
#include <string.h>

/* Eight tables, so that eight bytes go in one step: under TCG this is what a record costs. */
static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_make(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
        table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
}

static uint32_t crc(uint32_t c, const uint8_t *p, size_t n)
{
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        v ^= c;
        c = 0;
        for (int k = 0; k < 8; k++)
            c ^= table[7 - k][v >> 8 * k & 255];
    }
    for (; n > 0; n--, p++)
        c = c >> 8 ^ table[0][(c ^ *p) & 255];
    return c;
}

uint32_t report_crc32c(const void *data, size_t length)
{
    pthread_once(&table_once, table_make);
    return ~crc(~0u, data, length);
}

/* The sum as if the four bytes at SUM were zero. */
static uint32_t sum_of(const void *data, size_t length, const uint32_t *sum)
{
    static const uint8_t zero[4];
    const uint8_t *start = data, *hole = (const uint8_t *)sum;

    pthread_once(&table_once, table_make);
    uint32_t c = crc(~0u, start, (size_t)(hole - start));
    c = crc(c, zero, sizeof zero);
    return ~crc(c, hole + 4, length - (size_t)(hole - start) - 4);
}

void report_seal(void *data, size_t length, uint32_t *sum)
{
    *sum = sum_of(data, length, sum);
}

int report_sealed(const void *data, size_t length, const uint32_t *sum)
{
    return *sum == sum_of(data, length, sum);
}

int report_name_valid(const char name[REPORT_NAME])
{
    size_t n = strnlen(name, REPORT_NAME);

    if (n == 0 || n == REPORT_NAME)
        return 0;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            !strchr("-_.", c))
            return 0;
    }
    for (size_t i = n; i < REPORT_NAME; i++)
        if (name[i])
            return 0;
    return 1;
}

static int geometry_valid(uint32_t disks, uint32_t slots)
{
    return disks <= REPORT_DISKS && slots <= REPORT_SLOTS;
}

int report_record_valid(const struct record *r, uint32_t disk, uint32_t slot, const char *vm)
{
    return r->magic == RECORD_MAGIC && report_sealed(r, sizeof *r, &r->sum) &&
           report_name_valid(r->vm) && (!vm || strcmp(r->vm, vm) == 0) && r->disks > 0 &&
           r->slots > 0 && geometry_valid(r->disks, r->slots) && r->seq > 0 && r->disk == disk &&
           r->slot == slot && r->seq % r->disks == disk && r->seq / r->disks % r->slots == slot;
}

int report_valid(const struct report *r, size_t length)
{
    if (length != sizeof *r || r->magic != REPORT_MAGIC || r->version != REPORT_VERSION ||
        r->kind < REPORT_RECORD || r->kind > REPORT_ECHO || r->nic >= REPORT_NICS ||
        !report_name_valid(r->vm) || !geometry_valid(r->disks, r->slots) ||
        !report_sealed(r, sizeof *r, &r->sum))
        return 0;
    if (r->kind != REPORT_RECORD && r->kind != REPORT_FAILED)
        return 1;
    return r->disks > 0 && r->slots > 0 && r->seq > 0 && r->disk == r->seq % r->disks &&
           r->slot == r->seq / r->disks % r->slots;
}
