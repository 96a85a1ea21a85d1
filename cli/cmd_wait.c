/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline wait`: until this device and the others have applied everything. */

#include "cli/commands.h"
#include "cli/devices.h"
#include "cli/output.h"
#include "cli/session.h"

/* For the member of --member. */
static int wait_for_one(struct cli_session *session, const struct cli_options *options)
{
    struct cli_devices devices;
    struct syncline_uuid member;
    int code = cli_devices_of_members(&devices, session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = cli_devices_find(&devices, &session->info.device_id, options->member, &member);
    cli_devices_drop(&devices);
    return code != CLI_EXIT_OK ? code : cli_session_wait_for(session, &member, options->timeout_ms);
}

int cmd_wait(const struct cli_options *options)
{
    struct cli_session session;
    /* Never the engine: one that is started meanwhile must not find it taken. */
    int code = cli_session_open(options, SYNCLINE_ROLE_CAPTURE, &session);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    code = options->member != NULL ? wait_for_one(&session, options)
                                   : cli_session_wait(&session, options->timeout_ms);
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
    puts(options->member != NULL ? "it has applied everything of this device"
         : info.members == 0     ? "no other members"
                                 : "everything is applied");
    return cli_output_end();
}
