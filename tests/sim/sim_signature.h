/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Signatures that cost nothing. Ed25519 was half of the time that a schedule took, and nobody
 * forges anything here: in most schedules a signature is a hash of the public key and the message,
 * which does not fit another key or another message either. The linker puts these functions in the
 * place of those of net/identity.h (--wrap in CMakeLists.txt). */

#ifndef SL_SIM_SIGNATURE_H
#define SL_SIM_SIGNATURE_H

#include <stdint.h>

/* Whether signatures of this seed's schedule are real ones: of one seed in 16 they are. Only while
 * no library is open. */
void sl_sim_signature_begin(uint64_t seed);

#endif
