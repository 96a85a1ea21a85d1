/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline serve`: runs the engine of a library until a signal comes. */

#include <inttypes.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/meter.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/stop.h"

#define LOOK_MS 1000 /* between two looks at the state of the library */

static int print_ready(const struct cli_options *options, const struct syncline_info *info)
{
    if (!options->json) {
        printf("%s\n", info->listen);
        return cli_output_end();
    }
    char device_id[33];
    cli_hex(info->device_id.bytes, sizeof(info->device_id.bytes), device_id);
    return cli_print_json(json_pack("{s:s, s:s, s:i}", "listen", info->listen, "device_id",
                                    device_id, "pid", (int)getpid()));
}

/* Without --listen there must be an address in the settings. */
static int check_address(const struct cli_options *options)
{
    char text[512] = "";
    struct syncline_setting listen = SYNCLINE_SETTING_INIT;
    if (options->listen != NULL) {
        return CLI_EXIT_OK;
    }
    enum syncline_status status =
        syncline_config_get(options->library, "listen", &listen, text, sizeof(text));
    if (status != SYNCLINE_OK && status != SYNCLINE_ENOTFOUND) {
        return cli_fail("%s", text);
    }
    if (status != SYNCLINE_OK || listen.value[0] == '\0') {
        return cli_usage("`serve` needs --listen ADDR, or the setting listen in a library");
    }
    if (!options->insecure_loopback) {
        return cli_usage("the setting listen (%s) needs --insecure-loopback, since nobody is "
                         "authenticated yet; add it if loopback is what you want",
                         listen.where);
    }
    return CLI_EXIT_OK;
}

int cmd_serve(const struct cli_options *options)
{
    struct cli_session session;
    int code = check_address(options);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = cli_session_open(options, SYNCLINE_ROLE_ENGINE, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = print_ready(options, &session.info);
    struct cli_meter meter;
    bool is_behind = false;
    while (code == CLI_EXIT_OK && !cli_stop_wait(LOOK_MS)) {
        /* An engine that met a dead disk or damage says so here, once. */
        code = cli_session_info(&session);
        const struct syncline_info *info = &session.info;
        bool was_behind = is_behind;
        is_behind = info->received_applied < info->announced;
        if (is_behind && !was_behind) {
            cli_meter_start(&meter, "applying", "changes of others", info->announced);
        }
        if (is_behind) {
            meter.total = info->announced;
            cli_meter_show(&meter, info->received_applied);
            continue;
        }
        cli_progress("%s: %" PRIu32 " of %" PRIu32 " members connected, %" PRIu64
                     " changes here, %" PRIu64 " of others applied",
                     info->listen, info->links, info->members, info->own_seq,
                     info->received_applied);
    }
    cli_progress_end();
    cli_session_close(&session);
    return code;
}
