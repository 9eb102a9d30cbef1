#include <vector>

#include "concordat/ledger/ledger.hpp"
#include "concordat/ledger/verify.hpp"
#include "ledger_fixture.hpp"

namespace concordat::ledger::testing {
namespace {

// The example of golang.org/x/mod/sumdb/note: key hash, verifier key form and signature by others.
TEST(SignedNote, key_and_signature_agree_with_the_go_package) {
  const Bytes typed = from_base64("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "example");
  const auto key = crypto::VerifyKey::from(ByteView(typed).subspan(1), "example");
  EXPECT_EQ(to_hex(note_key_id("PeterNeumann", key)), "c74f20a3");
  EXPECT_EQ(note_verifier_key("PeterNeumann", key),
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
  const std::string text =
      "If you think cryptography is the answer to your problem,\n"
      "then you don't know what your problem is.\n";
  const Bytes raw = from_base64(
      "x08go/ZJkuBS9UG/"
      "SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",
      "example");
  EXPECT_TRUE(crypto::verify(key, as_bytes(text),
                             crypto::signature_from(ByteView(raw).subspan(4), "example")));
}

TEST_F(LedgerTest, checkpoint_is_a_note_over_the_head) {
  Ledger ledger = open();
  ledger.append(note(0));
  const std::string text = ledger.checkpoint();
  EXPECT_EQ(text, read_text(posix_files(), folder / "checkpoint"));
  EXPECT_TRUE(text.starts_with(origin + "\n1\n" + to_base64(ledger.head().root.view()) + "\n\n"));
  const Checkpoint checkpoint = open_checkpoint(text, origin, key.verify_key(), "test");
  EXPECT_EQ(checkpoint.head, ledger.head());
  EXPECT_EQ(ledger.checkpoint(), text) << "the same head is signed once";
  ledger.append(note(1));
  EXPECT_NE(ledger.checkpoint(), text);
}

TEST_F(LedgerTest, signature_lines_of_others_are_skipped) {
  Ledger ledger = open();
  ledger.append(note(0));
  const std::string text = ledger.checkpoint();
  const std::string other = sign_checkpoint({origin, ledger.head()}, other_key);
  const std::string witness = other.substr(other.find("\n\n") + 2);
  EXPECT_EQ(open_checkpoint(text + witness, origin, key.verify_key(), "test").head, ledger.head());
  EXPECT_EQ(code_of([&] { open_checkpoint(other, origin, key.verify_key(), "test"); }),
            errors::bad_checkpoint.name);
  const std::string own = text.substr(text.find("\n\n") + 2);
  EXPECT_EQ(code_of([&] { open_checkpoint(text + own, origin, key.verify_key(), "test"); }),
            errors::bad_checkpoint.name)
      << "twice the same";
}

TEST_F(LedgerTest, no_flipped_bit_of_a_checkpoint_is_accepted) {
  const std::string text = sign_checkpoint({origin, {7, Digest{}}}, key);
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(code_of([&] { open_checkpoint(flipped, origin, key.verify_key(), "test"); }),
              errors::bad_checkpoint.name)
        << bit;
  }
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_THROW(open_checkpoint(text.substr(0, size), origin, key.verify_key(), "test"), Error);
  }
}

TEST_F(LedgerTest, well_signed_nonsense_is_refused) {
  const auto sign = [&](const std::string& body) {
    const auto id = note_key_id(origin, key.verify_key());
    const auto signature = key.sign(as_bytes(body));
    Bytes raw(id.begin(), id.end());
    raw.insert(raw.end(), signature.begin(), signature.end());
    return body + "\n\xe2\x80\x94 " + origin + " " + to_base64(raw) + "\n";
  };
  const std::string root = to_base64(Digest{}.view());
  EXPECT_NO_THROW(
      open_checkpoint(sign(origin + "\n3\n" + root + "\n"), origin, key.verify_key(), "t"));
  for (const std::string& body : std::vector<std::string>{
           origin + "\n03\n" + root + "\n", origin + "\n-3\n" + root + "\n",
           origin + "\n3\n" + root.substr(4) + "\n", origin + "\n3\n" + root + "\nmore\n",
           "other\n3\n" + root + "\n", origin + "\n3\n"}) {
    EXPECT_EQ(code_of([&] { open_checkpoint(sign(body), origin, key.verify_key(), "t"); }),
              errors::bad_checkpoint.name)
        << body;
  }
}

}  // namespace
}  // namespace concordat::ledger::testing
