/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline wait`: until this device and the others have applied everything. */

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/session.h"

int cmd_wait(const struct cli_options *options)
{
    struct cli_session session;
    /* Never the engine: one that is started meanwhile must not find it taken. */
    int code = cli_session_open(options, SYNCLINE_ROLE_CAPTURE, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = cli_session_wait(&session, options->timeout_ms);
    struct syncline_info info = session.info;
    cli_session_close(&session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    if (options->json) {
        return cli_print_json(json_pack("{s:I, s:I, s:I, s:I}", "members", (json_int_t)info.members,
                                        "own_seq", (json_int_t)info.own_seq, "received_applied",
                                        (json_int_t)info.received_applied, "set_aside",
                                        (json_int_t)info.set_aside));
    }
    puts(info.members == 0 ? "no other members" : "everything is applied");
    return cli_output_end();
}
