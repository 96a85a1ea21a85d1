/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public calls for settings, and the layers that a handle's values come from: base/settings.h
 * has the table, pipeline/conf_file.h the file. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/address.h"
#include "pipeline/conf_file.h"
#include "pipeline/handle.h"

#define PATH_SIZE 4096
#define KEY_SIZE 64 /* of a key with its NUL; a longer word is none */

/* ---- One value ---- */

/* "SYNCLINE_LINGER_MS". */
static void name_variable(enum sl_setting_id id, char *out, size_t size)
{
    (void)snprintf(out, size, "SYNCLINE_%s", sl_setting_at(id)->key);
    for (char *at = out; *at != '\0'; at++) {
        *at = (char)toupper((unsigned char)*at);
    }
}

size_t sl_settings_peers(const struct sl_settings *settings, char text[SL_PEERS_SIZE],
                         const char *peers[SL_LINK_COUNT_MAX])
{
    size_t count = 0;
    memcpy(text, settings->peers, SL_PEERS_SIZE);
    char *rest = text;
    while (rest != NULL && *rest != '\0' && count < SL_LINK_COUNT_MAX) {
        peers[count++] = rest;
        rest = strchr(rest, ',');
        if (rest != NULL) {
            *rest++ = '\0';
        }
    }
    return count;
}

/* What the table leaves open: is an address one? */
static enum syncline_status check_address(const struct sl_settings *settings, enum sl_setting_id id,
                                          struct sl_error *err)
{
    char text[SL_PEERS_SIZE];
    const char *peers[SL_LINK_COUNT_MAX];
    union sl_address address;
    enum syncline_status status = SYNCLINE_OK;
    if (id == SL_SETTING_LISTEN && settings->listen[0] != '\0') {
        status = sl_address_parse(settings->listen, &address, err);
    }
    size_t count = id == SL_SETTING_PEERS ? sl_settings_peers(settings, text, peers) : 0;
    for (size_t i = 0; i < count && status == SYNCLINE_OK; i++) {
        status = sl_address_parse(peers[i], &address, err);
    }
    return status == SYNCLINE_OK ? status
                                 : sl_fail_prefix(err, status, "%s", sl_setting_at(id)->key);
}

static enum syncline_status set_text(struct sl_settings *settings, enum sl_setting_id id,
                                     const char *text, enum syncline_setting_source source,
                                     uint32_t line, struct sl_error *err)
{
    enum syncline_status status = sl_settings_parse(settings, id, text, source, line, err);
    return status == SYNCLINE_OK ? check_address(settings, id, err) : status;
}

static enum syncline_status unknown(const char *key, enum syncline_status status,
                                    struct sl_error *err)
{
    return sl_fail(err, status,
                   "there is no setting \"%.80s\"; `syncline config list` shows all there are",
                   key);
}

/* ---- Layers ---- */

static enum syncline_status take_line(void *ctx, const char *key, const char *value, uint32_t line,
                                      struct sl_error *err)
{
    struct sl_settings *settings = ctx;
    enum sl_setting_id id;
    if (!sl_setting_find(key, &id)) {
        return unknown(key, SYNCLINE_EINVAL, err);
    }
    if (settings->values[id].source == SYNCLINE_SETTING_FILE) {
        return sl_fail(err, SYNCLINE_EINVAL, "%s stands in line %u already; leave one of them out",
                       key, (unsigned)settings->values[id].line);
    }
    return set_text(settings, id, value, SYNCLINE_SETTING_FILE, line, err);
}

static enum syncline_status take_environment(struct sl_settings *settings, struct sl_error *err)
{
    for (size_t i = 0; i < SL_SETTING_COUNT; i++) {
        enum sl_setting_id id = (enum sl_setting_id)i;
        char name[KEY_SIZE];
        name_variable(id, name, sizeof(name));
        const char *text = getenv(name);
        if (text == NULL) {
            continue;
        }
        enum syncline_status status =
            set_text(settings, id, text, SYNCLINE_SETTING_ENVIRONMENT, 0, err);
        if (status != SYNCLINE_OK) {
            return sl_fail_prefix(err, status, "%s in the environment", name);
        }
    }
    return SYNCLINE_OK;
}

