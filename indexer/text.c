/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the valid, printable UTF-8 character at `in`, or 0. */
static size_t printable_len(const unsigned char *in, size_t len)
{
    if (in[0] < 0x80)
        return in[0] >= 0x20 && in[0] != 0x7f ? 1 : 0;
    size_t need = in[0] >= 0xf0 ? 4 : in[0] >= 0xe0 ? 3 : 2;
    if (in[0] < 0xc2 || in[0] > 0xf4 || need > len)
        return 0;
    uint32_t code = in[0] & (0x7fu >> need);
    for (size_t i = 1; i < need; i++) {
        if ((in[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (in[i] & 0x3fu);
    }
    if (need == 3 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff)))
        return 0;
    if (need == 4 && (code < 0x10000 || code > 0x10ffff))
        return 0;
    bool is_control = code < 0xa0 || code == 0x2028 || code == 0x2029;
    return is_control ? 0 : need;
}

char *indexer_escape(char *out, size_t size, const void *bytes, size_t len)
{
    const unsigned char *in = bytes;
    size_t used = 0;
    size_t mark = 0; /* end of the last piece after which "..." fits */
    for (size_t i = 0; i < len;) {
        char piece[8];
        size_t take = printable_len(in + i, len - i);
        size_t piece_len = take;
        if (take == 0 || in[i] == '\\') {
            piece_len = (size_t)(take == 0 ? snprintf(piece, sizeof(piece), "\\x%02x", in[i])
                                           : snprintf(piece, sizeof(piece), "\\\\"));
            take = 1;
        } else {
            memcpy(piece, in + i, take);
        }
        if (used + piece_len + 1 > size) {
            memcpy(out + mark, "...", 4);
            return out;
        }
        memcpy(out + used, piece, piece_len);
        used += piece_len;
        i += take;
        if (used + 4 <= size)
            mark = used;
    }
    out[used] = '\0';
    return out;
}

bool indexer_is_name(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len;) {
        size_t take = printable_len((const unsigned char *)text + i, len - i);
        if (take == 0)
            return false;
        i += take;
    }
    return len > 0;
}
