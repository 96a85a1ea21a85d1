/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline tag`: create, rename, delete, list. */

#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/table.h"
#include "indexer/schema.h"
#include "indexer/tag_manager.h"

static int print_uuid(const struct cli_options *options, const struct syncline_uuid *uuid)
{
    char text[33];
    cli_hex(uuid->bytes, sizeof(uuid->bytes), text);
    if (options->json) {
        return cli_print_json(json_pack("{s:s}", "uuid", text));
    }
    printf("%s\n", text);
    return cli_output_end();
}

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
    return print_uuid(options, &uuid);
}

/* The tag that a word on the command line means: a UUID, or a name that only one has. */
static enum syncline_status find_tag(struct cli_session *session, const char *word,
                                     struct syncline_uuid *uuid, struct indexer_error *err)
{
    if (cli_parse_uuid(word, uuid->bytes)) {
        return SYNCLINE_OK;
    }
    return indexer_tag_find(session->db, word, uuid, err);
}

/* Renames the tag args[0], or with no name deletes it. */
static int change_tag(const struct cli_options *options, const char *name)
{
    struct cli_session session;
    struct syncline_uuid uuid;
    struct indexer_error err = {{0}};
    int code = cli_session_open(options, SYNCLINE_ROLE_AUTO, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    enum syncline_status status = find_tag(&session, options->args[0], &uuid, &err);
    if (status == SYNCLINE_OK) {
        status = name != NULL ? indexer_tag_rename(session.lib, session.db, &uuid, name, &err)
                              : indexer_tag_delete(session.lib, session.db, &uuid, &err);
    }
    if (status != SYNCLINE_OK) {
        code = cli_fail("%s", err.text);
    }
    cli_session_close(&session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    return print_uuid(options, &uuid);
}

int cmd_tag_rename(const struct cli_options *options)
{
    return change_tag(options, options->args[1]);
}

int cmd_tag_delete(const struct cli_options *options)
{
    return change_tag(options, NULL);
}

static void tag_to_json(void *ctx, const struct tag_row *row)
{
    char uuid[33];
    cli_hex(row->uuid.bytes, sizeof(row->uuid.bytes), uuid);
    json_t *color =
        row->color != NULL ? cli_json_name(row->color, strlen(row->color)) : json_null();
    cli_json_list_item(ctx, json_pack("{s:s, s:o, s:o}", "uuid", uuid, "name",
                                      cli_json_name(row->name, strlen(row->name)), "color", color));
}

static void tag_to_row(void *ctx, const struct tag_row *row)
{
    char uuid[33];
    cli_hex(row->uuid.bytes, sizeof(row->uuid.bytes), uuid);
    cli_table_text(ctx, uuid);
    cli_table_text(ctx, row->color != NULL ? row->color : "-");
    cli_table_text(ctx, row->name);
}

int cmd_tag_list(const struct cli_options *options)
{
    struct indexer_error err = {{0}};
    struct sqlite3 *db = NULL;
    struct cli_table table = {0};
    struct cli_json_list list;
    if (indexer_db_open(options->library, INDEXER_DB_READ_ONLY, &db, &err) != SYNCLINE_OK) {
        return cli_fail("%s", err.text);
    }
    cli_json_list_begin(&list, "tags");
    cli_table_column(&table, "UUID", CLI_STYLE_QUIET);
    cli_table_column(&table, "COLOR", CLI_STYLE_PLAIN);
    cli_table_column(&table, "NAME", CLI_STYLE_NAME);
    enum syncline_status status =
        indexer_tag_list(db, options->json ? tag_to_json : tag_to_row,
                         options->json ? (void *)&list : (void *)&table, &err);
    indexer_db_close(db);
    if (status != SYNCLINE_OK) {
        cli_table_drop(&table);
        return cli_fail("%s", err.text);
    }
    return options->json ? cli_json_list_end(&list) : cli_table_print(&table);
}
