/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the lab guest's parameters from the kernel command line. */
#include "options.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool options_number(const char *text, unsigned max, unsigned *number)
{
    unsigned n = 0;

    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > max / 10)
            return false;
        n = n * 10 + (unsigned)(*text - '0');
    }
    if (n > max)
        return false;
    *number = n;
    return true;
}

static bool parse_witness(struct options *o, char *value)
{
    unsigned port = REPORT_WITNESS_PORT;
    char *colon = strchr(value, ':');

    if (colon) {
        *colon++ = '\0';
        if (!options_number(colon, 65535, &port) || port == 0)
            return false;
    }
    o->witness.sin_family = AF_INET;
    o->witness.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, value, &o->witness.sin_addr) == 1;
}

static bool add_disk(struct options *o, const char *name)
{
    if (o->disks == REPORT_DISKS || strchr(name, '/') || !*name || strlen(name) > 16)
        return false;
    snprintf(o->disk[o->disks++], sizeof o->disk[0], "/dev/%s", name);
    return true;
}

/* Without disks= the guest writes to every virtio disk it has. */
static void find_disks(struct options *o)
{
    char name[] = "vda", path[] = "/dev/vda";

    for (; name[2] < 'a' + REPORT_DISKS; path[7] = ++name[2])
        if (access(path, F_OK) == 0)
            add_disk(o, name);
}

static bool parse_disks(struct options *o, char *value)
{
    char *rest = NULL;

    for (char *name = strtok_r(value, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
        if (!add_disk(o, name))
            return false;
    return true;
}

/* init has given the NICs their addresses by the same parameters; only who is who matters here. */
static bool parse_nic(struct options *o, unsigned n, char *value, struct in_addr *net,
                      struct in_addr *mask)
{
    unsigned bits = 24;
    char *slash = strchr(value, '/');

    if (slash) {
        *slash++ = '\0';
        if (!options_number(slash, 32, &bits))
            return false;
    }
    if (inet_pton(AF_INET, value, &net[n]) != 1)
        return false;
    mask[n].s_addr = bits ? htonl(~0u << (32 - bits)) : 0;
    o->nic[n] = true;
    return true;
}

static bool parse_one(struct options *o, const char *key, char *value, struct in_addr *net,
                      struct in_addr *mask)
{
    if (strcmp(key, "vm") == 0) {
        if (strlen(value) >= REPORT_NAME)
            return false;
        memset(o->vm, 0, sizeof o->vm);
        memcpy(o->vm, value, strlen(value));
        return report_name_valid(o->vm);
    }
    if (strcmp(key, "witness") == 0)
        return parse_witness(o, value);
    if (strcmp(key, "disks") == 0)
        return parse_disks(o, value);
    if (strcmp(key, "ring") == 0)
        return options_number(value, REPORT_SLOTS / 256, &o->ring_mib) && o->ring_mib > 0;
    if (strcmp(key, "writes") == 0)
        return options_number(value, OPTIONS_WRITES_MAX, &o->writes);
    if (strcmp(key, "dirty") == 0)
        return options_number(value, OPTIONS_DIRTY_MAX, &o->dirty);
    if (strcmp(key, "wset") == 0)
        return options_number(value, OPTIONS_WSET_MAX, &o->wset) && o->wset > 0;
    if (strncmp(key, "ip", 2) == 0 && key[2] >= '0' && key[2] < '0' + REPORT_NICS && !key[3])
        return parse_nic(o, (unsigned)(key[2] - '0'), value, net, mask);
    return true;
}

bool options_parse(struct options *o, const char *line, char *error, size_t size)
{
    struct in_addr net[REPORT_NICS] = {0}, mask[REPORT_NICS] = {0};
    char copy[4096], *rest = NULL;

    memset(o, 0, sizeof *o);
    strcpy(o->vm, "guest");
    o->ring_mib = 64;
    o->writes = 50;
    o->wset = 64;
    if (strlen(line) >= sizeof copy) {
        snprintf(error, size, "the kernel command line is longer than %zu bytes", sizeof copy - 1);
        return false;
    }
    strcpy(copy, line);
    for (char *word = strtok_r(copy, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
        char *equals = strchr(word, '=');
        if (!equals)
            continue;
        *equals = '\0';
        if (!parse_one(o, word, equals + 1, net, mask)) {
            snprintf(error, size, "the parameter %s= has a value that cannot be used", word);
            return false;
        }
    }
    if (o->disks == 0)
        find_disks(o);
    for (uint32_t n = REPORT_NICS; n-- > 0;)
        if (o->nic[n] && ((o->witness.sin_addr.s_addr ^ net[n].s_addr) & mask[n].s_addr) == 0)
            o->report_nic = n;
    return true;
}
