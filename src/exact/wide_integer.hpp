// 128-bit integers, spelled so that -Wpedantic accepts the compiler's extension.
#pragma once

namespace concordat::exact {

__extension__ using U128 = unsigned __int128;

}  // namespace concordat::exact
