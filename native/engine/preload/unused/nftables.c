// Stands in for libnftables.so.1 in CRIU, as gnutls.c does for its library: with an empty network namespace and no network lock there
// are no rules to dump, and the real one brings five libraries along. CRIU also asks it what the kernel can do: no command succeeds.

#include <stddef.h>

static char context;

void* nft_ctx_new(unsigned flags) {
  (void)flags;
  return &context;
}

void nft_ctx_free(void* which) { (void)which; }

const char* nft_ctx_get_error_buffer(void* which) {
  (void)which;
  return "no nftables in a move";
}

#define FAILS(name) \
  int name(void);   \
  int name(void) { return -1; }

FAILS(nft_ctx_buffer_error)
FAILS(nft_ctx_buffer_output)
FAILS(nft_ctx_set_error)
FAILS(nft_ctx_set_output)
FAILS(nft_run_cmd_from_buffer)
