/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline digest`: count and hash of every model. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/table.h"
#include "indexer/models.h"

struct digest {
    uint64_t count;   /* records */
    uint8_t hash[32]; /* SHA-256 over them in UUID order */
};

static int print_json(const struct digest *digests)
{
    json_t *models = json_object();
    for (size_t i = 0; i < INDEXER_MODELS_COUNT; i++) {
        char hash[65];
        cli_hex(digests[i].hash, sizeof(digests[i].hash), hash);
        json_object_set_new(
            models, indexer_models[i]->name,
            json_pack("{s:I, s:s}", "count", (json_int_t)digests[i].count, "hash", hash));
    }
    return cli_print_json(json_pack("{s:o}", "models", models));
}

static int print_text(const struct digest *digests)
{
    struct cli_table table = {0};
    cli_table_column(&table, "MODEL", CLI_STYLE_NAME);
    cli_table_column(&table, ">RECORDS", CLI_STYLE_PLAIN);
    cli_table_column(&table, "SHA-256", CLI_STYLE_QUIET);
    for (size_t i = 0; i < INDEXER_MODELS_COUNT; i++) {
        char hash[65];
        cli_hex(digests[i].hash, sizeof(digests[i].hash), hash);
        cli_table_text(&table, indexer_models[i]->name);
        cli_table_number(&table, digests[i].count);
        cli_table_text(&table, hash);
    }
    return cli_table_print(&table);
}

int cmd_digest(const struct cli_options *options)
{
    struct cli_session session;
    struct digest digests[INDEXER_MODELS_COUNT];
    int code = cli_session_open(options, SYNCLINE_ROLE_CAPTURE, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    for (size_t i = 0; i < INDEXER_MODELS_COUNT && code == CLI_EXIT_OK; i++) {
        cli_progress("reading %s", indexer_models[i]->table);
        enum syncline_status status =
            syncline_digest(session.lib, indexer_models[i], &digests[i].count, digests[i].hash);
        if (status != SYNCLINE_OK) {
            char text[512];
            syncline_error(session.lib, text, sizeof(text));
            code = cli_fail("%s", text[0] != '\0' ? text : syncline_status_text(status));
        }
    }
    cli_session_close(&session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    return options->json ? print_json(digests) : print_text(digests);
}
