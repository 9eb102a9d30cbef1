// With CONCORDAT_MISUSE: a decision that no ledger wrote, and a second use by copying. Neither
// compiles.
#include "concordat/ledger/decision.hpp"

concordat::ledger::Written<concordat::ledger::Decision> use(
    concordat::ledger::Written<concordat::ledger::Decision> written) {
#ifdef CONCORDAT_MISUSE
  concordat::ledger::Written<concordat::ledger::Decision> forged(concordat::ledger::Decision{}, 0);
  auto copy = written;
#endif
  return written;
}
