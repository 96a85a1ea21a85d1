// SPDX-License-Identifier: Apache-2.0
// Copyright (c) the Syncline authors

// The public header in C++: it compiles without a warning, and its calls link.

#include <cstdio>
#include <cstring>
#include <syncline.h>

int main()
{
    char error[256] = "";
    syncline_uuid uuid = {};
    syncline_options options = {};
    options.size = sizeof(options);
    options.error = error;
    options.error_size = sizeof(error);
    syncline *lib = nullptr;

    if (std::strcmp(syncline_version(), SYNCLINE_VERSION) != 0 ||
        syncline_uuid_new(&uuid, 1) != SYNCLINE_OK || uuid.bytes[6] >> 4 != 7) {
        std::puts("the library is not the one that the header is of");
        return 1;
    }
    if (syncline_open("/nonexistent", &options, &lib) != SYNCLINE_ENOTFOUND || error[0] == '\0') {
        std::printf("open of a library that is not there: %s\n", error);
        return 1;
    }
    return 0;
}
