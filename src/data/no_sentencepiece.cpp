// In place of sentencepiece.cpp where the library is not installed.
#include "concordat/data/errors.hpp"
#include "data/tokenizers.hpp"

namespace concordat::data {

std::unique_ptr<Tokenizer> load_sentencepiece(ByteView, const std::string& where,
                                              std::optional<std::uint32_t>) {
  throw Error(errors::unsupported_tokenizer,
              {.what = "this build has no sentencepiece",
               .where = where,
               .found = "a sentencepiece model",
               .expected = "tokenizer.json, or a build with libsentencepiece-dev",
               .remedy = "install libsentencepiece-dev and build again"});
}

}  // namespace concordat::data
