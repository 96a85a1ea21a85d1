/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline tag`: create, list. */

#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/session.h"
#include "indexer/schema.h"
#include "indexer/tag_manager.h"

int cmd_tag_create(const struct cli_options *options)
{
    struct cli_session session;
    struct syncline_uuid uuid;
    struct indexer_error err = {{0}};
    int code = cli_session_open(options, SYNCLINE_ROLE_AUTO, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    /* Not waiting for the log: the tag is committed with its outbox row, and whoever runs the
     * engine next takes it from there. */
    if (indexer_tag_create(session.lib, session.db, options->args[0], options->color, &uuid,
                           &err) != SYNCLINE_OK) {
        code = cli_fail("%s", err.text);
    }
    cli_session_close(&session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    char text[33];
    cli_hex(uuid.bytes, sizeof(uuid.bytes), text);
    if (options->json) {
        return cli_print_json(json_pack("{s:s}", "uuid", text));
    }
    printf("%s\n", text);
    return cli_output_end();
}

static void tag_to_json(void *ctx, const struct tag_row *row)
{
    char uuid[33];
    cli_hex(row->uuid.bytes, sizeof(row->uuid.bytes), uuid);
    json_t *color =
        row->color != NULL ? cli_json_name(row->color, strlen(row->color)) : json_null();
    json_array_append_new(ctx,
                          json_pack("{s:s, s:o, s:o}", "uuid", uuid, "name",
                                    cli_json_name(row->name, strlen(row->name)), "color", color));
}

static void tag_to_text(void *ctx, const struct tag_row *row)
{
    char uuid[33];
    (void)ctx;
    cli_hex(row->uuid.bytes, sizeof(row->uuid.bytes), uuid);
    printf("%s  ", uuid);
    cli_print_name(stdout, row->name, strlen(row->name));
    if (row->color != NULL) {
        fputs("  ", stdout);
        cli_print_name(stdout, row->color, strlen(row->color));
    }
    fputc('\n', stdout);
}

int cmd_tag_list(const struct cli_options *options)
{
    struct indexer_error err = {{0}};
    struct sqlite3 *db = NULL;
    if (indexer_db_open(options->library, INDEXER_DB_READ_ONLY, &db, &err) != SYNCLINE_OK) {
        return cli_fail("%s", err.text);
    }
    json_t *tags = options->json ? json_array() : NULL;
    enum syncline_status status =
        indexer_tag_list(db, options->json ? tag_to_json : tag_to_text, tags, &err);
    indexer_db_close(db);
    if (status != SYNCLINE_OK) {
        json_decref(tags);
        return cli_fail("%s", err.text);
    }
    return options->json ? cli_print_json(json_pack("{s:o}", "tags", tags)) : cli_output_end();
}
