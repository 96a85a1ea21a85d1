/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline events`: the event log of this device, and with --follow what comes into it. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/stop.h"

#define SHOWN_DEFAULT 20u
#define NAP_MS 200

/* What is counted first, and then shown. */
struct shown {
    bool json;
    bool follows;
    struct cli_json_list list;
    uint64_t count; /* of all there are */
    uint64_t skip;  /* of them, the oldest */
    int64_t last;   /* number of the one shown last */
};

static json_t *uuid_json(const struct syncline_uuid *uuid)
{
    char hex[33];
    if (uuid == NULL) {
        return json_null();
    }
    cli_hex(uuid->bytes, sizeof(uuid->bytes), hex);
    return json_string(hex);
}

static json_t *entry_json(const struct syncline_event_entry *entry)
{
    json_t *model = entry->model_type != NULL
                        ? cli_json_name(entry->model_type, strlen(entry->model_type))
                        : json_null();
    return json_pack("{s:I, s:I, s:s, s:s, s:o, s:o, s:o, s:o}", "number",
                     (json_int_t)entry->number, "time_ms", (json_int_t)entry->timestamp, "code",
                     syncline_event_code_name(entry->code), "status",
                     syncline_status_name(entry->status), "device_id", uuid_json(entry->device_id),
                     "model", model, "uuid", uuid_json(entry->record_uuid), "text",
                     cli_json_name(entry->text, strlen(entry->text)));
}

static void print_entry(const struct syncline_event_entry *entry)
{
    cli_print_time(entry->timestamp);
    fputs("  ", stdout);
    cli_style_begin(stdout, CLI_STYLE_NAME);
    fputs(syncline_event_code_name(entry->code), stdout);
    cli_style_end(stdout, CLI_STYLE_NAME);
    fputs("  ", stdout);
    cli_print_name(stdout, entry->text, strlen(entry->text));
    if (entry->record_uuid != NULL) {
        char hex[33];
        cli_hex(entry->record_uuid->bytes, sizeof(entry->record_uuid->bytes), hex);
        cli_style_begin(stdout, CLI_STYLE_QUIET);
        printf("  %s", hex);
        cli_style_end(stdout, CLI_STYLE_QUIET);
    }
    putchar('\n');
}

static void count(void *ctx, const struct syncline_event_entry *entry)
{
    (void)entry;
    ((struct shown *)ctx)->count++;
}

static void show(void *ctx, const struct syncline_event_entry *entry)
{
    struct shown *shown = ctx;
    shown->last = entry->number;
    if (shown->skip > 0) {
        shown->skip--;
    } else if (!shown->json) {
        print_entry(entry);
    } else if (shown->follows) {
        (void)cli_print_json(entry_json(entry));
    } else {
        cli_json_list_item(&shown->list, entry_json(entry));
    }
}

static int fail(struct cli_session *session)
{
    char text[512];
    syncline_error(session->lib, text, sizeof(text));
    return cli_fail("%s", text);
}

static int show_events(struct cli_session *session, struct shown *shown, uint64_t most)
{
    if (syncline_events_read(session->lib, 0, count, shown) != SYNCLINE_OK) {
        return fail(session);
    }
    shown->skip = shown->count > most ? shown->count - most : 0;
    if (shown->json && !shown->follows) {
        cli_json_list_begin(&shown->list, "events");
    }
    if (syncline_events_read(session->lib, 0, show, shown) != SYNCLINE_OK) {
        return fail(session);
    }
    int code = shown->json && !shown->follows ? cli_json_list_end(&shown->list) : cli_output_end();
    shown->skip = 0;
    while (code == CLI_EXIT_OK && shown->follows && !cli_stop_wait(NAP_MS)) {
        if (syncline_events_read(session->lib, shown->last, show, shown) != SYNCLINE_OK) {
            return fail(session);
        }
        (void)fflush(stdout);
        code = ferror(stdout) ? cli_output_end() : CLI_EXIT_OK;
    }
    return code;
}

int cmd_events(const struct cli_options *options)
{
    struct cli_session session;
    /* Never the engine: one that is started meanwhile must not find it taken. */
    int code = cli_session_open(options, SYNCLINE_ROLE_CAPTURE, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    struct shown shown = {.json = options->json, .follows = options->follow};
    code = show_events(&session, &shown,
                       options->limit == UINT64_MAX ? SHOWN_DEFAULT : options->limit);
    cli_session_close(&session);
    return code;
}
