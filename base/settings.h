/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The settings: one table that everything about them is taken from - defaults, presets, ranges,
 * texts of errors, of --help and of docs/CONFIG.md - and the values of one library.
 *
 * Values come in layers, each over the one before it: defaults, preset, syncline.conf, environment,
 * the call. Who reads a layer gives its values to sl_settings_parse in that order, and calls
 * sl_settings_fill at the end, which gives the preset's values to what no layer has set.
 *
 * Pure: no file and no environment is read here. Any thread. */

#ifndef SL_SETTINGS_H
#define SL_SETTINGS_H

#include "base/status.h"

#include <stddef.h>

enum sl_setting_id {
    SL_SETTING_PRESET,
    SL_SETTING_LISTEN,
    SL_SETTING_PEERS,
    SL_SETTING_RECONNECT_MAX_MS,
    SL_SETTING_BATCH_SIZE,
    SL_SETTING_LINGER_MS,
    SL_SETTING_ZSTD_LEVEL,
    SL_SETTING_MEMORY_BUDGET,
    SL_SETTING_THREADS,
    SL_SETTING_BLOCK_MS,
    SL_SETTING_APPLY_HOLD_MS,
    SL_SETTING_APPLY_HOLD_SHARED_MS,
    SL_SETTING_APPLY_PAUSE_MS,
    SL_SETTING_UUID_MAP_SIZE,
    SL_SETTING_UUID_MAP_TTL_MS,
    SL_SETTING_MAX_DRIFT_MS,
    SL_SETTING_SCAN_INTERVAL_MS,
    SL_SETTING_SCAN_DELETES,
    SL_SETTING_LOG_PRUNE,
    SL_SETTING_LOG_SIZE_LIMIT,
    SL_SETTING_MEMBER_STALE_DAYS,
    SL_SETTING_LOG_LEVEL,
    SL_SETTING_CHECK_CAPTURES,
    SL_SETTING_COUNT
};

enum sl_preset {
    SL_PRESET_NONE, /* the defaults */
    SL_PRESET_AGGRESSIVE,
    SL_PRESET_CONSERVATIVE,
    SL_PRESET_MOBILE,
    SL_PRESET_COUNT
};

/* One line of the table. Static data. */
struct sl_setting {
    const char *key;
    enum syncline_setting_type type;
    const char *unit;            /* of a number, in words; "" if it has none */
    const char *option;          /* member of struct syncline_options that says the same, or NULL */
    const char *description;     /* one line */
    const char *takes;           /* texts: what a value is */
    const char *const *choices;  /* choices: the words for min to max, ended by NULL */
    const char *never;           /* the word for -1, where that is in the range; else NULL */
    int64_t min;                 /* all but texts: least number */
    int64_t max;                 /* and greatest */
    int64_t by[SL_PRESET_COUNT]; /* value by preset; the first is the default */
};

struct sl_setting_value {
    int64_t number; /* all but texts */
    enum syncline_setting_source source;
    uint32_t line; /* in syncline.conf, if that is the source */
};

/* The values of one library. */
struct sl_settings {
    struct sl_setting_value values[SL_SETTING_COUNT];
    char listen[SL_ADDRESS_SIZE_MAX + 1]; /* "": nowhere */
    char peers[SL_PEERS_SIZE];            /* addresses with commas between them */
};

/* `id` < SL_SETTING_COUNT. */
const struct sl_setting *sl_setting_at(size_t id);
/* false: there is none of that name. */
bool sl_setting_find(const char *key, enum sl_setting_id *id);

/* All defaults. */
void sl_settings_init(struct sl_settings *settings);
/* Sets one value from text; what was there stays on failure. Blanks around it are no part of it.
 * Errors: EINVAL; the text names key, value and what the setting takes. */
enum syncline_status sl_settings_parse(struct sl_settings *settings, enum sl_setting_id id,
                                       const char *text, enum syncline_setting_source source,
                                       uint32_t line, struct sl_error *err);
/* The same from a number, for all but texts. */
enum syncline_status sl_settings_put(struct sl_settings *settings, enum sl_setting_id id,
                                     int64_t number, enum syncline_setting_source source,
                                     struct sl_error *err);
/* After the last layer: what no layer has set gets its value of the preset. */
void sl_settings_fill(struct sl_settings *settings);

/* The number of a setting that is no text. */
int64_t sl_settings_number(const struct sl_settings *settings, enum sl_setting_id id);
/* The same for durations, as ns. */
uint64_t sl_settings_ns(const struct sl_settings *settings, enum sl_setting_id id);

/* Write text that sl_settings_parse takes, or that says what it takes. Cut to `size` bytes. */
void sl_settings_print(const struct sl_settings *settings, enum sl_setting_id id, char *out,
                       size_t size);
void sl_setting_print_number(enum sl_setting_id id, int64_t number, char *out, size_t size);
void sl_setting_print_range(enum sl_setting_id id, char *out, size_t size);

#endif
