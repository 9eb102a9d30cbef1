// `concordat keys`: makes and shows the long-term keys of a site or of the coordinator.
#include <iostream>

#include "cli/command.hpp"
#include "concordat/core/error.hpp"
#include "concordat/crypto/key_files.hpp"
#include "concordat/crypto/process.hpp"
#include "concordat/crypto/random.hpp"

namespace concordat::cli {
namespace {

std::string help() {
  return "concordat keys: long-term keys of a site or of the coordinator.\n\n"
         "usage:\n"
         "  concordat keys create --name NAME --folder DIR\n"
         "        makes signing, sealing, TLS, log, data and rounding keys in DIR (mode 0700, "
         "files\n"
         "        0600) and DIR/NAME.pub, the text file to give to the federation's other "
         "members.\n"
         "        Keys are never overwritten. NAME: a-z, 0-9 and '-', at most 32 characters.\n"
         "  concordat keys show FILE.pub\n"
         "        checks a public key file and prints its keys.\n\n"
         "Whoever holds DIR can speak for the site: keep it on an encrypted file system, with a\n"
         "backup that only the operator can open. A key file that group or others may read is\n"
         "refused everywhere.\n";
}

void print(const crypto::PublicKeys& keys) {
  std::cout << "name     " << keys.name << "\nsigning  ed25519 " << keys.verify.hex()
            << "\nsealing  x25519  " << keys.seal.hex() << "\ntls      ed25519 " << keys.tls.hex()
            << "\nlog      ed25519 " << keys.log.hex() << '\n';
}

int run(const Args& args) {
  Flags flags("keys", args, {"name", "folder"});
  std::string action = flags.positional().empty() ? "nothing" : flags.positional()[0];
  if (action != "create" && action != "show") {
    throw Error(errors::usage, {.what = "there is no such action",
                                .where = "concordat keys",
                                .found = action,
                                .expected = "create or show",
                                .remedy = "concordat keys --help"});
  }
  if (action == "show") {
    flags.expect_positional({"show", "FILE.pub"});
    print(crypto::load_public_keys(posix_files(), flags.positional()[1]));
    return 0;
  }
  flags.expect_positional({"create"});
  crypto::disable_core_dumps();
  std::string folder = flags.required("folder");
  print(crypto::create_site_keys(posix_files(), folder, flags.required("name"),
                                 crypto::system_random()));
  std::cout << "written  " << folder << "/" << flags.required("name")
            << ".pub (give this file to the federation; keep the others)\n";
  return 0;
}

}  // namespace

const Command keys_command{"keys", "make and show the keys of a site or the coordinator", help,
                           run};

}  // namespace concordat::cli
