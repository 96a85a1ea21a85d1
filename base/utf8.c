/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/utf8.h"

size_t sl_utf8_char_size(const uint8_t *text, size_t len)
{
    uint8_t first = text[0];
    uint8_t second_min = 0x80;
    uint8_t second_max = 0xbf;
    size_t size;

    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    if (first < 0xe0) {
        size = 2;
    } else if (first < 0xf0) {
        size = 3;
        second_min = first == 0xe0 ? 0xa0 : 0x80;
        second_max = first == 0xed ? 0x9f : 0xbf;
    } else {
        size = 4;
        second_min = first == 0xf0 ? 0x90 : 0x80;
        second_max = first == 0xf4 ? 0x8f : 0xbf;
    }
    if (size > len || text[1] < second_min || text[1] > second_max)
        return 0;
    for (size_t i = 2; i < size; i++)
        if (text[i] < 0x80 || text[i] > 0xbf)
            return 0;
    return size;
}

bool sl_utf8_is_valid(const void *text, size_t len)
{
    const uint8_t *bytes = text;
    for (size_t i = 0; i < len;) {
        size_t size = sl_utf8_char_size(bytes + i, len - i);
        if (size == 0)
            return false;
        i += size;
    }
    return true;
}

void sl_utf8_mend(char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t size = sl_utf8_char_size((const uint8_t *)text + i, len - i);
        if (size == 0)
            text[i] = '?';
        i += size > 0 ? size : 1;
    }
}