/* The members of the options that are numbers; 0 says nothing. */
static enum syncline_status take_numbers(struct sl_settings *settings,
                                         const struct syncline_options *options,
                                         struct sl_error *err)
{
    uint64_t memory = options->memory_budget;
    const struct {
        enum sl_setting_id id;
        int64_t number;
    } members[] = {
        {SL_SETTING_BATCH_SIZE, options->batch_size},
        {SL_SETTING_THREADS, (int64_t)options->threads},
        {SL_SETTING_MEMORY_BUDGET, memory < INT64_MAX ? (int64_t)memory : INT64_MAX},
        {SL_SETTING_BLOCK_MS, options->block_ms < 0 ? -1 : options->block_ms},
        {SL_SETTING_LOG_LEVEL, (int64_t)options->log_level},
    };
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (members[i].number == 0) {
            continue;
        }
        enum syncline_status status =
            sl_settings_put(settings, members[i].id, members[i].number, SYNCLINE_SETTING_CALL, err);
        if (status != SYNCLINE_OK) {
            return sl_fail_prefix(err, status, "options");
        }
    }
    return SYNCLINE_OK;
}

/* The addresses of the options; NULL says nothing. */
static enum syncline_status take_addresses(struct sl_settings *settings,
                                           const struct syncline_options *options,
                                           struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    if (options->listen != NULL) {
        status =
            set_text(settings, SL_SETTING_LISTEN, options->listen, SYNCLINE_SETTING_CALL, 0, err);
    }
    if (status != SYNCLINE_OK || (options->peers == NULL && options->peers_count == 0)) {
        return status;
    }
    char all[SL_PEERS_SIZE] = "";
    size_t used = 0;
    for (size_t i = 0; i < options->peers_count; i++) {
        const char *peer = options->peers != NULL ? options->peers[i] : NULL;
        union sl_address address;
        if (peer == NULL) {
            return sl_fail(err, SYNCLINE_EINVAL, "peer %zu is NULL", i);
        }
        status = sl_address_parse(peer, &address, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (i == SL_LINK_COUNT_MAX) {
            return sl_fail(err, SYNCLINE_EINVAL, "options.peers has %zu addresses, %u are allowed",
                           options->peers_count, SL_LINK_COUNT_MAX);
        }
        used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", i > 0 ? "," : "", peer);
    }
    return set_text(settings, SL_SETTING_PEERS, all, SYNCLINE_SETTING_CALL, 0, err);
}

/* One "key=value" of the options. */
static enum syncline_status take_pair(struct sl_settings *settings, const char *pair,
                                      struct sl_error *err)
{
    char key[KEY_SIZE];
    enum sl_setting_id id;
    const char *equals = pair != NULL ? strchr(pair, '=') : NULL;
    if (equals == NULL) {
        return sl_fail(err, SYNCLINE_EINVAL, "\"%.80s\" is not key=value",
                       pair != NULL ? pair : "NULL");
    }
    int len = (int)(equals - pair < KEY_SIZE ? equals - pair : KEY_SIZE - 1);
    (void)snprintf(key, sizeof(key), "%.*s", len, pair);
    if (!sl_setting_find(key, &id)) {
        return unknown(key, SYNCLINE_EINVAL, err);
    }
    if (settings->values[id].source == SYNCLINE_SETTING_CALL) {
        return sl_fail(err, SYNCLINE_EINVAL, "%s is given twice; leave one of them out", key);
    }
    return set_text(settings, id, equals + 1, SYNCLINE_SETTING_CALL, 0, err);
}

enum syncline_status sl_settings_take_call(struct sl_settings *settings,
                                           const struct syncline_options *options,
                                           struct sl_error *err)
{
    enum syncline_status status = take_numbers(settings, options, err);
    if (status == SYNCLINE_OK) {
        status = take_addresses(settings, options, err);
    }
    for (size_t i = 0; i < options->settings_count && status == SYNCLINE_OK; i++) {
        status = take_pair(settings, options->settings != NULL ? options->settings[i] : NULL, err);
        if (status != SYNCLINE_OK) {
            return sl_fail_prefix(err, status, "options.settings[%zu]", i);
        }
    }
    return status;
}

/* All layers below the call. */
static enum syncline_status take_outside(struct sl_settings *settings,
                                         const struct sl_allocator *alloc, const char *dir,
                                         struct sl_error *err)
{
    sl_settings_init(settings);
    enum syncline_status status = sl_conf_read(alloc, dir, take_line, settings, err);
    return status == SYNCLINE_OK ? take_environment(settings, err) : status;
}

enum syncline_status sl_settings_take_all(struct sl_settings *settings,
                                          const struct sl_allocator *alloc, const char *dir,
                                          const struct syncline_options *options,
                                          struct sl_error *err)
{
    enum syncline_status status = take_outside(settings, alloc, dir, err);
    if (status == SYNCLINE_OK) {
        status = sl_settings_take_call(settings, options, err);
    }
    sl_settings_fill(settings);
    return status;
}

/* ---- For people ---- */

void sl_settings_where(const struct sl_settings *settings, enum sl_setting_id id, char *out,
                       size_t size)
{
    switch (settings->values[id].source) {
    case SYNCLINE_SETTING_DEFAULT:
        (void)snprintf(out, size, "default");
        return;
    case SYNCLINE_SETTING_PRESET: {
        char name[32];
        sl_settings_print(settings, SL_SETTING_PRESET, name, sizeof(name));
        (void)snprintf(out, size, "preset %s", name);
        return;
    }
    case SYNCLINE_SETTING_FILE:
        (void)snprintf(out, size, "%s:%u", SL_CONF_NAME, (unsigned)settings->values[id].line);
        return;
    case SYNCLINE_SETTING_ENVIRONMENT:
        name_variable(id, out, size);
        return;
    case SYNCLINE_SETTING_CALL:
        (void)snprintf(out, size, "call");
        return;
    }
}

static void print_preset(enum sl_setting_id id, enum sl_preset preset, char out[32])
{
    const struct sl_setting *setting = sl_setting_at(id);
    out[0] = '\0';
    if (setting->type != SYNCLINE_SETTING_TEXT) {
        sl_setting_print_number(id, setting->by[preset], out, 32);
    }
}

static void give(const struct sl_settings *settings, enum sl_setting_id id,
                 struct syncline_setting *out)
{
    const struct sl_setting *setting = sl_setting_at(id);
    struct syncline_setting made = {.key = setting->key,
                                    .description = setting->description,
                                    .unit = setting->unit,
                                    .option = setting->option,
                                    .type = setting->type,
                                    .source = settings->values[id].source,
                                    .min = setting->min,
                                    .max = setting->max,
                                    .number = settings->values[id].number};
    sl_settings_where(settings, id, made.where, sizeof(made.where));
    name_variable(id, made.variable, sizeof(made.variable));
    sl_setting_print_range(id, made.range, sizeof(made.range));
    print_preset(id, SL_PRESET_NONE, made.default_value);
    print_preset(id, SL_PRESET_AGGRESSIVE, made.aggressive);
    print_preset(id, SL_PRESET_CONSERVATIVE, made.conservative);
    print_preset(id, SL_PRESET_MOBILE, made.mobile);
    sl_settings_print(settings, id, made.value, sizeof(made.value));
    sl_handle_give(out, out->size, &made, sizeof(made));
}

static bool is_sized(const struct syncline_setting *setting)
{
    return setting != NULL && setting->size >= 2 * sizeof(size_t);
}

/* Keeps the text where there is a handle. */
static enum syncline_status end(struct syncline *lib, enum syncline_status status,
                                const struct sl_error *err)
{
    return lib != NULL ? sl_handle_keep(lib, status, err) : status;
}

static enum syncline_status give_of(struct syncline *lib, enum sl_setting_id id,
                                    struct syncline_setting *setting)
{
    struct sl_settings defaults;
    struct sl_error err = {.text = ""};
    if (!is_sized(setting)) {
        return end(lib, sl_fail(&err, SYNCLINE_EINVAL, "start from the struct's _INIT"), &err);
    }
    sl_settings_init(&defaults);
    give(lib != NULL ? &lib->settings : &defaults, id, setting);
    return end(lib, SYNCLINE_OK, &err);
}

enum syncline_status syncline_setting_get(struct syncline *lib, size_t index,
                                          struct syncline_setting *setting)
{
    enum syncline_status status = lib != NULL ? sl_handle_check(lib) : SYNCLINE_OK;
    struct sl_error err = {.text = ""};
    if (status == SYNCLINE_OK && index >= SL_SETTING_COUNT) {
        status =
            end(lib, sl_fail(&err, SYNCLINE_ENOTFOUND, "there are %d settings", SL_SETTING_COUNT),
                &err);
    }
    return status == SYNCLINE_OK ? give_of(lib, (enum sl_setting_id)index, setting) : status;
}

enum syncline_status syncline_setting_find(struct syncline *lib, const char *key,
                                           struct syncline_setting *setting)
{
    enum syncline_status status = lib != NULL ? sl_handle_check(lib) : SYNCLINE_OK;
    struct sl_error err = {.text = ""};
    enum sl_setting_id id = SL_SETTING_PRESET;
    if (status == SYNCLINE_OK && key == NULL) {
        status = end(lib, sl_fail(&err, SYNCLINE_EINVAL, "key is NULL"), &err);
    } else if (status == SYNCLINE_OK && !sl_setting_find(key, &id)) {
        status = end(lib, unknown(key, SYNCLINE_ENOTFOUND, &err), &err);
    }
    return status == SYNCLINE_OK ? give_of(lib, id, setting) : status;
}

/* ---- Without a handle ---- */

static enum syncline_status check_library(const char *dir, const char *key, enum sl_setting_id *id,
                                          struct sl_error *err)
{
    char path[PATH_SIZE];
    if (dir == NULL || key == NULL) {
        return sl_fail(err, SYNCLINE_EINVAL, "%s is NULL", dir == NULL ? "dir" : "key");
    }
    if (!sl_setting_find(key, id)) {
        return unknown(key, SYNCLINE_ENOTFOUND, err);
    }
    int len = snprintf(path, sizeof(path), "%s/sync.db", dir);
    if (len < 0 || (size_t)len >= sizeof(path) || access(path, F_OK) != 0) {
        return sl_fail(err, SYNCLINE_ENOTFOUND,
                       "there is no library in %.200s: create or join one there first", dir);
    }
    return SYNCLINE_OK;
}

static enum syncline_status tell(enum syncline_status status, const struct sl_error *err,
                                 char *error, size_t error_size)
{
    if (status != SYNCLINE_OK && error != NULL && error_size > 0) {
        (void)snprintf(error, error_size, "%s", err->text);
    }
    return status;
}

enum syncline_status syncline_config_get(const char *dir, const char *key,
                                         struct syncline_setting *setting, char *error,
                                         size_t error_size)
{
    struct sl_error err = {.text = ""};
    struct sl_settings settings;
    enum sl_setting_id id = SL_SETTING_PRESET;
    enum syncline_status status = check_library(dir, key, &id, &err);
    if (status == SYNCLINE_OK && !is_sized(setting)) {
        status = sl_fail(&err, SYNCLINE_EINVAL, "start from the struct's _INIT");
    }
    if (status == SYNCLINE_OK) {
        status = take_outside(&settings, &sl_allocator_libc, dir, &err);
    }
    if (status != SYNCLINE_OK) {
        return tell(status, &err, error, error_size);
    }
    sl_settings_fill(&settings);
    give(&settings, id, setting);
    return SYNCLINE_OK;
}

enum syncline_status syncline_config_set(const char *dir, const char *key, const char *value,
                                         char *error, size_t error_size)
{
    struct sl_error err = {.text = ""};
    struct sl_settings settings;
    char text[SL_PEERS_SIZE];
    enum sl_setting_id id = SL_SETTING_PRESET;
    enum syncline_status status = check_library(dir, key, &id, &err);
    if (status == SYNCLINE_OK && value != NULL) {
        sl_settings_init(&settings);
        status = set_text(&settings, id, value, SYNCLINE_SETTING_FILE, 0, &err);
        sl_settings_print(&settings, id, text, sizeof(text));
    }
    if (status == SYNCLINE_OK) {
        status = sl_conf_set(&sl_allocator_libc, dir, key, value != NULL ? text : NULL, &err);
    }
    return tell(status, &err, error, error_size);
}
