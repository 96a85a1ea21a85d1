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

#define LOOK_MS 1000         /* between two looks at the state of the library */
#define NO_ADDRESS "nothing" /* where the address stands, of who only dials */

static int print_ready(const struct cli_options *options, const struct syncline_info *info)
{
    if (!options->json) {
        puts(info->listen[0] != '\0' ? info->listen : NO_ADDRESS);
        return cli_output_end();
    }
    char device_id[33];
    cli_hex(info->device_id.bytes, sizeof(info->device_id.bytes), device_id);
    return cli_print_json(json_pack("{s:s, s:s, s:i}", "listen", info->listen, "device_id",
                                    device_id, "pid", (int)getpid()));
}

/* What counts for listen or peers: the option, else the setting. *set_by says which setting, with
 * its place, if it is one. */
static int find_addresses(const struct cli_options *options, const char *key, const char *option,
                          struct syncline_setting *set_by, bool *is_any)
{
    char text[512] = "";
    *set_by = (struct syncline_setting)SYNCLINE_SETTING_INIT;
    *is_any = option != NULL && option[0] != '\0';
    if (option != NULL) {
        return CLI_EXIT_OK;
    }
    enum syncline_status status =
        syncline_config_get(options->library, key, set_by, text, sizeof(text));
    if (status != SYNCLINE_OK && status != SYNCLINE_ENOTFOUND) {
        return cli_fail("%s", text);
    }
    *is_any = status == SYNCLINE_OK && set_by->value[0] != '\0';
    return CLI_EXIT_OK;
}

/* There must be an address to serve or one to dial, from the options or the settings. */
static int check_addresses(const struct cli_options *options)
{
    struct syncline_setting listen;
    struct syncline_setting peers;
    bool has_listen = false;
    bool has_peers = false;
    int code = find_addresses(options, "listen", options->listen, &listen, &has_listen);
    if (code == CLI_EXIT_OK) {
        code = find_addresses(options, "peers", options->peers_count > 0 ? options->peers[0] : NULL,
                              &peers, &has_peers);
    }
    if (code != CLI_EXIT_OK) {
        return code;
    }
    if (!has_listen && !has_peers) {
        return cli_usage(
            "`serve` needs an address to serve (--listen ADDR, or the setting listen), "
            "or one to dial (--peer ADDR, or the setting peers)");
    }
    if (!options->insecure_loopback) { /* without options, or they had needed it before */
        return cli_usage("the setting %s (%s) needs --insecure-loopback, since nobody is "
                         "authenticated yet; add it if loopback is what you want",
                         has_listen ? "listen" : "peers", has_listen ? listen.where : peers.where);
    }
    return CLI_EXIT_OK;
}

int cmd_serve(const struct cli_options *options)
{
    struct cli_session session;
    int code = check_addresses(options);
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
                     info->listen[0] != '\0' ? info->listen : "dialling", info->links,
                     info->members, info->own_seq, info->received_applied);
    }
    cli_progress_end();
    cli_session_close(&session);
    return code;
}
