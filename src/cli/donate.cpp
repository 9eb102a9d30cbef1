// `concordat donate`: gives a site that lost its state this one's part of what all sites share.
#include <iostream>

#include "cli/command.hpp"
#include "cli/site_command.hpp"
#include "concordat/core/error.hpp"
#include "concordat/site/donate.hpp"

namespace concordat::cli {
namespace {

std::string help() {
  return "concordat donate: gives what all sites share to a site that lost it.\n\n"
         "usage:\n"
         "  concordat donate SITE.toml --to=NAME [--key=value ...]\n\n"
         "Run it at a site that federation.donate_to of its own configuration allows to give, for\n"
         "the site whose federation.donor names this one. This site's border sends the state that\n"
         "the newest closed exchange started from (the shared model, outer moments, scales) and "
         "the\n"
         "exchange's sum, sealed to that site: the coordinator passes it on and cannot read it.\n"
         "Each message has its decision and its entry in the ledger. The recipient holds every\n"
         "block against the manifest that all participants cosigned. Nothing that is this site's\n"
         "own leaves: no inner moments, no error feedback, no weights of its inner steps.\n\n"
         "It leaves the request in the run folder and ends; the border takes it from there.\n";
}

int run(const Args& given) {
  Args args = given;
  const std::string to = take_flag(args, "to").value_or("");
  SiteInput input = read_site("donate", args);
  if (!input.terms) {
    throw Error(errors::config_missing_key, {.what = "a site that trains alone gives nothing",
                                             .where = args[0],
                                             .found = "no [federation] section",
                                             .expected = "federation.roster and .agreement",
                                             .remedy = "name both in the configuration"});
  }
  site::ask_to_donate(posix_files(), input.settings, input.terms->roster.roster, to);
  std::cout << "asked for     the state of run " << input.settings.run << ", for " << to << '\n';
  if (!role_holder(input.settings.folder / "border.lock")) {
    std::cout << "border        does not run: start 'concordat border', which gives it\n";
  }
  return 0;
}

}  // namespace

const Command donate_command{"donate", "give a site that lost its state what all sites share", help,
                             run};

}  // namespace concordat::cli
