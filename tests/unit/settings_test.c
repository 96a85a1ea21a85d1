/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/settings.h"

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

static struct sl_settings settings;
static struct sl_error err;

static void start(void)
{
    sl_settings_init(&settings);
}

TestSuite(settings, .init = start);

static enum syncline_status parse(enum sl_setting_id id, const char *text)
{
    return sl_settings_parse(&settings, id, text, SYNCLINE_SETTING_CALL, 0, &err);
}

/* The value, its way through text, and back. */
static void takes(enum sl_setting_id id, const char *text, int64_t number, const char *printed)
{
    char out[64];
    cr_expect_eq(parse(id, text), SYNCLINE_OK, "%s", err.text);
    cr_expect_eq(sl_settings_number(&settings, id), number, "%s is %lld", text,
                 (long long)sl_settings_number(&settings, id));
    sl_settings_print(&settings, id, out, sizeof(out));
    cr_expect_str_eq(out, printed);
    cr_expect_eq(parse(id, out), SYNCLINE_OK);
    cr_expect_eq(sl_settings_number(&settings, id), number);
}

static void refuses(enum sl_setting_id id, const char *text)
{
    struct sl_settings before = settings;
    const struct sl_setting_value *value = &settings.values[id];
    char range[160];
    sl_setting_print_range(id, range, sizeof(range));
    err.text[0] = '\0';
    cr_expect_eq(parse(id, text), SYNCLINE_EINVAL, "%s = \"%s\"", sl_setting_at(id)->key, text);
    cr_expect_not_null(strstr(err.text, sl_setting_at(id)->key), "%s", err.text);
    cr_expect_not_null(strstr(err.text, range), "%s is not in: %s", range, err.text);
    cr_expect(value->number == before.values[id].number &&
                  value->source == before.values[id].source,
              "a failure has set something");
    cr_expect_str_eq(settings.listen, before.listen);
    cr_expect_str_eq(settings.peers, before.peers);
}

/* The table holds together: every key once and found, one line of text each, and every preset's
 * value is one that can be written. */
Test(settings, table)
{
    for (size_t i = 0; i < SL_SETTING_COUNT; i++) {
        const struct sl_setting *setting = sl_setting_at(i);
        enum sl_setting_id id = SL_SETTING_COUNT;
        cr_assert_not_null(setting->key, "line %zu is missing", i);
        cr_expect(sl_setting_find(setting->key, &id) && id == i, "%s", setting->key);
        cr_expect_eq(strspn(setting->key, "abcdefghijklmnopqrstuvwxyz_"), strlen(setting->key));
        cr_expect(strlen(setting->key) < 50, "inih knows so many bytes of a key");
        cr_expect_null(strpbrk(setting->description, "\n|"), "%s", setting->description);
        cr_expect_eq(settings.values[i].source, SYNCLINE_SETTING_DEFAULT);
        for (size_t p = 0; p < SL_PRESET_COUNT && setting->type != SYNCLINE_SETTING_TEXT; p++) {
            char text[64];
            sl_setting_print_number(id, setting->by[p], text, sizeof(text));
            takes(id, text, setting->by[p], text);
        }
    }
    enum sl_setting_id id;
    cr_expect_not(sl_setting_find("", &id) || sl_setting_find("batch", &id) ||
                  sl_setting_find("batch_size_", &id));
}

/* Both ends of every range are taken, and what is beyond them is refused, as text and as number. */
Test(settings, ranges)
{
    for (size_t i = 0; i < SL_SETTING_COUNT; i++) {
        const struct sl_setting *setting = sl_setting_at(i);
        enum sl_setting_id id = (enum sl_setting_id)i;
        char text[64];
        if (setting->type == SYNCLINE_SETTING_TEXT) {
            continue;
        }
        const int64_t ends[] = {setting->min, setting->max};
        for (size_t e = 0; e < 2; e++) {
            cr_expect_eq(sl_settings_put(&settings, id, ends[e], SYNCLINE_SETTING_CALL, &err),
                         SYNCLINE_OK, "%s", err.text);
            sl_settings_print(&settings, id, text, sizeof(text));
            takes(id, text, ends[e], text);
        }
        const int64_t beyond[] = {setting->min - 1, setting->max + 1, INT64_MIN, INT64_MAX};
        for (size_t e = 0; e < 4; e++) {
            cr_expect_eq(sl_settings_put(&settings, id, beyond[e], SYNCLINE_SETTING_CALL, &err),
                         SYNCLINE_EINVAL);
            cr_expect_not_null(strstr(err.text, setting->key), "%s", err.text);
            (void)snprintf(text, sizeof(text), "%lld", (long long)beyond[e]);
            refuses(id, text);
        }
        refuses(id, "");
        refuses(id, "  ");
        refuses(id, "x");
        refuses(id, "-");
    }
}

