/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* UUIDs by name, and the text forms of UUIDs and clock values:
 *
 *     uuid   xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx
 *     hlc    time in 16 hex digits - uuid of the device - epoch in 16 hex digits
 *
 * Most significant digit first, so that texts sort as what they say does. */

#include <stdio.h>
#include <string.h>

#include <uuid/uuid.h>

#include "base/stamp.h"

#define UUID_LEN (SYNCLINE_UUID_TEXT_SIZE - 1)
#define HEX64_LEN 16

_Static_assert(SYNCLINE_HLC_TEXT_SIZE == HEX64_LEN + 1 + UUID_LEN + 1 + HEX64_LEN + 1,
               "time, device, epoch, NUL");

enum syncline_status syncline_uuid_v5(const struct syncline_uuid *space, const void *name,
                                      size_t len, struct syncline_uuid *out)
{
    if (space == NULL || (name == NULL && len > 0) || out == NULL) {
        return SYNCLINE_EINVAL;
    }
    uuid_generate_sha1(out->bytes, space->bytes, name != NULL ? name : "", len);
    return SYNCLINE_OK;
}

void syncline_uuid_text(const struct syncline_uuid *uuid, char text[SYNCLINE_UUID_TEXT_SIZE])
{
    sl_uuid_format(uuid, text);
}

/* -1: it is none. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The UUID_LEN bytes at text, which may lie within a longer one. */
static bool read_uuid(const char *text, struct syncline_uuid *out)
{
    size_t at = 0;
    for (size_t i = 0; i < sizeof(out->bytes); i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-') {
            return false;
        }
        int high = hex_digit(text[at]);
        int low = high < 0 ? -1 : hex_digit(text[at + 1]);
        if (low < 0) {
            return false;
        }
        out->bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return true;
}

static bool read_hex64(const char *text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < HEX64_LEN; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0) {
            return false;
        }
        *out = *out << 4 | (uint64_t)digit;
    }
    return true;
}

enum syncline_status syncline_uuid_parse(const char *text, struct syncline_uuid *out)
{
    struct syncline_uuid uuid;
    if (text == NULL || out == NULL || strlen(text) != UUID_LEN || !read_uuid(text, &uuid)) {
        return SYNCLINE_EINVAL;
    }
    *out = uuid;
    return SYNCLINE_OK;
}

int syncline_hlc_compare(const struct syncline_hlc *a, const struct syncline_hlc *b)
{
    struct sl_stamp of_a = {.hlc = a->time, .origin = {.device = a->device, .epoch = a->epoch}};
    struct sl_stamp of_b = {.hlc = b->time, .origin = {.device = b->device, .epoch = b->epoch}};
    return sl_stamp_compare(&of_a, &of_b);
}

void syncline_hlc_text(const struct syncline_hlc *hlc, char text[SYNCLINE_HLC_TEXT_SIZE])
{
    char device[SYNCLINE_UUID_TEXT_SIZE];
    sl_uuid_format(&hlc->device, device);
    (void)snprintf(text, SYNCLINE_HLC_TEXT_SIZE, "%016llx-%s-%016llx",
                   (unsigned long long)hlc->time, device, (unsigned long long)hlc->epoch);
}

enum syncline_status syncline_hlc_parse(const char *text, struct syncline_hlc *out)
{
    struct syncline_hlc hlc;
    const size_t device_at = HEX64_LEN + 1;
    const size_t epoch_at = device_at + UUID_LEN + 1;
    if (text == NULL || out == NULL || strlen(text) != SYNCLINE_HLC_TEXT_SIZE - 1 ||
        text[device_at - 1] != '-' || text[epoch_at - 1] != '-' || !read_hex64(text, &hlc.time) ||
        !read_uuid(text + device_at, &hlc.device) || !read_hex64(text + epoch_at, &hlc.epoch)) {
        return SYNCLINE_EINVAL;
    }
    *out = hlc;
    return SYNCLINE_OK;
}
