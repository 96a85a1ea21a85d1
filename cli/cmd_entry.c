/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline entry`: list, show. */

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/output.h"
#include "cli/session.h"
#include "indexer/entry_manager.h"
#include "indexer/schema.h"

#define TIME_SIZE 32u

static const char *kind_name(int64_t kind)
{
    switch (kind) {
    case INDEXER_FILE:
        return "file";
    case INDEXER_FOLDER:
        return "folder";
    case INDEXER_LINK:
        return "link";
    default:
        return "other";
    }
}

/* A time as people here write it; a year that has no calendar as the number it is. */
static const char *time_text(int64_t ms, char out[TIME_SIZE])
{
    time_t seconds = (time_t)(ms >= 0 ? ms / 1000 : (ms - 999) / 1000);
    struct tm parts;
    if (localtime_r(&seconds, &parts) == NULL ||
        strftime(out, TIME_SIZE, "%Y-%m-%d %H:%M:%S", &parts) == 0) {
        snprintf(out, TIME_SIZE, "%" PRId64 " ms", ms);
    }
    return out;
}

static json_t *uuid_json(const struct syncline_uuid *uuid)
{
    static const struct syncline_uuid none = {{0}};
    char text[33];
    if (memcmp(uuid, &none, sizeof(none)) == 0) {
        return json_null();
    }
    cli_hex(uuid->bytes, sizeof(uuid->bytes), text);
    return json_string(text);
}

static json_t *bytes_json(struct syncline_bytes bytes)
{
    return bytes.data != NULL ? cli_json_name(bytes.data, bytes.len) : json_null();
}

static json_t *entry_json(const struct indexer_entry *entry)
{
    const struct entry_row *row = &entry->row;
    return json_pack("{s:o, s:o, s:o, s:s, s:I, s:o, s:I, s:I, s:o, s:o, s:o, s:o}", "uuid",
                     uuid_json(&row->uuid), "path", bytes_json(entry->path), "name",
                     bytes_json(row->name), "kind", kind_name(row->kind), "size",
                     (json_int_t)row->size, "link_target", bytes_json(row->link_target),
                     "created_at", (json_int_t)row->created_at, "modified_at",
                     (json_int_t)row->modified_at, "parent", uuid_json(&entry->parent), "location",
                     uuid_json(&entry->location), "device", uuid_json(&entry->device),
                     "device_name", cli_json_name(entry->device_name, strlen(entry->device_name)));
}

static void list_json(void *ctx, const struct indexer_entry *entry)
{
    cli_json_list_item(ctx, entry_json(entry));
}

static void print_path(const struct indexer_entry *entry)
{
    enum cli_style style = entry->row.kind == INDEXER_FOLDER ? CLI_STYLE_FOLDER : CLI_STYLE_PLAIN;
    struct syncline_bytes path = entry->path.data != NULL ? entry->path : entry->row.name;
    cli_style_begin(stdout, style);
    cli_print_name(stdout, path.data, path.len);
    cli_style_end(stdout, style);
    if (entry->row.link_target.data != NULL) {
        fputs(" -> ", stdout);
        cli_print_name(stdout, entry->row.link_target.data, entry->row.link_target.len);
    }
    fputc('\n', stdout);
}

/* A table whose rows are printed as they come, since there may be millions: all columns but the
 * last have a width of their own. ctx counts the rows. */
static void list_text(void *ctx, const struct indexer_entry *entry)
{
    uint64_t *rows = ctx;
    char uuid[33];
    char modified[TIME_SIZE];
    if ((*rows)++ == 0) {
        cli_style_begin(stdout, CLI_STYLE_HEADING);
        printf("%-32s  %-6s  %12s  %-19s  %s", "UUID", "KIND", "SIZE", "MODIFIED", "PATH");
        cli_style_end(stdout, CLI_STYLE_HEADING);
        fputc('\n', stdout);
    }
    cli_hex(entry->row.uuid.bytes, sizeof(entry->row.uuid.bytes), uuid);
    cli_style_begin(stdout, CLI_STYLE_QUIET);
    fputs(uuid, stdout);
    cli_style_end(stdout, CLI_STYLE_QUIET);
    printf("  %-6s  %12" PRId64 "  %-19s  ", kind_name(entry->row.kind), entry->row.size,
           time_text(entry->row.modified_at, modified));
    print_path(entry);
}

int cmd_entry_list(const struct cli_options *options)
{
    struct indexer_error err = {{0}};
    struct sqlite3 *db = NULL;
    struct cli_json_list list;
    uint64_t rows = 0;
    if (indexer_db_open(options->library, INDEXER_DB_READ_ONLY, &db, &err) != SYNCLINE_OK) {
        return cli_fail("%s", err.text);
    }
    cli_json_list_begin(&list, "entries");
    enum syncline_status status = indexer_entry_list(
        db, options->location, options->limit, options->json ? list_json : list_text,
        options->json ? (void *)&list : (void *)&rows, &err);
    indexer_db_close(db);
    if (status != SYNCLINE_OK) {
        return cli_fail("%s", err.text);
    }
    return options->json ? cli_json_list_end(&list) : cli_output_end();
}

/* What one entry is shown with. */
struct shown {
    json_t *object;             /* with --json: what is to be printed */
    struct cli_devices devices; /* ours */
};

static void show_json(void *ctx, const struct indexer_entry *entry)
{
    struct shown *shown = ctx;
    shown->object = entry_json(entry);
}

static void show_uuid(const char *label, const struct syncline_uuid *uuid)
{
    static const struct syncline_uuid none = {{0}};
    char text[33];
    if (memcmp(uuid, &none, sizeof(none)) != 0) {
        cli_hex(uuid->bytes, sizeof(uuid->bytes), text);
        printf("%-9s  %s\n", label, text);
    }
}

static void show_text(void *ctx, const struct indexer_entry *entry)
{
    char text[TIME_SIZE];
    char label[CLI_DEVICE_LABEL_SIZE];
    const struct shown *shown = ctx;
    printf("%-9s  ", "path");
    print_path(entry);
    printf("%-9s  %s\n%-9s  %" PRId64 "\n", "kind", kind_name(entry->row.kind), "size",
           entry->row.size);
    printf("%-9s  %s\n", "modified", time_text(entry->row.modified_at, text));
    printf("%-9s  %s\n", "indexed", time_text(entry->row.created_at, text));
    printf("%-9s  ", "device");
    cli_device_label(&shown->devices, &entry->device, entry->device_name, label);
    cli_print_name(stdout, label, strlen(label));
    fputc('\n', stdout);
    show_uuid("uuid", &entry->row.uuid);
    show_uuid("folder", &entry->parent);
    show_uuid("location", &entry->location);
}

int cmd_entry_show(const struct cli_options *options)
{
    struct cli_session session;
    struct syncline_uuid uuid;
    struct indexer_error err = {{0}};
    struct shown shown = {0};
    int code = cli_session_open(options, SYNCLINE_ROLE_CAPTURE, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = cli_devices_of_table(&shown.devices, session.db);
    if (code != CLI_EXIT_OK) {
        cli_session_close(&session);
        return code;
    }
    indexer_entry_fn each = options->json ? show_json : show_text;
    enum syncline_status status =
        cli_parse_uuid(options->args[0], uuid.bytes)
            ? indexer_entry_by_uuid(session.db, &uuid, each, &shown, &err)
            : indexer_entry_by_path(session.db, options->args[0], &session.info.device_id, each,
                                    &shown, &err);
    cli_devices_drop(&shown.devices);
    cli_session_close(&session);
    if (status != SYNCLINE_OK) {
        json_decref(shown.object);
        return cli_fail("%s: %s", options->args[0], err.text);
    }
    return options->json ? cli_print_json(shown.object) : cli_output_end();
}
