// Posts between the processes that have a part in a group of the emulated NCCL: over sockets of
// this machine, as the real one bootstraps from its id alone. One thread in each process reads
// them; another applies them and drives what its streams hold for them, since its host may wait for
// something else.
//
// @pre of all functions: the machine's lock is held.
#pragma once

#include <string>

#include "exchange.hpp"

namespace cuda_emulator {

/// A name for a new group by which any process of this machine finds the one that made it.
std::string network_id();
/// From here on posts for this process are taken. Once is enough.
void network_start();
/// Where this process takes them: what other ranks must know of it.
int network_address();
/// Tells everybody in a group that is whole of everybody, if it was made here.
void network_introduce(const std::string& id, const Group& group);
/// To the other processes that have a part in it.
void network_send(const Post& post);

}  // namespace cuda_emulator
