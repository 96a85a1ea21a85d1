/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline why`: what has become of each change of one record. */

#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/table.h"
#include "indexer/entry_manager.h"
#include "indexer/tag_manager.h"

static const char *const fate_names[] = {[SYNCLINE_FATE_CAPTURED] = "captured",
                                         [SYNCLINE_FATE_RECEIVED] = "received",
                                         [SYNCLINE_FATE_SET_ASIDE] = "set aside",
                                         [SYNCLINE_FATE_SHOWN] = "shown",
                                         [SYNCLINE_FATE_SUPERSEDED] = "superseded",
                                         [SYNCLINE_FATE_DELETED] = "deleted",
                                         [SYNCLINE_FATE_DEAD] = "dead",
                                         [SYNCLINE_FATE_WAITING] = "waiting",
                                         [SYNCLINE_FATE_HELD] = "held",
                                         [SYNCLINE_FATE_HIDDEN] = "hidden"};

struct why {
    struct cli_session *session;
    struct cli_table table;     /* for people */
    json_t *changes;            /* for programs; NULL: for people */
    struct cli_devices devices; /* ours */
};

static json_t *change_json(const struct syncline_why *why, const char *device)
{
    char hlc[SYNCLINE_HLC_TEXT_SIZE];
    char device_id[33];
    char birth_device[33];
    char winner[SYNCLINE_HLC_TEXT_SIZE];
    syncline_hlc_text(&why->hlc, hlc);
    syncline_hlc_text(&why->winner, winner);
    cli_hex(why->hlc.device.bytes, sizeof(why->hlc.device.bytes), device_id);
    cli_hex(why->birth_device.bytes, sizeof(why->birth_device.bytes), birth_device);
    return json_pack("{s:s, s:s, s:s, s:o, s:b, s:s, s:o, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:o, "
                     "s:I}",
                     "change", cli_change_name(why->change), "fate", fate_names[why->fate], "why",
                     why->why, "hlc", why->hlc.time != 0 ? json_string(hlc) : json_null(), "own",
                     why->own, "device_id", device_id, "device_name",
                     cli_json_name(device, strlen(device)), "seq", (json_int_t)why->seq,
                     "birth_device_id", birth_device, "birth_seq", (json_int_t)why->birth_seq,
                     "members", (json_int_t)why->members, "sent", (json_int_t)why->sent, "acked",
                     (json_int_t)why->acked, "applied", (json_int_t)why->applied, "winner_hlc",
                     why->winner.time != 0 ? json_string(winner) : json_null(), "winner_seq",
                     (json_int_t)why->winner_seq);
}

static void add_row(struct cli_table *table, const struct syncline_why *why, const char *device)
{
    char when[CLI_TIME_SIZE] = "";
    char text[SYNCLINE_WHY_SIZE + 128];
    if (why->hlc.time != 0) {
        cli_time_text(syncline_hlc_ms(&why->hlc), when);
    }
    int len = snprintf(text, sizeof(text), "%s", why->why);
    if (why->own && why->seq > 0 && why->members > 0 && len > 0) {
        snprintf(text + len, sizeof(text) - (size_t)len,
                 "; sent to %" PRIu32 " of %" PRIu32 ", in the log of %" PRIu32
                 ", applied by %" PRIu32,
                 why->sent, why->members, why->acked, why->applied);
    }
    cli_table_text(table, when);
    cli_table_text(table, device);
    cli_table_number(table, why->seq);
    cli_table_text(table, cli_change_name(why->change));
    cli_table_text(table, fate_names[why->fate]);
    cli_table_text(table, text);
}

static void take(void *ctx, const struct syncline_why *why)
{
    struct why *all = ctx;
    char device[CLI_DEVICE_NAME_SIZE];
    char label[CLI_DEVICE_LABEL_SIZE];
    cli_device_name(&all->devices, &why->hlc.device, device);
    if (all->changes != NULL) {
        json_array_append_new(all->changes, change_json(why, device));
    } else {
        add_row(&all->table, why, cli_device_label(&all->devices, &why->hlc.device, device, label));
    }
}

static int explain(struct why *all, const char *model, const struct syncline_uuid *uuid)
{
    bool is_here = false;
    enum syncline_status status = syncline_why(all->session->lib, model, uuid, take, all, &is_here);
    char text[512];
    char hex[33];
    cli_hex(uuid->bytes, sizeof(uuid->bytes), hex);
    if (status == SYNCLINE_OK && all->changes != NULL) {
        return cli_print_json(json_pack("{s:s, s:s, s:b, s:O}", "model", model, "uuid", hex, "here",
                                        is_here, "changes", all->changes));
    }
    if (status == SYNCLINE_OK) {
        printf("%s %s is %s\n\n", model, hex, is_here ? "in its table" : "not in its table");
        return cli_table_print(&all->table);
    }
    syncline_error(all->session->lib, text, sizeof(text));
    return status == SYNCLINE_ENOTFOUND ? cli_no("%s %s: %s", model, hex, text)
                                        : cli_fail("%s", text);
}

static void keep_uuid(void *ctx, const struct indexer_entry *entry)
{
    struct syncline_uuid *uuid = ctx;
    *uuid = entry->row.uuid;
}

/* A UUID; or of a tag its name, of an entry its path. */
static int find_record(const struct cli_session *session, const char *model, const char *word,
                       struct syncline_uuid *uuid)
{
    struct indexer_error err = {{0}};
    if (cli_parse_uuid(word, uuid->bytes)) {
        return CLI_EXIT_OK;
    }
    enum syncline_status status = SYNCLINE_OK;
    if (strcmp(model, "tag") == 0) {
        status = indexer_tag_find(session->db, word, uuid, &err);
    } else if (strcmp(model, "entry") == 0) {
        status = indexer_entry_by_path(session->db, word, &session->info.device_id, keep_uuid, uuid,
                                       &err);
    } else {
        return cli_usage("'%s' is no UUID: give its 32 hex digits, with or without dashes", word);
    }
    return status != SYNCLINE_OK ? cli_fail("%s: %s", word, err.text) : CLI_EXIT_OK;
}

int cmd_why(const struct cli_options *options)
{
    struct cli_session session;
    struct syncline_uuid uuid;
    int code = cli_session_open(options, SYNCLINE_ROLE_CAPTURE, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    struct why all = {.session = &session, .changes = options->json ? json_array() : NULL};
    cli_table_column(&all.table, "TIME", CLI_STYLE_QUIET);
    cli_table_column(&all.table, "DEVICE", CLI_STYLE_NAME);
    cli_table_column(&all.table, ">SEQ", CLI_STYLE_PLAIN);
    cli_table_column(&all.table, "CHANGE", CLI_STYLE_PLAIN);
    cli_table_column(&all.table, "FATE", CLI_STYLE_HEADING);
    cli_table_column(&all.table, "WHY", CLI_STYLE_PLAIN);
    code = find_record(&session, options->args[0], options->args[1], &uuid);
    if (code == CLI_EXIT_OK) {
        code = cli_devices_of_members(&all.devices, &session);
    }
    if (code == CLI_EXIT_OK) {
        code = explain(&all, options->args[0], &uuid);
    }
    cli_devices_drop(&all.devices);
    cli_table_drop(&all.table);
    json_decref(all.changes);
    cli_session_close(&session);
    return code;
}
