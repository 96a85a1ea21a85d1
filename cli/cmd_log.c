/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline log`: the changes in this device's log, of all devices, by their clock; and with
 * --follow those that come. What stands in the log is read first, then what the subscription told
 * meanwhile: a change that both know is shown once. */

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/stop.h"

#define SHOWN_DEFAULT 20u
#define NAP_MS 200
#define DEVICES_MAX 65u /* members and this one */
#define MODEL_SIZE 64

/* One call's changes of one device. */
struct entry {
    struct syncline_hlc hlc;
    struct syncline_uuid device;
    struct syncline_uuid uuid; /* of the first record */
    uint64_t seq;
    uint32_t records;
    enum syncline_change change;
    bool own;
    char model[MODEL_SIZE];
};

/* A device, and up to where its changes were shown. */
struct known {
    struct syncline_uuid device;
    uint64_t shown_seq;
    char name[CLI_DEVICE_NAME_SIZE];
    char label[CLI_DEVICE_LABEL_SIZE]; /* for people: with an id where two have the name */
};

struct log {
    struct cli_session *session;
    bool json;
    pthread_mutex_t lock; /* the main thread's until the log is read, then the subscription's */
    struct entry *entries;
    size_t len;
    size_t capacity;
    size_t most; /* to be shown */
    bool failed; /* no memory */
    struct known devices[DEVICES_MAX];
    size_t devices_len;
};

static struct entry entry_of(const struct syncline_event *event)
{
    struct entry entry = {.hlc = event->hlc,
                          .device = event->device_id,
                          .uuid = event->record_uuids[0],
                          .seq = event->seq,
                          .records = event->record_count,
                          .change = event->change,
                          .own = event->own};
    snprintf(entry.model, sizeof(entry.model), "%s", event->model_type);
    return entry;
}

/* NULL: there is no room for another device. */
static struct known *device_of(struct log *log, const struct syncline_uuid *device)
{
    for (size_t i = 0; i < log->devices_len; i++) {
        if (memcmp(&log->devices[i].device, device, sizeof(*device)) == 0) {
            return &log->devices[i];
        }
    }
    if (log->devices_len == DEVICES_MAX) {
        return NULL;
    }
    struct known *known = &log->devices[log->devices_len++];
    *known = (struct known){.device = *device};
    /* Read anew: whose change this is may have joined meanwhile. Without memory nobody has a name.
     */
    struct cli_devices devices;
    (void)cli_devices_of_members(&devices, log->session);
    cli_device_name(&devices, device, known->name);
    cli_device_label(&devices, device, known->name, known->label);
    cli_devices_drop(&devices);
    return known;
}

/* ---- Showing ---- */

static json_t *entry_json(const struct entry *entry, const struct known *device_of_it)
{
    const char *device_name = device_of_it != NULL ? device_of_it->name : "?";
    char uuid[33];
    char device[33];
    char hlc[SYNCLINE_HLC_TEXT_SIZE];
    cli_hex(entry->uuid.bytes, sizeof(entry->uuid.bytes), uuid);
    cli_hex(entry->device.bytes, sizeof(entry->device.bytes), device);
    syncline_hlc_text(&entry->hlc, hlc);
    return json_pack("{s:I, s:s, s:s, s:o, s:b, s:I, s:s, s:o, s:I, s:s}", "time_ms",
                     (json_int_t)syncline_hlc_ms(&entry->hlc), "hlc", hlc, "device_id", device,
                     "device_name", cli_json_name(device_name, strlen(device_name)), "own",
                     entry->own, "seq", (json_int_t)entry->seq, "change",
                     cli_change_name(entry->change), "model",
                     cli_json_name(entry->model, strlen(entry->model)), "records",
                     (json_int_t)entry->records, "uuid", uuid);
}

static void print_entry(const struct entry *entry, const struct known *device_of_it)
{
    const char *device_name = device_of_it != NULL ? device_of_it->label : "?";
    char uuid[33];
    cli_print_time(syncline_hlc_ms(&entry->hlc));
    fputs("  ", stdout);
    cli_style_begin(stdout, CLI_STYLE_NAME);
    cli_print_name(stdout, device_name, strlen(device_name));
    cli_style_end(stdout, CLI_STYLE_NAME);
    printf("  %s  ", cli_change_name(entry->change));
    cli_print_name(stdout, entry->model, strlen(entry->model));
    if (entry->records != 1) {
        printf("  %" PRIu32 " records\n", entry->records);
        return;
    }
    cli_hex(entry->uuid.bytes, sizeof(entry->uuid.bytes), uuid);
    fputs("  ", stdout);
    cli_style_begin(stdout, CLI_STYLE_QUIET);
    fputs(uuid, stdout);
    cli_style_end(stdout, CLI_STYLE_QUIET);
    putchar('\n');
}

/* ---- What stands in the log ---- */

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left;
    const struct entry *b = right;
    return syncline_hlc_compare(&a->hlc, &b->hlc);
}

/* Keeps the last `most` by the clock. */
static void keep_last(struct log *log)
{
    if (log->len == 0) {
        return;
    }
    qsort(log->entries, log->len, sizeof(*log->entries), compare_entries);
    if (log->len > log->most) {
        memmove(log->entries, log->entries + (log->len - log->most),
                log->most * sizeof(*log->entries));
        log->len = log->most;
    }
}

static void collect(void *ctx, const struct syncline_event *event)
{
    struct log *log = ctx;
    if (event->kind == SYNCLINE_EVENT_ERROR) {
        cli_warn("%s", event->text);
        return;
    }
    struct known *known = device_of(log, &event->device_id);
    uint64_t last = event->seq + event->record_count - 1;
    if (known != NULL && known->shown_seq < last) {
        known->shown_seq = last;
    }
    if (log->len == log->capacity && log->len >= 2 * log->most) {
        keep_last(log);
    }
    if (log->len == log->capacity) {
        size_t capacity = log->capacity == 0 ? 64 : 2 * log->capacity;
        struct entry *grown = realloc(log->entries, capacity * sizeof(*grown));
        if (grown == NULL) {
            log->failed = true;
            return;
        }
        log->entries = grown;
        log->capacity = capacity;
    }
    log->entries[log->len++] = entry_of(event);
}

static int show_collected(struct log *log, bool follows)
{
    struct cli_json_list list;
    keep_last(log);
    if (log->json && !follows) {
        cli_json_list_begin(&list, "changes");
    }
    for (size_t i = 0; i < log->len; i++) {
        const struct entry *entry = &log->entries[i];
        const struct known *known = device_of(log, &entry->device);
        if (!log->json) {
            print_entry(entry, known);
        } else if (follows) {
            (void)cli_print_json(entry_json(entry, known));
        } else {
            cli_json_list_item(&list, entry_json(entry, known));
        }
    }
    return log->json && !follows ? cli_json_list_end(&list) : cli_output_end();
}

/* ---- What comes ---- */

static void show(void *ctx, const struct syncline_event *event)
{
    struct log *log = ctx;
    (void)pthread_mutex_lock(&log->lock);
    struct known *known =
        event->kind == SYNCLINE_EVENT_ERROR ? NULL : device_of(log, &event->device_id);
    if (event->kind == SYNCLINE_EVENT_ERROR) {
        cli_warn("%s", event->text);
    } else if (known == NULL || event->seq > known->shown_seq) {
        struct entry entry = entry_of(event);
        if (log->json) {
            (void)cli_print_json(entry_json(&entry, known));
        } else {
            print_entry(&entry, known);
            (void)fflush(stdout);
        }
    }
    (void)pthread_mutex_unlock(&log->lock);
}

static int fail(struct cli_session *session)
{
    char text[512];
    syncline_error(session->lib, text, sizeof(text));
    return cli_fail("%s", text);
}

static int show_log(struct log *log, bool follows)
{
    uint64_t id = 0;
    (void)pthread_mutex_lock(&log->lock);
    enum syncline_status status =
        follows ? syncline_subscribe(log->session->lib, show, log, NULL, &id) : SYNCLINE_OK;
    if (status == SYNCLINE_OK) {
        status = syncline_log_read(log->session->lib, collect, log, NULL);
    }
    int code = status != SYNCLINE_OK ? fail(log->session)
               : log->failed         ? cli_fail("no memory for the log; show less with --limit")
                                     : show_collected(log, follows);
    (void)pthread_mutex_unlock(&log->lock);
    while (code == CLI_EXIT_OK && follows && !cli_stop_wait(NAP_MS)) {
        code = ferror(stdout) ? cli_output_end() : CLI_EXIT_OK;
    }
    return code; /* closing the library ends the subscription */
}

int cmd_log(const struct cli_options *options)
{
    static struct log log = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct cli_session session;
    /* Never the engine: one that is started meanwhile must not find it taken. */
    int code = cli_session_open(options, SYNCLINE_ROLE_CAPTURE, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    log.session = &session;
    log.json = options->json;
    log.most = options->limit == UINT64_MAX ? SHOWN_DEFAULT : (size_t)options->limit;
    code = show_log(&log, options->follow);
    cli_session_close(&session);
    free(log.entries);
    return code;
}
