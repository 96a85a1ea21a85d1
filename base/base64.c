/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t sl_base64_len(size_t len)
{
    return (len + 2) / 3 * 4;
}

void sl_base64_encode(const void *data, size_t len, char *out)
{
    const uint8_t *in = data;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)in[i] << 16;
        bits |= n > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        bits |= n > 2 ? in[i + 2] : 0;
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = '=';
        *out++ = '=';
        if (n > 1) {
            out[-2] = digits[bits >> 6 & 63];
        }
        if (n > 2) {
            out[-1] = digits[bits & 63];
        }
    }
}

/* -1: it is none. */
static int digit_value(char c)
{
    for (int i = 0; i < 64; i++) {
        if (digits[i] == c) {
            return i;
        }
    }
    return -1;
}

bool sl_base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len)
{
    if (len % 4 != 0) {
        return false;
    }
    size_t written = 0;
    for (size_t i = 0; i < len; i += 4) {
        bool is_last = i + 4 == len;
        size_t n = is_last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 1 : 2) : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k <= n; k++) {
            int value = digit_value(text[i + k]);
            if (value < 0) {
                return false;
            }
            bits |= (uint32_t)value << (18 - 6 * k);
        }
        if ((bits & ((uint32_t)0xffffff >> (8 * n))) != 0) {
            return false; /* bits that say nothing are 0, so that each content has one text */
        }
        for (size_t k = 0; k < n; k++) {
            out[written++] = (uint8_t)(bits >> (16 - 8 * k));
        }
    }
    *out_len = written;
    return true;
}
