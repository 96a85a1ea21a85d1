/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The commands; each returns the exit code and has said on stderr what failed. What they do stands
 * in the table in main.c, for people. */

#ifndef SL_CLI_COMMANDS_H
#define SL_CLI_COMMANDS_H

#include "cli/options.h"

int cmd_library_create(const struct cli_options *options);
int cmd_library_join(const struct cli_options *options);
int cmd_library_remove(const struct cli_options *options);
int cmd_library_info(const struct cli_options *options);
int cmd_library_members(const struct cli_options *options);
int cmd_library_leave(const struct cli_options *options);
int cmd_network_devices(const struct cli_options *options);
int cmd_network_revoke(const struct cli_options *options);
int cmd_location_add(const struct cli_options *options);
int cmd_location_rescan(const struct cli_options *options);
int cmd_location_remove(const struct cli_options *options);
int cmd_location_list(const struct cli_options *options);
int cmd_tag_create(const struct cli_options *options);
int cmd_tag_rename(const struct cli_options *options);
int cmd_tag_delete(const struct cli_options *options);
int cmd_tag_list(const struct cli_options *options);
int cmd_entry_list(const struct cli_options *options);
int cmd_entry_show(const struct cli_options *options);
int cmd_serve(const struct cli_options *options);
int cmd_log(const struct cli_options *options);
int cmd_events(const struct cli_options *options);
int cmd_status(const struct cli_options *options);
int cmd_why(const struct cli_options *options);
int cmd_stuck(const struct cli_options *options);
int cmd_wait(const struct cli_options *options);
int cmd_verify(const struct cli_options *options);
int cmd_digest(const struct cli_options *options);
int cmd_config_list(const struct cli_options *options);
int cmd_config_get(const struct cli_options *options);
int cmd_config_set(const struct cli_options *options);
int cmd_config_unset(const struct cli_options *options);
int cmd_config_preset(const struct cli_options *options);
int cmd_demo(const struct cli_options *options);

/* All settings, for the help of the commands above. */
void cmd_config_help(FILE *out);

#endif
