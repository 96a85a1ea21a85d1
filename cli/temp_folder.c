/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "cli/temp_folder.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/output.h"

#define OPEN_MAX_FOLDERS 16 /* descriptors that the removal keeps open */

int cli_temp_folder_make(char **out)
{
    const char *base = getenv("TMPDIR");
    if (base == NULL || base[0] == '\0') {
        base = "/tmp";
    }
    char *pattern = NULL;
    if (asprintf(&pattern, "%s/syncline-XXXXXX", base) < 0) {
        return cli_fail("no memory for a path; free some and try again");
    }
    char *path = mkdtemp(pattern) != NULL ? realpath(pattern, NULL) : NULL;
    if (path == NULL) {
        int code = cli_fail("no folder can be made in %s (%s); set TMPDIR to one where it can",
                            base, strerror(errno));
        free(pattern);
        return code;
    }
    free(pattern);
    *out = path;
    return CLI_EXIT_OK;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

int cli_temp_folder_remove(const char *path)
{
    if (nftw(path, remove_one, OPEN_MAX_FOLDERS, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        return cli_fail("%s cannot be removed (%s); remove it by hand", path, strerror(errno));
    }
    return CLI_EXIT_OK;
}
