/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Planted: undefined arithmetic. UndefinedBehaviorSanitizer must report it. */

int main(void)
{
    volatile int value = -1;
    value = value << 3;
    return 0;
}
