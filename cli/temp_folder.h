/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A folder for the time of a command, and its removal with all that is in it.
 *
 * Thread: any; blocks on the disk. Calls return the exit code and have said what failed. */

#ifndef SL_CLI_TEMP_FOLDER_H
#define SL_CLI_TEMP_FOLDER_H

/* Makes a folder in $TMPDIR, else /tmp. *out is its absolute path without links, to be freed. */
int cli_temp_folder_make(char **out);

/* Removes the folder and everything in it; follows no links. */
int cli_temp_folder_remove(const char *path);

#endif