/* Numbers are digits and nothing else. */
Test(settings, numbers)
{
    takes(SL_SETTING_BATCH_SIZE, "500", 500, "500");
    takes(SL_SETTING_BATCH_SIZE, " \t500 ", 500, "500");
    takes(SL_SETTING_BATCH_SIZE, "007", 7, "7");
    static const char *const wrong[] = {"+5",
                                        "5x",
                                        "0x10",
                                        "5.0",
                                        "5 5",
                                        "1e3",
                                        "5MiB",
                                        "5ms",
                                        "-5",
                                        "5,",
                                        "\"5\"",
                                        "5\n6",
                                        "18446744073709551617",
                                        "9223372036854775808"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        refuses(SL_SETTING_BATCH_SIZE, wrong[i]);
    }
    refuses(SL_SETTING_BATCH_SIZE, "65537");
    cr_expect_str_eq(err.text, "batch_size cannot be \"65537\": it takes a number, 1 to 65536");
    refuses(SL_SETTING_BATCH_SIZE, "10k");
    cr_expect_str_eq(err.text, "batch_size cannot be \"10k\": it takes a whole number without a "
                               "unit, 1 to 65536");
}

/* Sizes and durations have units, and print in the greatest that fits. */
Test(settings, units)
{
    takes(SL_SETTING_MEMORY_BUDGET, "8MiB", 8 << 20, "8MiB");
    takes(SL_SETTING_MEMORY_BUDGET, "8mib", 8 << 20, "8MiB");
    takes(SL_SETTING_MEMORY_BUDGET, "8 MiB", 8 << 20, "8MiB");
    takes(SL_SETTING_MEMORY_BUDGET, "1GiB", 1 << 30, "1GiB");
    takes(SL_SETTING_MEMORY_BUDGET, "8193KiB", 8193 << 10, "8193KiB");
    takes(SL_SETTING_MEMORY_BUDGET, "8388609", 8388609, "8388609B");
    takes(SL_SETTING_MEMORY_BUDGET, "8388608B", 8388608, "8MiB");
    takes(SL_SETTING_UUID_MAP_TTL_MS, "90000", 90000, "90s");
    takes(SL_SETTING_UUID_MAP_TTL_MS, "90001ms", 90001, "90001ms");
    takes(SL_SETTING_UUID_MAP_TTL_MS, "120S", 120000, "2min");
    takes(SL_SETTING_UUID_MAP_TTL_MS, "24h", 86400000, "1d");
    takes(SL_SETTING_UUID_MAP_TTL_MS, "0", 0, "0ms");
    static const char *const wrong[] = {
        "8MB",           "8M", "8 MiBs", "MiB", "8ms", "8.5MiB", "-8MiB", "9223372036854775807GiB",
        "17179869184GiB"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        refuses(SL_SETTING_MEMORY_BUDGET, wrong[i]);
    }
    refuses(SL_SETTING_UUID_MAP_TTL_MS, "5m");
    refuses(SL_SETTING_UUID_MAP_TTL_MS, "5MiB");
    refuses(SL_SETTING_UUID_MAP_TTL_MS, "2d");
    cr_expect_str_eq(err.text, "uuid_map_ttl_ms cannot be \"2d\": it takes 0ms to 1d");
    cr_expect_eq(sl_settings_ns(&settings, SL_SETTING_UUID_MAP_TTL_MS), 0);
    takes(SL_SETTING_UUID_MAP_TTL_MS, "3ms", 3, "3ms");
    cr_expect_eq(sl_settings_ns(&settings, SL_SETTING_UUID_MAP_TTL_MS), 3000000);
    takes(SL_SETTING_BLOCK_MS, "never", -1, "never");
    refuses(SL_SETTING_BLOCK_MS, "-1");
    refuses(SL_SETTING_BLOCK_MS, "NEVER");
    cr_expect_str_eq(err.text, "block_ms cannot be \"NEVER\": it takes never, or 0ms to 1d");
}

/* A unit that does not exist is named, and those that do, whatever the number. */
Test(settings, wrong_units)
{
    refuses(SL_SETTING_MEMORY_BUDGET, "1G");
    cr_expect_str_eq(err.text, "memory_budget cannot be \"1G\": \"G\" is no unit of a size, there "
                               "are B, KiB, MiB and GiB; it takes 4MiB to 16GiB");
    refuses(SL_SETTING_LINGER_MS, "20 msec");
    cr_expect_str_eq(err.text,
                     "linger_ms cannot be \"20 msec\": \"msec\" is no unit of a duration, "
                     "there are ms, s, min, h and d; it takes 0ms to 10s");
    refuses(SL_SETTING_LINGER_MS, "1.5s");
    cr_expect_str_eq(err.text, "linger_ms cannot be \"1.5s\": it takes 0ms to 10s");
}

/* Choices are words. */
Test(settings, choices)
{
    takes(SL_SETTING_THREADS, "fused", SYNCLINE_THREADS_FUSED, "fused");
    takes(SL_SETTING_LOG_LEVEL, "error", SYNCLINE_LOG_ERROR, "error");
    takes(SL_SETTING_LOG_LEVEL, "debug", SYNCLINE_LOG_DEBUG, "debug");
    takes(SL_SETTING_THREADS, "per-stage", SYNCLINE_THREADS_PER_STAGE, "per-stage");
    refuses(SL_SETTING_THREADS, "1");
    refuses(SL_SETTING_THREADS, "fuse");
    refuses(SL_SETTING_THREADS, "fused ,");
    cr_expect_str_eq(err.text, "threads cannot be \"fused ,\": it takes auto, fused, grouped or "
                               "per-stage");
}

