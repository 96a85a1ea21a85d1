/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline stuck`: everything that waits on this device, and why. It never runs the engine itself,
 * and asks the process that does. */

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/table.h"

#define SHOWN_DEFAULT 20u
#define STATES_SIZE (SYNCLINE_STUCK_SET_ASIDE + 1)

static const char *const state_names[STATES_SIZE] = {[SYNCLINE_STUCK_CAPTURED] = "captured",
                                                     [SYNCLINE_STUCK_RECEIVED] = "received",
                                                     [SYNCLINE_STUCK_HELD] = "held",
                                                     [SYNCLINE_STUCK_WAITING] = "waiting",
                                                     [SYNCLINE_STUCK_SET_ASIDE] = "set aside"};

struct stuck {
    struct cli_devices devices; /* ours */
    struct cli_table table;     /* for people */
    json_t *listed;             /* for programs; NULL: for people */
    int64_t now_ms;
    uint64_t left; /* to be listed yet */
    uint64_t count;
    uint64_t counts[STATES_SIZE]; /* by kind */
};

static json_t *hex_json(const struct syncline_uuid *uuid)
{
    static const struct syncline_uuid none;
    char hex[33];
    cli_hex(uuid->bytes, sizeof(uuid->bytes), hex);
    return memcmp(uuid, &none, sizeof(none)) != 0 ? json_string(hex) : json_null();
}

static json_t *model_json(const char *model)
{
    return model != NULL ? cli_json_name(model, strlen(model)) : json_null();
}

static json_t *stuck_json(const struct syncline_stuck *stuck, const char *device)
{
    return json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:b, s:I, s:o, s:o, s:o, s:I, s:s}",
                     "state", state_names[stuck->kind], "since_ms", (json_int_t)stuck->since_ms,
                     "changes", (json_int_t)stuck->changes, "model", model_json(stuck->model),
                     "uuid", hex_json(&stuck->uuid), "device_id", hex_json(&stuck->device_id),
                     "device_name", cli_json_name(device, strlen(device)), "own", stuck->own, "seq",
                     (json_int_t)stuck->seq, "lacks_model", model_json(stuck->lacks_model),
                     "lacks_uuid", hex_json(&stuck->lacks_uuid), "birth_device_id",
                     hex_json(&stuck->birth_device), "birth_seq", (json_int_t)stuck->birth_seq,
                     "why", stuck->why);
}

static void add_row(struct stuck *all, const struct syncline_stuck *stuck, const char *device)
{
    static const struct syncline_uuid none;
    char since[CLI_TIME_SIZE] = "";
    char age[CLI_AGE_SIZE] = "";
    char hex[33] = "-";
    if (memcmp(&stuck->uuid, &none, sizeof(none)) != 0) {
        cli_hex(stuck->uuid.bytes, sizeof(stuck->uuid.bytes), hex);
    }
    if (stuck->since_ms != 0) {
        cli_time_text(stuck->since_ms, since);
        cli_age_text(all->now_ms - stuck->since_ms, age);
    }
    cli_table_text(&all->table, since);
    cli_table_text(&all->table, age);
    cli_table_text(&all->table, state_names[stuck->kind]);
    cli_table_text(&all->table, device);
    cli_table_number(&all->table, stuck->changes);
    cli_table_text(&all->table, stuck->model != NULL ? stuck->model : "-");
    cli_table_text(&all->table, hex);
    cli_table_text(&all->table, stuck->why);
}

/* All are counted; some are listed. */
static bool take(void *ctx, const struct syncline_stuck *stuck)
{
    struct stuck *all = ctx;
    char name[CLI_DEVICE_NAME_SIZE];
    char label[CLI_DEVICE_LABEL_SIZE];
    if (stuck->kind < SYNCLINE_STUCK_CAPTURED || stuck->kind >= STATES_SIZE) {
        return true;
    }
    all->count++;
    all->counts[stuck->kind]++;
    if (all->left == 0) {
        return true;
    }
    all->left--;
    cli_device_name(&all->devices, &stuck->device_id, name);
    if (all->listed != NULL) {
        json_array_append_new(all->listed, stuck_json(stuck, name));
    } else {
        add_row(all, stuck, cli_device_label(&all->devices, &stuck->device_id, name, label));
    }
    return true;
}

static int print_people(struct stuck *all, uint64_t limit)
{
    int code = cli_table_print(&all->table);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    if (all->count == 0) {
        puts("nothing is stuck");
        return cli_output_end();
    }
    if (all->count > limit) {
        printf("and %" PRIu64 " more\n", all->count - limit);
    }
    for (int kind = SYNCLINE_STUCK_CAPTURED, is_first = 1; kind < STATES_SIZE; kind++) {
        if (all->counts[kind] > 0) {
            printf("%s%" PRIu64 " %s", is_first != 0 ? "" : ", ", all->counts[kind],
                   state_names[kind]);
            is_first = 0;
        }
    }
    putchar('\n');
    return cli_output_end();
}

static int tell(struct cli_session *session, const struct cli_options *options, struct stuck *all)
{
    const char *model = options->args_count > 0 ? options->args[0] : NULL;
    uint64_t limit = options->limit == UINT64_MAX ? SHOWN_DEFAULT : options->limit;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    all->now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    all->left = limit;
    if (syncline_stuck(session->lib, model, take, all) != SYNCLINE_OK) {
        char text[512];
        syncline_error(session->lib, text, sizeof(text));
        return cli_fail("%s", text);
    }
    int code = all->listed != NULL
                   ? cli_print_json(json_pack("{s:I, s:O}", "count", (json_int_t)all->count,
                                              "stuck", all->listed))
                   : print_people(all, limit);
    return code != CLI_EXIT_OK || all->count == 0 ? code : CLI_EXIT_NO;
}

int cmd_stuck(const struct cli_options *options)
{
    struct cli_session session;
    int code = cli_session_open(options, SYNCLINE_ROLE_CAPTURE, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    struct stuck all = {.listed = options->json ? json_array() : NULL};
    cli_table_column(&all.table, "SINCE", CLI_STYLE_QUIET);
    cli_table_column(&all.table, "FOR", CLI_STYLE_PLAIN);
    cli_table_column(&all.table, "STATE", CLI_STYLE_HEADING);
    cli_table_column(&all.table, "DEVICE", CLI_STYLE_NAME);
    cli_table_column(&all.table, ">CHANGES", CLI_STYLE_PLAIN);
    cli_table_column(&all.table, "MODEL", CLI_STYLE_PLAIN);
    cli_table_column(&all.table, "UUID", CLI_STYLE_QUIET);
    cli_table_column(&all.table, "WHY", CLI_STYLE_PLAIN);
    code = cli_devices_of_members(&all.devices, &session);
    if (code == CLI_EXIT_OK) {
        code = tell(&session, options, &all);
    }
    cli_devices_drop(&all.devices);
    cli_table_drop(&all.table);
    json_decref(all.listed);
    cli_session_close(&session);
    return code;
}
