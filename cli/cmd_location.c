/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline location`: add, rescan, remove, list. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/meter.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/stop.h"
#include "cli/table.h"
#include "indexer/location_manager.h"
#include "indexer/schema.h"

#define UNREADABLE_NAMED 20u /* of what cannot be read, at most so many are named */

struct add {
    struct indexer_location_stats stats; /* what was done */
    uint64_t start_ns;                   /* when indexing began, CLOCK_MONOTONIC */
    uint64_t unreadable;                 /* told so far */
    struct cli_meter meter;              /* of the walk */
    struct cli_meter removing;           /* of what a rescan removes then */
    enum syncline_status (*run)(struct syncline *lib, struct sqlite3 *db, const char *path,
                                const struct indexer_location_options *options,
                                struct indexer_location_stats *stats,
                                struct indexer_error *err); /* add or rescan */
};

static uint64_t entries_seen(const struct indexer_walk_stats *walk)
{
    return walk->files + walk->folders + walk->links + walk->others;
}

static void on_removed(void *ctx, const struct indexer_location_stats *stats)
{
    struct cli_meter *meter = ctx;
    if (meter->total == 0) {
        cli_meter_start(meter, "removing", "entries", stats->removed + stats->removing);
    }
    cli_meter_show(meter, stats->removed);
}

static void on_progress(void *ctx, const struct indexer_location_stats *stats)
{
    struct add *add = ctx;
    if (stats->removed > 0) {
        on_removed(&add->removing, stats);
    } else {
        cli_meter_show(&add->meter, entries_seen(&stats->walk));
    }
}

static enum indexer_walk_next count_entry(void *ctx, const struct indexer_walk_entry *entry,
                                          uint64_t *tag)
{
    (void)ctx;
    (void)entry;
    (void)tag;
    return INDEXER_WALK_ON;
}

/* How much there is to index, by a walk of its own: only for who watches. 0: not known. */
static uint64_t count_entries(const struct cli_options *options)
{
    struct indexer_walk_options walk = {
        .entry = count_entry, .skip = &options->library, .skip_count = 1, .stop = cli_stop_flag()};
    struct indexer_walk_stats stats;
    if (!cli_progress_is_seen()) {
        return 0;
    }
    cli_progress("counting");
    if (indexer_walk(options->args[0], &walk, &stats, NULL) != SYNCLINE_OK) {
        return 0; /* the indexing says why */
    }
    cli_progress_end(); /* what follows is shown at once */
    return entries_seen(&stats);
}

static void on_unreadable(void *ctx, struct syncline_bytes path, int error_number)
{
    struct add *add = ctx;
    add->unreadable++;
    if (add->unreadable > UNREADABLE_NAMED) {
        return;
    }
    char name[INDEXER_ERROR_SIZE / 2];
    cli_warn("%s cannot be read (%s) and is left out",
             indexer_escape(name, sizeof(name), path.data, path.len), strerror(error_number));
}

static int report(int fd, const struct indexer_location_stats *stats)
{
    char line[128];
    int len = snprintf(line, sizeof(line), "committed %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                       stats->inserted, stats->first_commit_ns, stats->last_commit_ns);
    if (write(fd, line, (size_t)len) != (ssize_t)len) {
        return cli_fail("descriptor %d of --report-fd cannot be written (%s); open it first", fd,
                        strerror(errno));
    }
    return CLI_EXIT_OK;
}

static int print_added(const struct cli_options *options, const struct add *add,
                       const struct syncline_info *info)
{
    const struct indexer_location_stats *stats = &add->stats;
    const struct indexer_walk_stats *walk = &stats->walk;
    char location[33];
    cli_hex(stats->location.bytes, sizeof(stats->location.bytes), location);
    double index_ms = stats->last_commit_ns > add->start_ns
                          ? (double)(stats->last_commit_ns - add->start_ns) / 1e6
                          : 0.0;
    if (options->json) {
        return cli_print_json(json_pack(
            "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I, "
            "s:I, s:I}",
            "location", location, "files", (json_int_t)walk->files, "folders",
            (json_int_t)walk->folders, "links", (json_int_t)walk->links, "other",
            (json_int_t)walk->others, "unreadable", (json_int_t)walk->unreadable, "vanished",
            (json_int_t)walk->vanished, "skipped", (json_int_t)walk->skipped, "inserted",
            (json_int_t)stats->inserted, "updated", (json_int_t)stats->updated, "moved",
            (json_int_t)stats->moved, "removed", (json_int_t)stats->removed, "batches",
            (json_int_t)stats->batches, "index_ms", index_ms, "first_commit_ns",
            (json_int_t)stats->first_commit_ns, "last_commit_ns", (json_int_t)stats->last_commit_ns,
            "wire_bytes_sent", (json_int_t)info->wire_bytes_sent, "own_seq",
            (json_int_t)info->own_seq, "outbox", (json_int_t)info->outbox));
    }
    printf("%" PRIu64 " files, %" PRIu64 " folders, %" PRIu64 " links, %" PRIu64 " other in %.0f "
           "ms: %" PRIu64 " new, %" PRIu64 " changed, %" PRIu64 " moved, %" PRIu64
           " removed, %" PRIu64 " unreadable, %" PRIu64 " not entered\n",
           walk->files, walk->folders, walk->links, walk->others, index_ms, stats->inserted,
           stats->updated, stats->moved, stats->removed, walk->unreadable, walk->skipped);
    return cli_output_end();
}

/* Indexes, and reports the last commit at once. `lib` is NULL with --plain. */
static int index_folder(const struct cli_options *options, struct syncline *lib, struct sqlite3 *db,
                        const struct syncline_uuid *device, struct add *add)
{
    struct indexer_error err = {{0}};
    struct indexer_location_options location_options = {
        .device = *device,
        .batch_size = options->batch_len,
        .stop = cli_stop_flag(),
        .ctx = add,
        .progress = on_progress,
        .unreadable = on_unreadable,
    };
    cli_meter_start(&add->meter, "indexing", "entries", count_entries(options));
    add->start_ns = cli_now_ns();
    enum syncline_status status =
        add->run(lib, db, options->args[0], &location_options, &add->stats, &err);
    cli_progress_end();
    if (status != SYNCLINE_OK) {
        return cli_fail("%s", err.text);
    }
    if (add->stats.walk.stopped) {
        return cli_stopped("interrupted after %" PRIu64
                           " new entries; the same command goes on from "
                           "there",
                           add->stats.inserted);
    }
    if (add->unreadable > UNREADABLE_NAMED) {
        cli_warn("%" PRIu64 " more cannot be read and are left out",
                 add->unreadable - UNREADABLE_NAMED);
    }
    return options->report_fd < 0 ? CLI_EXIT_OK : report(options->report_fd, &add->stats);
}

static int add_plain(const struct cli_options *options, struct add *add)
{
    struct cli_session session;
    struct sqlite3 *db = NULL;
    struct indexer_error err = {{0}};
    int code = cli_session_open(options, SYNCLINE_ROLE_CAPTURE, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = cli_session_register(&session);
    struct syncline_info info = session.info;
    cli_session_close(&session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    /* From here on nothing of Syncline runs in this process. */
    if (indexer_db_open(options->library, 0, &db, &err) != SYNCLINE_OK) {
        return cli_fail("%s", err.text);
    }
    code = index_folder(options, NULL, db, &info.device_id, add);
    indexer_db_close(db);
    return code != CLI_EXIT_OK ? code : print_added(options, add, &info);
}

static int add_synced(const struct cli_options *options, struct add *add)
{
    struct cli_session session;
    bool needs_network = options->listen != NULL || options->peers_count > 0;
    int code = cli_session_open(options, needs_network ? SYNCLINE_ROLE_ENGINE : SYNCLINE_ROLE_AUTO,
                                &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = cli_session_register(&session);
    if (code == CLI_EXIT_OK) {
        code = index_folder(options, session.lib, session.db, &session.info.device_id, add);
    }
    if (code == CLI_EXIT_OK) {
        code = cli_session_flush(&session);
    }
    if (code == CLI_EXIT_OK && needs_network) {
        code = cli_session_wait(&session, options->wait_ms);
    }
    if (code == CLI_EXIT_OK) {
        code = cli_session_info(&session);
    }
    struct syncline_info info = session.info;
    cli_session_close(&session);
    return code != CLI_EXIT_OK ? code : print_added(options, add, &info);
}

int cmd_location_add(const struct cli_options *options)
{
    struct add add = {.run = indexer_location_add};
    return options->plain ? add_plain(options, &add) : add_synced(options, &add);
}

int cmd_location_rescan(const struct cli_options *options)
{
    struct add add = {.run = indexer_location_rescan};
    return add_synced(options, &add);
}

static int print_removed(const struct cli_options *options,
                         const struct indexer_location_stats *stats)
{
    char location[33];
    cli_hex(stats->location.bytes, sizeof(stats->location.bytes), location);
    if (options->json) {
        return cli_print_json(json_pack("{s:s, s:I, s:I}", "location", location, "removed",
                                        (json_int_t)stats->removed, "batches",
                                        (json_int_t)stats->batches));
    }
    printf("%" PRIu64 " entries removed; the folder is as it was\n", stats->removed);
    return cli_output_end();
}

int cmd_location_remove(const struct cli_options *options)
{
    struct cli_session session;
    struct indexer_error err = {{0}};
    struct indexer_location_stats stats;
    struct cli_meter meter = {0};
    int code = cli_session_open(options, SYNCLINE_ROLE_AUTO, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    struct indexer_location_options location_options = {.device = session.info.device_id,
                                                        .batch_size = options->batch_len,
                                                        .stop = cli_stop_flag(),
                                                        .ctx = &meter,
                                                        .progress = on_removed};
    enum syncline_status status = indexer_location_remove(session.lib, session.db, options->args[0],
                                                          &location_options, &stats, &err);
    cli_progress_end();
    if (status != SYNCLINE_OK) {
        code = cli_fail("%s", err.text);
    } else if (stats.walk.stopped) {
        code =
            cli_stopped("interrupted after %" PRIu64 " entries were removed; the same command goes "
                        "on from there",
                        stats.removed);
    } else {
        code = cli_session_flush(&session);
    }
    cli_session_close(&session);
    return code != CLI_EXIT_OK ? code : print_removed(options, &stats);
}

static void location_to_json(void *ctx, const struct indexer_location *location)
{
    char uuid[33];
    char device[33];
    cli_hex(location->row.uuid.bytes, sizeof(location->row.uuid.bytes), uuid);
    cli_hex(location->device.bytes, sizeof(location->device.bytes), device);
    cli_json_list_item(
        ctx,
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:I}", "uuid", uuid, "device", device, "device_name",
                  cli_json_name(location->device_name, strlen(location->device_name)), "path",
                  cli_json_name(location->row.path.data, location->row.path.len), "name",
                  cli_json_name(location->row.name, strlen(location->row.name)), "entries",
                  (json_int_t)location->entries));
}

/* Where locations are listed for people. */
struct listed {
    struct cli_table table;
    struct cli_devices devices; /* ours */
};

static void location_to_row(void *ctx, const struct indexer_location *location)
{
    struct listed *listed = ctx;
    char uuid[33];
    char label[CLI_DEVICE_LABEL_SIZE];
    cli_hex(location->row.uuid.bytes, sizeof(location->row.uuid.bytes), uuid);
    cli_table_text(&listed->table, uuid);
    cli_table_text(&listed->table, cli_device_label(&listed->devices, &location->device,
                                                    location->device_name, label));
    cli_table_number(&listed->table, location->entries);
    cli_table_cell(&listed->table, location->row.path.data, location->row.path.len);
}

int cmd_location_list(const struct cli_options *options)
{
    struct indexer_error err = {{0}};
    struct sqlite3 *db = NULL;
    struct listed listed = {0};
    struct cli_json_list list;
    if (indexer_db_open(options->library, INDEXER_DB_READ_ONLY, &db, &err) != SYNCLINE_OK) {
        return cli_fail("%s", err.text);
    }
    int code = cli_devices_of_table(&listed.devices, db);
    if (code != CLI_EXIT_OK) {
        indexer_db_close(db);
        return code;
    }
    cli_json_list_begin(&list, "locations");
    cli_table_column(&listed.table, "UUID", CLI_STYLE_QUIET);
    cli_table_column(&listed.table, "DEVICE", CLI_STYLE_PLAIN);
    cli_table_column(&listed.table, ">ENTRIES", CLI_STYLE_PLAIN);
    cli_table_column(&listed.table, "PATH", CLI_STYLE_NAME);
    enum syncline_status status =
        indexer_location_list(db, true, options->json ? location_to_json : location_to_row,
                              options->json ? (void *)&list : (void *)&listed, &err);
    cli_devices_drop(&listed.devices);
    indexer_db_close(db);
    if (status != SYNCLINE_OK) {
        cli_table_drop(&listed.table);
        return cli_fail("%s", err.text);
    }
    return options->json ? cli_json_list_end(&list) : cli_table_print(&listed.table);
}