/* Addresses are words: one, or several with one comma between them however they were written. */
Test(settings, texts)
{
    char text[SL_PEERS_SIZE + 64] = "";
    cr_expect_eq(parse(SL_SETTING_LISTEN, " [::1]:0 "), SYNCLINE_OK);
    cr_expect_str_eq(settings.listen, "[::1]:0");
    refuses(SL_SETTING_LISTEN, "a b");
    refuses(SL_SETTING_LISTEN, "a,b");
    refuses(SL_SETTING_LISTEN, "a\x01");
    refuses(SL_SETTING_LISTEN, "\xc3\xa9");
    memset(text, 'a', SL_ADDRESS_SIZE_MAX);
    cr_expect_eq(parse(SL_SETTING_LISTEN, text), SYNCLINE_OK);
    text[SL_ADDRESS_SIZE_MAX] = 'a';
    refuses(SL_SETTING_LISTEN, text);
    cr_expect_eq(parse(SL_SETTING_LISTEN, ""), SYNCLINE_OK);
    cr_expect_str_eq(settings.listen, "");
    static const enum sl_setting_id texts[] = {SL_SETTING_LISTEN, SL_SETTING_PEERS};
    for (size_t i = 0; i < 2; i++) { /* the word says the same as no value */
        char out[64] = "x";
        cr_expect_eq(parse(texts[i], "a:1"), SYNCLINE_OK);
        cr_expect_eq(parse(texts[i], " nothing "), SYNCLINE_OK);
        sl_settings_print(&settings, texts[i], out, sizeof(out));
        cr_expect_str_eq(out, "");
    }

    cr_expect_eq(parse(SL_SETTING_PEERS, ",a:1, b:2\tc:3,,"), SYNCLINE_OK);
    cr_expect_str_eq(settings.peers, "a:1,b:2,c:3");
    refuses(SL_SETTING_PEERS, "a\x7f");
    refuses(SL_SETTING_PEERS, "a \xff b");
    memset(text, 'p', SL_PEERS_SIZE);
    for (size_t i = SL_ADDRESS_SIZE_MAX; i < SL_PEERS_SIZE; i += SL_ADDRESS_SIZE_MAX + 1) {
        text[i] = ','; /* as many as there can be, and as long */
    }
    cr_expect_eq(parse(SL_SETTING_PEERS, text), SYNCLINE_OK, "%s", err.text);
    cr_expect_eq(strlen(settings.peers), SL_PEERS_SIZE - 1);
    text[SL_PEERS_SIZE] = 'q';
    refuses(SL_SETTING_PEERS, text);
    memset(text, 0, sizeof(text));
    for (size_t i = 0; i <= SL_LINK_COUNT_MAX; i++) {
        text[2 * i] = 'a';
        text[2 * i + 1] = ' ';
    }
    refuses(SL_SETTING_PEERS, text);
    text[2 * (size_t)SL_LINK_COUNT_MAX] = '\0';
    cr_expect_eq(parse(SL_SETTING_PEERS, text), SYNCLINE_OK, "%s", err.text);
    cr_expect_eq(parse(SL_SETTING_PEERS, " "), SYNCLINE_OK);
    cr_expect_str_eq(settings.peers, "");
    sl_settings_print(&settings, SL_SETTING_LISTEN, text, sizeof(text));
    cr_expect_str_eq(text, "");
}

/* The preset gives what nothing else does, at the end, and says so. */
Test(settings, presets)
{
    cr_assert_eq(
        sl_settings_parse(&settings, SL_SETTING_PRESET, "mobile", SYNCLINE_SETTING_FILE, 3, &err),
        SYNCLINE_OK);
    cr_assert_eq(parse(SL_SETTING_LINGER_MS, "7"), SYNCLINE_OK);
    cr_assert_eq(parse(SL_SETTING_ZSTD_LEVEL, "3"), SYNCLINE_OK); /* the default, but said */
    sl_settings_fill(&settings);
    for (size_t i = 0; i < SL_SETTING_COUNT; i++) {
        const struct sl_setting *setting = sl_setting_at(i);
        const struct sl_setting_value *value = &settings.values[i];
        if (i == SL_SETTING_PRESET) {
            cr_expect(value->source == SYNCLINE_SETTING_FILE && value->line == 3);
        } else if (i == SL_SETTING_LINGER_MS || i == SL_SETTING_ZSTD_LEVEL) {
            cr_expect_eq(value->number, i == SL_SETTING_LINGER_MS ? 7 : 3);
            cr_expect_eq(value->source, SYNCLINE_SETTING_CALL);
        } else {
            bool same = setting->by[SL_PRESET_MOBILE] == setting->by[SL_PRESET_NONE];
            cr_expect_eq(value->number, setting->by[SL_PRESET_MOBILE], "%s", setting->key);
            cr_expect_eq(value->source, same ? SYNCLINE_SETTING_DEFAULT : SYNCLINE_SETTING_PRESET);
        }
    }
}
